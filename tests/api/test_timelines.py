"""Timelines through HTTP, on both stores."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace

from stormpetrel.api import timelines
from stormpetrel.api.json.render import Renderer
from stormpetrel.readers.filters import ReaderFilters
from stormpetrel.readers.flags import ReaderFlags
from stormpetrel.readers.home import HomeLists
from stormpetrel.storage.engine.database import Database


def ids(statuses):
    return [status["id"] for status in statuses]


def test_home_shows_ones_own_and_those_one_follows(place):
    ann, bob, cara = place.person("ann"), place.person("bob"), place.person("cara")
    bob.follow(ann)
    seen = [ann.post("By Ann")["id"], bob.post("By Bob")["id"]]
    cara.post("By Cara")
    assert ids(bob.get("/api/v1/timelines/home")) == seen[::-1]
    ann.http.delete(f"/api/v1/statuses/{seen[0]}")
    assert ids(bob.get("/api/v1/timelines/home")) == [seen[1]]


def test_the_public_timeline_has_public_posts_only(place):
    ann, bob = place.person("ann"), place.person("bob")
    public = ann.post("Public")
    for visibility in ("unlisted", "private", "direct"):
        ann.post("Not for everybody", visibility=visibility)
    boost = bob.do(f"/api/v1/statuses/{public['id']}/reblog")
    shown = ids(bob.get("/api/v1/timelines/public", local="true"))
    assert shown[0] == public["id"]
    assert boost["id"] not in shown
    assert bob.get("/api/v1/timelines/public", remote="true") == []
    assert bob.get("/api/v1/timelines/public", only_media="true") == []


def test_the_timeline_of_a_hashtag(place):
    ann = place.person("ann")
    one = ann.post("#lighthouse alone")
    both = ann.post("#Lighthouse and #keeper")
    visitor = place.visitor

    def tagged(name, **query):
        answer = visitor.get(f"/api/v1/timelines/tag/{name}", params=query)
        assert answer.status_code == 200
        return ids(answer.json())

    assert tagged("LIGHTHOUSE") == [both["id"], one["id"]]
    assert tagged("lighthouse", **{"all[]": "keeper"}) == [both["id"]]
    assert tagged("lighthouse", **{"none[]": "keeper"}) == [one["id"]]
    assert tagged("keeper", **{"any[]": ["lighthouse"]}) == [both["id"], one["id"]]
    assert tagged("nobody_used_this") == []
    shown = ann.get("/api/v1/tags/Lighthouse")
    # Seven days, today first. The courier counts later (tests/rules/test_trends.py).
    assert len(shown.pop("history")) == 7
    assert shown == {
        "id": "lighthouse",
        "name": "lighthouse",
        "url": f"{place.base_url}/tags/lighthouse",
        "following": False,
        "featuring": False,
    }


def test_a_visitors_answer_comes_from_the_cache_and_a_readers_does_not(place):
    ann = place.person("ann")
    post = ann.post("Twice")
    path = f"/api/v1/statuses/{post['id']}"
    first = place.visitor.get(path)
    second = place.visitor.get(path)
    assert first.json() == second.json()
    assert "etag" in second.headers
    unchanged = place.visitor.get(path, headers={"If-None-Match": second.headers["etag"]})
    assert unchanged.status_code == 304
    mine = ann.http.get(path)
    assert mine.json()["favourited"] is False
    assert "etag" not in mine.headers
    assert "no-store" in mine.headers["cache-control"]


def test_what_is_deleted_goes_from_what_visitors_are_given_at_once(place):
    ann = place.person("ann")
    root = ann.post("Root #fleeting")
    reply = ann.post("Reply", in_reply_to_id=root["id"])
    deep = ann.post("Deep below", in_reply_to_id=reply["id"])
    paths = [
        f"/api/v1/statuses/{root['id']}/context",
        f"/api/v1/statuses/{deep['id']}",
        f"/api/v1/accounts/{ann.id}/statuses",
        "/api/v1/timelines/public",
    ]
    for path in paths:
        assert "Deep below" in place.visitor.get(path).text
    ann.http.delete(f"/api/v1/statuses/{deep['id']}")
    for path in paths:
        assert "Deep below" not in place.visitor.get(path).text, path


def test_under_overload_a_first_home_is_short_and_its_link_continues_after_it(store):
    reader = store.person()
    posts = [str(store.post(reader)) for _ in range(12)][::-1]

    async def story():
        database = Database(store.url)
        await database.open()
        renderer = Renderer(
            database, ReaderFlags(database), ReaderFilters(database), base_url="https://petrel.example"
        )
        site = SimpleNamespace(
            home=HomeLists(database),
            api=renderer,
            base_url="https://petrel.example",
            is_stressed=lambda: True,
        )

        async def ask(**query):
            request = SimpleNamespace(
                site=site,
                account_id=reader,
                reader_id=reader,
                may_be_finished=False,
                access=object(),
                facts=SimpleNamespace(hot=None),
                path="/home",
                query_pairs=[],
                query=lambda kind: kind(**query),
            )
            response = await timelines.home(request)
            links = dict(response.headers)[b"link"].decode()
            return ids(json.loads(response.body)), re.search(r"max_id=([0-9]+)", links)[1]

        shown, next_id = await ask()
        assert shown == posts[:5]
        assert (await ask(max_id=next_id))[0] == posts[5:]
        # Its home is in memory now.
        assert (await ask())[0] == posts
        site.home.clear()
        assert (await ask(since_id=posts[-1]))[0] == posts[:-1]
        site.home.clear()
        site.is_stressed = lambda: False
        assert (await ask())[0] == posts
        await database.close()

    asyncio.run(story())
