import stat
import subprocess
import tomllib

import pytest

from stormpetrel.cli.instance import config_template
from stormpetrel.config_loader import load
from tests.cli.conftest import execute, rows


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def new_place(data_dir, monkeypatch, empty_database_url):
    """Return the URL of a database without tables, for an instance without a directory. Once per store."""
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", empty_database_url)
    return empty_database_url


def test_init_makes_a_place_that_only_its_owner_can_read(run, data_dir, new_place):
    done = run("init")
    assert mode(data_dir) == 0o700
    assert mode(data_dir / "secret.key") == 0o600
    assert mode(data_dir / "stormpetrel.toml") == 0o600
    assert rows(new_place, "SELECT count(*) FROM accounts") == [(0,)]
    assert "http://127.0.0.1:8000" in done.out
    assert "http://127.0.0.1:8001" in done.out
    assert "next: stormpetrel user add" in done.out
    # All users of the machine can see a password among a command's arguments.
    assert "--password" not in done.out
    assert done.err == ""


def test_init_with_a_domain_sets_what_a_place_behind_a_proxy_needs(run, data_dir, new_place):
    done = run("init", "--domain", "Skerry.example")
    assert "web:          https://skerry.example\n" in done.out
    assert "status page:  https://status.skerry.example\n" in done.out
    config = load(environ={"STORMPETREL_DATA_DIR": str(data_dir)}).config
    assert config.base_url == "https://skerry.example"
    assert config.status_url == "https://status.skerry.example"
    assert config.edge.trusted_proxies == "127.0.0.1"
    written = tomllib.loads((data_dir / "stormpetrel.toml").read_text())
    assert {key: value for key, value in written.items() if value} == {
        "public_url": "https://skerry.example",
        "status": {"public_url": "https://status.skerry.example"},
        "edge": {"trusted_proxies": "127.0.0.1"},
    }
    assert "created" not in run("init", "--domain", "skerry.example").out


def test_init_with_a_domain_changes_no_configuration_that_is_there(run, data_dir, new_place, monkeypatch):
    run("init", "--domain", "skerry.example")
    before = (data_dir / "stormpetrel.toml").read_bytes()
    complaint = run("init", "--domain", "other.example", expect=2).complaint
    assert complaint.endswith("set public_url to https://other.example in it")
    assert (data_dir / "stormpetrel.toml").read_bytes() == before


def test_init_with_a_domain_beside_another_one_in_the_environment_makes_nothing(run, data_dir, monkeypatch):
    monkeypatch.setenv("STORMPETREL_PUBLIC_URL", "https://skerry.example")
    complaint = run("init", "--domain", "other.example", expect=2).complaint
    assert "STORMPETREL_PUBLIC_URL" in complaint
    assert not data_dir.exists()


@pytest.mark.parametrize(
    "written",
    [
        "https://skerry.example",
        "skerry.example/",
        "skerry",
        "skerry.example:8443",
        "a b.example",
        "é.example",
    ],
)
def test_a_domain_that_is_no_plain_name_is_refused_before_anything_is_made(run, data_dir, written):
    complaint = run("init", "--domain", written, expect=2).complaint
    assert complaint.startswith("--domain must be a name like example.org")
    assert not data_dir.exists()


def test_init_again_says_what_is_there_and_changes_nothing(run, data_dir, new_place, monkeypatch):
    run("init")
    run("user", "add", "Nino", "--email", "nino@example.org", "--password", "long enough")
    files = [data_dir / "secret.key", data_dir / "stormpetrel.toml"]
    before = [file.read_bytes() for file in files]
    monkeypatch.chdir(data_dir.parent)
    monkeypatch.setenv("STORMPETREL_DATA_DIR", data_dir.name)
    done = run("init")
    assert f"exists   {data_dir / 'stormpetrel.toml'}" in done.out
    assert "created" not in done.out
    assert done.out.count("exists ") == 4
    assert [file.read_bytes() for file in files] == before
    assert rows(new_place, "SELECT username FROM accounts") == [("Nino",)]


def test_init_makes_the_database_in_the_data_directory_by_default(run, data_dir):
    run("init")
    assert mode(data_dir / "stormpetrel.db") == 0o600
    run("user", "list")


def test_init_takes_an_empty_directory_and_closes_it(run, data_dir):
    data_dir.mkdir(mode=0o755)
    run("init")
    assert mode(data_dir) == 0o700


def test_init_leaves_a_directory_of_other_things_alone(run, data_dir):
    data_dir.mkdir()
    (data_dir / "holiday.jpg").write_bytes(b"beach")
    complaint = run("init", expect=2).complaint
    assert complaint == (
        f"data_dir {data_dir} contains other files (holiday.jpg) and no instance: name an empty directory"
    )
    assert [path.name for path in data_dir.iterdir()] == ["holiday.jpg"]


def test_init_completes_what_an_operator_began_with_a_configuration_file(run, data_dir):
    data_dir.mkdir()
    (data_dir / "stormpetrel.toml").write_text('title = "Skerrymouth"\n')
    run("init")
    assert (data_dir / "stormpetrel.toml").read_text() == 'title = "Skerrymouth"\n'
    assert (data_dir / "secret.key").exists()


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_init_below_a_file_says_so(run, monkeypatch, tmp_path, below):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / below))
    assert "is a file or below one" in run("init", expect=2).complaint


def test_init_where_nobody_may_write_is_exit_3(run, monkeypatch):
    # On /proc, not even root can create a directory.
    monkeypatch.setenv("STORMPETREL_DATA_DIR", "/proc/stormpetrel")
    assert "data_dir /proc/stormpetrel cannot be created" in run("init", expect=3).complaint


def test_init_refuses_a_database_of_something_else(run, data_dir, monkeypatch, empty_database_url):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", empty_database_url)
    execute(empty_database_url, "CREATE TABLE recipes (id INTEGER)")
    for command in ("init", "migrate"):
        complaint = run(command, expect=2).complaint
        assert complaint == "the database contains other tables (recipes): name an empty one"
    assert not data_dir.exists()


def test_a_database_of_a_newer_release_is_refused_by_every_command(run, place):
    execute(place, "UPDATE alembic_version SET version_num = '9999'")
    for words in (("init",), ("migrate",), ("user", "list"), ("token", "Nino")):
        assert "newer release" in run(*words, expect=2).complaint
    assert "newer release" in run("check", expect=1).out


def test_a_database_of_an_older_release_names_the_command_that_helps(run, place):
    execute(place, "UPDATE alembic_version SET version_num = '0000'")
    assert run("user", "list", expect=2).complaint.endswith("run stormpetrel migrate")


def test_migrate_says_that_nothing_was_to_do(run, place):
    assert run("migrate").out.startswith("the database is up to date")


def test_migrate_fills_an_empty_database(run, data_dir, monkeypatch, empty_postgresql_url):
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", empty_postgresql_url)
    assert run("migrate").out.splitlines()[-1] == "done"
    assert rows(empty_postgresql_url, "SELECT count(*) FROM accounts") == [(0,)]


def test_a_second_machine_is_told_that_it_needs_the_same_secret(
    run, data_dir, monkeypatch, new_place, tmp_path
):
    run("init")
    monkeypatch.setenv("STORMPETREL_DATA_DIR", str(tmp_path / "second"))
    assert "copy its secret.key here" in run("init").err


def test_the_template_holds_every_key_and_changes_nothing(run, data_dir):
    run("init")
    file = data_dir / "stormpetrel.toml"
    loaded = load(environ={"STORMPETREL_DATA_DIR": str(data_dir)})
    assert loaded.path == file
    assert {origin.origin for origin in loaded.origins} == {"default", "STORMPETREL_DATA_DIR"}
    # Each commented line is valid once its # is removed.
    lines = config_template().splitlines()
    switched_on = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    table = tomllib.loads(switched_on)
    keys = {key for key, value in table.items() if not isinstance(value, dict)}
    keys |= {f"{name}.{key}" for name, value in table.items() if isinstance(value, dict) for key in value}
    assert keys == {origin.key for origin in loaded.origins} - {"data_dir"}
    file.write_text(switched_on)
    assert load(environ={"STORMPETREL_DATA_DIR": str(data_dir)}).config == loaded.config


def test_config_shows_each_value_with_its_origin_and_no_secret(run, data_dir, monkeypatch):
    monkeypatch.setenv("STORMPETREL_WEB_PORT", "9100")
    monkeypatch.setenv("STORMPETREL_SECRET_KEY", "never to be shown, whoever asks for it")
    monkeypatch.setenv("STORMPETREL_DATABASE_URL", "postgresql://ida:hush@db.example/place")
    for done in (run("config"), run("config", "--json")):
        assert "never to be shown" not in done.out
        assert "hush" not in done.out
        assert "postgresql://ida:********@db.example/place" in done.out
    values = {entry["key"]: entry for entry in run("config", "--json").json}
    assert values["web.port"] == {
        "key": "web.port",
        "value": 9100,
        "origin": "STORMPETREL_WEB_PORT",
        "about": "port the web server listens on",
    }
    assert values["data_dir"]["value"] == str(data_dir)
    assert values["title"]["origin"] == "default"


def test_the_module_can_be_run(tmp_path):
    import sys

    from tests.instance import clean_environment

    done = subprocess.run(
        [sys.executable, "-m", "stormpetrel", "token"],
        env=clean_environment(data_dir=tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stormpetrel: the following arguments are required: NAME")
