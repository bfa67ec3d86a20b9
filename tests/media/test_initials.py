"""Initials as images: each letter and colour differs, and all are small and of one size."""

from __future__ import annotations

import io
import string

import pytest
from PIL import Image

from stormpetrel.media.initials import SIDE, draw
from stormpetrel.model.initial import TINTS

LETTERS = string.ascii_uppercase + string.digits


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_every_letter_and_digit_is_another_picture():
    drawn = {draw(TINTS[0], letter) for letter in ("", *LETTERS)}
    assert len(drawn) == len(LETTERS) + 1
    assert max(map(len, drawn)) < 6_000


@pytest.mark.parametrize("letter", ["", "I", "W", "7"])
def test_a_letter_is_white_in_the_middle_of_its_colour(letter):
    image = opened(draw(TINTS[3], letter))
    assert image.size == (SIDE, SIDE)
    assert image.getpixel((2, 2)) == tuple(bytes.fromhex(TINTS[3][1:]))
    white = image.convert("L").point(lambda grey: 255 if grey > 250 else 0).getbbox()
    left, top, right, bottom = white
    assert abs(left - (SIDE - right)) <= 2
    if letter:
        assert abs(top - (SIDE - bottom)) <= 2
        # As tall as on pages, with margin for a round frame.
        assert 120 <= bottom - top <= 180
        assert right - left <= 240
