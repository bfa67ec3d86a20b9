"""The secret that signs cookies: the key `secret_key`, or the file secret.key in the data directory.

Every process and every machine of an instance must have the same secret.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat

from stormpetrel.config import Config
from stormpetrel.errors import EnvironmentFailure, SetupError

log = logging.getLogger(__name__)

SECRET_BYTES = 32
MIN_CHARACTERS = 32
"""Shortest `secret_key`: as many characters as `create` uses bytes."""
FILE_NAME = "secret.key"


def load(config: Config) -> bytes:
    """Return the secret, 32 bytes.

    Raise SetupError when there is none or it is too short. If other users can read the file, fix its mode and
    log a warning: it may have been copied.
    """
    if config.secret_key:
        return _stretch(config.secret_key, "secret_key")
    path = config.data_dir / FILE_NAME
    try:
        with open(path, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().strip()
            if mode & 0o077:
                log.warning(
                    "%s was readable by other users; this is fixed now. If in doubt, replace it",
                    path,
                )
                os.fchmod(file.fileno(), 0o600)
    except FileNotFoundError as error:
        raise SetupError(
            f"{path} does not exist: run stormpetrel init, or give every machine the same secret_key"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read: {error}") from error
    return _stretch(text, str(path))


def create(config: Config) -> bytes:
    """Make secret.key unless there is a secret already; return the secret."""
    path = config.data_dir / FILE_NAME
    if not config.secret_key:
        try:
            config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return load(config)
        except OSError as error:
            raise EnvironmentFailure(f"{path} cannot be written: {error.strerror}") from error
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return load(config)


def _stretch(text: str, where: str) -> bytes:
    if len(text) < MIN_CHARACTERS:
        raise SetupError(f"{where} must have at least {MIN_CHARACTERS} characters")
    return hashlib.blake2b(text.encode(), digest_size=SECRET_BYTES, person=b"sp secret key").digest()
