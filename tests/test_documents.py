"""The documents: links resolve, keys, commands and targets are explained, and decisions have one form."""

from __future__ import annotations

import re
from pathlib import Path

from tests.repository import ROOT, text_files
from tools import reference

LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADINGS_OF_A_DECISION = ["Context", "Decision", "Measured", "Revisit"]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and most other sites make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(root: Path, pages: dict[str, str]) -> list[str]:
    """Return the links of `pages` to missing files or headings. External addresses are not followed."""
    dead = []
    for name, text in pages.items():
        for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (root / name).parent / path if path else root / name
            if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
                dead.append(f"{name}: {target}")
    return dead


def markdown_pages() -> dict[str, str]:
    """Return the text of every Markdown page of the repository, by its path."""
    return {name: text for name, text in text_files().items() if name.endswith(".md")}


def test_every_link_between_documents_leads_somewhere(tmp_path):
    assert dead_links(ROOT, markdown_pages()) == []
    page = "# A page\n\n[here](#a-page) [gone](b.md) [no heading](a.md#other) [elsewhere](https://example.org/x)\n"
    (tmp_path / "a.md").write_text(page, encoding="utf-8")
    assert dead_links(tmp_path, {"a.md": page}) == ["a.md: b.md", "a.md: a.md#other"]


def test_every_decision_has_its_four_headings():
    decisions = {
        name: text for name, text in markdown_pages().items() if re.match(r"docs/decisions/\d", name)
    }
    for name, text in decisions.items():
        assert re.fullmatch(r"docs/decisions/\d{4}-[a-z0-9-]+\.md", name), name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS_OF_A_DECISION, name
    numbers = [name.removeprefix("docs/decisions/")[:4] for name in sorted(decisions)]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_every_configuration_key_and_every_command_is_documented():
    assert list(reference.pages_behind()) == []
    for page in reference.pages():
        assert "|  |" not in page.read_text(encoding="utf-8"), f"{page}: something has no explanation"


def test_a_page_that_is_behind_the_code_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    for page, generate in reference.pages().items():
        page.write_text(
            reference.with_generated(f"{reference.BEGIN}{reference.END}", generate()), encoding="utf-8"
        )
    assert not reference.pages_behind()
    configuration = tmp_path / "configuration.md"
    configuration.write_text(
        configuration.read_text(encoding="utf-8").replace("`port`", "`prot`"), encoding="utf-8"
    )
    assert list(reference.pages_behind()) == [configuration]
    assert reference.main(["--write"]) == 0
    assert not reference.pages_behind()


def test_every_page_of_docs_is_linked_from_another_page():
    pages = markdown_pages()
    linked = {
        ((ROOT / name).parent / target.partition("#")[0]).resolve()
        for name, text in pages.items()
        for target in LINK.findall(text)
    }
    assert [
        name for name in pages if name.startswith("docs/") and (ROOT / name).resolve() not in linked
    ] == []


def test_every_target_of_make_is_explained():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [target for target in sorted(targets) if f"make {target}" not in contributing] == []


def missing_paths(text: str) -> list[str]:
    """Return the paths in backticks that exist neither at the root nor in the package. Bare names are not judged."""
    named = re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.(?:py|html|js|toml|md))?)`", text)
    return [
        path for path in named if not (ROOT / path).exists() and not (ROOT / "stormpetrel" / path).exists()
    ]


def test_every_path_on_the_page_of_the_architecture_exists():
    assert missing_paths((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")) == []
    assert missing_paths("`edge/nothing.py`, `nowhere/`, `edge/` and `a.py`") == [
        "edge/nothing.py",
        "nowhere/",
    ]
