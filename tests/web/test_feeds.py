"""Feeds over HTTP: read by a real reader, cheap to poll, and safe from readers that misbehave."""

from __future__ import annotations

import contextlib
import gzip
import html
import socket
from urllib.parse import quote, urlsplit

import pytest

from stormpetrel.rules import accounts
from tests.atom_rules import problems
from tests.feed_reader import read_by_a_reader
from tests.waiting import eventually

GARBAGE_DATES = [
    "yesterday",
    "Tue, 99 Foo 20026 99:99:99 GMT",
    "Thu, 01 Jan 0000 00:00:00 GMT",
    "Thu, 01 Jan 2026 00:00:00 +9999999",
    "\xff\xfe",
    "0",
    "-1",
    "x" * 5000,
    "Fri, 31 Dec 9999 23:59:59 GMT",
]


def feed_of(person):
    return f"/@{person.username}/feed.atom"


def test_a_feed_reader_finds_title_posts_authors_and_categories(place):
    ann = place.person("ann")
    first = ann.post("Hello & <b>welcome</b> #Birds", language="de")
    second = ann.post("And more", in_reply_to_id=first["id"])
    ann.post("for followers", visibility="private")
    found = read_by_a_reader(place.base_url, feed_of(ann))
    assert found["title"].startswith(ann.username)
    assert found["link"] == f"{place.base_url}/@{ann.username}"
    assert [item["id"] for item in found["items"]] == [second["url"], first["url"]]
    assert [item["link"] for item in found["items"]] == [second["url"], first["url"]]
    assert found["items"][1]["categories"][0]["$"]["term"] == "birds"
    assert "&lt;b&gt;welcome" in found["items"][1]["content"]
    assert found["items"][0]["inReplyTo"]["$"]["ref"] == first["url"]
    by_tag = read_by_a_reader(place.base_url, "/tags/birds/feed.atom")
    assert first["url"] in [item["id"] for item in by_tag["items"]]
    assert ann.username in {item["author"] for item in by_tag["items"]}


def test_feeds_are_valid_and_the_pages_lead_to_them(place):
    ann = place.person("ann")
    ann.post("Über #Vögel\n\n]]> & so on", spoiler_text="")
    ann.post("warned", spoiler_text="a warning")
    tag = quote("vögel")
    for page, feed in ((f"/@{ann.username}", feed_of(ann)), (f"/tags/{tag}", f"/tags/{tag}/feed.atom")):
        answer = place.visitor.get(feed)
        assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
        assert problems(answer.content) == []
        assert 'type="application/atom+xml" title="' in place.visitor.get(page).text
        assert f'href="{place.base_url}{feed}"' in html.unescape(place.visitor.get(page).text)
    assert problems(place.visitor.get("/tags/nobodyusedthis/feed.atom").content) == []


def test_what_was_read_is_not_sent_again_until_something_is_new(place):
    ann = place.person("ann")
    ann.post("one")
    # A feed has a date only after the second of its last change has passed.
    got = eventually(
        lambda: place.visitor.get(feed_of(ann)), lambda answer: "last-modified" in answer.headers
    )
    for condition in (
        {"If-None-Match": got.headers["etag"]},
        {"If-None-Match": f"W/{got.headers['etag']}"},
        {"If-Modified-Since": got.headers["last-modified"]},
        {"If-None-Match": got.headers["etag"], "If-Modified-Since": "Thu, 01 Jan 1970 00:00:01 GMT"},
    ):
        again = place.visitor.get(feed_of(ann), headers=condition)
        assert (again.status_code, again.content) == (304, b""), condition
        assert again.headers["last-modified"] == got.headers["last-modified"]
    # If both are given, only the entity tag counts.
    both = {"If-None-Match": '"other"', "If-Modified-Since": got.headers["last-modified"]}
    assert place.visitor.get(feed_of(ann), headers=both).status_code == 200
    ann.post("two")
    fresh = place.visitor.get(feed_of(ann), headers={"If-None-Match": got.headers["etag"]})
    assert fresh.status_code == 200
    assert "two" in fresh.text


@pytest.mark.parametrize("date", GARBAGE_DATES)
def test_a_date_that_is_none_gets_the_whole_feed(place, date):
    ann = place.person("ann")
    ann.post("one")
    answer = place.visitor.get(feed_of(ann), headers=[(b"If-Modified-Since", date.encode("latin-1"))])
    assert answer.status_code == 200
    assert problems(answer.content) == []


def test_a_deleted_post_leaves_the_feed_at_once(place):
    ann = place.person("ann")
    gone = ann.post("said too much #hasty")
    for path in (feed_of(ann), "/tags/hasty/feed.atom"):
        assert gone["url"] in place.visitor.get(path).text
    assert ann.http.delete(f"/api/v1/statuses/{gone['id']}").status_code == 200
    for path in (feed_of(ann), "/tags/hasty/feed.atom"):
        assert gone["url"] not in place.visitor.get(path).text


@pytest.mark.parametrize("path", ["/@nobody_here/feed.atom", "/tags/no%20tag/feed.atom", "/elsewhere.atom"])
def test_what_is_not_there_is_told_in_plain_text(place, path):
    answer = place.visitor.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "<" not in answer.text


def test_a_suspended_account_has_no_feed_any_more(place):
    ann = place.person("ann")
    ann.post("one")
    assert place.visitor.get(feed_of(ann)).status_code == 200
    place.write(accounts.suspend, account_id=ann.id)
    answer = eventually(lambda: place.visitor.get(feed_of(ann)), lambda answer: answer.status_code != 200)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")


def test_a_name_with_our_domain_leads_to_the_feed(place):
    ann = place.person("ann")
    domain = urlsplit(place.base_url).netloc
    answer = place.visitor.get(f"/@{ann.username}@{domain}/feed.atom")
    assert (answer.status_code, answer.headers["location"]) == (302, feed_of(ann))


def test_readers_that_misbehave_hurt_nobody(place):
    """Some poll without a pause and ignore 304, some never read, some send endless headers."""
    ann = place.person("ann")
    for number in range(20):
        ann.post(f"{number} " + "feathers " * 50)
    host = ("127.0.0.1", int(place.base_url.rpartition(":")[2]))
    ask = f"GET {feed_of(ann)} HTTP/1.1\r\nHost: test\r\n".encode()
    with contextlib.ExitStack() as stack:

        def connect():
            client = stack.enter_context(socket.create_connection(host, timeout=20))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            return client

        for _ in range(20):
            never_reads = connect()
            never_reads.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(200):
                    never_reads.send(ask + b"Accept-Encoding: identity\r\n\r\n")
        for _ in range(5):
            endless = connect()
            endless.sendall(ask + b"If-None-Match: " + b"a" * 20_000)
            assert endless.recv(200).startswith(b"HTTP/1.1 431")
        for date in GARBAGE_DATES:
            garbage = connect()
            line = b"If-Modified-Since: " + date.encode("latin-1")
            garbage.sendall(ask + line + b"\r\nConnection: close\r\n\r\n")
            assert garbage.recv(12) == b"HTTP/1.1 200"
        with place.client() as poller:
            for _ in range(300):
                assert poller.get(feed_of(ann)).status_code == 200
        # Meanwhile other clients are served, and new posts are in the feed.
        said = ann.post("still here")
        fresh = place.visitor.get(feed_of(ann), headers={"Accept-Encoding": "gzip"})
        assert said["url"] in fresh.text
        assert fresh.headers["content-encoding"] == "gzip"
        assert ann.get("/api/v1/timelines/home")[0]["id"] == said["id"]


def test_a_feed_is_compressed_for_who_asks_for_it(place):
    ann = place.person("ann")
    ann.post("feathers " * 50)
    with place.visitor.stream("GET", feed_of(ann), headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert problems(gzip.decompress(packed)) == []
    assert answer.headers["etag"].endswith('-gzip"')
