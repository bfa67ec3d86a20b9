"""The argument parser of every command: a typo gives one clear line, with a suggestion."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from stormpetrel.errors import SetupError

SIMILAR = 0.65
"""The similarity from which a word is suggested (difflib): "web" for "wep", but not "moderator" for "emperor"."""
Commands = argparse._SubParsersAction  # the type that `add_subparsers` returns; it has no public name


class Parser(argparse.ArgumentParser):
    """argparse, with errors in one line instead of the usage, and "did you mean".

    Options must be written in full: an abbreviation in a script would break when an option is added.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            **{
                "allow_abbrev": False,
                "formatter_class": argparse.RawDescriptionHelpFormatter,
                **options,
            }
        )

    def error(self, message: str) -> NoReturn:
        """Raise SetupError: one line, exit 2. If arguments are missing, it has their possible values."""
        values = "; ".join(self._values_of_missing(message))
        raise SetupError(f"{message}{values and f' ({values})'} (see {self.prog} --help)")

    def _values_of_missing(self, message: str) -> list[str]:
        # argparse gives the names of the missing arguments in this text only.
        _, complaint, names = message.partition("arguments are required: ")
        missing = names.split(", ") if complaint else []
        return [
            f"{action.metavar} is one of: {', '.join(map(str, action.choices))}"
            for action in self._actions
            if action.choices and action.metavar in missing
        ]

    def parse_known_args(  # type: ignore[override]  # typeshed overloads it by the type of the namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # Before argparse reports a required option as missing: with a typo, it is there in another spelling.
        if self._subparsers is None and args is not None:
            self._refuse(self._misspelled(args))
        known, unknown = super().parse_known_args(args, namespace)
        # Reported here, by the command itself: its parent parser does not know the options to suggest.
        self._refuse(unknown)
        return known, unknown

    def _misspelled(self, args: Sequence[str]) -> list[str]:
        """Return the arguments that argparse takes for long options, and that are none of this command."""
        options = takewhile(lambda text: text != "--", args)
        return [
            text
            for text in options
            if text.startswith("--")
            and " " not in text
            and text.partition("=")[0] not in self._option_string_actions
        ]

    def _refuse(self, unknown: Sequence[str]) -> None:
        if unknown:
            near = did_you_mean(unknown[0], self._option_string_actions)
            self.error(f"unknown argument {unknown[0]}{near}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            kind = "command" if isinstance(action, argparse._SubParsersAction) else "value"
            choices = [str(choice) for choice in action.choices]
            near = near_or_all(str(value), choices)
            if value == "help":
                # The nearest command, such as `shield`, would mislead; the error ends with "see … --help".
                near = ""
            raise argparse.ArgumentError(
                None if kind == "command" else action, f"unknown {kind} {value!r}{near}"
            )


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """Return " (did you mean …?)" with the nearest of `known`, or "" if none is similar."""
    near = difflib.get_close_matches(written.partition("=")[0], list(known), n=1, cutoff=SIMILAR)
    return f" (did you mean {near[0]}?)" if near else ""


def near_or_all(written: str, known: Collection[str]) -> str:
    """Return the nearest of `known`, as `did_you_mean` does; all of them if none is similar."""
    return did_you_mean(written, known) or f" (there are: {', '.join(known) or 'none'})"


def add_command(
    commands: Commands[Any], name: str, run: Callable[[argparse.Namespace], int], *, about: str, example: str
) -> Parser:
    """Add a command: `run(args)` returns the exit code; --help shows `example`."""
    parser: Parser = commands.add_parser(
        name, help=about, description=about, epilog=f"example:\n  {example}", parents=[_common()]
    )
    parser.set_defaults(run=run)
    return parser


def add_group(commands: Commands[Any], name: str, *, about: str) -> Commands[Any]:
    """Add a command that only has subcommands, such as `user`."""
    parser: Parser = commands.add_parser(name, help=about, description=about)
    return parser.add_subparsers(metavar="COMMAND", dest=f"{name}_command", required=True)


def _common() -> argparse.ArgumentParser:
    """Accept --config also after the command's name; without it there, the one before the name is used."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config", metavar="PATH", default=argparse.SUPPRESS, help="the configuration file to use"
    )
    return common


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return an argument type: a whole number from `low` to `high`; 1_000 and 1,000 are a thousand."""

    def parse(text: str) -> int:
        try:
            value = int(text.replace(",", ""))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be between {low} and {high}, not {text}")
        return value

    return parse
