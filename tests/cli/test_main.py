import io
import os
import subprocess
import sys

import pytest

import stormpetrel
from stormpetrel.cli import main as main_module
from stormpetrel.cli.main import FILES, build_parser
from tests.instance import clean_environment
from tools.reference import commands

ALL = dict(commands(build_parser(), "stormpetrel"))


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example(run, name):
    words = name.split()[1:]
    done = run(*words, "--help")
    assert f"usage: {name}" in done.out
    assert "example:" in done.out
    assert "--config PATH" in done.out
    assert done.err == ""


def test_the_commands_of_the_contract_are_there():
    wanted = "serve init migrate check config token seed".split()
    wanted += [f"user {verb}" for verb in "add list approve reject suspend unsuspend".split()]
    assert {f"stormpetrel {name}" for name in wanted} <= set(ALL)


@pytest.mark.parametrize("name", FILES)
def test_a_call_knows_the_commands_of_one_file(name):
    words = [] if name == "completion" else [name]
    known = {full.split()[1] for full in dict(commands(build_parser(words), "stormpetrel"))}
    same_file = {other for other, file in FILES.items() if file == FILES[name]}
    assert known == (set(FILES) if name == "completion" else same_file)


@pytest.mark.parametrize(
    "words",
    [["config", "--json"], ["--config", "x.toml", "config"], ["--config=x.toml", "config"]],
)
def test_a_command_is_found_behind_the_configuration_file(words):
    known = {full.split()[1] for full in dict(commands(build_parser(words), "stormpetrel"))}
    assert known == {"init", "migrate", "config"}


def test_help_and_version_are_no_failure(run):
    assert "commands:" in run("--help").out
    assert run("--version").out == f"stormpetrel {stormpetrel.__version__}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("serv",), "unknown command 'serv' (did you mean serve?) (see stormpetrel --help)"),
        (("user", "lst"), "unknown command 'lst' (did you mean list?) (see stormpetrel user --help)"),
        (("user", "list", "--pendin"), "unknown argument --pendin (did you mean --pending?) (see …user list --help)"),
        (("config", "--jsom=1"), "unknown argument --jsom=1 (did you mean --json?) (see stormpetrel config --help)"),
        (("help",), "unknown command 'help' (see stormpetrel --help)"),
        (("shield", "help"), "unknown command 'help' (see stormpetrel shield --help)"),
        (("config", "extra"), "unknown argument extra (see stormpetrel config --help)"),
        (("serve", "--role", "wep"), "argument --role: unknown value 'wep' (did you mean web?) (see …serve --help)"),
        (("seed", "--users", "many"), "argument --users: 'many' is not a whole number (see stormpetrel seed --help)"),
        (("seed", "--seed", "65536"), "argument --seed: must be between 0 and 65535, not 65536 (see …seed --help)"),
        (("user", "add", "x"), "the following arguments are required: --email (see stormpetrel user add --help)"),
        (("shield", "why"), "the following arguments are required: WHO (see …shield why --help)"),
        (("user", "add", "x", "--emial=y"),
            "unknown argument --emial=y (did you mean --email?) (see …user add --help)"),
    ],
)  # fmt: skip
def test_a_typo_is_one_clear_line_and_exit_2(run, words, complaint):
    assert run(*words, expect=2).complaint == complaint.replace("…", "stormpetrel ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "COMMAND (COMMAND is one of: serve, init, migrate, "),
        (("proxy",), "PROXY (PROXY is one of: nginx, haproxy, caddy) (see stormpetrel proxy --help)"),
        (("drill",), "SCENARIO (SCENARIO is one of: smoke, august-2009, "),
        (("user", "role"), "NAME, ROLE (ROLE is one of: member, moderator, admin)"),
    ],
)
def test_a_missing_argument_is_named_with_its_possible_values(run, words, complaint):
    found = run(*words, expect=2).complaint
    assert found.startswith(f"the following arguments are required: {complaint}")


def test_a_word_that_is_like_nothing_is_answered_with_what_there_is(run):
    complaint = run("xyzzy", expect=2).complaint
    assert complaint.startswith("unknown command 'xyzzy' (there are: serve, init, ")


@pytest.mark.parametrize("word", ["-v", "-V", "--version"])
def test_the_version_has_short_options(run, word):
    assert run(word).out == f"stormpetrel {stormpetrel.__version__}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("user role ann emperor", "unknown value 'emperor' (there are: member, moderator, admin)"),
        ("token ann --scopes fly", "unknown scope 'fly' (there are: profile, read, "),
        ("token ann --scopes raed", "unknown scope 'raed' (did you mean read?)"),
        ("sms pause nowhere", "there is no route 'nowhere' (there are: none)"),
        ("moderation resolve 99 --reason x", "Report not found: 99"),
        ("moderation hide 99 --reason x", "Post not found: 99"),
    ],
)
def test_an_error_has_the_wrong_value_and_what_there_is(run, data_dir, words, complaint):
    run("init")
    run("user", "add", "ann", "--email", "ann@example.org", "--password", "a good long one")
    assert complaint in run(*words.split(), expect=2).complaint


def test_the_configuration_file_may_stand_before_or_after_the_command(run, tmp_path):
    file = tmp_path / "place.toml"
    file.write_text("[web]\nport = 9123\n")
    for words in (("--config", str(file), "config"), ("config", "--config", str(file))):
        assert "web.port" in run(*words, "--json").out
        assert f'"{file}"' in run(*words, "--json").out
        assert {"9123"} <= set(run(*words).out.split())


def test_a_configuration_file_that_is_not_there_is_named(run, tmp_path):
    complaint = run("config", "--config", str(tmp_path / "no.toml"), expect=2).complaint
    assert complaint.startswith(f"configuration file not found: {tmp_path / 'no.toml'}; check the path")


def test_a_file_that_is_no_toml_is_named_with_the_place_of_the_error(run, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("[web\nport = 1\n")
    complaint = run("config", "--config", str(file), expect=2).complaint
    assert str(file) in complaint
    assert "line 1" in complaint


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("STORMPETREL_WEB_PROT", "1", ("unknown environment variable STORMPETREL_WEB_PROT", "STORMPETREL_WEB_PORT?")),
        ("STORMPETREL_WEB_PORT", "http", ("STORMPETREL_WEB_PORT must be a whole number, not 'http'",)),
        ("STORMPETREL_REGISTRATION", "opn", ("must be one of open, approval, closed",)),
        ("STORMPETREL_DATABASE_URL", "mysql://x", ("sqlite:/// or postgresql://",)),
    ],
)  # fmt: skip
def test_a_wrong_environment_is_one_clear_line_and_exit_2(run, monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    complaint = run("config", expect=2).complaint
    assert all(word in complaint for word in words)


NEED_AN_INSTANCE = [
    ("user", "list"),
    ("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough"),
    ("user", "suspend", "Nino"),
    ("token", "Nino"),
    ("seed", "--users", "2", "--posts", "1", "--follows", "1", "--seed", "1"),
    ("migrate",),
]


@pytest.mark.parametrize("words", NEED_AN_INSTANCE)
def test_a_command_without_an_instance_says_what_to_run(run, data_dir, words):
    complaint = run(*words, expect=2).complaint
    assert (
        complaint
        == f"there is no instance yet ({data_dir}/stormpetrel.db does not exist): run stormpetrel init"
    )
    assert not data_dir.exists()


@pytest.mark.parametrize("words", NEED_AN_INSTANCE)
def test_a_database_that_cannot_be_reached_is_exit_3(run, data_dir, monkeypatch, words):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", "postgresql://somebody:s3cret@127.0.0.1:1/place")
    complaint = run(*words, expect=3).complaint
    assert complaint.startswith("the database at 127.0.0.1 cannot be reached: ")
    assert "s3cret" not in complaint


def test_a_file_that_is_no_database_is_exit_3(run, data_dir, monkeypatch, tmp_path):
    file = tmp_path / "letter.db"
    file.write_text("Dear Ida, this is a letter and not a database. " * 30)
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", f"sqlite:///{file}")
    assert "file is not a database" in run("user", "list", expect=3).complaint


def test_a_reader_that_leaves_ends_a_command_without_a_word():
    command = subprocess.Popen(
        [sys.executable, "-m", "stormpetrel", "config"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    command.stdout.close()
    said = command.stderr.read()
    command.stderr.close()
    assert (command.wait(), said) == (141, b"")


class InterruptedKeyboard(io.StringIO):
    """A standard input on which the user presses Ctrl-C."""

    def readline(self, *_):
        raise KeyboardInterrupt


def test_ctrl_c_ends_a_command_without_a_traceback(run, place, monkeypatch):
    monkeypatch.setattr(sys, "stdin", InterruptedKeyboard())
    done = run("user", "add", "Nino", "--email", "n@example.org", "--password-stdin", expect=130)
    assert done.err.strip() == "stormpetrel: interrupted"


@pytest.mark.parametrize(
    ("words", "typed", "complaint"),
    [
        ([b"shield", b"why", b"Nin\xff"], b"", "an argument or the input is not valid UTF-8"),
        ([b"shield", b"why", b"-"], b"Nin\xff\n", "an argument or the input is not valid UTF-8"),
        ([b"token", b"Nin\xff"], b"", "there is no account 'Nin\\udcff'"),
        (
            [b"user", b"add", b"Nino", b"--email", b"n@example.org", b"--password-stdin"],
            b"\xff is no text, and no password\n",
            "password ",
        ),
    ],
)
def test_bytes_that_are_not_utf_8_are_one_line_and_exit_2(place, words, typed, complaint):
    done = subprocess.run(
        [sys.executable, "-m", "stormpetrel", *words],
        input=typed,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.decode().startswith(f"stormpetrel: {complaint}")


def test_an_error_of_the_system_is_one_line_and_exit_3(run, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device", "/var/lib/place")

    monkeypatch.setattr(main_module, "build_parser", lambda _: build_parser_with(full))
    assert run("config", expect=3).complaint == "/var/lib/place: No space left on device"


def build_parser_with(command):
    parser = build_parser()
    parser.set_defaults(run=command)
    inner = next(action for action in parser._actions if hasattr(action, "choices") and action.choices)
    for one in inner.choices.values():
        one.set_defaults(run=command)
    return parser


def test_a_mistake_of_ours_is_not_hidden(run, monkeypatch):
    def wrong(_):
        raise ZeroDivisionError

    monkeypatch.setattr(main_module, "build_parser", lambda _: build_parser_with(wrong))
    with pytest.raises(ZeroDivisionError):
        run("config")


@pytest.mark.parametrize(
    "module", ["cli.users", "cli.tokens", "rules.accounts", "rules.access", "process.cpu_worker"]
)
def test_the_quick_commands_wait_for_no_framework(module):
    code = f"import sys, stormpetrel.{module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "alembic", "python_multipart", "websockets", "redis"} & set(done.stdout.split())


def test_the_quick_commands_do_not_load_the_driver_of_a_store_that_is_not_used(data_dir, run):
    run("init")
    code = (
        "import sys; from stormpetrel.cli.main import main; "
        "main(['user', 'list']); print('psycopg.pq' in sys.modules)"
    )
    environ = clean_environment(data_dir=data_dir)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_the_quick_commands_load_the_driver_where_it_is_used(postgresql_url, data_dir, monkeypatch, run):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", postgresql_url)
    run("init")
    environ = clean_environment(data_dir=data_dir, database_url=postgresql_url)
    command = [sys.executable, "-m", "stormpetrel", "user", "list", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    command = [*command[:-1], "--pending", "--json"]
    unreachable = environ | {"STORMPETREL_DATABASE_URL": "postgresql://x:y@127.0.0.1:1/z"}
    done = subprocess.run(command, env=unreachable, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("stormpetrel: the database at 127.0.0.1 cannot be reached")
