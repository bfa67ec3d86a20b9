"""Every GET of tier 1 of the API, one after the other: requests per second on one core.

    python bench/api_reads.py [--rounds 3] [--seconds 1] [--only WORD] [--quick] [--json]

2,000 accounts and 100,000 posts from `stormpetrel seed`, SQLite, one web worker on core 0, wrk on core 1 with
32 keep-alive connections. Each path is requested in two ways, which take turns: with a token, again and again, as
apps do; and "by the application", with a parameter without a meaning that is different each time, so that no answer
is in memory. Target: no path that reads 20 rows or fewer is below 2,000 requests/s by the application; from memory,
a quarter of the CPU time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import peers
import places


def paths(place: places.Place, token: str) -> dict[str, str]:
    """Return the requested paths by their name in the table; ids are those of the instance."""
    home = json.loads(place.get("/api/v1/timelines/home", token=token))
    post, account = home[0]["id"], home[0]["account"]["id"]
    name = home[0]["account"]["username"]
    tag = next((tag["name"] for status in home for tag in status["tags"]), "news")
    of_account, of_post = f"/api/v1/accounts/{account}", f"/api/v1/statuses/{post}"
    asked = [
        "/api/v1/markers?timeline%5B%5D=home",
        "/api/v1/instance",
        "/api/v2/instance",
        "/api/v1/custom_emojis",
        "/nodeinfo/2.0",
        f"/.well-known/webfinger?resource=acct:{name}@127.0.0.1:{place.port}",
        "/api/v1/apps/verify_credentials",
        "/oauth/userinfo",
        "/api/v1/accounts/verify_credentials",
        "/api/v1/preferences",
        of_account,
        f"/api/v1/accounts/lookup?acct={name}",
        f"/api/v1/accounts/search?q={name[:3]}&limit=20",
        f"/api/v1/accounts/relationships?id%5B%5D={account}",
        f"{of_account}/statuses",
        f"{of_account}/followers?limit=20",
        f"{of_account}/following?limit=20",
        of_post,
        f"{of_post}/context",
        f"{of_post}/favourited_by?limit=20",
        f"{of_post}/reblogged_by?limit=20",
        "/api/v1/timelines/home",
        f"/api/v1/timelines/home?since_id={post}",
        "/api/v1/timelines/public",
        "/api/v1/timelines/public?local=true",
        f"/api/v1/timelines/tag/{tag}",
        "/api/v1/favourites",
        "/api/v1/bookmarks",
        "/api/v1/notifications?limit=20",
        "/api/v1/notifications/unread_count",
        "/api/v2/filters",
        "/api/v1/lists",
        f"/api/v2/search?q={name[:3]}&type=accounts&limit=20",
        f"/api/v2/search?q={tag[:3]}&type=hashtags&limit=20",
    ]
    return {path.replace(post, ":id").replace(account, ":id").replace(name, "NAME"): path for path in asked}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=peers.whole_seconds, default=1)
    parser.add_argument("--only", default="", help="paths that hold this word")
    parser.add_argument("--quick", action="store_true", help="a smaller place, one very short round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    users, posts = (500, 10_000) if options.quick else (2_000, 100_000)
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="petrel-reads-") as directory,
        places.place(
            Path(directory),
            [*places.seed(users, posts, 50), "--reader", "reader", "--reader-follows", "200"],
        ) as place,
    ):
        token = place.token("reader")
        (worker,) = place.workers()
        ways: dict[str, list[peers.Run]] = {}
        for run in range(rounds):
            for name, path in paths(place, token).items():
                if options.only not in name:
                    continue
                for way, script in (("", None), (", by the application", peers.differing(run))):
                    ways.setdefault(name + way, []).append(
                        peers.wrk(
                            f"http://127.0.0.1:{place.port}{path}",
                            pid=worker,
                            seconds=seconds,
                            headers=[f"Authorization: Bearer {token}"],
                            script=script,
                        )
                    )
    peers.show(peers.rows_of(ways), as_json=options.json)
    wrong = sorted(name for name, runs in ways.items() if any(run.refused for run in runs))
    if wrong:
        raise SystemExit(f"answered with an error: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
