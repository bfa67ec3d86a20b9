"""The formats that the instance announces are those that it recognises."""

from __future__ import annotations

import io

from PIL import Image

from stormpetrel.media.formats import PICTURE_TYPES, sniff


def test_every_kind_of_picture_that_the_instance_names_is_taken() -> None:
    found = set()
    for format_ in ("JPEG", "PNG", "GIF", "WEBP", "AVIF"):
        made = io.BytesIO()
        Image.new("RGB", (8, 8)).save(made, format_)
        taken = sniff(made.getvalue()[:64])
        assert taken is not None
        found.add(taken.content_type)
    assert found == set(PICTURE_TYPES)
