"""`incident` and `maintenance`: the words of operators on the status page.

The watch takes a change while it runs and shows it at once. Otherwise the command writes it to the file of the
history, and the watch shows it when it starts.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, Parser, add_command, add_group
from stormpetrel.cli.shield import span
from stormpetrel.cli.times import utc_time
from stormpetrel.errors import EnvironmentFailure, SetupError
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.incident import IMPACTS, INCIDENT_STATUSES, MAINTENANCE_STATUSES, OPENING_STATUSES

if TYPE_CHECKING:
    from pathlib import Path

    from stormpetrel.control.messages import IncidentChange
    from stormpetrel.model.incident import Incident

_TEXT = "text for people: the measurements, and what they can do; - reads it from standard input"
_ID = "id, or its beginning (see stormpetrel incident list)"


def add_commands(commands: Commands[Any]) -> None:
    """Add `incident` and `maintenance` with their commands."""
    group = add_group(commands, "incident", about="Tells people about an incident on the status page.")
    start = add_command(
        group,
        "start",
        _start,
        about="Opens an incident.",
        example='stormpetrel incident start "Apps get errors" --text "We look into it." --channel apps',
    )
    start.add_argument("name", metavar="NAME", help="name of the incident, in a few words")
    _text(start, required=True)
    start.add_argument("--impact", metavar="IMPACT", choices=IMPACTS, default="", help=", ".join(IMPACTS))
    _status(start, OPENING_STATUSES)
    _channels(start)
    update = add_command(
        group,
        "update",
        _update,
        about="Adds an update to an incident or maintenance, also to one that the watch opened.",
        example='stormpetrel incident update 4f1c --text "A disk was full." --status identified',
    )
    update.add_argument("id", metavar="ID", help=_ID)
    _text(update, required=True)
    _status(update, tuple(dict.fromkeys(INCIDENT_STATUSES + MAINTENANCE_STATUSES)))
    update.add_argument("--impact", metavar="IMPACT", choices=IMPACTS, default="", help=", ".join(IMPACTS))
    update.add_argument("--name", metavar="NAME", default="", help="new name")
    _channels(update)
    _end(
        group,
        "resolve",
        "resolve",
        about="Resolves an incident.",
        example="stormpetrel incident resolve 4f1c",
    )
    listed = add_command(
        group,
        "list",
        _list,
        about="Lists open incidents and maintenance, newest first.",
        example="stormpetrel incident list --all",
    )
    listed.add_argument("--all", action="store_true", help="also those that ended")
    listed.add_argument("--json", action="store_true", help="as JSON")
    show = add_command(
        group,
        "show",
        _show,
        about="Shows an incident or maintenance with its updates.",
        example="stormpetrel incident show 4f1c",
    )
    show.add_argument("id", metavar="ID", help=_ID)
    show.add_argument("--json", action="store_true", help="as JSON")
    _add_maintenance(commands)


def _add_maintenance(commands: Commands[Any]) -> None:
    group = add_group(
        commands,
        "maintenance",
        about="Tells people about maintenance on the status page. `incident list` shows its ids.",
    )
    schedule = add_command(
        group,
        "schedule",
        _schedule,
        about="Announces maintenance. It starts and ends by itself at its times.",
        example='stormpetrel maintenance schedule "New disks" --text "Posting pauses." --in 2h --for 30m',
    )
    schedule.add_argument("name", metavar="NAME", help="name of the maintenance, in a few words")
    _text(schedule, required=True)
    begins = schedule.add_mutually_exclusive_group(required=True)
    begins.add_argument("--at", metavar="TIME", type=utc_time, help="start in UTC, such as 2026-12-01T22:00")
    begins.add_argument(
        "--in", dest="ahead", metavar="TIME", type=span, help="start from now, such as 2h or 3d"
    )
    schedule.add_argument("--for", dest="span", metavar="TIME", type=span, required=True, help="such as 30m")
    _channels(schedule)
    for name, action, about in (
        ("start", "begin", "Starts maintenance now."),
        ("end", "complete", "Ends maintenance now."),
        ("cancel", "cancel", "Cancels maintenance."),
    ):
        _end(group, name, action, about=about, example=f"stormpetrel maintenance {name} 4f1c")


def _end(group: Commands[Any], name: str, action: str, *, about: str, example: str) -> None:
    parser = add_command(group, name, _act, about=about, example=example)
    parser.set_defaults(action=action)
    parser.add_argument("id", metavar="ID", help=_ID)
    _text(parser, required=False)


def _text(parser: Parser, *, required: bool) -> None:
    parser.add_argument("--text", metavar="TEXT", required=required, default="", help=_TEXT)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _status(parser: Parser, known: tuple[str, ...]) -> None:
    parser.add_argument("--status", metavar="STATUS", choices=known, default="", help=", ".join(known))


def _channels(parser: Parser) -> None:
    parser.add_argument(
        "--channel",
        dest="channels",
        metavar="CHANNEL",
        choices=tuple(CHANNEL_NAMES),
        action="append",
        default=[],
        help=f"an affected channel, repeatable: {', '.join(CHANNEL_NAMES)}",
    )


def _body(args: argparse.Namespace) -> str:
    return sys.stdin.read() if args.text == "-" else str(args.text)


# Changes


def _start(args: argparse.Namespace) -> int:
    from stormpetrel.control.messages import IncidentChange

    change = IncidentChange(
        "start",
        name=args.name,
        body=_body(args),
        status=args.status,
        impact=args.impact,
        channels=tuple(args.channels),
    )
    return _change(args, change)


def _update(args: argparse.Namespace) -> int:
    from stormpetrel.control.messages import IncidentChange

    change = IncidentChange(
        "update",
        id=args.id,
        name=args.name,
        body=_body(args),
        status=args.status,
        impact=args.impact,
        channels=tuple(args.channels),
    )
    return _change(args, change)


def _act(args: argparse.Namespace) -> int:
    from stormpetrel.control.messages import IncidentChange

    return _change(args, IncidentChange(args.action, id=args.id, body=_body(args)))


def _schedule(args: argparse.Namespace) -> int:
    from stormpetrel.control.messages import IncidentChange

    begins_ms = args.at if args.at is not None else int((time.time() + args.ahead) * 1000)
    change = IncidentChange(
        "schedule",
        name=args.name,
        body=_body(args),
        channels=tuple(args.channels),
        from_ms=begins_ms,
        until_ms=begins_ms + args.span * 1000,
    )
    return _change(args, change)


def _change(args: argparse.Namespace, change: IncidentChange) -> int:
    from stormpetrel.control.asking import WatchDown, ask
    from stormpetrel.control.messages import Failed, IncidentStored

    data_dir = _data_dir(args)
    is_shown = True
    try:
        answer = ask(data_dir, change)
    except WatchDown:
        incident, is_shown = _changed_in_file(data_dir, change), False
    else:
        if isinstance(answer, Failed):
            raise SetupError(answer.text)
        assert isinstance(answer, IncidentStored)
        incident = answer.incident
    if args.json:
        print_json(_json(incident))
        return 0
    kind = "maintenance" if incident.is_maintenance else "incident"
    # Readers of the status page's JSON know no status for cancelled maintenance: there it is completed.
    state = "cancelled" if change.action == "cancel" else incident.status.replace("_", " ")
    print(f"{kind} {incident.id} is {state}: {_plain(incident.name)}")
    if not is_shown:
        print("The watch role is not running; the status page shows it when the role starts.")
    return 0


def _changed_in_file(data_dir: Path, change: IncidentChange) -> Incident:
    from stormpetrel import clock
    from stormpetrel.storage.status_history import FILE_NAME, StatusHistory, StatusHistoryFailed
    from stormpetrel.watch.status.book import new_incident_id
    from stormpetrel.watch.status.incidents import changed

    try:
        history = StatusHistory(data_dir / FILE_NAME)
        try:
            known = {one.id: one for one in history.incidents()}
            incident = changed(change, known, now_ms=clock.now_ms(), new_id=new_incident_id)
            history.put_incidents([incident])
            return incident
        finally:
            history.close()
    except StatusHistoryFailed as error:
        raise EnvironmentFailure(f"{data_dir / FILE_NAME}: {error}") from error


def _data_dir(args: argparse.Namespace) -> Path:
    """Return the data directory. Raise SetupError if there is no instance: no file must be created then."""
    from stormpetrel.config_loader import load
    from stormpetrel.process import secret

    config = load(args.config).config
    secret.load(config)
    return config.data_dir


# Lists


def _stored(args: argparse.Namespace, *, only_open: bool) -> list[Incident]:
    from stormpetrel.storage.status_history import FILE_NAME, StatusHistoryFailed, read_incidents

    path = _data_dir(args) / FILE_NAME
    try:
        return read_incidents(path, only_open=only_open)
    except StatusHistoryFailed as error:
        raise EnvironmentFailure(f"{path}: {error}") from error


def _list(args: argparse.Namespace) -> int:
    found = _stored(args, only_open=not args.all)
    if args.json:
        print_json([_json(one) for one in found])
        return 0
    if not found:
        print("No incidents." if args.all else "No open incidents.")
        return 0
    print_table(
        ("ID", "STATUS", "IMPACT", "BEGAN", "CHANNELS", "BY", "NAME"),
        [
            (
                one.id,
                one.status,
                one.impact,
                _when(one.started_ms),
                ",".join(one.channels) or "-",
                "watch" if one.is_automatic else "operator",
                one.name,
            )
            for one in found
        ],
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    found = [one for one in _stored(args, only_open=False) if one.id.startswith(args.id)]
    if len(found) != 1:
        none = f"no incident or maintenance {args.id} (stormpetrel incident list --all)"
        raise SetupError(none if not found else f"several incidents begin with {args.id}")
    incident = found[0]
    if args.json:
        print_json(_json(incident))
        return 0
    print(f"{incident.id}  {_plain(incident.name)}")
    impact = "maintenance" if incident.is_maintenance else f"impact {incident.impact}"
    print(f"{incident.status.replace('_', ' ')}, {impact}, channels {', '.join(incident.channels) or 'none'}")
    if incident.is_maintenance:
        print(f"from {_when(incident.scheduled_for_ms)} until {_when(incident.scheduled_until_ms)}")
    for one in incident.updates:
        by = "watch" if one.is_automatic else "operator"
        print(f"\n{_when(one.at_ms)}  {one.status}  by {by}")
        for line in one.text.splitlines():
            print(f"  {_plain(line)}")
    return 0


def _json(incident: Incident) -> dict[str, Any]:
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(incident)
    return {**built, "status": incident.status}


def _plain(text: str) -> str:
    """Return the text without control characters, which must not control the operator's terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _when(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))
