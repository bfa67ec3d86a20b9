"""Every list, page and search on an instance with 500,000 accounts: times of its first and its later answers.

    python bench/lists_at_size.py [--directory DIR] [--rounds 5] [--quick] [--json]

SQLite, one worker, one request at a time through HTTP. Answers that are cached for all clients are requested
in a form that is not cached yet. Seeding takes about half an hour; DIR (default /tmp/stormpetrel-500000)
remains afterwards. --quick: a small instance, for trying. Target: 100 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import urllib.error
from pathlib import Path

import places

SIZE = (500_000, 1_500_000)
QUICK = (2_000, 20_000)
"""Accounts and posts; mean 20 follows, the reader follows 200."""

PATHS = (
    "/api/v1/directory?limit=80&offset={n}",
    "/api/v1/directory?limit=80&offset=9{n}00",
    "/api/v1/timelines/home?limit=40",
    "/api/v1/timelines/home?limit=40&max_id={old}",
    "/api/v1/timelines/public?limit=4{n}",
    "/api/v1/timelines/public?limit=40&max_id={old}",
    "/api/v1/timelines/tag/{tag}?limit=4{n}",
    "/api/v1/accounts/{popular}",
    "/api/v1/accounts/{popular}/statuses?limit=4{n}",
    "/api/v1/accounts/{popular}/followers?limit=8{n}",
    "/api/v1/accounts/{popular}/following?limit=8{n}",
    "/api/v1/accounts/{reader}/following?limit=80",
    "/api/v1/accounts/relationships?id[]={popular}&id[]={reader}",
    "/api/v1/accounts/familiar_followers?id[]={popular}",
    "/api/v1/accounts/search?q=an&limit=4{n}",
    "/api/v1/accounts/search?q=a&limit=40&offset=1{n}0",
    "/api/v1/accounts/search?q={name}&resolve=true&limit=4",
    "/api/v2/search?q=an&type=accounts&limit=4{n}",
    "/api/v2/search?q=the&type=statuses&limit=4{n}",
    "/api/v2/search?q={name}&limit=20&offset={n}",
    "/api/v2/search?q=b&type=hashtags&limit=4{n}",
    "/api/v1/suggestions?limit=4{n}",
    "/api/v2/suggestions?limit=4{n}",
    "/api/v1/trends/tags?limit=1{n}",
    "/api/v1/trends/statuses?limit=1{n}",
    "/api/v1/statuses/{post}",
    "/api/v1/statuses/{post}/context",
    "/api/v1/statuses/{post}/favourited_by?limit=8{n}",
    "/api/v1/statuses/{post}/reblogged_by?limit=8{n}",
    "/api/v1/favourites?limit=4{n}",
    "/api/v1/bookmarks?limit=4{n}",
    "/api/v1/notifications?limit=4{n}",
    "/api/v2/notifications?limit=4{n}",
    "/api/v1/conversations?limit=4{n}",
    "/api/v1/follow_requests?limit=4{n}",
    "/api/v1/instance",
    "/api/v2/instance",
    "/api/v1/instance/activity",
    "/nodeinfo/2.0",
    "/@{name}?page={n}",
    "/@{name}/followers?page={n}",
    "/public?max_id={old}{n}",
    "/tags/{tag}?n={n}",
    "/explore?n={n}",
    "/search?q={name}&n={n}",
    "/search?q=an&n={n}",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "stormpetrel-500000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="petrel-lists-") as small,
        places.large(
            Path(small) if options.quick else options.directory, size=QUICK if options.quick else SIZE
        ) as place,
    ):
        token = place.token("reader")
        reader = json.loads(place.get("/api/v1/accounts/verify_credentials", token=token))
        popular = max(
            json.loads(place.get("/api/v2/suggestions?limit=40", token=token)),
            key=lambda one: one["account"]["followers_count"],
        )["account"]
        posts = json.loads(place.get("/api/v1/timelines/public?limit=40", token=token))
        tags = json.loads(place.get("/api/v2/search?q=a&type=hashtags", token=token))["hashtags"]
        known = {
            "reader": reader["id"],
            "popular": popular["id"],
            "name": popular["username"],
            "post": max(posts, key=lambda post: post["favourites_count"])["id"],
            "old": str(int(posts[-1]["id"]) - (60 * 86_400_000 << 16)),
            "tag": tags[0]["name"],
        }
        found: dict[str, list[float]] = {}
        for number in range(options.rounds):
            for path in PATHS:
                began_s = time.perf_counter()
                try:
                    place.get(path.format(n=number, **known), token=token if path.startswith("/api") else "")
                except urllib.error.HTTPError as error:
                    raise SystemExit(f"{path.format(n=number, **known)}: {error.code}") from error
                found.setdefault(path, []).append((time.perf_counter() - began_s) * 1000)
    rows = {
        path: {
            "first_ms": round(ms[0], 1),
            "median_ms": round(statistics.median(ms), 1),
            "most_ms": round(max(ms), 1),
        }
        for path, ms in found.items()
    }
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'first':>8} {'median':>8} {'most':>8}  ms")
    for path, row in sorted(rows.items(), key=lambda item: -item[1]["most_ms"]):
        print(f"{row['first_ms']:8.1f} {row['median_ms']:8.1f} {row['most_ms']:8.1f}  {path}")


if __name__ == "__main__":
    main()
