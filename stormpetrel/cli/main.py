"""The command line: finds the command, runs it, and turns errors into one line and an exit code.

0 success · 1 a check failed · 2 wrong use or configuration · 3 the environment failed. A call imports the file of
its command only, and that command imports its modules when it runs: `user add` and `token` must answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

import stormpetrel
from stormpetrel.cli.parser import Parser
from stormpetrel.errors import Busy, EnvironmentFailure, NotFound, Refusal, SetupError

FILES = {
    "serve": "serve",
    "init": "instance",
    "migrate": "instance",
    "config": "instance",
    "check": "check",
    "proxy": "proxy",
    "user": "users",
    "token": "tokens",
    "moderation": "moderation",
    "backup": "backup",
    "restore": "restore",
    "instance": "texts",
    "mail": "mail",
    "seed": "seed",
    "drill": "drill",
    "shield": "shield",
    "guard": "guard",
    "top": "top",
    "incident": "incidents",
    "maintenance": "incidents",
    "status": "status",
    "sms": "sms",
    "audience": "audience",
    "insight": "insight",
    "completion": "completion",
}
"""The file in cli/ of each command, in the order of --help."""

REPEATED = {"username": "name", "email": "email"}
"""Fields of a refusal whose value is repeated, and the argument that it is in. Never a password."""
_NOT_UTF_8 = "surrogates not allowed"
"""The codec's reason for a text that Python made of bytes that are not UTF-8."""
DONE = 0
WRONG_USE = 2
ENVIRONMENT_FAILED = 3
# The codes that shells report for a process ended by a signal.
INTERRUPTED = 130
PIPE_CLOSED = 141


def build_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of every command, or only of those in the file of the command that `arguments` name.

    Tests and the reference in docs/commands.md read the parser of every command.
    """
    parser = Parser(
        prog="stormpetrel",
        description="A microblogging server that keeps working for its members while it is under attack.",
        epilog="example:\n  stormpetrel init && stormpetrel serve",
    )
    parser.add_argument(
        "-v", "-V", "--version", action="version", version=f"stormpetrel {stormpetrel.__version__}"
    )
    parser.add_argument(
        "--config",
        metavar="PATH",
        default=None,
        help="the configuration file (default: STORMPETREL_CONFIG, then stormpetrel.toml in the data directory)",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for file in _files(arguments):
        module = importlib.import_module(f"stormpetrel.cli.{file}")
        # A completion script has the words of every command.
        module.add_commands(commands, *((parser,) if file == "completion" else ()))
    return parser


def _files(arguments: Sequence[str]) -> list[str]:
    """Return the file of the named command, or all: --help lists them, and a typo is compared with them."""
    words = list(arguments)
    if words[:1] == ["--config"]:
        words = words[2:]
    elif words and words[0].startswith("--config="):
        words = words[1:]
    named = FILES.get(words[0], "completion") if words else "completion"
    return list(dict.fromkeys(FILES.values())) if named == "completion" else [named]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments` (default: this process's); return the exit code."""
    # Files made by a command or a server are readable at most by its user and group.
    os.umask(os.umask(0o077) | 0o027)
    try:
        code = _run(arguments)
        # Here, not at the interpreter's exit, where a closed pipe would print a traceback.
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("\nstormpetrel: interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    args = argparse.Namespace()
    if isinstance(sys.stdin, io.TextIOWrapper):
        # As in arguments: bytes that are no UTF-8 are noticed where the text is used, and cleaned where texts are.
        sys.stdin.reconfigure(errors="surrogateescape")
    try:
        words = sys.argv[1:] if arguments is None else arguments
        args = build_parser(words).parse_args(words)
        code: int = args.run(args)
        return code
    except SystemExit as done:  # argparse after --help and --version
        return done.code if isinstance(done.code, int) else DONE
    except (EnvironmentFailure, Busy) as error:
        return _fail(error.safe_text, ENVIRONMENT_FAILED)
    except SetupError as error:
        return _fail(error.safe_text, WRONG_USE)
    except Refusal as error:
        return _fail(_explain(error, args), WRONG_USE)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", ENVIRONMENT_FAILED)
    except UnicodeEncodeError as error:
        if error.reason != _NOT_UTF_8:
            raise
        # Not repeated: it may be a password.
        return _fail("an argument or the input is not valid UTF-8", WRONG_USE)
    except Exception as error:  # at the process's edge: a failed store is not a bug, any other error is
        if not _store_failed(error):
            raise
        return _fail(f"the database failed: {_first_line(error)}", ENVIRONMENT_FAILED)


def _store_failed(error: Exception) -> bool:
    from stormpetrel.storage.engine.failures import store_failed

    return store_failed(error)


def _explain(refusal: Refusal, args: argparse.Namespace) -> str:
    """Return a refusal in one line; if it names fields, the value and the problem of each field."""
    fields: dict[str, str] = getattr(refusal, "fields", {})
    if not fields:
        number = getattr(args, "id", None)
        missing = isinstance(refusal, NotFound) and number is not None
        return f"{refusal.safe_text}: {number}" if missing else refusal.safe_text
    said = []
    for name, problem in fields.items():
        value = getattr(args, REPEATED[name], None) if name in REPEATED else None
        said.append(f"{name} {problem}" if value is None else f"{name} {value!r} {problem}")
    return "; ".join(said)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _fail(text: str, code: int) -> int:
    # A message with line breaks in it (a path may hold one) still becomes one line.
    print(f"stormpetrel: {' '.join(text.split())}", file=sys.stderr)
    return code
