"""An uncached profile page of 20 posts, rendered for each request, beside the cost of any request.

    python bench/profile_render.py [--rounds 5] [--seconds 3] [--accounts 200] [--json]

One web worker on core 0, wrk on core 1, 32 keep-alive connections, SQLite, the ways interleaved. Each request
has a new URL (a page parameter that was never used before), so the hot-page cache never helps and no two
renderings are shared; the fragments of single posts are cached, as in production.

nothing rendered  the same way through edge, queue and application to a redirect without a page
profile, same     one account's page over and over
profile, in turn  the pages of many accounts, one after the other
Target: at least 600 renderings per second and core.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import peers
import places

# Above every id, so that the page is the newest one: 4 and eighteen digits.
UNIQUE = 'string.format("4%%09d%%09d", %d, n)'


def script(paths: list[str], salt: int) -> str:
    """Return wrk's script: the paths in turn, each with a parameter that was never used before."""
    listed = ", ".join(f'"{path}"' for path in paths)
    return (
        f"local paths = {{{listed}}}\nlocal n = 0\nrequest = function()\n  n = n + 1\n"
        f'  return wrk.format("GET", paths[n % #paths + 1] .. "?max_id=" .. {UNIQUE % salt})\nend\n'
    )


def authors(place: places.Place, wanted: int) -> list[str]:
    """Return usernames of accounts that have a page of 20 posts, found on the public timeline."""
    names: dict[str, None] = {}
    address = "/public"
    end_s = time.monotonic() + 120
    while len(names) < wanted and time.monotonic() < end_s:
        text = place.get(address).decode()
        for name in re.findall(r'class="who" href="/@(\w+)"', text):
            if name not in names and place.get(f"/@{name}").count(b'<article class="post"') == 20:
                names[name] = None
        older = re.search(r'rel="next" href="([^"]+)"', text)
        if older is None:
            break
        address = older[1].replace("&#x2f;", "/")
    return list(names)[:wanted]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=3)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="one round of a second, 20 accounts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.accounts = 1, 1, 20
    with (
        tempfile.TemporaryDirectory(prefix="petrel-profile-") as directory,
        places.place(Path(directory), places.seed(2_000, 100_000, 50)) as place,
    ):
        (worker,) = place.workers()
        names = authors(place, options.accounts)
        pages = [f"/@{name}" for name in names]
        ways: dict[str, tuple[list[str], list[peers.Run]]] = {
            "nothing rendered": (["/profile"], []),
            "profile, same": (pages[:1], []),
            f"profile, {len(pages)} in turn": (pages, []),
        }
        size_bytes = len(place.get(pages[0]))
        salt = 0
        for _ in range(options.rounds):
            for paths, runs in ways.values():
                salt += 1
                url = f"http://127.0.0.1:{place.port}/"
                runs.append(peers.wrk(url, pid=worker, seconds=options.seconds, script=script(paths, salt)))
    rows = peers.rows_of({way: runs for way, (_, runs) in ways.items()})
    if not options.json:
        print(f"the page: {size_bytes:,} bytes, 20 posts")
    peers.show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
