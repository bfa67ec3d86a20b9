"""`shield`: the state of the defence, the reasons for refusals, and the operator's orders.

It asks the watch role over its socket in the data directory. An order takes effect within two seconds and
expires by itself. The journal is read from its file, so no watch need run.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import print_json, print_table
from stormpetrel.cli.parser import Commands, Parser, add_command, add_group, whole_number
from stormpetrel.cli.times import ago, clock_time, duration, when
from stormpetrel.errors import EnvironmentFailure, SetupError

if TYPE_CHECKING:
    from stormpetrel.cli.shield_who import ShieldSubject
    from stormpetrel.control.messages import Answer, Ask, Done, StatusMessage, Why
    from stormpetrel.storage.journal import Note

JOURNAL_KINDS = (
    "allow",
    "calm",
    "canary",
    "check",
    "collateral",
    "deny",
    "guard",
    "incident",
    "offender",
    "overload",
    "pause",
    "phase",
    "undo",
    "watch",
    "worker",
)
CLASS_MEANINGS = {
    "K0": "members' writes",
    "K1": "members' reading",
    "K2": "returning",
    "K3": "new",
    "K4": "demoted",
}
MAX_LISTED = 50_000
_SPAN = re.compile(r"(\d{1,6})([smhd])\Z")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WHO = "a token, an address or network, @NAME or an app's name; - reads a token from standard input"


def add_commands(commands: Commands[Any]) -> None:
    """Add `shield status`, `why`, `allow`, `deny`, `pause` and `journal`."""
    group = add_group(commands, "shield", about="Shows and adjusts the defence against overload.")
    parser = add_command(
        group, "status", _status, about="Shows the current status.", example="stormpetrel shield status"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser = add_command(
        group,
        "why",
        _why,
        about="Shows in one line how the shield classifies a client, and whether it was refused.",
        example="stormpetrel shield why @Nino",
    )
    parser.add_argument("who", metavar="WHO", help=_WHO)
    parser.add_argument("--json", action="store_true", help="as JSON")
    _add_verdict(
        group,
        "allow",
        about="Serves a client before strangers for a limited time.",
        example='stormpetrel shield allow 198.51.100.0/24 --for 6h --reason "the school"',
        otherwise="24h",
    )
    _add_verdict(
        group,
        "deny",
        about="Refuses a client for a limited time; never affects credentials from before the attack.",
        example='stormpetrel shield deny 203.0.113.9 --for 1h --reason "scans for old ids"',
        otherwise="1h",
    )
    parser = add_command(
        group,
        "pause",
        _pause,
        about="Turns denies and demotions off for a limited time; requests still queue fairly.",
        example="stormpetrel shield pause --for 10m",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--for", dest="span", metavar="TIME", type=span, help="duration, such as 90s, 10m, 2h")
    which.add_argument("--end", action="store_true", help="end the pause now")
    parser = add_command(
        group,
        "journal",
        _journal,
        about="Lists events, oldest first; works without a running watch.",
        example="stormpetrel shield journal --since 2h",
    )
    parser.add_argument("--kind", metavar="KIND", choices=JOURNAL_KINDS, help=", ".join(JOURNAL_KINDS))
    parser.add_argument(
        "--since",
        dest="span",
        metavar="TIME",
        type=span,
        help="only events of the last TIME, such as 2h or 3d",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=whole_number(1, MAX_LISTED),
        default=100,
        help="only the newest N events (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_verdict(group: Commands[Any], name: str, *, about: str, example: str, otherwise: str) -> None:
    parser: Parser = add_command(group, name, _rule, about=about, example=example)
    parser.set_defaults(verdict=name)
    parser.add_argument("who", metavar="WHO", help=_WHO)
    parser.add_argument(
        "--for",
        dest="span",
        metavar="TIME",
        type=span,
        default=span(otherwise),
        help=f"duration, such as 90s, 10m, 2h, 3d (default {otherwise})",
    )
    needed = "; needed, except with --undo" if name == "deny" else ""
    parser.add_argument("--reason", metavar="TEXT", default="", help=f"reason, for the journal{needed}")
    parser.add_argument("--undo", action="store_true", help="remove the rule")
    if name == "deny":
        parser.add_argument(
            "--force",
            action="store_true",
            help="deny also this machine, a trusted proxy, or the address that you are connected from by SSH",
        )


def span(text: str) -> int:
    """Convert an argument: a time such as 90s, 10m, 2h or 3d, to seconds."""
    match = _SPAN.match(text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m, 2h or 3d")
    return int(match[1]) * _UNITS_S[match[2]]


def ask_watch(args: argparse.Namespace, question: Ask) -> Answer:
    """Return the watch's answer. Raise SetupError if it refuses, EnvironmentFailure if no watch runs here."""
    from stormpetrel.config_loader import load
    from stormpetrel.control.asking import ask
    from stormpetrel.control.messages import Failed

    answer = ask(load(args.config).config.data_dir, question)
    if isinstance(answer, Failed):
        raise SetupError(answer.text)
    return answer


# The state


def _status(args: argparse.Namespace) -> int:
    from stormpetrel.control.messages import AskStatus, StatusMessage

    status = ask_watch(args, AskStatus())
    assert isinstance(status, StatusMessage)
    if args.json:
        print_json(status_json(status))
        return 0
    _print_status(status)
    return 0


def status_json(status: StatusMessage) -> dict[str, Any]:
    """Return the status as JSON shows it."""
    import msgspec

    canaries = [
        {
            "channel": one.channel,
            "person": one.person,
            "outcome": one.outcome,
            "at_epoch_s": one.at_epoch_s,
            "ms": one.ms,
            "detail": one.detail,
            "failures": one.failures,
        }
        for one in status.canaries
    ]
    return {**_plain(msgspec.to_builtins(status)), "canaries": canaries}


def shield_state(status: StatusMessage, *, now_s: float) -> str:
    """Return "calm", "recovering", "overloaded for …", or "not overloaded" in unusual traffic."""
    if status.overload_since_epoch_s:
        return f"overloaded for {ago(status.overload_since_epoch_s, now_s)}"
    if status.onset_epoch_s:
        return "recovering"
    return "calm" if status.phase is None else "not overloaded"


def phase_line(status: StatusMessage) -> str:
    """Return the present phase, such as "since 12:03:05 UTC: attack: …"; "" while nothing is unusual."""
    phase = status.phase
    return "" if phase is None else f"since {clock_time(phase.began_epoch_s)}: {phase.text}"


def _print_status(status: StatusMessage) -> None:
    from stormpetrel.control.guard_text import guard_text

    now_s = time.time()
    workers = _workers(len(status.workers))
    print(f"shield   {shield_state(status, now_s=now_s)}; mode {status.mode or 'unknown'}, {workers}")
    if status.onset_epoch_s:
        print(f"onset    {when(status.onset_epoch_s)}: clients known before then are established")
    if line := phase_line(status):
        print(f"phase    {line}")
    if status.paused_until_epoch_s > now_s:
        print(f"paused   denies and demotions are off until {when(status.paused_until_epoch_s)}")
    print(f"guard    {guard_text(status.guard)}")
    if status.journal_problem:
        print(f"journal  cannot be written: {status.journal_problem}")
    print()
    print_table(
        ("CANARY", "PERSON", "OUTCOME", "MS", "AGO", "DETAIL"),
        [
            (
                one.channel,
                one.person,
                one.outcome or "not yet",
                f"{one.ms:.0f}" if one.outcome else "",
                ago(one.at_epoch_s, now_s) if one.outcome else "",
                one.detail,
            )
            for one in status.canaries
        ],
    )
    if status.workers:
        print()
        print_table(
            ("WORKER", "PROCESS", "RUNNING", "WAITING", "WAIT MS", "LAG MS"),
            [
                (
                    one.name,
                    str(one.pid),
                    str(one.running),
                    str(one.waiting),
                    f"{one.worst_wait_s * 1000:.0f}",
                    f"{one.loop_lag_s * 1000:.0f}",
                )
                for one in status.workers
            ],
        )
    for head, table in (("CLASS", status.classes), ("CHANNEL", status.channels)):
        if table:
            print()
            outcomes = ("served", "cached", "refused", "gone")
            print_table(
                (head, *(f"{outcome.upper()}/S" for outcome in outcomes)),
                [
                    (name, *(f"{row.get(outcome, 0):.1f}" for outcome in outcomes))
                    for name, row in sorted(table.items())
                ],
            )
    if status.because:
        print()
        ranked = sorted(status.because.items(), key=lambda item: -item[1])
        print_table(("REFUSED BECAUSE", "/S"), [(reason, f"{rate:.1f}") for reason, rate in ranked])
    if status.offenders:
        print()
        print_table(
            ("TOP CPU, LAST 10 S", "CPU S", "REQUESTS", "REFUSED", "IGNORED"),
            [
                (one.identity, f"{one.cpu_s:.2f}", str(one.requests), str(one.refused), str(one.ignored))
                for one in status.offenders
            ],
        )
    rules = [("allow", entry) for entry in status.allowed] + [("deny", entry) for entry in status.denied]
    if rules:
        print()
        print_table(
            ("RULE", "KIND", "WHO", "UNTIL", "REASON"),
            [
                (verdict, entry.kind, entry.value, when(entry.expires_epoch_s), entry.reason)
                for verdict, entry in rules
            ],
        )


# The reasons for a refusal


def _why(args: argparse.Namespace) -> int:
    from stormpetrel.cli.shield_who import find
    from stormpetrel.config_loader import load
    from stormpetrel.control.messages import AskWhy, Why

    who = find(load(args.config).config, args.who)
    is_app = who.kind == "application"
    why = ask_watch(
        args,
        AskWhy(
            names=who.names,
            identities=who.identities,
            application=who.application if is_app else "",
            created_epoch_s=who.created_epoch_s,
        ),
    )
    assert isinstance(why, Why)
    if args.json:
        import msgspec

        print_json({"who": who.shown, "note": who.note, **_plain(msgspec.to_builtins(why))})
    else:
        print(_in_one_line(who, why))
    return 0


def _plain(built: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in built.items() if name != "type"}


def _in_one_line(who: ShieldSubject, why: Why) -> str:
    parts = [] if not who.note else [who.note]
    if why.lane:
        meaning = "demoted" if why.is_demoted else CLASS_MEANINGS.get(why.lane, "")
        parts.append(f"class {why.lane}" + (f" ({meaning})" if meaning else ""))
    if who.created_epoch_s:
        parts.append(_age(who.created_epoch_s, why.onset_epoch_s))
    if why.limit:
        parts.append(f"{why.remaining:,} of {why.limit:,} requests left in 5 minutes")
    if why.allowed is not None:
        parts.append(
            f"allowed until {when(why.allowed.expires_epoch_s)} ({why.allowed.reason or 'no reason'})"
        )
    if why.denied is not None:
        parts.append(f"denied until {when(why.denied.expires_epoch_s)} ({why.denied.reason})")
    if why.blocked_until_epoch_s:
        parts.append(f"blocked in the kernel by the guard until {when(why.blocked_until_epoch_s)}")
    if why.refusals:
        last = why.refusals[0]
        on = f" on {last.channel}" if last.channel else ""
        by = f" by {last.application!r}" if last.application and last.application != who.application else ""
        parts.append(
            f"refused {why.refused_count}x since {when(why.since_epoch_s)}, "
            f"last {when(last.at_epoch_s)}{on}{by} because {last.because}"
        )
    elif who.kind == "address":
        parts.append("refusals of strangers are counted, but not recorded one by one")
    else:
        parts.append(f"not refused since {when(why.since_epoch_s)}")
    return f"{who.shown}: {'; '.join(parts)}"


def _age(created_epoch_s: float, onset_epoch_s: float) -> str:
    if not onset_epoch_s:
        return f"credential issued {when(created_epoch_s)}: established (no attack)"
    ahead_s = onset_epoch_s - created_epoch_s
    if ahead_s > 0:
        return f"credential issued {when(created_epoch_s)}, {duration(ahead_s)} before the onset: established"
    return f"credential issued {when(created_epoch_s)}, {duration(-ahead_s)} after the onset: new"


# The operator's orders


def _rule(args: argparse.Namespace) -> int:
    from stormpetrel.cli.shield_who import find
    from stormpetrel.config_loader import load
    from stormpetrel.control.asking import order
    from stormpetrel.control.messages import AskRule
    from stormpetrel.shield.reports import ALLOWED_KINDS, OperatorEntry

    if args.verdict == "deny" and not args.undo and not args.reason.strip():
        raise SetupError("deny needs --reason, which the journal records")
    config = load(args.config).config
    who = find(config, args.who)
    if who.kind not in ALLOWED_KINDS:
        raise SetupError(f"rules cannot name a {who.kind}: name its user instead")
    until_s = time.time() + args.span
    verdict = "none" if args.undo else args.verdict
    entry = OperatorEntry(who.kind, who.value, until_s, args.reason)
    is_forced = args.verdict == "deny" and args.force
    done = order(config.data_dir, AskRule(verdict, entry, _session_address(), is_forced))
    if args.undo:
        # A busy watch has not said whether there was a rule.
        said = f"rule removed for {who.shown}" if done else f"no rule for {who.shown} is in force"
    elif args.verdict == "allow":
        said = f"{who.shown} is allowed until {when(until_s)}"
    else:
        said = f"{who.shown} is denied until {when(until_s)}"
    _tell(said, done)
    if not args.undo:
        print("Run the same command with --undo to remove the rule.")
    return 0


def _session_address() -> str:
    """Return the address from which the operator is connected by SSH; "" at the console."""
    return next(iter(os.environ.get("SSH_CONNECTION", "").split()), "")


def _pause(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.control.asking import order
    from stormpetrel.control.messages import AskPause

    until_s = 0.0 if args.end else time.time() + args.span
    done = order(load(args.config).config.data_dir, AskPause(until_s))
    _tell(f"denies and demotions are {'on' if args.end else f'off until {when(until_s)}'}", done)
    return 0


def _tell(said: str, done: Done | None) -> None:
    if done is None:
        print(f"{said} (the watch is busy, and has not stored this for its next start yet)")
        return
    kept = "" if done.kept else "; the journal is not writable: this is lost when watch restarts"
    print(f"{said} (sent to {_workers(done.workers)}{kept})")


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


# The journal


def _journal(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.storage.journal import FILE_NAME, JournalFailed, read

    path = load(args.config).config.data_dir / FILE_NAME
    since_ms = int((time.time() - args.span) * 1000) if args.span else 0
    try:
        found = read(path, kind=args.kind or "", since_ms=since_ms, count=args.limit)
    except JournalFailed as error:
        raise EnvironmentFailure(f"{path} cannot be read: {error}") from error
    found.reverse()
    if args.json:
        print_json([_note_json(number, note) for number, note in found])
        return 0
    print_table(
        ("WHEN", "KIND", "CHANNEL", "WHO", "COUNT", "EVENT"),
        [
            (
                when(note.at_ms / 1000),
                note.kind,
                note.channel,
                f"{note.who} {note.address}".strip(),
                str(note.count),
                note.text + (f" [{note.application}]" if note.application else ""),
            )
            for _, note in found
        ],
    )
    return 0


def _note_json(number: int, note: Note) -> dict[str, Any]:
    return {
        "id": str(number),
        "at_ms": note.at_ms,
        "kind": note.kind,
        "who": note.who,
        "address": note.address,
        "application": note.application,
        "channel": note.channel,
        "because": note.because,
        "count": note.count,
        "text": note.text,
    }
