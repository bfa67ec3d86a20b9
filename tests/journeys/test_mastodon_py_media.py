"""Mastodon.py uploads to an instance that answers before the file is processed: it polls, then posts the
file.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path

import mastodon.media
import pytest
from mastodon import Mastodon, MastodonAPIError
from mastodon import return_types as types
from PIL import Image

from tests.api.typed_entities import check
from tests.media_files import film, jpeg, png
from tests.parts import require
from tests.people import Place


@pytest.fixture(scope="module")
def place_settings() -> dict[str, object]:
    """Make uploads answer at once instead of waiting for the decoder."""
    return {"web_workers": 1, "media_wait_s": 0}


@pytest.fixture
def app(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mastodon]:
    """Yield a Mastodon.py client that polls every 0.1 instead of every 5 seconds."""
    sleep = time.sleep
    monkeypatch.setattr(mastodon.media.time, "sleep", lambda seconds: sleep(seconds / 50))
    api = Mastodon(access_token=place.person().token, api_base_url=place.base_url, ratelimit_method="throw")
    with contextlib.closing(api.session):
        yield api


def test_a_picture_is_uploaded_waited_for_changed_and_posted(place: Place, app: Mastodon) -> None:
    soon = app.media_post(io.BytesIO(jpeg()), mime_type="image/jpeg", description="before", focus=(0.5, -0.5))
    # Mastodon's own answer has no URL either while the file is being processed.
    assert soon.url is None
    picture = app.media_post(
        io.BytesIO(jpeg()), mime_type="image/jpeg", description="before", synchronous=True
    )
    check(picture, types.MediaAttachment)
    assert (picture.type, picture.description) == ("image", "before")
    assert place.visitor.get(picture.url).status_code == 200
    changed = app.media_update(picture, description="A sea", focus=(0.25, 1.0))
    check(changed, types.MediaAttachment)
    assert (changed.description, changed.meta.focus.x, changed.meta.focus.y) == ("A sea", 0.25, 1.0)
    status = app.status_post("", media_ids=[picture])
    check(status, types.Status)
    assert [one.description for one in status.media_attachments] == ["A sea"]


def test_what_was_said_of_a_file_before_it_was_processed_holds(app: Mastodon) -> None:
    soon = app.media_post(io.BytesIO(png()), mime_type="image/png", description="before")
    said = app.media_update(soon, description="at once")
    assert (said.id, said.description) == (soon.id, "at once")
    while app.media(soon).url is None:
        mastodon.media.time.sleep(5)
    assert app.media(soon).description == "at once"


def test_a_film_has_the_picture_that_its_owner_chose_and_gets_another(
    place: Place, app: Mastodon, tmp_path: Path
) -> None:
    require("ffmpeg")
    posted = app.media_post(
        io.BytesIO(film(tmp_path)),
        mime_type="video/mp4",
        thumbnail=io.BytesIO(png((32, 24))),
        thumbnail_mime_type="image/png",
        synchronous=True,
    )
    check(posted, types.MediaAttachment)
    assert posted.type == "video"
    shown = Image.open(io.BytesIO(place.visitor.get(posted.preview_url).content))
    assert shown.size == (32, 24)
    changed = app.media_update(
        posted, thumbnail=io.BytesIO(jpeg((20, 10), colour="red")), thumbnail_mime_type="image/jpeg"
    )
    check(changed, types.MediaAttachment)
    shown = Image.open(io.BytesIO(place.visitor.get(changed.preview_url).content))
    assert shown.size == (20, 10)
    assert place.visitor.get(posted.preview_url).status_code == 404


def test_a_file_that_is_refused_ends_the_waiting(app: Mastodon) -> None:
    with pytest.raises(MastodonAPIError, match="could not be processed"):
        app.media_post(io.BytesIO(b"<svg>"), mime_type="image/png", synchronous=True)
