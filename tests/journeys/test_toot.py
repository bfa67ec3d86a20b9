"""toot, a terminal app, in its own process: it signs in with a code, posts, replies, boosts, and reads."""

from __future__ import annotations

from tests.api.toot_client import Toot


def test_toot_signs_in_by_code_posts_replies_boosts_and_reads(place, tmp_path):
    ann, bob = place.person("ann"), place.person("bob")
    ann_toot, bob_toot = Toot(tmp_path / "ann", place), Toot(tmp_path / "bob", place)
    ann_toot.sign_in(ann)
    bob_toot.sign_in(bob)
    assert ann.username in ann_toot.run("whoami")
    bob_toot.run("follow", ann.username)
    post = ann_toot.json("post", f"Hello from a terminal, @{bob.username} #toot")
    assert post["application"]["name"].startswith("toot")
    reply = bob_toot.json("post", "Hello back", "--reply-to", post["id"])
    assert reply["in_reply_to_id"] == post["id"]
    assert bob_toot.json("reblog", post["id"])["reblog"]["id"] == post["id"]
    assert bob_toot.json("favourite", post["id"])["favourited"] is True
    assert "Hello from a terminal" in bob_toot.run("timeline", "--once")
    assert "Hello from a terminal" in ann_toot.run("timeline", "--once", "--tag", "toot")
    assert {status["id"] for status in bob_toot.json("timelines", "home")} >= {post["id"], reply["id"]}
    told = ann_toot.run("notifications")
    assert "boosted your status" in told
    assert "favourited" in told
    assert "mentioned" in bob_toot.run("notifications", "--mentions")
    thread = bob_toot.run("thread", post["id"])
    assert thread.index("Hello from a terminal") < thread.index("Hello back")
    assert place.base_url.partition("://")[2] in ann_toot.run("instance")
    assert ann.username in bob_toot.run("search", ann.username)
    ann_toot.run("delete", post["id"])
    assert "Hello from a terminal" not in bob_toot.run("timeline", "--once")
