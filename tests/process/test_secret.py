"""The secret: created once, the same for all processes, and readable by its owner only."""

from __future__ import annotations

import stat

import pytest

from stormpetrel.config import Config
from stormpetrel.errors import EnvironmentFailure, SetupError
from stormpetrel.process import secret


def test_it_is_made_once_for_the_owner_only_and_stays_the_same(tmp_path):
    config = Config(data_dir=tmp_path / "new")
    made = secret.create(config)
    assert len(made) == secret.SECRET_BYTES
    assert secret.create(config) == made == secret.load(config)
    path = config.data_dir / secret.FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret.create(Config(data_dir=tmp_path / "other")) != made


def test_a_file_that_others_may_read_is_closed_to_them_and_that_is_said(tmp_path, caplog):
    config = Config(data_dir=tmp_path)
    made = secret.create(config)
    path = tmp_path / secret.FILE_NAME
    path.chmod(0o644)
    assert secret.load(config) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in caplog.text
    assert path.read_text().strip() not in caplog.text


def test_a_key_from_the_configuration_needs_no_file(tmp_path):
    one = Config(data_dir=tmp_path, secret_key="k" * 32)
    assert secret.create(one) == secret.load(one)
    assert secret.load(one) != secret.load(Config(data_dir=tmp_path, secret_key="l" * 32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["short", "x" * 31])
def test_a_key_that_can_be_guessed_is_refused_and_not_repeated(tmp_path, key):
    with pytest.raises(SetupError) as raised:
        secret.load(Config(data_dir=tmp_path, secret_key=key))
    assert "32 characters" in raised.value.safe_text
    assert key not in raised.value.safe_text


def test_without_any_the_error_says_what_to_do(tmp_path):
    with pytest.raises(SetupError, match="stormpetrel init"):
        secret.load(Config(data_dir=tmp_path))


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / secret.FILE_NAME).touch(mode=0o600)
    with pytest.raises(SetupError, match="32 characters"):
        secret.load(Config(data_dir=tmp_path))


def test_a_directory_that_cannot_be_made_is_the_environments_fault(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFailure):
        secret.create(Config(data_dir=tmp_path / "file" / "data"))
