"""`completion`: scripts for shell completion, generated from the parser of the commands.

A script contains all words, so pressing Tab does not start Python. Each script walks the words before the
cursor: `at` becomes the command that they name ("user add"), `given` the number of its arguments so far.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stormpetrel.cli.parser import Commands, add_command

SHELLS = ("bash", "zsh", "fish")
FILE_METAVARS = frozenset({"PATH", "FILE"})
"""Metavars of arguments that name a file: the shell completes those itself."""


def add_commands(commands: Commands[Any], program: argparse.ArgumentParser) -> None:
    """Add `completion`, which completes all commands that `program` has when it runs."""
    parser = add_command(
        commands,
        "completion",
        functools.partial(_completion, program),
        about="Prints a shell script that completes commands, options and their values.",
        example="stormpetrel completion bash > /usr/share/bash-completion/completions/stormpetrel",
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def _completion(program: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    write = {"bash": bash, "zsh": zsh, "fish": fish}[args.shell]
    print(write(list(levels_of(program))), end="")
    return 0


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an option or argument: one of `choices`, a file, or (neither) any text."""

    choices: tuple[str, ...]
    is_file: bool


@dataclass(frozen=True, slots=True)
class CommandOption:
    """An option by its long name. `value` is None if it takes no value."""

    name: str
    about: str
    value: Value | None


@dataclass(frozen=True, slots=True)
class Level:
    """The program itself (`at` "") or a command (`at` "user add"), with the words that may follow it.

    `commands`: name and one sentence. `arguments`: in order.
    """

    at: str
    commands: tuple[tuple[str, str], ...]
    options: tuple[CommandOption, ...]
    arguments: tuple[Value, ...]


def levels_of(parser: argparse.ArgumentParser, at: str = "") -> Iterator[Level]:
    """Yield `parser`, whose command is `at`, and all levels below it, in the order of the help."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    options, arguments = [], []
    for action in parser._actions:
        long = [name for name in action.option_strings if name.startswith("--")]
        if isinstance(action, argparse._SubParsersAction):
            continue
        choices = tuple(str(choice) for choice in action.choices or ())
        value = Value(choices, action.metavar in FILE_METAVARS)
        if long:
            options.append(CommandOption(long[0], _sentence(action), None if action.nargs == 0 else value))
        elif not action.option_strings:
            arguments.append(value)
    commands = tuple(
        (str(choice.dest), _sentence(choice)) for action in inner for choice in action._choices_actions
    )
    yield Level(at, commands, tuple(options), tuple(arguments))
    for action in inner:
        for command, below in action.choices.items():
            yield from levels_of(below, f"{at} {command}".strip())


def _sentence(action: argparse.Action) -> str:
    """Return the first sentence of an action's help, without its full stop."""
    text = (action.help or "") % vars(action)
    return " ".join(text.partition(". ")[0].split()).removesuffix(".")


# The data of each script, as keys `at:word` or `at:given`


def _takes_value(levels: Sequence[Level]) -> list[str]:
    return [f"{one.at}:{option.name}" for one in levels for option in one.options if option.value is not None]


def _known_commands(levels: Sequence[Level]) -> list[str]:
    return [f"{one.at}:{name}" for one in levels for name, _ in one.commands]


def _values(levels: Sequence[Level]) -> Iterator[tuple[str, Value]]:
    """Yield each option's and each argument's value with its key."""
    for one in levels:
        for option in one.options:
            if option.value is not None:
                yield f"{one.at}:{option.name}", option.value
        for given, value in enumerate(one.arguments):
            yield f"{one.at}:{given}", value


def _quoted(text: str) -> str:
    """Quote for bash and zsh."""
    import shlex

    return shlex.quote(text)


def _pattern(keys: Sequence[str]) -> str:
    """Return a pattern of `case` in bash and zsh that matches each of `keys`."""
    return "|".join(_quoted(key) for key in keys)


def _case(entries: Iterator[tuple[str, str]] | Sequence[tuple[str, str]], indent: str = "    ") -> str:
    return "\n".join(f"{indent}{pattern}) {what} ;;" for pattern, what in entries)


_WALK = """\
    for ((i = FIRST; i < CURSOR; i++)); do
        word=${WORDS[i]}
        case $at:$word in
            TAKES_VALUE) ((i++)); [[ ${WORDS[i]} == '=' ]] && ((i++)) ;;
            *:-*|*:=) ;;
            KNOWN) at=${at:+$at }$word ;;
            *) ((given++)) ;;
        esac
    done
"""
"""For bash and zsh. In bash `=` is a separate word, as in `--role = web`."""


def _walk(levels: Sequence[Level], *, first: str, cursor: str, words: str) -> str:
    return (
        _WALK.replace("FIRST", first)
        .replace("CURSOR", cursor)
        .replace("WORDS", words)
        .replace("TAKES_VALUE", _pattern(_takes_value(levels)))
        .replace("KNOWN", _pattern(_known_commands(levels)))
    )


# bash


_BASH = """\
# Completion of stormpetrel in bash; printed by `stormpetrel completion bash`.
_stormpetrel() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at='' given=0 offers='' key i word
    if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
    COMPREPLY=()
WALK    key=$at:$given
    case $at:$prev in TAKES_VALUE) key=$at:$prev ;; *) [[ $cur == -* ]] && key=$at:- ;; esac
    case $key in
FILES
OFFERS
    esac
    COMPREPLY=($(compgen -W "$offers" -- "$cur"))
}
complete -F _stormpetrel stormpetrel
"""


def bash(levels: Sequence[Level]) -> str:
    """Return the script for bash 3.2 and later; it needs no other package."""
    files = [key for key, value in _values(levels) if value.is_file]
    offers = [(key, value.choices) for key, value in _values(levels) if value.choices]
    offers += [(f"{one.at}:0", tuple(name for name, _ in one.commands)) for one in levels if one.commands]
    offers += [(f"{one.at}:-", tuple(option.name for option in one.options)) for one in levels]
    take_files = 'COMPREPLY=($(compgen -f -- "$cur")); compopt -o filenames 2>/dev/null; return'
    return (
        _BASH.replace("WALK", _walk(levels, first="1", cursor="COMP_CWORD", words="COMP_WORDS"))
        .replace("TAKES_VALUE", _pattern(_takes_value(levels)))
        .replace("FILES", _case([(_pattern(files), take_files)], indent=" " * 8))
        .replace(
            "OFFERS",
            _case(
                [(_quoted(key), f"offers={_quoted(' '.join(words))}") for key, words in offers],
                indent=" " * 8,
            ),
        )
    )


# zsh


_ZSH = """\
#compdef stormpetrel
# Completion of stormpetrel in zsh; printed by `stormpetrel completion zsh`.
_stormpetrel() {
    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} at='' given=0 key i word
    local -a offers
WALK    key=$at:$given
    if [[ $cur == --*=* ]]; then prev=${cur%%=*}; compset -P '*='; fi
    case $at:$prev in TAKES_VALUE) key=$at:$prev ;; *) [[ $cur == -* ]] && key=$at:- ;; esac
    case $key in
FILES
OFFERS
    esac
    (( $#offers )) && _describe -t words stormpetrel offers
}
# Loaded by compinit from a file of fpath, or read by `source`.
if [[ ${funcstack[1]} == _stormpetrel ]]; then _stormpetrel "$@"; else compdef _stormpetrel stormpetrel; fi
"""


def zsh(levels: Sequence[Level]) -> str:
    """Return the script for zsh 5 and later, with a sentence for each word."""

    def told(pairs: Sequence[tuple[str, str]]) -> str:
        return f"offers=({' '.join(_quoted(f'{name}:{about}') for name, about in pairs)})"

    files = [key for key, value in _values(levels) if value.is_file]
    offers = [
        (key, f"offers=({' '.join(map(_quoted, v.choices))})") for key, v in _values(levels) if v.choices
    ]
    offers += [(f"{one.at}:0", told(one.commands)) for one in levels if one.commands]
    offers += [(f"{one.at}:-", told([(o.name, o.about) for o in one.options])) for one in levels]
    return (
        _ZSH.replace("WALK", _walk(levels, first="2", cursor="CURRENT", words="words"))
        .replace("TAKES_VALUE", _pattern(_takes_value(levels)))
        .replace("FILES", _case([(_pattern(files), "_files; return")], indent=" " * 8))
        .replace("OFFERS", _case([(_quoted(key), what) for key, what in offers], indent=" " * 8))
    )


# fish


_FISH = """\
# Completion of stormpetrel in fish; printed by `stormpetrel completion fish`.
function __stormpetrel_at --argument-names wanted
    set -l words (commandline -opc)
    set -l at ''
    set -l given 0
    set -l is_value 0
    for word in $words[2..-1]
        if test $is_value = 1
            set is_value 0
        else if contains -- "$at:$word" TAKES_VALUE
            set is_value 1
        else if string match --quiet -- '-*' $word
            continue
        else if contains -- "$at:$word" KNOWN
            set at (string trim -- "$at $word")
        else
            set given (math $given + 1)
        end
    end
    contains -- $wanted "$at" "$at:$given"
end
complete --command stormpetrel --no-files
"""


def fish(levels: Sequence[Level]) -> str:
    """Return the script for fish 3 and later, with a sentence for each word."""

    def line(wanted: str, *more: str) -> str:
        condition = _fish(f"__stormpetrel_at {_fish(wanted)}")
        return " ".join(["complete --command stormpetrel --condition", condition, *more])

    lines = []
    for one in levels:
        for name, about in one.commands:
            lines.append(line(f"{one.at}:0", "--arguments", _fish(name), "--description", _fish(about)))
        for option in one.options:
            more = ["--long-option", option.name.removeprefix("--"), "--description", _fish(option.about)]
            lines.append(line(one.at, *more, *_fish_value(option.value)))
        for given, value in enumerate(one.arguments):
            if more := _fish_value(value)[1:]:
                lines.append(line(f"{one.at}:{given}", *more))
    head = _FISH.replace("TAKES_VALUE", " ".join(map(_fish, _takes_value(levels)))).replace(
        "KNOWN", " ".join(map(_fish, _known_commands(levels)))
    )
    return head + "\n".join(lines) + "\n"


def _fish_value(value: Value | None) -> list[str]:
    if value is None:
        return []
    if value.is_file:
        return ["--require-parameter", "--force-files"]
    return ["--exclusive", *(["--arguments", _fish(" ".join(value.choices))] if value.choices else [])]


def _fish(text: str) -> str:
    """Quote for fish, where a backslash quotes itself and the quote."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
