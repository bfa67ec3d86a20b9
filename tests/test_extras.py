"""A server whose configuration needs a package that is not installed says so before it starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stormpetrel.errors import SetupError
from stormpetrel.extras import PACKAGES, require
from tests.instance import clean_environment

SETTINGS = {
    "postgresql": {"database_url": "postgresql://127.0.0.1:9/none"},
    "s3": {
        "media_store": "s3",
        "media_s3_bucket": "files",
        "media_s3_endpoint": "http://127.0.0.1:9",
        "media_s3_key": "key",
        "media_s3_secret": "secret",
    },
    "valkey": {"valkey_url": "redis://127.0.0.1:9/0"},
}


@pytest.mark.parametrize("extra", sorted(PACKAGES))
def test_an_installed_package_is_there(extra):
    require(extra)


@pytest.mark.parametrize("extra", sorted(PACKAGES))
def test_a_missing_package_is_named_with_the_way_to_install_it(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGES[extra], None)
    with pytest.raises(SetupError, match=rf"package {PACKAGES[extra]}.*make install EXTRAS={extra}"):
        require(extra)


@pytest.mark.parametrize("extra", sorted(PACKAGES))
@pytest.mark.parametrize(("command", "exit_code"), [("serve", 2), ("check", 1)])
def test_a_command_names_the_missing_package_and_ends(extra, command, exit_code, tmp_path):
    environ = clean_environment(data_dir=tmp_path / "data")
    subprocess.run(
        [sys.executable, "-m", "stormpetrel", "init"], env=environ, capture_output=True, check=True
    )
    # None in sys.modules lets every import of the package fail, as if it were not installed.
    code = (
        f"import sys; sys.modules[{PACKAGES[extra]!r}] = None; "
        f"from stormpetrel.cli.main import main; sys.exit(main([{command!r}]))"
    )
    environ = clean_environment(data_dir=tmp_path / "data", **SETTINGS[extra])
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == exit_code, done.stderr
    assert f"make install EXTRAS={extra}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == (1 if command == "serve" else 0)
