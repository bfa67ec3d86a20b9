"""Read the configuration: one TOML file, with every key also in the environment, and the origin of each value.

A key `port` of section `[web]` is `STORMPETREL_WEB_PORT` in the environment; a key outside any section,
such as `public_url`, is `STORMPETREL_PUBLIC_URL`. The environment wins over the file, the file over the
default. Unknown keys, in the file or with our prefix in the environment, are errors: a typo must not be
silently ignored.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from stormpetrel.config import Config, is_loopback
from stormpetrel.config_sms import KEYS, RouteConfig, keys_of
from stormpetrel.errors import SetupError

PREFIX = "STORMPETREL_"
# The password in a URL's login, and a password among a URL's parameters.
_LOGIN = re.compile(r"(?<=://)([^/:?#]*):[^/]*@")
_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&]*")
_ROUTE_PREFIX = PREFIX + "SMS_ROUTE_"
ROUTE_NAME = re.compile(r"[a-z0-9]{1,32}")
_PREFIX_OF_NUMBERS = re.compile(r"\+[0-9]{1,15}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+")
_DOMAIN = re.compile(r"(?=.{1,240}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


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
    ("Invalid value", '; put text in quotes: title = "Skerry"'),
    ("Cannot declare", "; this section is already in the file: add the keys there"),
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
            raise SetupError(
                f"configuration file not found: {named}; check the path, or use the defaults: leave out --config "
                f"and {PREFIX}CONFIG"
            )
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
    routes = _routes(table.get("sms", {}).get("route", {}), environ, str(file), origins, known_env)
    config = dataclasses.replace(config, sms=dataclasses.replace(config.sms, routes=routes))
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
        raise SetupError("edge.proxy_protocol needs edge.trusted_proxies: set it to your proxy's address")
    return LoadedConfig(config, tuple(origins), file)


def host_name(text: str, *, option: str) -> str:
    """Return a host name in lower case. Raise SetupError, naming the `option`, unless `text` is one."""
    name = text.strip().lower()
    if not _DOMAIN.fullmatch(name):
        ascii_form = _ascii_form(name)
        hint = f"; write it as {ascii_form}" if _DOMAIN.fullmatch(ascii_form) else ""
        raise SetupError(
            f"{option} must be a name like example.org, without https:// and path, not {text!r}{hint}"
        )
    return name


def _ascii_form(name: str) -> str:
    """Return the form of a name with other letters that certificates and headers have: xn--bcher-kva.example.

    Return "" if Python's older rules (RFC 3490) would change a letter, like ß.
    """
    try:
        encoded = name.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna") == name else ""
    except UnicodeError:
        return ""


def settings_of_domain(domain: str) -> dict[str, str]:
    """Return the keys, by dotted name, for an instance under `domain`, behind a proxy on this machine.

    The configurations in deploy/ expect them. Raise SetupError unless `domain` is a plain name.
    """
    name = host_name(domain, option="--domain")
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
    # Fields without a text are no keys: the routes are tables of their own.
    fields = {f.name: f for f in dataclasses.fields(kind) if _is_section(hints[f.name]) or f.metadata}
    for name in table:
        if name not in fields and not (section == "sms" and name == "route"):
            where = f"[{section}] {name}" if section else name
            raise SetupError(f"{file}: unknown key {where}{_did_you_mean(name, fields)}")
    values: dict[str, Any] = {}
    for name, f in fields.items():
        if _is_section(hints[name]):
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


def _is_section(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


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
    elif wanted is Decimal:
        value = _decimal(raw, where)
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


def _decimal(raw: Any, where: str) -> Decimal:
    """Return an amount of money. A float of TOML is taken as it was written."""
    try:
        value = (
            Decimal(str(raw))
            if isinstance(raw, int | float | str | Decimal) and not isinstance(raw, bool)
            else None
        )
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or value < 0:
        raise SetupError(f"{where} must be an amount of money like 0.05, not {raw!r}")
    return value


def _routes(
    table: Any,
    environ: Mapping[str, str],
    file: str,
    origins: list[Origin],
    known_env: set[str],
) -> tuple[RouteConfig, ...]:
    """Return the routes of `[sms.route.NAME]` and of STORMPETREL_SMS_ROUTE_NAME_KEY, by name."""
    tables: dict[str, dict[str, Any]] = {}
    if not isinstance(table, dict) or not all(isinstance(route, dict) for route in table.values()):
        raise SetupError(f"{file}: an SMS route is a section with its name: write [sms.route.NAME]")
    for name, route in table.items():
        if not ROUTE_NAME.fullmatch(name):
            raise SetupError(f"{file}: [sms.route.{name}]: a name has only a to z and 0 to 9")
        tables[name] = route
    for variable in environ:
        if variable.startswith(_ROUTE_PREFIX):
            name, _, key = variable.removeprefix(_ROUTE_PREFIX).partition("_")
            if not key or not ROUTE_NAME.fullmatch(name.lower()):
                raise SetupError(f"unknown environment variable {variable}: write {_ROUTE_PREFIX}NAME_KEY")
            tables.setdefault(name.lower(), {})
    return tuple(_route(name, tables[name], environ, file, origins, known_env) for name in sorted(tables))


def _route(
    name: str,
    table: dict[str, Any],
    environ: Mapping[str, str],
    file: str,
    origins: list[Origin],
    known_env: set[str],
) -> RouteConfig:
    section = f"sms.route.{name}"
    provider = environ.get(variable_of(f"{section}.provider"), table.get("provider", ""))
    where = f"{section}.provider"
    if not provider:
        raise SetupError(f"{where} must be set to one of {', '.join(KEYS)}")
    keys = keys_of(str(provider))
    if keys is None:
        raise SetupError(f"{where}: unknown provider {provider!r}{_did_you_mean(str(provider), KEYS)}")
    common = {f.name for f in dataclasses.fields(RouteConfig) if f.metadata}
    own = {f.name for f in dataclasses.fields(keys)}
    for key in table:
        if key not in common | own:
            raise SetupError(f"{file}: unknown key [{section}] {key}{_did_you_mean(key, common | own)}")
    route: RouteConfig = _fill(
        RouteConfig,
        {key: value for key, value in table.items() if key in common},
        environ, file, section, origins, known_env,
    )  # fmt: skip
    inner = _fill(
        keys,
        {key: value for key, value in table.items() if key in own},
        environ, file, section, origins, known_env,
    )  # fmt: skip
    route = dataclasses.replace(route, name=name, keys=inner)
    try:
        prices = route.prefix_prices
    except (ValueError, InvalidOperation):
        prices = {"": Decimal(-1)}
    if not all(_PREFIX_OF_NUMBERS.fullmatch(p) and v.is_finite() and v >= 0 for p, v in prices.items()):
        raise SetupError(f"{section}.prices must be like +995=0.05,+1=0.008, not {route.prices!r}")
    if route.country and not _COUNTRY.fullmatch(route.country):
        raise SetupError(f"{section}.country must be a code like GE, not {route.country!r}")
    return route


def _refuse_unknown_env(environ: Mapping[str, str], known: set[str]) -> None:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            raise SetupError(f"unknown environment variable {name}{_did_you_mean(name, known)}")


def _did_you_mean(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


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
                raise SetupError(f"media.{name} has characters that are not allowed in a URL")
    if config.valkey.url and not config.valkey.url.startswith(("redis://", "rediss://", "unix://")):
        raise SetupError("valkey.url must start with redis://, rediss:// or unix://")
