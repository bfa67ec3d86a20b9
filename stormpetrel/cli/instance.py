"""`init`, `migrate` and `config`: an instance on disk and in its database."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.addresses import addresses
from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, add_command
from stormpetrel.errors import EnvironmentFailure, SetupError

if TYPE_CHECKING:
    from stormpetrel.config_loader import LoadedConfig

CONFIG_FILE = "stormpetrel.toml"
DEMO_PHONES = "demo-phones"
"""The directory of the demo's SMS route, in the data directory."""
MARKS = (CONFIG_FILE, "secret.key", "stormpetrel.db", "demo-logins.txt")
"""A directory with one of these files is an instance's data directory."""
LEFT_BEHIND = (
    "serve-*.lock",
    "watch.sock",
    "guard.sock",
    "journal.sqlite*",
    "attacks.sqlite*",
    "stormpetrel.db.lock",
    "stormpetrel.db.slots",
)
"""Files that a dead server leaves in its data directory, even without an instance: none contains user data,
so `init` makes an instance next to them."""
SHOWN_NAMES = 3
"""Number of names of foreign files or tables that an error lists."""


def add_commands(commands: Commands[Any]) -> None:
    """Add `init`, `migrate` and `config`."""
    parser = add_command(
        commands,
        "init",
        _init,
        about="Creates an instance without asking questions: directory, secret, configuration, tables. "
        "If the instance already exists, reports that and changes nothing.",
        example="stormpetrel init --demo",
    )
    parser.add_argument(
        "--demo", action="store_true", help="fill the new instance with made-up accounts and posts"
    )
    parser.add_argument(
        "--domain",
        metavar="NAME",
        default="",
        help="configure the new instance for https://NAME, with its status page at https://status.NAME, behind a "
        "proxy on this machine as in deploy/",
    )
    add_command(
        commands,
        "migrate",
        _migrate,
        about="Updates the database schema to this release. Stop the server first.",
        example="stormpetrel migrate",
    )
    parser = add_command(
        commands,
        "config",
        _config,
        about="Prints the effective configuration and the source of each value; secrets are masked.",
        example="STORMPETREL_WEB_PORT=9000 stormpetrel config",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _init(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load, settings_of_domain

    loaded = load(args.config)
    config = loaded.config
    # Check all possible obstacles before anything is made.
    settings = settings_of_domain(args.domain) if args.domain else {}
    _require_agreement(loaded, settings)
    _require_ours_or_empty(config.data_dir)
    database_is_new = _database_is_new(config.database_url)
    old_mask = os.umask(0o077)
    try:
        _make_instance(loaded, settings, database_is_new=database_is_new, is_demo=args.demo)
        # Again, with the settings that were just written to its configuration.
        config = load(args.config).config
        if args.demo:
            from stormpetrel.cli.demo import fill

            print(fill(config), end="")
            return 0
    finally:
        os.umask(old_mask)
    for line in addresses(config):
        print(line)
    if database_is_new:
        print(
            "next: stormpetrel user add NAME --email E --admin (asks for a password), then stormpetrel serve"
        )
    return 0


def _require_agreement(loaded: LoadedConfig, settings: Mapping[str, str]) -> None:
    """Raise SetupError if an existing configuration has another `public_url`; it is not changed."""
    wanted = settings.get("public_url")
    public_url = next(origin for origin in loaded.origins if origin.key == "public_url")
    if wanted is None or loaded.config.base_url == wanted:
        return
    if loaded.path is not None or public_url.value:
        where = loaded.path if public_url.origin == "default" else public_url.origin
        raise SetupError(
            f"--domain is for a new configuration, but {where} already exists: set public_url to {wanted} in it"
        )


def _make_instance(
    loaded: LoadedConfig, settings: Mapping[str, str], *, database_is_new: bool, is_demo: bool
) -> None:
    from stormpetrel.process import secret
    from stormpetrel.storage.engine.migrate import upgrade

    config = loaded.config
    _make_directory(config.data_dir)
    key_file = config.data_dir / secret.FILE_NAME
    had_key = key_file.exists()
    secret.create(config)
    if not config.secret_key:
        _say(key_file, made=not had_key)
        if not had_key and not database_is_new:
            print(
                "stormpetrel: the database is already in use, but this secret key is new: if another machine "
                f"uses the database, copy its {secret.FILE_NAME} here",
                file=sys.stderr,
            )
    if loaded.path is not None:
        _say(loaded.path.absolute(), made=False)
    else:
        template = config.data_dir / CONFIG_FILE
        text = config_template(settings) + (demo_route_section(config.data_dir) if is_demo else "")
        template.write_text(text, encoding="utf-8")
        _say(template, made=True)
    if database_is_new:
        upgrade(config.database_url)
    _say(_database_name(loaded), made=database_is_new)


def _say(what: object, *, made: bool) -> None:
    print(f"{'created' if made else 'exists '}  {what}")


def _database_name(loaded: LoadedConfig) -> str:
    shown = next(origin.shown for origin in loaded.origins if origin.key == "database.url")
    return f"database {shown or loaded.config.database_url}"


def _require_ours_or_empty(directory: Path) -> None:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise SetupError(f"data_dir {directory} is a file or below one: name a directory") from error
    except OSError as error:
        raise EnvironmentFailure(f"data_dir {directory} cannot be read: {error.strerror}") from error
    foreign = [name for name in names if not any(fnmatchcase(name, left) for left in LEFT_BEHIND)]
    if foreign and not set(names) & set(MARKS):
        raise SetupError(
            f"data_dir {directory} contains other files ({_some(foreign)}) and no instance: name an empty directory"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")


def _make_directory(directory: Path) -> None:
    try:
        if directory.is_dir():
            if not os.listdir(directory):
                directory.chmod(0o700)
            made = False
        else:
            directory.mkdir(mode=0o700, parents=True)
            made = True
    except OSError as error:
        raise EnvironmentFailure(
            f"data_dir {directory} cannot be created: {error.strerror}: create it, owned by the user of Stormpetrel"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise EnvironmentFailure(f"data_dir {directory} is not writable for this user")
    _say(directory, made=made)


def _database_is_new(url: str) -> bool:
    """Return True if the store has no tables yet. Raise SetupError if it is foreign or out of date."""
    from stormpetrel.storage.engine.connection import connect, sqlite_path
    from stormpetrel.storage.engine.contents import tables
    from stormpetrel.storage.engine.migrate import require_current, version

    if url.startswith("sqlite:///") and not sqlite_path(url).exists():
        return True
    connection = connect(url, writes=False)
    try:
        if version(connection) is None:
            foreign = tables(connection)
            if foreign:
                raise SetupError(f"the database contains other tables ({_some(foreign)}): name an empty one")
            return True
    finally:
        connection.close()
    require_current(url)
    return False


def config_template(settings: Mapping[str, str] | None = None) -> str:
    """Return a configuration file with all keys and defaults, commented out except `settings`."""
    from stormpetrel.config import Config

    chosen = settings or {}
    lines = [
        "# Configuration of this Stormpetrel instance. It lists every key with its default; remove the # to",
        "# change one. `stormpetrel config` shows the values in effect, `stormpetrel check` finds problems.",
        "",
    ]
    sections: list[tuple[str, Any]] = []
    for field in dataclasses.fields(Config):
        if "about" not in field.metadata:
            assert callable(field.default_factory)
            sections.append((field.name, field.default_factory()))
        elif field.name != "data_dir":  # this file lies in it
            lines += _key_lines(field, chosen.get(field.name))
    for name, section in sections:
        lines.append(f"[{name}]")
        if name == "sms":
            lines += ["# Each route to phones is a section, [sms.route.NAME]; see docs/configuration.md.", ""]
        for field in dataclasses.fields(section):
            if field.metadata:
                lines += _key_lines(field, chosen.get(f"{name}.{field.name}"))
    return "\n".join(lines)


def demo_route_section(data_dir: Path) -> str:
    """Return the section of the demo's route, by which its phone simulator texts: files in the data directory."""
    from stormpetrel.model.demo_phone import ROUTE, SENDER

    # A JSON string of ASCII characters is a TOML string, too.
    directory = json.dumps(str(data_dir.absolute() / DEMO_PHONES))
    lines = [
        f"[sms.route.{ROUTE}]",
        "# The phone simulator, /demo/phone: no text leaves this machine.",
        'provider = "file"',
        f"directory = {directory}",
        'trust = "device"',
        f'sender = "{SENDER}"',
    ]
    return "\n".join([*lines, ""])


def _key_lines(field: dataclasses.Field[Any], chosen: str | None) -> list[str]:
    metadata, default = field.metadata, field.default
    choices = f" ({', '.join(metadata['choices'])})" if "choices" in metadata else ""
    value = f'"{default}"' if isinstance(default, str) else str(default).lower()
    setting = f"# {field.name} = {value}" if chosen is None else f'{field.name} = "{chosen}"'
    return [f"# {metadata['about']}{choices}", setting, ""]


def _migrate(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.storage.engine.connection import connect, sqlite_path
    from stormpetrel.storage.engine.contents import tables
    from stormpetrel.storage.engine.migrate import HEAD, upgrade, version

    url = load(args.config).config.database_url
    if url.startswith("sqlite:///") and not sqlite_path(url).exists():
        raise SetupError(
            f"there is no instance yet ({sqlite_path(url)} does not exist): run stormpetrel init"
        )
    connection = connect(url, writes=False)
    try:
        before = version(connection)
        foreign = [] if before else tables(connection)
    finally:
        connection.close()
    if foreign:
        raise SetupError(f"the database contains other tables ({_some(foreign)}): name an empty one")
    if before == HEAD:
        print(f"the database is up to date (migration {HEAD})")
        return 0
    print(f"migrating from {before or 'nothing'} to {HEAD} …", flush=True)
    upgrade(url)
    print("done")
    return 0


def _config(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load

    loaded = load(args.config)
    origins = [
        # The actual path, not the key's value: a relative path is taken from the current directory.
        dataclasses.replace(origin, value=str(loaded.config.data_dir)) if origin.key == "data_dir" else origin
        for origin in loaded.origins
    ]
    if args.json:
        print_json(
            [
                {
                    "key": origin.key,
                    "value": origin.shown if origin.secret else _plain(origin.value),
                    "origin": origin.origin,
                    "about": origin.about,
                }
                for origin in origins
            ]
        )
    else:
        print_table(
            ("KEY", "VALUE", "FROM"),
            [(origin.key, origin.shown or '""', origin.origin) for origin in origins],
        )
    return 0


def _plain(value: Any) -> Any:
    """Return a value for JSON, with amounts of money as text."""
    return value if isinstance(value, bool | int | float | str) else str(value)
