"""Media through the API: uploaded, attached to posts, served, changed, deleted."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.media_files import animation, film, gif, jpeg, png, png_bomb
from tests.parts import require
from tests.people import Person, Place


def upload(person: Person, data: bytes, *, version: int = 1, name: str = "a.bin", **fields: str) -> Any:
    return person.http.post(f"/api/v{version}/media", files={"file": (name, data)}, data=fields)


def uploaded(person: Person, data: bytes, **fields: str) -> dict[str, Any]:
    answer = upload(person, data, **fields)
    assert answer.status_code == 200, answer.text
    media: dict[str, Any] = answer.json()
    return media


def fetch(place: Place, url: str, **headers: str) -> Any:
    return place.visitor.get(urlsplit(url).path, headers=headers)


def test_a_picture_comes_back_without_what_its_camera_said(place: Place) -> None:
    person = place.person()
    media = uploaded(person, jpeg((300, 200), exif=True), description="A sea", focus="0.5,-0.25")
    assert media["type"] == "image"
    assert media["description"] == "A sea"
    assert media["meta"]["focus"] == {"x": 0.5, "y": -0.25}
    # The image was rotated as its EXIF data requires.
    assert media["meta"]["original"] == {"width": 200, "height": 300, "size": "200x300", "aspect": 0.666667}
    assert len(media["blurhash"]) > 20
    for url in (media["url"], media["preview_url"]):
        body = fetch(place, url).content
        assert b"Secret" not in body
        assert b"secret" not in body
        shown = Image.open(io.BytesIO(body))
        assert dict(shown.getexif()) == {}
        assert shown.size == (200, 300)


def test_a_large_picture_is_scaled_and_has_a_small_form(place: Place) -> None:
    media = uploaded(place.person(), jpeg((5000, 4000)))
    original, small = media["meta"]["original"], media["meta"]["small"]
    assert original["width"] * original["height"] <= 8_294_400
    assert small["width"] * small["height"] <= 230_400


def test_a_post_may_be_four_pictures_and_no_text(place: Place) -> None:
    person = place.person()
    ids = [uploaded(person, png())["id"] for _ in range(5)]
    status = person.post("", media_ids=ids[:4])
    assert [one["id"] for one in status["media_attachments"]] == ids[:4]
    assert person.get(f"/api/v1/statuses/{status['id']}")["media_attachments"] == status["media_attachments"]
    answer = person.http.post("/api/v1/statuses", json={"media_ids": ids})
    assert answer.status_code == 422
    assert "more than 4" in answer.json()["error"]


def test_only_media_shows_posts_with_pictures_alone(place: Place) -> None:
    person = place.person()
    person.post("words")
    shown = person.post("", media_ids=[uploaded(person, png())["id"]])["id"]
    mine = person.get(f"/api/v1/accounts/{person.id}/statuses", only_media=True)
    assert [one["id"] for one in mine] == [shown]
    assert person.get("/api/v1/timelines/public", only_media=True)[0]["id"] == shown


def test_only_its_owner_may_see_use_change_and_delete_an_upload(place: Place) -> None:
    owner, stranger = place.person(), place.person()
    media_id = uploaded(owner, png())["id"]
    path = f"/api/v1/media/{media_id}"
    assert stranger.http.get(path).status_code == 404
    assert stranger.http.put(path, json={"description": "mine"}).status_code == 404
    assert stranger.http.delete(path).status_code == 404
    assert stranger.http.post("/api/v1/statuses", json={"media_ids": [media_id]}).status_code == 422
    for method in ("GET", "PUT", "DELETE"):
        assert place.visitor.request(method, path).status_code == 401
    assert place.visitor.post("/api/v1/media", files={"file": ("a", png())}).status_code == 401
    narrow = place.client(place.token(owner.id, scopes="read"))
    assert narrow.post("/api/v1/media", files={"file": ("a", png())}).status_code == 403
    assert owner.http.get(path).json()["id"] == media_id
    changed = owner.http.put(path, json={"description": "A dot", "focus": "1,1"}).json()
    assert (changed["description"], changed["meta"]["focus"]) == ("A dot", {"x": 1.0, "y": 1.0})
    assert owner.http.delete(path).status_code == 200
    assert owner.http.get(path).status_code == 404


def test_what_hangs_on_a_post_is_used_once_and_not_deleted_alone(place: Place) -> None:
    person = place.person()
    media_id = uploaded(person, png())["id"]
    person.post("", media_ids=[media_id])
    assert person.http.post("/api/v1/statuses", json={"media_ids": [media_id]}).status_code == 422
    assert person.http.delete(f"/api/v1/media/{media_id}").status_code == 422


def test_a_deleted_post_leaves_its_pictures_for_writing_it_anew_unless_told_otherwise(place: Place) -> None:
    person = place.person()
    media = uploaded(person, png())
    first = person.post("", media_ids=[media["id"]])
    deleted = person.http.delete(f"/api/v1/statuses/{first['id']}").json()
    assert deleted["media_attachments"][0]["id"] == media["id"]
    second = person.post("again", media_ids=[media["id"]])
    person.http.delete(f"/api/v1/statuses/{second['id']}", params={"delete_media": "true"})
    assert fetch(place, media["url"]).status_code == 404
    assert person.http.get(f"/api/v1/media/{media['id']}").status_code == 404


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"<html><script>alert(1)</script></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        jpeg()[:300],
        b"\xff\xd8\xff" + b"<script>" * 100,
        b"\x00\x00\x00\x18ftypisom" + b"#EXTM3U\nfile:///etc/passwd\n" * 20,
        b"\x1a\x45\xdf\xa3" + b"file '/etc/passwd'\n" * 20,
    ],
)
def test_what_is_no_picture_and_no_film_is_refused(place: Place, bad: bytes) -> None:
    answer = upload(place.person(), bad, name="innocent.png")
    assert answer.status_code == 422, answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_an_upload_without_a_form_of_files_is_not_read_into_memory(place: Place, kind: str) -> None:
    answer = place.person().http.post("/api/v2/media", content=b" " * 600_000, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()) == (413, {"error": "The request is too large"})


def test_the_texts_of_an_upload_are_limited_together(place: Place) -> None:
    texts = {f"text{number}": "a" * 300_000 for number in range(3)}
    answer = upload(place.person(), png((4, 4)), **texts)
    assert answer.status_code == 413, answer.text
    assert "texts of the form" in answer.json()["error"]


def test_bombs_are_refused_and_the_place_goes_on(place: Place) -> None:
    person = place.person()
    for bomb in (png_bomb(), gif(10_000)):
        assert len(bomb) < 3_000_000
        answer = upload(person, bomb)
        assert answer.status_code == 422, answer.text
    assert uploaded(person, png())["type"] == "image"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_becomes_a_film_without_sound(place: Place, kind: str) -> None:
    require("ffmpeg")
    media = uploaded(place.person(), gif(10) if kind == "GIF" else animation(kind, [200, 300, 500]))
    assert media["type"] == "gifv"
    if kind != "GIF":
        assert media["meta"]["original"]["duration"] == pytest.approx(1.0, abs=0.11)
        assert (media["meta"]["original"]["width"], media["meta"]["original"]["height"]) == (64, 48)
    assert fetch(place, media["url"]).headers["content-type"] == "video/mp4"
    still = "image/webp" if kind == "WEBP" else "image/png"
    assert fetch(place, media["preview_url"]).headers["content-type"] == still


def test_a_film_loses_its_title_and_is_read_in_parts(place: Place, tmp_path: Path) -> None:
    require("ffmpeg")
    answer = upload(place.person(), film(tmp_path), version=2)
    assert answer.status_code in (200, 202), answer.text
    media = answer.json()
    assert media["type"] == "video"
    assert media["meta"]["original"]["frame_rate"] == "10/1"
    whole = fetch(place, media["url"])
    assert whole.headers["content-type"] == "video/mp4"
    assert b"SecretTitle" not in whole.content
    part = fetch(place, media["url"], range="bytes=10-19")
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert fetch(place, media["url"], range="bytes=-5").content == whole.content[-5:]
    assert fetch(place, media["url"], range=f"bytes={len(whole.content)}-").status_code == 416


def test_a_file_is_served_so_that_it_can_do_nothing(place: Place) -> None:
    media = uploaded(place.person(), jpeg())
    answer = fetch(place, media["url"])
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["access-control-allow-origin"] == "*"
    path = urlsplit(media["url"]).path
    head = place.visitor.head(path)
    assert head.headers["content-length"] == str(len(answer.content))
    assert fetch(place, media["url"], **{"if-none-match": answer.headers["etag"]}).status_code == 304
    for other in ("../secret.key", "%2e%2e%2fsecret.key", "0" * 32 + ".jpg", "x.svg"):
        assert place.visitor.get(f"/media/{other}").status_code == 404


def test_a_profile_has_the_pictures_that_its_owner_gives_it(place: Place) -> None:
    person = place.person()
    answer = person.http.patch(
        "/api/v1/accounts/update_credentials",
        files={"avatar": ("a.gif", gif(4, (600, 500))), "header": ("h.jpg", jpeg((2000, 1000)))},
    )
    assert answer.status_code == 200, answer.text
    account = answer.json()
    assert account["avatar"] != account["avatar_static"]
    assert Image.open(io.BytesIO(fetch(place, account["avatar_static"]).content)).size == (400, 400)
    assert Image.open(io.BytesIO(fetch(place, account["header"]).content)).size == (1500, 500)
    assert place.visitor.get(f"/api/v1/accounts/{person.id}").json()["avatar"] == account["avatar"]
    without = person.http.delete("/api/v1/profile/avatar").json()
    assert "/assets/initial-" in without["avatar"]
    assert without["header"] == account["header"]
    assert fetch(place, account["avatar"]).status_code == 404


def test_a_suspended_account_s_files_are_not_served(place: Place) -> None:
    from stormpetrel.rules import accounts

    person = place.person()
    media = uploaded(person, png())
    assert fetch(place, media["url"]).status_code == 200
    place.write(accounts.suspend, account_id=person.id)
    assert fetch(place, media["url"]).status_code == 404
