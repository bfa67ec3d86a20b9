"""A block by the author also hides boosts of their posts by other accounts, in lists and by id."""

from __future__ import annotations

import pytest

from tests.people import Place


@pytest.fixture
def blocked(place: Place) -> dict[str, object]:
    author, reader, booster, other = (place.person(name) for name in ("author", "reader", "booster", "other"))
    reader.follow(booster)
    reader.follow(author)
    post = author.post("for all but one #boosted")
    author.do(f"/api/v1/accounts/{reader.id}/block")
    boost = booster.do(f"/api/v1/statuses/{post['id']}/reblog")
    return {
        "author": author,
        "reader": reader,
        "booster": booster,
        "other": other,
        "post": post,
        "boost": boost,
    }


def test_a_boost_shows_nothing_to_a_reader_whom_its_author_blocked(place: Place, blocked: dict) -> None:
    reader, booster, other = blocked["reader"], blocked["booster"], blocked["other"]
    post, boost = blocked["post"]["id"], blocked["boost"]["id"]
    for status_id in (post, boost):
        assert reader.http.get(f"/api/v1/statuses/{status_id}").status_code == 404
        assert reader.http.get(f"/api/v1/statuses/{status_id}/context").status_code == 404
        assert reader.http.post(f"/api/v1/statuses/{status_id}/favourite").status_code == 404
        assert other.http.get(f"/api/v1/statuses/{status_id}").status_code == 200
    for path in (
        "/api/v1/timelines/home",
        f"/api/v1/accounts/{booster.id}/statuses",
        "/api/v1/timelines/public",
        "/api/v1/timelines/tag/boosted",
        "/api/v1/trends/statuses",
    ):
        shown = {one["id"] for one in reader.get(path)} | {
            one["reblog"]["id"] for one in reader.get(path) if one["reblog"]
        }
        assert not shown & {post, boost}, path
    found = reader.get("/api/v2/search", q="boosted", type="statuses")["statuses"]
    assert post not in {one["id"] for one in found}
    page = place.browser_session(reader)
    for path in ("/", f"/@{booster.username}"):
        assert "for all but one" not in page.get(path).text
    page.close()
