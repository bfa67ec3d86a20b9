"""Generates parts of docs/ from the code: all configuration keys, commands and URLs.

`--write` puts them between the two marks in the pages of docs/; without it, exit 1 if a page is out of date.
tests/test_house.py checks the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

from stormpetrel.config import Config
from stormpetrel.config_loader import variable_of
from stormpetrel.config_sms import KEYS, RouteConfig
from tools.documented_methods import METHODS, key

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN = "<!-- from here on written by `make docs` -->"
END = "<!-- to here -->"
EVERYWHERE = {"--help", "--config"}
"""Options of every command; docs/commands.md explains them once."""


def configuration_tables() -> str:
    """Return one table per section: key, variable, default, meaning, in the order of config.py."""
    hints = get_type_hints(Config)
    sections: list[tuple[str, type[Any]]] = [("", Config)]
    sections += [(f.name, hints[f.name]) for f in dataclasses.fields(Config) if _is_section(hints[f.name])]
    sections.append(("sms.route.NAME", RouteConfig))
    tables = [_section_table(name, kind) for name, kind in sections]
    tables += [
        _section_table("sms.route.NAME", kind, f'#### `provider = "{provider}"`')
        for provider, kind in KEYS.items()
    ]
    return "\n\n".join(tables)


def _is_section(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _section_table(section: str, kind: type[Any], heading: str = "") -> str:
    hints = get_type_hints(kind)
    heading = heading or (f"### `[{section}]`" if section else "### Top level")
    lines = [heading, "", "| key | environment variable | default | meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(kind):
        if _is_section(hints[field.name]) or not field.metadata:
            continue
        variable = variable_of(f"{section}.{field.name}" if section else field.name)
        default = "empty" if field.default == "" else f"`{_plain(field.default)}`"
        meaning = _cell(field.metadata["about"] + _bounds(field.metadata))
        lines.append(f"| `{field.name}` | `{variable}` | {default} | {meaning} |")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:_}" if isinstance(value, int) and value >= 100_000 else str(value)


def _bounds(rules: Any) -> str:
    if "choices" in rules:
        return f" ({', '.join(f'`{choice}`' for choice in rules['choices'])})"
    if "low" in rules:
        return f" ({_plain(rules['low'])} to {_plain(rules['high'])})"
    return ""


def command_sections(parser: argparse.ArgumentParser) -> str:
    """Return one section per command and subcommand, with the arguments and options of `parser`."""
    return "\n\n".join(_command_section(name, command) for name, command in commands(parser, "stormpetrel"))


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield all leaf commands below `parser` in order, by full name (`stormpetrel user add`)."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield name, parser
    for action in inner:
        for inner_name, command in action.choices.items():
            yield from commands(command, f"{name} {inner_name}")


def _command_section(name: str, command: argparse.ArgumentParser) -> str:
    # Not argparse's own help text: it differs between Python versions.
    arguments = [a for a in command._actions if not a.option_strings]
    options = [a for a in command._actions if a.option_strings and not EVERYWHERE & set(a.option_strings)]
    lines = [f"### `{' '.join([name, *map(_shown, arguments)])}`"]
    if command.description:
        lines += ["", command.description.strip()]
    if arguments or options:
        lines += ["", "| argument | meaning |", "|---|---|"]
    for action in (*arguments, *options):
        needed = " (required)" if action.required and action.option_strings else ""
        lines.append(f"| `{_cell(_shown(action))}` | {_cell(_help(action))}{needed} |")
    if command.epilog:
        lines += ["", "```", command.epilog.strip(), "```"]
    return "\n".join(lines)


def _shown(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else _value(action)
    if not action.option_strings:
        return {"?": f"[{value}]", "*": f"[{value}…]", "+": f"{value}…"}.get(str(action.nargs), value)
    return ", ".join(action.option_strings) + (f" {value}" if value else "")


def _value(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return text.strip()


def api_table() -> str:
    """Return one line per URL of the API: method and path, purpose, and required credential."""
    # Imported late: the configuration page needs no route table.
    from stormpetrel.api.routes import ROUTES

    lines = ["| | | who |", "|---|---|---|"]
    for route in ROUTES:
        if route.is_api:
            scope = f" with `{route.scope}`" if route.scope else ""
            who = _ACTORS[route.actor.value]
            if route.actor.value == "anyone":
                who += f" (a token needs `{route.scope}`)" if scope else ""
            else:
                who += scope
            lines.append(f"| `{route.method} {route.path}` | {_cell(route.summary)} | {who} |")
    return "\n".join(lines)


def methods_tables() -> str:
    """Return one line per method of Mastodon's documentation: if it exists here, and if not, why."""
    # Imported late, as above.
    from stormpetrel.api.routes import ROUTES
    from stormpetrel.web.routes import ROUTES as WEB_ROUTES

    here = {key(f"{route.method} {route.path}") for route in (*ROUTES, *WEB_ROUTES)} | ELSEWHERE
    lines: list[str] = []
    for group, methods in METHODS:
        lines += ["", f"## {group}", "", "| method | supported |", "|---|---|"]
        lines += [
            f"| `{method}` | {'yes' if key(method) in here else f'no: {_cell(why)}'} |"
            for method, why in methods
        ]
    return "\n".join(lines[1:])


ELSEWHERE = {"GET /health", "GET /api/v1/streaming"}
"""Answered outside the route table: by every role (edge/server.py, process/health.py) and by `SOCKETS`."""

_ACTORS = {
    "anyone": "anyone",
    "application": "any token",
    "account": "an account's token",
}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def pages() -> dict[Path, Callable[[], str]]:
    """Return page → function that generates its text."""
    # Imported late: the configuration page needs no command line.
    from stormpetrel.cli.main import build_parser

    return {
        DOCS / "api.md": api_table,
        DOCS / "methods.md": methods_tables,
        DOCS / "configuration.md": configuration_tables,
        DOCS / "commands.md": lambda: command_sections(build_parser()),
    }


def with_generated(page: str, generated: str) -> str:
    """Return `page` with `generated` between its two marks. Raise ValueError if it lacks them."""
    before, found_begin, rest = page.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found_begin or not found_end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def pages_behind() -> dict[Path, str]:
    """Return the pages that are out of date, with their new text."""
    behind = {}
    for path, generate in pages().items():
        page = path.read_text(encoding="utf-8")
        wanted = with_generated(page, generate())
        if wanted != page:
            behind[path] = wanted
    return behind


def main(arguments: list[str]) -> int:
    """With `--write`, update every page; otherwise list outdated pages and return 1 if there are any."""
    behind = pages_behind()
    for path, wanted in behind.items():
        if "--write" in arguments:
            path.write_text(wanted, encoding="utf-8")
            print(f"written: {path}")
        else:
            print(f"out of date:  {path} (make docs)", file=sys.stderr)
    return 1 if behind and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
