"""Counts the turns of phrase that make a text hard to skim (CONTRIBUTING.md, "Plain English").

    python -m tools.plain_english [PATH ...]      figures of the whole repository, or of these files
    python -m tools.plain_english --list PATH     each place, as file:line: text

A text is what a person reads: the docstrings and comments of a Python file, a Markdown page without its code
blocks, a Jinja template without its tags. Figures are per 1,000 words.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TURNS = {
    "nobody, somebody, everybody": re.compile(r"\b(?:no|some|any|every)body\b", re.I),
    "what is … as a noun": re.compile(
        r"\bwhat (?:is|was|are|were|comes|came|waits|stands|becomes)\b(?![^.!?\n]*\?)", re.I
    ),
    "is told, said, kept": re.compile(r"\b(?:is|are|was|were) (?:told|said|kept)\b", re.I),
    "whom, whoever": re.compile(r"\b(?:whom|whoever|whomever)\b", re.I),
}
"""Name → pattern of each turn that is counted. A question ("What is served first?") is no noun."""

_STRING_OR_COMMENT = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'{3}(?:\\.|[^\\])*?\'{3}|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|(?P<comment>\#[^\n]*)''',
    re.S,
)
"""A string, in which a # begins no comment, or a comment. Python's own tokenizer takes ten times as long."""
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.M | re.S)
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<[^>]*>", re.S)

Text = tuple[int, str]
"""(line it begins at, the text)."""


def texts_of(path: Path) -> Iterator[Text]:
    """Yield the texts of the file that a person reads; nothing for an unknown kind of file."""
    if path.suffix == ".py":
        source = path.read_text(encoding="utf-8")
        yield from docstrings(source)
        yield from comments(source)
    elif path.suffix == ".md":
        yield 1, _without(path.read_text(encoding="utf-8"), _FENCE, _CODE_SPAN)
    elif path.suffix in {".html", ".txt"}:
        yield 1, _without(path.read_text(encoding="utf-8"), _TAG)


def docstrings(source: str) -> Iterator[Text]:
    """Yield each string that stands alone as a statement: docstrings, also of constants and fields."""
    for node in _statements(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, _without(node.value.value, _CODE_SPAN)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in a node at any depth, without looking into expressions: these are most of a tree."""
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        inner = getattr(node, name, ())
        # The body of an `if` expression or of a lambda is an expression.
        for statement in inner if isinstance(inner, list) else ():
            yield statement
            yield from _statements(statement)


def comments(source: str) -> Iterator[Text]:
    """Yield each comment without its sign."""
    line, counted = 1, 0
    for match in _STRING_OR_COMMENT.finditer(source):
        if match["comment"] is not None:
            line += source.count("\n", counted, match.start())
            counted = match.start()
            yield line, _without(match["comment"].lstrip("#! "), _CODE_SPAN)


def _without(text: str, *patterns: re.Pattern[str]) -> str:
    """Blank all matches of the patterns; keep the lines."""
    for pattern in patterns:
        text = pattern.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
    return text


def count(texts: Iterable[str]) -> tuple[int, Counter[str]]:
    """Return (number of words, how often each of TURNS occurs)."""
    words = 0
    found: Counter[str] = Counter()
    for text in texts:
        words += len(_WORD.findall(text))
        for name, pattern in TURNS.items():
            found[name] += len(pattern.findall(text))
    return words, found


def per_thousand(paths: Iterable[Path]) -> dict[str, float]:
    """Return how often each of TURNS occurs per 1,000 words of the files."""
    words, found = count(text for path in paths for _, text in texts_of(path))
    return {name: 1000 * found[name] / max(words, 1) for name in TURNS}


def places(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text of the line) of each turn in the file."""
    for begin, text in texts_of(path):
        for number, line in enumerate(text.split("\n")):
            if any(pattern.search(line) for pattern in TURNS.values()):
                yield begin + number, line.strip()


def groups() -> dict[str, list[Path]]:
    """Return the files of the repository that hold texts, by who reads them: code, tests, docs, pages."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, list[Path]] = {"code": [], "tests": [], "docs": [], "pages": []}
    for name in done.stdout.splitlines():
        path = ROOT / name
        if path.suffix == ".py":
            found["tests" if name.startswith(("tests/", "bench/")) else "code"].append(path)
        elif path.suffix == ".md" and name != "CHANGELOG.md" and not name.startswith("docs/decisions/"):
            found["docs"].append(path)
        elif "/templates/" in name:
            found["pages"].append(path)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the figures, or with --list the places."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--list", action="store_true", help="print each place")
    options = parser.parse_args(arguments)
    files = [
        file for path in options.paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
    ]
    chosen = {"these files": [file for file in files if file.is_file()]} if options.paths else groups()
    for name, paths in chosen.items():
        if options.list:
            for path in paths:
                for line, text in places(path):
                    print(f"{path}:{line}: {text}")
            continue
        words, found = count(text for path in paths for _, text in texts_of(path))
        print(f"{name}: {words:,} words")
        for turn in TURNS:
            print(f"  {1000 * found[turn] / max(words, 1):6.2f} per 1,000 ({found[turn]})  {turn}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
