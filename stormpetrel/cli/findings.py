"""The checks of `check`: the state of each part of a setup, and how to solve problems."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stormpetrel.cli.store import now_ms
from stormpetrel.config import is_loopback
from stormpetrel.extras import INSTALL, NOT_INSTALLED, PACKAGES, missing
from stormpetrel.process.listeners import is_served

if TYPE_CHECKING:
    from stormpetrel.config import Config
    from stormpetrel.config_loader import LoadedConfig

LOW_DISK_BYTES = 1_000_000_000
FULL_DISK_BYTES = 50_000_000
FEW_INODES = 1000
FEW_OPEN_FILES = 4096
"""With fewer files a worker holds fewer connections than one small flood opens."""
HEALTH_TIMEOUT_S = 1.0
CLOCK_SLACK_MS = 60_000
QUIET_MS = 30 * 86_400_000
"""The same as in courier/hold.py."""
PRIVILEGED_PORTS = 1024
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
"""Wildcard address → address at which this machine reaches it."""
PROXY_LINE = b"PROXY UNKNOWN\r\n"
"""How a PROXY protocol proxy begins a connection that it makes for itself."""


class Severity(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: the checked part, its state, and what to do if there is a problem."""

    subject: str
    verdict: Severity
    text: str
    todo: str = ""


def findings(loaded: LoadedConfig) -> Iterator[Finding]:
    """Yield all findings that are visible from outside, in the order of setting up the parts."""
    config = loaded.config
    where = str(loaded.path) if loaded.path else "no file; defaults and environment"
    yield Finding("configuration", Severity.OK, where)
    yield from _data_directory(config)
    yield from _secret(config)
    if lacking := list(_packages(config)):
        # Without them the database, Valkey or the store of files cannot be asked.
        yield from lacking
        return
    yield from _database(config)
    yield from _valkey(config)
    yield from _media(config)
    yield from _ports(config)
    yield from _open_files()
    yield from _public_url(config)
    yield from _proxies(config)


def _data_directory(config: Config) -> Iterator[Finding]:
    subject, directory = "data directory", config.data_dir
    if not directory.is_dir():
        yield Finding(subject, Severity.FAIL, f"{directory} does not exist", "run stormpetrel init")
        return
    if not os.access(directory, os.W_OK | os.X_OK):
        todo = f"chown it to the user that runs Stormpetrel (now: uid {os.geteuid()})"
        yield Finding(subject, Severity.FAIL, f"{directory} cannot be written", todo)
        return
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        yield Finding(
            subject,
            Severity.WARN,
            f"{directory} is accessible to other users ({mode:04o})",
            f"chmod 700 {directory}",
        )
    else:
        yield Finding(subject, Severity.OK, f"{directory}, writable, private")
    free_bytes = shutil.disk_usage(directory).free
    verdict = (
        Severity.FAIL
        if free_bytes < FULL_DISK_BYTES
        else Severity.WARN
        if free_bytes < LOW_DISK_BYTES
        else Severity.OK
    )
    todo = "" if verdict is Severity.OK else "free some space: nothing can be posted when the disk is full"
    yield Finding("disk", verdict, f"{free_bytes / 1e9:.1f} GB free", todo)
    free_files = os.statvfs(directory).f_favail
    # Some file systems have no fixed number, and report 0 of 0.
    if os.statvfs(directory).f_files and free_files < FEW_INODES:
        text = f"{free_files} more files can be created on this file system (inodes)"
        yield Finding("inodes", Severity.FAIL, text, "remove small files: without inodes a restart fails")


def _packages(config: Config) -> Iterator[Finding]:
    for extra in missing(config):
        text = NOT_INSTALLED.format(package=PACKAGES[extra])
        yield Finding("packages", Severity.FAIL, text, INSTALL.format(extra=extra))


def _media(config: Config) -> Iterator[Finding]:
    from stormpetrel.errors import Busy
    from stormpetrel.media import films
    from stormpetrel.media.open_store import open_store

    where = f"bucket {config.media.s3_bucket}" if config.media.store == "s3" else str(config.media_folder)
    try:
        open_store(config).check()
    except Busy as error:
        is_new = config.media.store == "folder" and not config.data_dir.exists()
        todo = "run stormpetrel init" if is_new else "check the settings of [media], or start the service"
        yield Finding("media store", Severity.FAIL, error.safe_text, todo)
    else:
        yield Finding("media store", Severity.OK, where)
    if films.is_there():
        yield Finding("ffmpeg", Severity.OK, "video and audio uploads work")
    else:
        yield Finding(
            "ffmpeg",
            Severity.WARN,
            "not installed: only still images can be uploaded",
            "install ffmpeg for video and audio",
        )


def _secret(config: Config) -> Iterator[Finding]:
    from stormpetrel.errors import SetupError
    from stormpetrel.process import secret

    path = config.data_dir / secret.FILE_NAME
    if config.secret_key:
        where = "from the configuration"
    elif path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            # Checked before `load`, which would fix the mode.
            text = f"{path} can be read by other users ({mode:04o})"
            yield Finding(
                "secret key", Severity.FAIL, text, f"chmod 600 {path}; create a new key if in doubt"
            )
            return
        where = f"{path}, private"
    else:
        yield Finding("secret key", Severity.FAIL, f"{path} does not exist", "run stormpetrel init")
        return
    try:
        secret.load(config)
    except SetupError as error:
        yield Finding("secret key", Severity.FAIL, error.safe_text, "give it at least 32 random characters")
        return
    yield Finding("secret key", Severity.OK, where)


def _is_secret_closed(config: Config) -> bool:
    from stormpetrel.process import secret

    path = config.data_dir / secret.FILE_NAME
    return bool(config.secret_key) or (path.is_file() and not stat.S_IMODE(path.stat().st_mode) & 0o077)


def _database(config: Config) -> Iterator[Finding]:
    from stormpetrel.errors import CorruptStore, EnvironmentFailure, SetupError
    from stormpetrel.model.ids import time_ms
    from stormpetrel.process import secret
    from stormpetrel.storage.engine.capacity import shortage
    from stormpetrel.storage.engine.connection import connect
    from stormpetrel.storage.engine.contents import contents
    from stormpetrel.storage.engine.migrate import HEAD, require_current
    from stormpetrel.storage.facts import OTHER_SECRET, has_other_secret

    kind = "SQLite" if config.database_url.startswith("sqlite:///") else "PostgreSQL"
    try:
        require_current(config.database_url)
        connection = connect(config.database_url, writes=False)
    except SetupError as error:
        text, _, todo = error.safe_text.rpartition(": ")
        yield Finding("database", Severity.FAIL, text or todo, todo if text else "install the newer release")
        return
    except CorruptStore as error:
        text, _, todo = error.safe_text.rpartition(": ")
        yield Finding("database", Severity.FAIL, text, todo)
        return
    except EnvironmentFailure as error:
        yield Finding("database", Severity.FAIL, error.safe_text, "start the database, or check database.url")
        return
    lacking = shortage(config.database_url, web_workers=config.web.workers)
    if lacking and not is_served(config.data_dir, "web"):
        text, _, todo = lacking.rpartition(": ")
        yield Finding("connections", Severity.FAIL, text, todo)
    try:
        with contextlib.suppress(SetupError):
            # `load` would fix the mode of a readable file, and `check` changes nothing.
            if _is_secret_closed(config) and has_other_secret(connection, secret.load(config)):
                text, _, todo = OTHER_SECRET.rpartition(": ")
                yield Finding("shared secret", Severity.FAIL, text, todo)
        inside = contents(connection)
    finally:
        connection.close()
    yield Finding("database", Severity.OK, f"{kind}, migration {HEAD}, {inside.users} users")
    if inside.newest_post_id and time_ms(inside.newest_post_id) > now_ms() + CLOCK_SLACK_MS:
        yield Finding(
            "clock",
            Severity.FAIL,
            "the newest post is dated in the future",
            "set this machine's clock (NTP): new posts would sort below old ones",
        )
    elif inside.newest_post_id and now_ms() - time_ms(inside.newest_post_id) > QUIET_MS:
        days = (now_ms() - time_ms(inside.newest_post_id)) // 86_400_000
        yield Finding(
            "clock",
            Severity.WARN,
            f"the newest post is {days} days old: either there were no new posts, or this machine's clock is ahead",
            "compare it with another clock; for a day after its start, the courier deletes and publishes nothing",
        )
    if inside.dead_deliveries:
        text = f"{inside.dead_deliveries} deliveries failed for good"
        yield Finding("courier", Severity.WARN, text, "see last_error in the table outbox_dead")
    yield from _people(config, admins=inside.admins, pending=inside.pending, users=inside.users)


def _people(config: Config, *, admins: int, pending: int, users: int) -> Iterator[Finding]:
    add_admin = "stormpetrel user add NAME --email E --admin"
    if config.registration == "approval" and not admins:
        text = "approval, but there is no admin to approve sign-ups"
        yield Finding("registration", Severity.FAIL, text, add_admin)
    elif config.registration == "closed" and not users:
        yield Finding("registration", Severity.FAIL, "closed, and there are no accounts", add_admin)
    else:
        waiting = f", {pending} waiting (stormpetrel user list --pending)" if pending else ""
        yield Finding("registration", Severity.OK, f"{config.registration}{waiting}")
    if not admins:
        yield Finding("administrators", Severity.WARN, "none", add_admin)


def _valkey(config: Config) -> Iterator[Finding]:
    if not config.valkey.url:
        return
    import redis

    try:
        with redis.Redis.from_url(config.valkey.url, socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        text = f"cannot be reached: {type(error).__name__}"
        yield Finding("valkey", Severity.FAIL, text, "start Valkey, check valkey.url, or leave it empty")
        return
    yield Finding("valkey", Severity.OK, "answers")


def _ports(config: Config) -> Iterator[Finding]:
    roles = (
        ("web", config.web.host, config.web.port),
        ("status", config.status.host, config.status.port),
        ("sms", config.sms.host, config.sms.port),
        ("courier", config.courier.host, config.courier.port),
    )
    seen: dict[int, str] = {}
    for name, host, port in roles:
        subject = f"port of {name}"
        if port and port in seen:
            text = f"{port} is also the port of {seen[port]}"
            yield Finding(subject, Severity.FAIL, text, f"choose another {name}.port")
            continue
        seen[port] = name
        asked_as_proxy = name == "web" and config.edge.proxy_protocol
        yield _port(subject, f"{name}.port", host, port, begin=PROXY_LINE if asked_as_proxy else b"")


def _port(subject: str, key: str, host: str, port: int, *, begin: bytes) -> Finding:
    if not port:
        return Finding(subject, Severity.WARN, "0: a random port at each start", f"set {key}")
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        return Finding(
            subject, Severity.FAIL, f"{host} is not an address", f"check {key.replace('port', 'host')}"
        )
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                if _is_ours(host, port, begin) or (begin and _is_ours(host, port, b"")):
                    return Finding(subject, Severity.OK, f"{shown}, served by a running Stormpetrel")
                return Finding(
                    subject, Severity.FAIL, f"{shown} is in use by another program", f"stop it, or set {key}"
                )
            todo = f"set {key} or {key.replace('port', 'host')}"
            if error.errno == errno.EACCES and port < PRIVILEGED_PORTS:
                todo = (
                    f"set {key} to {PRIVILEGED_PORTS} or more, behind a proxy, or grant CAP_NET_BIND_SERVICE"
                )
            return Finding(subject, Severity.FAIL, f"{shown}: {error.strerror}", todo)
    return Finding(subject, Severity.OK, f"{shown}, free")


def _is_ours(host: str, port: int, begin: bytes) -> bool:
    """Return True if /health answers like a Stormpetrel role, on a connection that begins with `begin`."""
    import http.client

    # A wildcard address is checked on loopback.
    asked = ANYWHERE.get(host, host)
    connection = http.client.HTTPConnection(asked, port, timeout=HEALTH_TIMEOUT_S)
    try:
        connection.connect()
        connection.sock.sendall(begin)
        connection.request("GET", "/health")
        body = connection.getresponse().read(1024)
        answer = json.loads(body)
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("status") == "ok"


def _open_files() -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    text = "no limit" if unlimited else f"up to {hard}"
    if unlimited or hard >= FEW_OPEN_FILES:
        yield Finding("open files", Severity.OK, text)
    else:
        todo = "raise it (systemd: LimitNOFILE=65536): it limits the number of open connections"
        yield Finding("open files", Severity.WARN, text, todo)


def _public_url(config: Config) -> Iterator[Finding]:
    subject, url = "public_url", urlsplit(config.base_url)
    host = url.hostname or ""
    if is_loopback(host):
        text = f"{config.base_url}: its links work on this machine only"
        # Right for a trial; wrong once others can reach it, and too late after people have joined.
        yield Finding(
            subject,
            Severity.WARN,
            text,
            "set public_url to https://your.domain before you invite people",
        )
    else:
        yield Finding(subject, Severity.OK, config.base_url)
        if not config.contact_email:
            text = "empty: people cannot contact you"
            yield Finding("contact_email", Severity.WARN, text, "set contact_email")
        if urlsplit(config.status.public_url).netloc.lower() == config.domain:
            text = f"{config.status.public_url} is the web server itself: refused requests would link to it"
            todo = "give the status port its own host name in the proxy, and set status.public_url to it"
            yield Finding("status.public_url", Severity.WARN, text, todo)


def _proxies(config: Config) -> Iterator[Finding]:
    subject, edge = "proxies", config.edge
    if edge.proxy_networks:
        way = "the PROXY protocol" if edge.proxy_protocol else "X-Forwarded-For"
        own = ANYWHERE.get(config.web.host, config.web.host)
        if edge.proxy_protocol and edge.trusts(own):
            text = f"{own} is trusted, so every connection from there needs a PROXY header; curl sends none"
            todo = "let the proxy connect from its own address, such as 127.0.0.2 (docs/proxies.md)"
            yield Finding(subject, Severity.WARN, text, todo)
            return
        yield Finding(subject, Severity.OK, f"{way} is trusted from {edge.trusted_proxies}")
    elif config.base_url.startswith("https:"):
        # Stormpetrel terminates no TLS: there is a proxy, and all visitors seem to come from it.
        text = "none trusted: all visitors without an account share one place in the queue"
        todo = 'set edge.trusted_proxies to the address of your proxy, such as "127.0.0.1" (docs/proxies.md)'
        yield Finding(subject, Severity.WARN, text, todo)
