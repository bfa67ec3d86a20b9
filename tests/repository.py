"""The files of the repository, for the tests that inspect them."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".in",
    ".txt",
    ".html",
    ".css",
    ".js",
    ".yml",
    ".yaml",
    ".mako",
    ".svg",
    "",
}


def files_of_the_repository() -> list[Path]:
    """Return every file that is or could be committed, except those ignored by .gitignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def text_files() -> dict[str, str]:
    """Return the text of every text file, by its path from the root."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in files_of_the_repository()
        if path.suffix in TEXT_SUFFIXES
    }


def python_files(folder: str) -> dict[str, str]:
    """Return the text of every Python file below `folder`, by its path from the root."""
    return {
        name: text
        for name, text in text_files().items()
        if name.startswith(f"{folder}/") and name.endswith(".py")
    }
