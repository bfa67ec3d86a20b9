"""Configuration: one TOML file, with every key also in the environment, and the origin of each value.

A key `port` of section `[web]` is `STORMPETREL_WEB_PORT` in the environment; a key outside any section,
such as `public_url`, is `STORMPETREL_PUBLIC_URL`. The environment wins over the file, the file over the
default. Unknown keys, in the file or with our prefix in the environment, are errors: a typo must not be
silently ignored.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from stormpetrel.errors import SetupError

PREFIX = "STORMPETREL_"
# The password in a URL's login, and a password among a URL's parameters.
_LOGIN = re.compile(r"(?<=://)([^/:?#]*):[^/]*@")
_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+")
_DOMAIN = re.compile(r"(?=.{1,240}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
SHIELD_MODES = ("full", "off", "per-address", "bounded", "overcompensate")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAIL_TRANSPORTS = ("file", "console", "smtp")
MAIL_SECURITIES = ("none", "starttls", "tls")
CONFIRMATIONS = ("auto", "required", "off")
REGISTRATIONS = ("open", "approval", "closed")


def _key(default: Any, about: str, **more: Any) -> Any:
    """Define a key: its default, one line about it, and `choices`, `low`, `high`, `secret` if any."""
    return field(default=default, metadata={"about": about, **more})


@dataclass(frozen=True, slots=True)
class WebConfig:
    host: str = _key("127.0.0.1", "address the web listens on")
    port: int = _key(8000, "port the web listens on", low=0, high=65535)
    workers: int = _key(2, "web worker processes", low=1, high=64)


@dataclass(frozen=True, slots=True)
class StatusConfig:
    host: str = _key("127.0.0.1", "address the status page listens on")
    port: int = _key(8001, "port of the status page (role watch)", low=0, high=65535)
    public_url: str = _key("", "where people find the status page, by way of a proxy; refusals point there")


@dataclass(frozen=True, slots=True)
class SmsConfig:
    host: str = _key("127.0.0.1", "address the sms role listens on")
    port: int = _key(8002, "port of the sms role", low=0, high=65535)


@dataclass(frozen=True, slots=True)
class CourierConfig:
    host: str = _key("127.0.0.1", "address the courier's health port listens on")
    port: int = _key(8003, "port of the courier (health)", low=0, high=65535)


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    url: str = _key(
        "", "sqlite:///PATH or postgresql://…; empty: stormpetrel.db in the data directory", secret="url"
    )


@dataclass(frozen=True, slots=True)
class ValkeyConfig:
    url: str = _key("", "redis:// address of Valkey or Redis, when several machines serve", secret="url")


@dataclass(frozen=True, slots=True)
class ShieldConfig:
    mode: str = _key("full", "how requests are admitted", choices=SHIELD_MODES)
    requests_per_5min: int = _key(
        15_000, "ceiling per token, session or address in five minutes; 0 for none", low=0, high=1_000_000_000
    )
    running: int = _key(4, "requests that run at once in a worker", low=1, high=256)
    waiting: int = _key(512, "requests that may wait in a worker", low=1, high=100_000)
    waiting_per_identity: int = _key(64, "requests that one identity may have waiting", low=1, high=100_000)
    visitor_cookies: str = _key(
        "on", "visitors of public pages get a cookie that says since when they come", choices=("on", "off")
    )


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    header_timeout_s: float = _key(5.0, "a request's head must be complete within this", low=0.1, high=600)
    body_timeout_s: float = _key(30.0, "a request's body must be complete within this", low=0.1, high=3600)
    body_stall_s: float = _key(5.0, "a body that brings nothing for this long is ended", low=0.1, high=600)
    keepalive_timeout_s: float = _key(30.0, "an idle connection is closed after this", low=0.1, high=3600)
    write_timeout_s: float = _key(
        10.0, "a reader that takes nothing for this long is dropped", low=0.1, high=3600
    )
    max_header_bytes: int = _key(16_384, "largest request head", low=512, high=1_048_576)
    max_body_bytes: int = _key(
        65_536, "largest request body outside uploads and long texts", low=1024, high=1_073_741_824
    )
    max_connections: int = _key(
        0, "open connections per worker; 0: 90 % of the open-file limit", low=0, high=10_000_000
    )
    max_connections_per_address: int = _key(
        4096,
        "open connections per address and worker; of a client behind a proxy: requests and streams",
        low=1,
        high=10_000_000,
    )
    trusted_proxies: str = _key(
        "",
        "proxies that are believed whom they speak for: addresses and networks, separated by commas",
    )
    proxy_protocol: bool = _key(
        False,  # noqa: FBT003 - a key's default
        "the trusted proxies begin each connection with a PROXY protocol header, version 1 or 2",
    )
    cache_bytes: int = _key(67_108_864, "memory for hot pages per worker", low=0, high=68_719_476_736)
    cache_ttl_s: float = _key(1.0, "how long an anonymous answer stays fresh", low=0.0, high=60)
    cache_grace_s: float = _key(
        300.0, "how long a stale one may be served while one renders", low=0, high=3600
    )

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """Return `trusted_proxies`, parsed. Raise SetupError with the invalid part."""
        return tuple(_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip())

    def trusts(self, host: str) -> bool:
        """Return True if `host` is a trusted proxy's address. Of names only "localhost" can be."""
        try:
            address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        except ValueError:
            return False
        return any(address in network for network in self.proxy_networks)


@dataclass(frozen=True, slots=True)
class StreamingConfig:
    max_per_token: int = _key(30, "open streams of one access token in a worker", low=1, high=1_000_000)
    max_per_account: int = _key(60, "open streams of one account in a worker", low=1, high=1_000_000)
    max_per_address: int = _key(
        1000, "open streams of one address without an account, in a worker", low=1, high=1_000_000
    )
    max_subscriptions: int = _key(60, "streams that one WebSocket may subscribe to", low=1, high=10_000)


@dataclass(frozen=True, slots=True)
class PostsConfig:
    max_characters: int = _key(500, "longest post, in characters; a link counts 23", low=1, high=100_000)


@dataclass(frozen=True, slots=True)
class MailConfig:
    transport: str = _key(
        "file",
        "how mails leave: as files in the data directory, in the log, or to a mail server",
        choices=MAIL_TRANSPORTS,
    )
    sender: str = _key("", "address that mails come from; empty: stormpetrel@ the public host")
    confirm: str = _key(
        "auto", "whether new addresses must be confirmed; auto: with smtp", choices=CONFIRMATIONS
    )
    host: str = _key("127.0.0.1", "the mail server")
    port: int = _key(587, "port of the mail server", low=1, high=65535)
    security: str = _key(
        "starttls",
        "how the way to the mail server is protected; certificates are checked",
        choices=MAIL_SECURITIES,
    )
    ca_file: str = _key(
        "", "certificates (PEM) to trust instead of the system's, for a mail server of one's own"
    )
    username: str = _key("", "name to sign in to the mail server with; empty: none")
    password: str = _key("", "password for the mail server", secret="all")
    timeout_s: float = _key(10.0, "longest wait for one answer of the mail server", low=0.1, high=120)


@dataclass(frozen=True, slots=True)
class MediaConfig:
    store: str = _key("folder", "where files are kept", choices=("folder", "s3"))
    folder: str = _key("", "the folder; empty: media in the data directory")
    max_image_bytes: int = _key(16_777_216, "largest picture", low=1024, high=1_073_741_824)
    max_video_bytes: int = _key(103_809_024, "largest film or sound", low=1024, high=4_294_967_296)
    max_image_pixels: int = _key(
        33_177_600, "largest picture, in pixels (width times height)", low=1024, high=100_000_000
    )
    uploads_per_account: int = _key(4, "uploads of one account at once, per worker", low=1, high=1000)
    wait_s: float = _key(
        4.0, "how long an app waits for its file; then the courier goes on with it", low=0.0, high=60
    )
    s3_endpoint: str = _key("", "https:// address of the S3 service")
    s3_bucket: str = _key("", "name of the bucket")
    s3_region: str = _key("us-east-1", "region of the bucket")
    s3_key: str = _key("", "access key id")
    s3_secret: str = _key("", "secret access key", secret="all")
    s3_timeout_s: float = _key(10.0, "longest wait for one answer of the S3 service", low=0.1, high=60)
    s3_public_url: str = _key("", "where people read the bucket's files; empty: ENDPOINT/BUCKET")


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    notifications_days: int = _key(365, "how long notifications are kept; 0: for ever", low=0, high=36_500)
    suspended_days: int = _key(30, "a suspended account is deleted after this; 0: never", low=0, high=36_500)
    applications_days: int = _key(
        7, "an app that nobody ever let in is forgotten after this; 0: never", low=0, high=36_500
    )
    app_tokens_days: int = _key(
        90, "how long a token of an app itself, without an account, is good; 0: for ever", low=0, high=36_500
    )
    dead_jobs_days: int = _key(
        30, "how long jobs are kept that were given up; 0: for ever", low=0, high=36_500
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    level: str = _key("info", "least level that is logged", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class Config:
    data_dir: Path = _key(Path("data"), "everything this instance keeps on disk")
    public_url: str = _key(
        "", "address people use, in every URL that leaves; empty: http://HOST:PORT of [web]"
    )
    registration: str = _key("open", "who may sign up", choices=REGISTRATIONS)
    title: str = _key("Stormpetrel", "name of the instance")
    description: str = _key("A small place that stays up.", "one sentence about the instance")
    contact_email: str = _key("", "address of the people who run it")
    languages: str = _key("en", "languages of the instance, ISO 639-1, separated by commas")
    secret_key: str = _key(
        "", "signs cookies; empty: the file secret.key in the data directory", secret="all"
    )
    web: WebConfig = field(default_factory=WebConfig)
    status: StatusConfig = field(default_factory=StatusConfig)
    sms: SmsConfig = field(default_factory=SmsConfig)
    courier: CourierConfig = field(default_factory=CourierConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    valkey: ValkeyConfig = field(default_factory=ValkeyConfig)
    shield: ShieldConfig = field(default_factory=ShieldConfig)
    edge: EdgeConfig = field(default_factory=EdgeConfig)
    streaming: StreamingConfig = field(default_factory=StreamingConfig)
    posts: PostsConfig = field(default_factory=PostsConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    log: LogConfig = field(default_factory=LogConfig)
    mail: MailConfig = field(default_factory=MailConfig)

    @property
    def database_url(self) -> str:
        """Return the database's URL; by default an SQLite file in the data directory."""
        return self.database.url or f"sqlite:///{self.data_dir / 'stormpetrel.db'}"

    @property
    def media_folder(self) -> Path:
        """Return the directory of the folder store."""
        return Path(self.media.folder) if self.media.folder else self.data_dir / "media"

    @property
    def media_origin(self) -> str:
        """Return scheme and host of media files, if pages may load them from another origin; otherwise ""."""
        if self.media.store != "s3":
            return ""
        url = urlsplit(self.media.s3_public_url or self.media.s3_endpoint)
        return f"{url.scheme}://{url.netloc}"

    @property
    def base_url(self) -> str:
        """Return the public URL, in lower case, without a trailing slash or the scheme's default port."""
        if self.public_url:
            url = self.public_url.strip().lower().rstrip("/")
            return url.removesuffix(":443" if url.startswith("https:") else ":80")
        host = "127.0.0.1" if self.web.host in ("0.0.0.0", "::", "") else self.web.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.web.port}".lower()

    @property
    def status_url(self) -> str:
        """Return the URL of the status page: `status.public_url`, or its port if the instance has no https.

        Return "" if there is none: the port itself has no https.
        """
        url = urlsplit(self.base_url)
        if self.status.public_url or url.scheme == "https":
            return self.status.public_url
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"http://{host}:{self.status.port}"

    @property
    def mail_sender(self) -> str:
        """Return the address that mails come from."""
        return self.mail.sender or f"stormpetrel@{urlsplit(self.base_url).hostname}"

    @property
    def sends_mails(self) -> bool:
        """Return True if mails go to a mail server; otherwise they stay here, in files or in the log."""
        return self.mail.transport == "smtp"

    @property
    def confirms_addresses(self) -> bool:
        """Return True if a new account must first follow a link in a mail."""
        return self.mail.confirm == "required" or (self.mail.confirm == "auto" and self.sends_mails)

    @property
    def domain(self) -> str:
        """Return the public host, with a port unless it is the scheme's: the part after the second @."""
        return urlsplit(self.base_url).netloc


@dataclass(frozen=True, slots=True)
class Origin:
    """One effective value: `key` is dotted (`web.port`), `origin` a file, an environment key or 'default'."""

    key: str
    value: Any
    origin: str
    about: str
    secret: str = ""

    @property
    def shown(self) -> str:
        """Return the value for printing: secrets and passwords are masked."""
        text = str(self.value).lower() if isinstance(self.value, bool) else str(self.value)
        if self.secret == "all" and text:
            return "********"
        if self.secret == "url":
            text = _LOGIN.sub(r"\1:********@", text)
            return _PASSWORD.sub(r"\1********", text)
        return text


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration with the origin of each of its values, and the file it was read from, if any."""

    config: Config
    origins: tuple[Origin, ...]
    path: Path | None


_HINTS = (
    ("Invalid value", '; text stands in quotes: title = "Skerry"'),
    ("Cannot declare", "; the file has this section already: write the keys below its first line"),
)
"""Part of a TOML parser's error → hint for the reader."""


def variable_of(key: str) -> str:
    """Return the environment variable of a key: `web.port` is STORMPETREL_WEB_PORT."""
    return PREFIX + key.replace(".", "_").upper()


def load(
    path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Return the effective configuration.

    `path`: the TOML file; None means `STORMPETREL_CONFIG`, then `stormpetrel.toml` in the data directory if
    it exists. Raise SetupError, with the key and the file or variable at fault, for anything unreadable.
    """
    environ = os.environ if environ is None else environ
    named = path or environ.get(PREFIX + "CONFIG")
    if named is not None:
        file: Path | None = Path(named)
        if not Path(named).is_file():
            raise SetupError(f"configuration file not found: {named}")
    else:
        file = Path(environ.get(PREFIX + "DATA_DIR", "data")) / "stormpetrel.toml"
        file = file if file.is_file() else None
    table: dict[str, Any] = {}
    if file is not None:
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            hint = next((hint for said, hint in _HINTS if said in str(error)), "")
            raise SetupError(f"{file}: {error}{hint}") from error
    origins: list[Origin] = []
    known_env = {PREFIX + "CONFIG"}
    config = _fill(Config, table, environ, str(file), "", origins, known_env)
    _refuse_unknown_env(environ, known_env)
    base = file.parent if file is not None and config.data_dir == Path("data") and named else None
    if base is not None and "data_dir" not in table and PREFIX + "DATA_DIR" not in environ:
        # A file named by --config without a data_dir is in its data directory.
        config = dataclasses.replace(config, data_dir=base)
        origins = [
            dataclasses.replace(origin, value=base, origin=f"the folder of {file}")
            if origin.key == "data_dir"
            else origin
            for origin in origins
        ]
    config = dataclasses.replace(config, data_dir=config.data_dir.expanduser().absolute())
    _check_urls(config)
    networks = config.edge.proxy_networks
    if config.edge.proxy_protocol and not networks:
        raise SetupError("edge.proxy_protocol needs edge.trusted_proxies: whose word is to be taken?")
    return LoadedConfig(config, tuple(origins), file)


def settings_of_domain(domain: str) -> dict[str, str]:
    """Return the keys, by dotted name, for an instance under `domain`, behind a proxy on this machine.

    The configurations in deploy/ expect them. Raise SetupError unless `domain` is a plain name.
    """
    name = domain.strip().lower()
    if not _DOMAIN.fullmatch(name):
        raise SetupError(
            f"--domain must be a name like example.org, without https:// and path, not {domain!r}"
        )
    return {
        "public_url": f"https://{name}",
        "status.public_url": f"https://status.{name}",
        "edge.trusted_proxies": "127.0.0.1",
    }


def _fill(
    kind: type[Any],
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    file: str,
    section: str,
    origins: list[Origin],
    known_env: set[str],
) -> Any:
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in table:
        # Names of the sms role's routes are free; that role reads them.
        if name not in fields and not (section == "sms" and name == "route"):
            where = f"[{section}] {name}" if section else name
            raise SetupError(f"{file}: unknown key {where}{_did_you_mean(name, fields)}")
    values: dict[str, Any] = {}
    for name, f in fields.items():
        if dataclasses.is_dataclass(hints[name]):
            inner = table.get(name, {})
            if not isinstance(inner, dict):
                raise SetupError(f"{file}: {name} is a section: write [{name}]")
            values[name] = _fill(hints[name], inner, environ, file, name, origins, known_env)
            continue
        dotted = f"{section}.{name}" if section else name
        variable = variable_of(dotted)
        known_env.add(variable)
        if variable in environ:
            raw: Any = environ[variable]
            origin = variable
        elif name in table:
            raw, origin = table[name], file
        else:
            raw, origin = f.default, "default"
        values[name] = _typed(
            raw, hints[name], f"{origin}: {dotted}" if origin == file else variable, f.metadata
        )
        origins.append(
            Origin(dotted, values[name], origin, f.metadata["about"], f.metadata.get("secret", ""))
        )
    return kind(**values)


def _typed(raw: Any, wanted: Any, where: str, rules: Mapping[str, Any]) -> Any:
    value: Any = raw
    if wanted is Path and isinstance(raw, str | Path) and str(raw):
        value = Path(raw)
    elif wanted is Path:
        raise SetupError(f"{where} must be the name of a directory, not {raw!r}")
    elif wanted is bool:
        value = {"true": True, "false": False}.get(raw.lower(), raw) if isinstance(raw, str) else raw
        if not isinstance(value, bool):
            raise SetupError(f"{where} must be true or false, not {raw!r}")
    elif wanted is int or wanted is float:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise SetupError(f"{where} must be a number, not {raw!r}")
        try:
            value = wanted(raw)
        except (ValueError, OverflowError) as error:
            raise SetupError(
                f"{where} must be a {'whole ' if wanted is int else ''}number, not {raw!r}"
            ) from error
        if isinstance(raw, float) and wanted is int and raw != value:
            raise SetupError(f"{where} must be a whole number, not {raw!r}")
        low, high = rules.get("low", value), rules.get("high", value)
        if not low <= value <= high:
            raise SetupError(f"{where} must be between {low} and {high}, not {raw}")
    elif not isinstance(raw, str):
        raise SetupError(f"{where} must be text, not {raw!r}")
    choices = rules.get("choices")
    if choices and value not in choices:
        raise SetupError(f"{where} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _refuse_unknown_env(environ: Mapping[str, str], known: set[str]) -> None:
    for name in sorted(environ):
        # STORMPETREL_SMS_ROUTE_NAME_KEY: names of routes are free; the sms role reads them.
        if name.startswith(PREFIX) and name not in known and not name.startswith(PREFIX + "SMS_ROUTE_"):
            raise SetupError(f"unknown environment variable {name}{_did_you_mean(name, known)}")


def _did_you_mean(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach that host, a name or an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, whatever it begins with: 127.example.org can be anywhere


def _network(text: str) -> Network:
    """Parse one part of `edge.trusted_proxies`. Raise SetupError."""
    key = "edge.trusted_proxies"
    try:
        address, _, length = text.partition("/")
        host = ipaddress.ip_address(address)
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SetupError(f"{key}: {text!r} is neither an address nor a network like 10.0.0.0/24") from None
    if network.network_address != host:
        raise SetupError(f"{key}: {text!r} is no network; {network} would be one")
    if length and not network.prefixlen:
        raise SetupError(f"{key}: {text!r} is everybody, and then anybody may claim to be anybody")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise SetupError(f"{key}: write {text!r} as an IPv4 address or network")
    return network


def _check_urls(config: Config) -> None:
    try:
        url = urlsplit(config.base_url)
        host, port = url.hostname or "", url.port
    except ValueError:
        url, host, port = urlsplit(""), "", None
    plain = f"{url.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    if url.scheme not in ("http", "https") or not _HOST.fullmatch(host) or plain != config.base_url:
        raise SetupError(
            f"public_url must be like https://example.org, without a path, not {config.public_url!r}"
        )
    if url.scheme == "http" and not is_loopback(host):
        raise SetupError(f"public_url must be https unless it is on loopback, not {config.public_url!r}")
    status = urlsplit(config.status.public_url)
    if config.status.public_url and (status.scheme not in ("http", "https") or not status.hostname):
        raise SetupError("status.public_url must be like https://status.example.org")
    if not config.database_url.startswith(("sqlite:///", "postgresql://")):
        raise SetupError("database.url must start with sqlite:/// or postgresql://")
    media = config.media
    if media.store == "s3":
        for name in ("s3_endpoint", "s3_bucket", "s3_key", "s3_secret"):
            if not getattr(media, name):
                raise SetupError(f"media.{name} must be set when media.store is s3")
        for name in ("s3_endpoint", "s3_public_url"):
            url = urlsplit(getattr(media, name))
            if getattr(media, name) and (url.scheme not in ("http", "https") or not url.hostname):
                raise SetupError(f"media.{name} must be like https://s3.example.org")
            if any(c in getattr(media, name) for c in " ;,'\"\n\r"):
                raise SetupError(f"media.{name} holds characters that no address has")
    if config.valkey.url and not config.valkey.url.startswith(("redis://", "rediss://", "unix://")):
        raise SetupError("valkey.url must start with redis://, rediss:// or unix://")
