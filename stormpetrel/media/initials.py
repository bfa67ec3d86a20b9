"""Draws default avatars for apps; web pages render the letter as text."""

from __future__ import annotations

import io

SIDE = 400
"""In pixels, like uploaded avatars."""
_LETTER = 190
_STROKE = 5
"""Pillow's default font is thin: this many pixels are added around a letter."""
_WHITE = "#ffffff"
_COLOURS = 16


def draw(tint: str, letter: str) -> bytes:
    """Draw the letter, A to Z or a digit, in white on the colour; without a letter,
    draw a head and shoulders.

    Return a PNG of 1 to 3 KB.
    """
    # Import Pillow here: only processes that draw should load it.
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (SIDE, SIDE), tint)
    on = ImageDraw.Draw(image)
    if letter:
        mask = Image.new("L", (SIDE, SIDE))
        font = ImageFont.load_default(_LETTER)
        ImageDraw.Draw(mask).text((_LETTER / 2, _LETTER / 2), letter, 255, font, stroke_width=_STROKE)
        # Centre by the white pixels: the font's own metrics leave room for accents.
        cut = mask.crop(mask.getbbox())
        image.paste(_WHITE, ((SIDE - cut.width) // 2, (SIDE - cut.height) // 2), cut)
    else:
        on.ellipse((128, 86, 272, 230), _WHITE)
        on.ellipse((68, 268, 332, 532), _WHITE)
    packed = io.BytesIO()
    image.quantize(_COLOURS).save(packed, "PNG", optimize=True)
    return packed.getvalue()
