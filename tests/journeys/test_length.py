"""The page counts any text as the server does."""

from __future__ import annotations

import json
import random
import subprocess

from stormpetrel.model.text import clean, count_characters
from tests.parts import NODE, require

PIECES = (
    *(
        "http://",
        "https://",
        "HTTPS://",
        "example.org",
        "例え.テスト",
        "bücher",
        ".",
        "/",
        "?",
        "#",
        ":8000",
        "www.",
    ),
    *(
        "(",
        ")",
        "[",
        "]",
        "「",
        "」",
        "（",
        "）",
        "“",
        "”",
        "‘",
        "’",
        "«",
        "»",
        "„",
        "'",
        '"',
        "。",
        "、",
        "…",
        "،",
    ),
    *(
        "@",
        "@ann",
        "@ann@there.example",
        "@ann@bücher.example",
        "さん",
        "#tag",
        "＃タグ",
        "می‌خواهم",
        "·",
        "・",
        "_",
        "-",
    ),
    *(
        "a",
        "Z",
        "1",
        "é",
        "e\u0301",
        " ",
        "\n",
        "👨‍👩‍👧",
        "👍🏽",
        "🇳🇴",
        "🇳",
        "கோ",
        "ที่",
        "가",
        "\u200d",
        "\u202eb\u202c",
    ),
)


def counted_by_the_page(texts: list[str]) -> list[int]:
    done = subprocess.run(
        ["node", "length.mjs"], cwd=NODE, input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    counted: list[int] = json.loads(done.stdout)
    return counted


def test_any_text_counts_the_same_on_the_page_and_on_the_server() -> None:
    require("node")
    dice = random.Random(1)
    texts = [clean("".join(dice.choices(PIECES, k=dice.randint(1, 14)))) for _ in range(6_000)]
    differing = [
        (text, here, there)
        for text, here, there in zip(
            texts, map(count_characters, texts), counted_by_the_page(texts), strict=True
        )
        if here != there
    ]
    assert differing == []
