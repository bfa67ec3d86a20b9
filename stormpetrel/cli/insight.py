"""`insight`: the report about an attack, from the journal and the record of attacks alone."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stormpetrel.cli.output import print_json, print_table, printable, printable_json
from stormpetrel.cli.parser import Commands, add_command, whole_number
from stormpetrel.cli.times import utc_time, when
from stormpetrel.errors import EnvironmentFailure, SetupError

if TYPE_CHECKING:
    from stormpetrel.config import Config
    from stormpetrel.insight.make import MadeReport
    from stormpetrel.model.attack import AttackSpan
    from stormpetrel.model.insight import ReportWindow

EDITIONS = ("internal", "public")
ACTIONS = ("show", "list", "publish", "withdraw", "accounts")
NEEDS_NUMBER = ("show", "publish", "withdraw")
MAX_ATTACK = 999_999_999
SHOWN_NUMBERS = 10
"""Numbers of attacks in an error."""


def add_commands(commands: Commands[Any]) -> None:
    """Add `insight`."""
    parser = add_command(
        commands,
        "insight",
        _insight,
        about="Prints the report about the last attack, or about a time. No process needs to run, and the database "
        "may be gone. `show N` prints the report about attack N, and `list` shows the stored reports; `publish N` "
        "shows the public edition of the report about attack N on the status page, and `withdraw N` ends that. "
        "`accounts` lists the accounts behind hot pages that were asked if a public report may name them, with their "
        "answers; it needs the database.",
        example="stormpetrel insight --from 2026-11-30T12:00 --to 2026-11-30T13:00 --html report.html",
    )
    parser.add_argument(
        "action", metavar="ACTION", nargs="?", type=_action, choices=ACTIONS, help=", ".join(ACTIONS)
    )
    parser.add_argument(
        "number",
        metavar="N",
        nargs="?",
        type=whole_number(1, MAX_ATTACK),
        help="number of the attack (see list)",
    )
    parser.add_argument("--last", action="store_true", help="the last attack (the default)")
    parser.add_argument(
        "--from", dest="first", metavar="TIME", type=utc_time, help="start in UTC, such as 2026-12-01T22:00"
    )
    parser.add_argument(
        "--to", dest="last_time", metavar="TIME", type=utc_time, help="end in UTC (default: now)"
    )
    parser.add_argument(
        "--edition",
        choices=EDITIONS,
        default="internal",
        help="internal (the default), or public: of a whole attack, as the watch wrote it",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON, each number with its query")
    form.add_argument("--csv", action="store_true", help="as CSV, each number with its query")
    form.add_argument("--markdown", action="store_true", help="as Markdown")
    form.add_argument("--html", metavar="FILE", help="write one HTML file with charts")


def _action(text: str) -> str:
    if text.isdigit():
        raise argparse.ArgumentTypeError(f"to print the report about attack {text}: insight show {text}")
    return text


def _insight(args: argparse.Namespace) -> int:
    from stormpetrel.config_loader import load
    from stormpetrel.process import secret

    _refuse_unused(args)
    config = load(args.config).config
    # Raises SetupError if there is no instance.
    secret.load(config)
    if args.action == "list":
        return _list(config, as_json=args.json)
    if args.action == "accounts":
        return _accounts(config, as_json=args.json)
    if args.action in ("publish", "withdraw"):
        return _publish(config, args.action, args.number)
    return _print(args, config)


def _refuse_unused(args: argparse.Namespace) -> None:
    """Raise SetupError for an argument that the action would ignore."""
    if args.action is None:
        return
    if args.number is None and args.action in NEEDS_NUMBER:
        raise SetupError(f"insight {args.action} needs the number of an attack (stormpetrel insight list)")
    if args.number is not None and args.action in ("list", "accounts"):
        raise SetupError(f"insight {args.action} takes no number: it lists all")
    if args.last or args.first is not None or args.last_time is not None:
        raise SetupError(f"--last, --from and --to choose a report; insight {args.action} takes none of them")
    if args.action == "show":
        return
    # `publish` is about the public edition, so its name does no harm there.
    names_edition = args.edition != "internal" and args.action != "publish"
    if args.csv or args.markdown or args.html or names_edition:
        raise SetupError(
            f"--edition, --csv, --markdown and --html print a report; insight {args.action} takes none of them"
        )
    if args.json and args.action in ("publish", "withdraw"):
        raise SetupError(f"insight {args.action} prints one sentence, and takes no --json")


def _print(args: argparse.Namespace, config: Config) -> int:
    from stormpetrel.insight.markdown import text

    if args.edition == "public":
        return _print_public(args, config)
    made = _made(config, _window(args, config))
    if args.html:
        path = Path(args.html)
        path.write_text(made.form("html"), encoding="utf-8")
        print(f"{path} has the report.")
    elif args.json:
        sys.stdout.write(printable_json(made.form("json")))
    elif args.csv or args.markdown:
        sys.stdout.write(printable(made.form("csv" if args.csv else "md")))
    else:
        columns = min(shutil.get_terminal_size((100, 24)).columns, 100)
        print(printable(text(made.report, columns=columns)), end="")
    return 0


def _print_public(args: argparse.Namespace, config: Config) -> int:
    """Print the public edition that the watch wrote when the attack had ended.

    It is never made for another time: one could subtract two editions about times that overlap, and find the small
    counts that each of them hides.
    """
    from stormpetrel import clock
    from stormpetrel.storage.insight_folder import InsightFolder

    spans = _attacks(args, config, now_ms=clock.now_ms())
    if len(spans) > 1:
        numbers = ", ".join(str(span.number) for span in spans)
        raise SetupError(f"a public edition is about one attack, and this time has several: {numbers}")
    number = spans[0].number
    if not spans[0].ended_ms:
        raise SetupError(
            f"attack {number} is not over: the watch writes its public edition when it has ended"
        )
    form = "json" if args.json else "csv" if args.csv else "html" if args.html else "md"
    body = InsightFolder(config.data_dir).read(number, "public", form)
    if body is None:
        raise SetupError(
            f"attack {number} has no public edition: the watch writes one for each of the newest attacks"
        )
    if args.html:
        path = Path(args.html)
        path.write_bytes(body)
        print(f"{path} has the report.")
    else:
        safe = printable_json if args.json else printable
        sys.stdout.write(safe(body.decode(errors="replace")))
    return 0


def _attacks(args: argparse.Namespace, config: Config, *, now_ms: int) -> Sequence[AttackSpan]:
    """Return the attacks in the time that the arguments name. Raise SetupError if there are none."""
    from stormpetrel.storage.insight import InsightUnreadable, attacks_between, last_attack

    try:
        if args.action == "show":
            spans = attacks_between(config.data_dir, from_ms=0, until_ms=now_ms)
            named = [span for span in spans if span.number == args.number]
            if not named:
                there_are = ", ".join(str(span.number) for span in spans[-SHOWN_NUMBERS:]) or "none"
                raise SetupError(f"no attack {args.number} was recorded; the last ones: {there_are}")
            return named
        if args.first is None and args.last_time is None:
            span = last_attack(config.data_dir, until_ms=now_ms)
            if span is None:
                raise SetupError("no attack was recorded")
            return [span]
        if args.last:
            raise SetupError("--last cannot be combined with --from or --to")
        from_ms, until_ms = _times(args, now_ms=now_ms)
        if args.last_time is None and from_ms >= now_ms:
            raise SetupError("--from is in the future; times are in UTC")
        if until_ms <= from_ms:
            raise SetupError("--to must be later than --from")
        spans = attacks_between(config.data_dir, from_ms=from_ms, until_ms=until_ms)
    except InsightUnreadable as error:
        raise EnvironmentFailure(str(error)) from error
    if not spans:
        raise SetupError("no attack was recorded in this time")
    return spans


def _times(args: argparse.Namespace, *, now_ms: int) -> tuple[int, int]:
    return args.first or 0, now_ms if args.last_time is None else args.last_time


def _window(args: argparse.Namespace, config: Config) -> ReportWindow:
    """Return the time that the arguments name. Raise SetupError if there is no attack in it."""
    from stormpetrel import clock
    from stormpetrel.insight.make import window_of
    from stormpetrel.model.insight import ReportWindow
    from stormpetrel.storage.insight import InsightUnreadable, last_moment_ms

    now_ms = clock.now_ms()
    spans = _attacks(args, config, now_ms=now_ms)
    from_ms, until_ms = _times(args, now_ms=now_ms)
    is_last = args.first is None and args.last_time is None
    try:
        last_ms = last_moment_ms(config.data_dir, from_ms=spans[0].onset_ms if is_last else from_ms)
    except InsightUnreadable as error:
        raise EnvironmentFailure(str(error)) from error
    if is_last:
        return window_of(spans[0], now_ms=now_ms, last_moment_ms=last_ms)
    is_over = all(span.ended_ms for span in spans)
    end_ms = min(until_ms, max(span.ended_ms or last_ms or now_ms for span in spans))
    return ReportWindow(max(from_ms, spans[0].onset_ms), end_ms, now_ms, is_over=is_over)


def _made(config: Config, window: ReportWindow) -> MadeReport:
    from stormpetrel.insight.make import made, read
    from stormpetrel.storage.insight import InsightUnreadable

    try:
        data = read(config.data_dir, window, domain=config.domain, countries=config.insight.countries)
    except InsightUnreadable as error:
        raise EnvironmentFailure(str(error)) from error
    return made(data, edition="internal")


def _list(config: Config, *, as_json: bool) -> int:
    from stormpetrel.storage.insight_folder import InsightFolder

    reports = InsightFolder(config.data_dir).reports()
    if as_json:
        print_json(
            [
                {
                    "number": one.number,
                    "from_ms": one.from_ms,
                    "until_ms": one.until_ms,
                    "made_ms": one.made_ms,
                    "published": one.is_published,
                    "summary": list(one.summary),
                }
                for one in reports
            ]
        )
    elif not reports:
        print("There are no reports yet. The watch makes one when an attack ends.")
    else:
        print_table(
            ("ATTACK", "FROM", "UNTIL", "PUBLISHED"),
            [
                (
                    str(one.number),
                    when(one.from_ms / 1000),
                    when(one.until_ms / 1000),
                    "yes" if one.is_published else "no",
                )
                for one in reports
            ],
        )
    return 0


def _accounts(config: Config, *, as_json: bool) -> int:
    from stormpetrel.model.ids import MAX_ID, time_ms
    from stormpetrel.rules.naming import questions_about
    from stormpetrel.storage.engine.connection import connect

    connection = connect(config.database_url, writes=False)
    try:
        questions = questions_about(connection, from_ms=0, until_ms=time_ms(MAX_ID))
    finally:
        connection.close()
    if as_json:
        print_json(
            [
                {
                    "account": one.username,
                    "from_ms": one.began_ms,
                    "until_ms": one.ended_ms,
                    "percent": one.percent,
                    "answer": one.answer.value or "none",
                    "asked_ms": one.asked_at_ms,
                    "answered_ms": one.answered_at_ms or None,
                }
                for one in questions
            ]
        )
    elif not questions:
        print(
            "No account was asked yet. The watch asks when it has written a report with a hot page of an account."
        )
    else:
        print_table(
            ("ACCOUNT", "ATTACK FROM", "UNTIL", "REQUESTS", "ASKED", "ANSWER"),
            [
                (
                    f"@{one.username}",
                    when(one.began_ms / 1000),
                    when(one.ended_ms / 1000),
                    f"{one.percent} %",
                    when(one.asked_at_ms / 1000),
                    one.answer.value or "none",
                )
                for one in questions
            ],
        )
    return 0


def _publish(config: Config, action: str, number: int) -> int:
    from stormpetrel.insight.make import publish, withdraw
    from stormpetrel.storage.insight import InsightUnreadable

    if action == "publish":
        try:
            publish(config.data_dir, number, domain=config.domain)
        except InsightUnreadable as error:
            raise EnvironmentFailure(str(error)) from error
        print(f"The status page shows the public edition of report {number} within a few seconds.")
    else:
        withdraw(config.data_dir, number)
        print(f"The status page no longer shows report {number}.")
    return 0
