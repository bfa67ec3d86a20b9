"""`make install` and `make run` on a copy of the repository, as after a fresh clone."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.instance import clean_environment
from tests.ports import reserved_ports
from tests.repository import ROOT, files_of_the_repository


@pytest.fixture
def checkout(tmp_path):
    for path in files_of_the_repository():
        copy = tmp_path / "checkout" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path / "checkout"


def make(target, checkout):
    return subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=checkout,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_a_clone_installs_once_and_again_only_what_changed(checkout):
    first = make("install", checkout)
    assert first.returncode == 0, first.stderr
    stormpetrel = checkout / ".venv" / "bin" / "stormpetrel"
    assert subprocess.run([stormpetrel, "--help"], capture_output=True, check=False).returncode == 0
    made_at_ns = stormpetrel.stat().st_mtime_ns
    second = make("install", checkout)
    assert (second.returncode, second.stdout) == (0, "")
    assert stormpetrel.stat().st_mtime_ns == made_at_ns
    (checkout / "stormpetrel" / "__init__.py").write_text('"""Changed."""\n\n__version__ = "9.8.7"\n')
    assert make("install", checkout).returncode == 0
    said = subprocess.run([stormpetrel, "--version"], capture_output=True, text=True, check=True)
    assert "9.8.7" in said.stdout


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_make_run_shows_a_demo_and_goes_on_with_it_the_second_time(checkout):
    with reserved_ports(4) as ports:
        names = ("web_port", "status_port", "sms_port", "courier_port")
        environ = clean_environment(**dict(zip(names, ports, strict=True)))
        for turn in ("first", "second"):
            log = checkout.parent / f"{turn}.log"
            with open(log, "wb") as output:
                process = subprocess.Popen(
                    ["make", "run"],
                    cwd=checkout,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                wait_for(f"http://127.0.0.1:{ports[0]}/health", process, log)
            finally:
                # Like Ctrl-C: to every process in the foreground at once.
                os.killpg(process.pid, signal.SIGINT)
                process.wait(60)
            said = log.read_text(encoding="utf-8")
            assert f"http://127.0.0.1:{ports[0]}" in said
            assert (checkout / "data" / "demo-logins.txt").read_text(encoding="utf-8") in said


@pytest.mark.parametrize(
    ("complete", "said"),
    [
        ("exit 0", "cannot make .venv in {}: Error: [Errno 13] Permission denied: '.venv'\n"),
        ("exit 1", "The venv module of {}/python is incomplete. To install it on Debian or Ubuntu: "),
    ],
)
def test_an_environment_that_cannot_be_made_is_not_always_blamed_on_the_venv_module(tmp_path, complete, said):
    (tmp_path / "tools").mkdir()
    (tmp_path / "pyproject.toml").touch()
    # Stands for Debian's: the real one would install packages when root runs this test.
    scripts = {"tools/apt": "exit 1", "python": UNABLE.format(complete=complete)}
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("install", "find-python"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    done = subprocess.run(
        [tmp_path / "tools" / "install", "run"],
        env=clean_environment() | {"PYTHON": str(tmp_path / "python")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith(said.format(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"web_prt": "8080"}, "STORMPETREL_WEB_PORT"), ({"web_port": "many"}, "whole number, not 'many'")],
)
def test_make_run_names_a_mistake_in_the_environment_before_it_installs_anything(tmp_path, wrong, said):
    done = run_without_installing(tmp_path, **wrong)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("section", ["web", "status", "sms", "courier"])
def test_make_run_names_a_port_in_use_before_it_makes_a_demo(tmp_path, section):
    with reserved_ports(4) as ports, socket.socket() as taken:
        chosen = dict(zip(("web_port", "status_port", "sms_port", "courier_port"), ports, strict=True))
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        chosen[f"{section}_port"] = taken.getsockname()[1]
        done = run_without_installing(tmp_path, **{name: str(port) for name, port in chosen.items()})
    assert done.returncode == 3
    assert done.stderr == (
        f"cannot listen on 127.0.0.1:{chosen[f'{section}_port']} ({section}.port or "
        f"STORMPETREL_{section.upper()}_PORT sets it): address already in use; stop the program that has it, or "
        "choose another port\n"
    )


def run_without_installing(tmp_path, **settings):
    """Run tools/run, which must fail before it installs or makes anything."""
    (tmp_path / "tools").mkdir()
    for name in ("run", "find-python"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    (tmp_path / "tools" / "install").write_text("#!/bin/sh\ntouch installed\n")
    (tmp_path / "tools" / "install").chmod(0o755)
    (tmp_path / "stormpetrel").symlink_to(ROOT / "stormpetrel")
    done = subprocess.run(
        [tmp_path / "tools" / "run"],
        env=clean_environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"tools", "stormpetrel"}
    return done


def wait_for(url, process, log):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with opener.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)


# Stands for the Python of a version: says that it suits, whether it can make an environment, how it was built.
INTERPRETER = """#!/bin/sh
case "$2" in
  *version_info*) echo True ;;
  *ensurepip*) {complete} ;;
  *CONFIG_ARGS*) {optimized} ;;
esac
"""


# Stands for a Python whose `-m venv` fails, for want of a part or for another reason.
UNABLE = """case "$2" in
  venv) echo "Error: [Errno 13] Permission denied: '.venv'" >&2; exit 1 ;;
  *-venv*) echo python3.11-venv ;;
  *version_info*) echo True ;;
  *ensurepip*) {complete} ;;
esac"""


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({"python3.14": (True, False), "python3.12": (True, True)}, "python3.12"),
        ({"python3.14": (True, True), "python3.12": (True, True)}, "python3.14"),
        ({"python3.14": (False, True), "python3.12": (True, True)}, "python3.12"),
    ],
)
def test_a_python_that_can_make_environments_and_was_built_with_optimizations_goes_first(
    tmp_path, found, chosen
):
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
        answers = found.get(name)
        script = "#!/bin/sh\nexit 1\n"
        if answers is not None:
            complete, optimized = ("true" if one else "exit 1" for one in answers)
            script = INTERPRETER.format(complete=complete, optimized=optimized)
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "tools" / "find-python"],
        env={"PATH": f"{tmp_path}:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / chosen)
