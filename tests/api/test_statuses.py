"""`/api/v1/statuses…` through HTTP, on both stores: the answers of ordinary use."""

from __future__ import annotations

import re


def test_a_post_is_read_by_everybody_with_its_thread(place):
    ann, bob = place.person("ann"), place.person("bob")
    first = ann.post("First", spoiler_text="careful", sensitive=True, language="de", visibility="unlisted")
    assert first["visibility"] == "unlisted"
    assert first["language"] == "de"
    assert first["sensitive"] is True
    assert first["url"] == f"{place.base_url}/@{ann.username}/{first['id']}"
    reply = bob.post("Second", in_reply_to_id=first["id"])
    last = ann.post("Third", in_reply_to_id=int(reply["id"]))  # ids may be sent as numbers
    shown = place.visitor.get(f"/api/v1/statuses/{first['id']}").json()
    assert shown["content"] == "<p>First</p>"
    assert shown["replies_count"] == 1
    context = place.visitor.get(f"/api/v1/statuses/{reply['id']}/context").json()
    assert [status["id"] for status in context["ancestors"]] == [first["id"]]
    assert [status["id"] for status in context["descendants"]] == [last["id"]]
    several = place.visitor.get("/api/v1/statuses", params={"id[]": [last["id"], "1", "x", first["id"]]})
    assert [status["id"] for status in several.json()] == [last["id"], first["id"]]


def test_the_same_idempotency_key_posts_once(place):
    ann = place.person("ann")
    headers = {"Idempotency-Key": "one-and-the-same"}
    answers = [ann.http.post("/api/v1/statuses", data={"status": "Once"}, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = ann.http.post("/api/v1/statuses", data={"status": "Once"}, headers={"Idempotency-Key": "other"})
    assert other.json()["id"] != answers[0].json()["id"]
    assert ann.get(f"/api/v1/accounts/{ann.id}")["statuses_count"] == 2
    long = ann.http.post("/api/v1/statuses", data={"status": "x"}, headers={"Idempotency-Key": "k" * 300})
    assert long.status_code == 422


def test_favourite_bookmark_and_boost_and_their_opposites(place):
    ann, bob = place.person("ann"), place.person("bob")
    post = ann.post("Something good")
    path = f"/api/v1/statuses/{post['id']}"
    for verb, undo, flag, count in (
        ("favourite", "unfavourite", "favourited", "favourites_count"),
        ("bookmark", "unbookmark", "bookmarked", None),
    ):
        for _ in range(2):
            status = bob.do(f"{path}/{verb}")
            assert status[flag] is True
            assert count is None or status[count] == 1
        for _ in range(2):
            status = bob.do(f"{path}/{undo}")
            assert status[flag] is False
            assert count is None or status[count] == 0
    boost = bob.do(f"{path}/reblog")
    assert bob.do(f"{path}/reblog")["id"] == boost["id"]
    assert boost["reblog"]["id"] == post["id"]
    assert boost["reblog"]["reblogs_count"] == 1
    assert [one["username"] for one in ann.get(f"{path}/reblogged_by")] == [bob.username]
    undone = bob.do(f"{path}/unreblog")
    assert undone["id"] == post["id"]
    assert undone["reblogs_count"] == 0
    assert undone["reblogged"] is False
    assert ann.http.get(f"/api/v1/statuses/{boost['id']}").status_code == 404


def test_unreblog_by_the_boosts_own_id_answers_with_the_original(place):
    ann, bob = place.person("ann"), place.person("bob")
    post = ann.post("Something good")
    boost = bob.do(f"/api/v1/statuses/{post['id']}/reblog")
    assert bob.do(f"/api/v1/statuses/{boost['id']}/unreblog")["id"] == post["id"]


def test_what_one_favourited_and_bookmarked_is_paged_by_when_one_did(place):
    ann, bob = place.person("ann"), place.person("bob")
    ids = [ann.post(f"Number {n}")["id"] for n in range(3)]
    for some_id in (ids[1], ids[2], ids[0]):
        bob.do(f"/api/v1/statuses/{some_id}/favourite")
        bob.do(f"/api/v1/statuses/{some_id}/bookmark")
    for path in ("/api/v1/favourites", "/api/v1/bookmarks"):
        seen, url = [], f"{path}?limit=2"
        while url:
            answer = bob.http.get(url)
            seen += [status["id"] for status in answer.json()]
            url = answer.links.get("next", {}).get("url")
        assert seen == [ids[0], ids[2], ids[1]]


def test_deleting_answers_with_the_text_and_the_post_is_gone(place):
    ann = place.person("ann")
    post = ann.post("Words to keep")
    answer = ann.http.delete(f"/api/v1/statuses/{post['id']}")
    assert answer.status_code == 200
    assert answer.json()["text"] == "Words to keep"
    assert ann.http.get(f"/api/v1/statuses/{post['id']}").status_code == 404
    assert place.visitor.get(f"/api/v1/statuses/{post['id']}").status_code == 404
    assert ann.http.delete(f"/api/v1/statuses/{post['id']}").status_code == 404


def test_the_source_is_the_text_as_written(place):
    ann = place.person("ann")
    post = ann.post("A <b> & a\n\nline", spoiler_text="warning")
    assert ann.get(f"/api/v1/statuses/{post['id']}/source") == {
        "id": post["id"],
        "text": "A <b> & a\n\nline",
        "spoiler_text": "warning",
    }


def test_content_is_escaped_and_linked_html(place):
    ann, bob = place.person("ann"), place.person("bob")
    status = ann.post(f"<script>alert(1)</script> @{bob.username} #Über https://example.org/?a=1&b=2")
    assert "<script" not in status["content"]
    assert 'class="u-url mention"' in status["content"]
    assert 'class="mention hashtag"' in status["content"]
    assert re.search(
        r'href="https://example.org/\?a=1&amp;b=2"[^>]*rel="nofollow noopener', status["content"]
    )
    assert [mention["username"] for mention in status["mentions"]] == [bob.username]
    assert [tag["name"] for tag in status["tags"]] == ["über"]


def test_what_this_server_cannot_do_is_refused_in_words_and_nothing_is_posted(place):
    ann = place.person("ann")
    for more, word in (
        ({"media_ids": ["1"]}, "Media 1 not found"),
        ({"quoted_status_id": "5"}, "Quote posts"),
    ):
        answer = ann.http.post("/api/v1/statuses", json={"status": "x", **more})
        assert answer.status_code == 422
        assert word in answer.json()["error"]
    # A form with the same fields is refused too. An empty list of media counts as no media.
    form = ann.http.post("/api/v1/statuses", data={"status": "x", "poll[options][]": ["a", "b"]})
    assert form.status_code == 422
    assert ann.get(f"/api/v1/accounts/{ann.id}")["statuses_count"] == 0
    assert ann.post("x", media_ids=[], poll=None)["content"] == "<p>x</p>"


def test_text_must_be_there_and_not_too_long(place):
    ann = place.person("ann")
    for text in ("", "   ", "\n"):
        assert ann.http.post("/api/v1/statuses", json={"status": text}).status_code == 422
    assert ann.http.post("/api/v1/statuses", json={}).status_code == 422
    assert ann.http.post("/api/v1/statuses", json={"status": "x" * 501}).status_code == 422
    assert ann.post("x" * 500)["content"] == f"<p>{'x' * 500}</p>"
    # A link counts as 23 characters.
    assert ann.post("x" * 476 + " https://example.org/" + "y" * 300)


def test_defaults_of_the_account_hold_where_a_post_says_nothing(place):
    ann = place.person("ann")
    ann.http.patch(
        "/api/v1/accounts/update_credentials",
        json={"source": {"privacy": "private", "language": "fr", "sensitive": True}},
    )
    status = ann.post("By default")
    assert (status["visibility"], status["language"], status["sensitive"]) == ("private", "fr", True)


def test_a_post_that_mentions_others_than_its_app_allows_is_refused(place):
    ann, bob, carl = (place.person(name) for name in ("ann", "bob", "carl"))
    text = f"@{bob.username} @{carl.username} @{ann.username} hello"
    answer = ann.http.post(
        "/api/v1/statuses", json={"status": text, "allowed_mentions": [str(bob.id)], "visibility": "direct"}
    )
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert [one["id"] for one in answer.json()["unexpected_accounts"]] == [str(carl.id)]
    form = {"status": text, "allowed_mentions[]": ""}
    assert len(ann.http.post("/api/v1/statuses", data=form).json()["unexpected_accounts"]) == 2
    later = {"status": text, "allowed_mentions": [], "scheduled_at": "2090-01-01T00:00:00Z"}
    assert ann.http.post("/api/v1/statuses", json=later).status_code == 422
    assert ann.get(f"/api/v1/accounts/{ann.id}/statuses") == []
    assert ann.post(text, allowed_mentions=[str(bob.id), str(carl.id)])["id"]
    assert ann.post(text)["id"]


def test_null_is_left_out_in_every_field(place):
    ann = place.person("ann")
    fields = ("spoiler_text", "visibility", "sensitive", "language", "in_reply_to_id", "media_ids", "poll")
    nulls = dict.fromkeys((*fields, "scheduled_at", "quoted_status_id", "allowed_mentions"))
    post = ann.post("Nothing else", **nulls)
    assert post["spoiler_text"] == ""
    poll = {"options": ["Tern", "Petrel"], "expires_in": 300, "multiple": None, "hide_totals": None}
    assert ann.post("Which?", poll=poll)["poll"]["multiple"] is False
    changed = ann.http.put(
        f"/api/v1/statuses/{post['id']}", json={"status": "Edited"} | dict.fromkeys(fields)
    )
    assert changed.status_code == 200, changed.text


def test_a_pin_is_a_flag_and_a_list(place):
    ann, bob = place.person("ann"), place.person("bob")
    status = ann.post("mine")
    assert status["pinned"] is False
    assert ann.do(f"/api/v1/statuses/{status['id']}/pin")["pinned"] is True
    assert "pinned" not in bob.get(f"/api/v1/statuses/{status['id']}")
    listed = bob.get(f"/api/v1/accounts/{ann.id}/statuses", pinned="true")
    assert [one["id"] for one in listed] == [status["id"]]
    assert bob.http.post(f"/api/v1/statuses/{status['id']}/pin").status_code == 422
    assert ann.do(f"/api/v1/statuses/{status['id']}/unpin")["pinned"] is False
    assert bob.get(f"/api/v1/accounts/{ann.id}/statuses", pinned="true") == []


def test_a_muted_thread_is_a_flag_on_all_its_posts(place):
    ann, bob = place.person("ann"), place.person("bob")
    root = ann.post("root")
    reply = bob.post("reply", in_reply_to_id=root["id"])
    both = {"id[]": [root["id"], reply["id"]]}
    assert [one["muted"] for one in ann.get("/api/v1/statuses", **both)] == [False, False]
    assert ann.do(f"/api/v1/statuses/{reply['id']}/mute")["muted"] is True
    assert [one["muted"] for one in ann.get("/api/v1/statuses", **both)] == [True, True]
    assert [one["muted"] for one in bob.get("/api/v1/statuses", **both)] == [False, False]
    assert ann.do(f"/api/v1/statuses/{root['id']}/unmute")["muted"] is False
    assert [one["muted"] for one in ann.get("/api/v1/statuses", **both)] == [False, False]
