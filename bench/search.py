"""Searches on a large instance, by token through HTTP on one web worker, one after another.

    python bench/search.py [--directory /tmp/stormpetrel-large] [--database URL] [--rounds 40] [--quick] [--json]

200,000 accounts and 2,000,000 posts from `stormpetrel seed` on SQLite, or in the empty PostgreSQL database of
`--database`. The directory remains and is used again. Each kind of query runs `--rounds` times, in turn with
the others and on different pages of its results. Target: p99 at most 150 ms for each.

Then each hostile query runs ten times; shown are its status and longest time. Last, the time of a home
timeline beside four clients who only search.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
import urllib.error
from pathlib import Path
from urllib.parse import quote

import places

ORDINARY = {
    "common word": "the",
    "rare word": "mushrooms",
    "two words": "bread tomorrow",
    "phrase": '"the bread finally rose"',
    "word by an author": "from:{author} the",
    "by an author": "from:{author}",
    "common word, rare filter": "the language:ka",
    "common word without another": "bread -tomorrow",
    "a day of a common word": "the during:2025-06-15",
    "nothing": "zanzibarian",
    "no spaces between words": "წერილი",
}
PEOPLE = {"people, prefix": "lei", "people, one letter": "a"}
TAGS = {"hashtags, prefix": "#b"}
HOSTILE = {
    "ten common words": "the a i of it and to was before after",
    "common words that never meet": '"the the the" "of of" "it it it"',
    "10,000 wildcards": "*" * 2000,
    "unbalanced quotes": '"' * 2000,
    "every operator": "is:reply has:link -is:sensitive the -bread -tomorrow language:en in:public " * 20,
    "a phrase of common words": '"i the i the i the i the"',
}
HOME = "/api/v1/timelines/home"


def path_of(text: str, kind: str, max_id: str = "") -> str:
    """Return the path of a search."""
    return f"/api/v2/search?q={quote(text)}&type={kind}&limit=20" + (f"&max_id={max_id}" if max_id else "")


def timed(place: places.Place, path: str, token: str) -> tuple[float, int, bytes]:
    """Return (milliseconds, status, body) of a GET."""
    start_s = time.perf_counter()
    try:
        body, status = place.get(path, token=token), 200
    except urllib.error.HTTPError as error:
        body, status = error.read(), error.code
    return (time.perf_counter() - start_s) * 1000, status, body


def p99(values: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[max(int(len(values) * 0.99) - 1, 0)]


def ordinary(place: places.Place, token: str, author: str, rounds: int) -> list[dict[str, object]]:
    """Return a row for each kind of query."""
    kinds = [(name, text.format(author=author), "statuses") for name, text in ORDINARY.items()]
    kinds += [(name, text, "accounts") for name, text in PEOPLE.items()]
    kinds += [(name, text, "hashtags") for name, text in TAGS.items()]
    took: dict[str, list[float]] = {name: [] for name, *_ in kinds}
    found: dict[str, int] = {}
    older: dict[str, str] = {}
    for _ in range(rounds):
        for name, text, kind in kinds:
            took_ms, status, body = timed(place, path_of(text, kind, older.get(name, "")), token)
            if status != 200:
                raise SystemExit(f"{name}: {status} {body!r}")
            results = json.loads(body)[kind]
            found.setdefault(name, len(results))
            older[name] = results[-1]["id"] if kind == "statuses" and len(results) == 20 else ""
            took[name].append(took_ms)
    return [
        {
            "query": name,
            "found": found[name],
            "p50_ms": round(statistics.median(times), 1),
            "p99_ms": round(p99(times), 1),
        }
        for name, times in took.items()
    ]


def hostile(place: places.Place, token: str) -> list[dict[str, object]]:
    """Return a row for each hostile query."""
    rows: list[dict[str, object]] = []
    for name, text in HOSTILE.items():
        answers = [timed(place, path_of(text, "statuses"), token) for _ in range(10)]
        rows.append(
            {
                "query": name,
                "status": sorted({status for _, status, _ in answers}),
                "longest_ms": round(max(took_ms for took_ms, _, _ in answers), 1),
            }
        )
    return rows


def beside(place: places.Place, token: str, searchers: list[str], seconds: float) -> dict[str, object]:
    """Measure the home timeline alone, and while others only search."""

    def home() -> list[float]:
        end_s = time.monotonic() + seconds
        times = []
        while time.monotonic() < end_s:
            times.append(timed(place, HOME, token)[0])
        return times

    calm = home()
    stop = threading.Event()

    def search(own: str) -> None:
        while not stop.is_set():
            timed(place, path_of("the a i of it and to was before after", "statuses"), own)

    threads = [threading.Thread(target=search, args=(own,)) for own in searchers]
    for thread in threads:
        thread.start()
    busy = home()
    stop.set()
    for thread in threads:
        thread.join()
    return {"home_p99_alone_ms": round(p99(calm), 1), "home_p99_beside_ms": round(p99(busy), 1)}


def measure(place: places.Place, options: argparse.Namespace) -> dict[str, object]:
    """Return all figures of a running instance."""
    token = place.token("reader")
    first = json.loads(place.get("/api/v1/timelines/public?limit=40", token=token))
    authors = list(dict.fromkeys(status["account"]["username"] for status in first))
    searchers = [place.token(name) for name in authors[:4]]
    return {
        "ordinary": ordinary(place, token, authors[0], 5 if options.quick else options.rounds),
        "hostile": hostile(place, token),
        "beside": beside(place, token, searchers, 1.0 if options.quick else 5.0),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=places.LARGE_DIRECTORY)
    parser.add_argument("--database", metavar="URL", default="")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="a small place, thrown away; few rounds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        with (
            tempfile.TemporaryDirectory(prefix="petrel-search-") as directory,
            places.place(Path(directory), [*places.seed(2_000, 50_000, 20), "--reader", "reader"]) as place,
        ):
            result = measure(place, options)
    else:
        settings = {"database_url": options.database} if options.database else {}
        with places.large(options.directory, **settings) as place:
            result = measure(place, options)
    if options.json:
        print(json.dumps(result))
        return
    for part in ("ordinary", "hostile"):
        for row in result[part]:  # type: ignore[attr-defined]  # both are lists of rows
            print(
                "  ".join(
                    f"{value!s:>10}" if name != "query" else f"{value:<30}" for name, value in row.items()
                )
            )
    print(result["beside"])


if __name__ == "__main__":
    main()
