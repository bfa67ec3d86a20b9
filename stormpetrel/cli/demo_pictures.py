"""The drawings of the demo: avatars and images on posts, in flat colours, drawn when the demo is filled.

Each has a different aspect ratio, so that a page that distorts or crops images wrongly shows it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from stormpetrel.media.decode import decode
from stormpetrel.media.guarded_store import GuardedStore
from stormpetrel.media.job import DecodeJob, Purpose
from stormpetrel.media.open_store import open_store
from stormpetrel.model.media import Decoded

if TYPE_CHECKING:
    from stormpetrel.config import Config

_FINER = 2
"""Factor by which a drawing is enlarged, then reduced, which smooths the edges."""
_COLOURS = 48
_NIGHT, _SEA, _DEEP, _FOAM = "#12303f", "#2b7a8c", "#1b5566", "#eef5f6"
_SAND, _WOOD, _RED, _LIGHT, _GREY = "#e8c98d", "#8a5a33", "#b8402f", "#ffd76a", "#7c868c"


class Canvas:
    """A drawing. Coordinates are in hundredths of its width, from the upper left corner."""

    def __init__(self, width: int, height: int, ground: str) -> None:
        self.size = (width, height)
        self.height = 100 * height / width
        self._scale = width * _FINER / 100
        self._image = Image.new("RGB", (width * _FINER, height * _FINER), ground)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """Draw a rectangle."""
        self._draw.rectangle(self._places((left, top, right, bottom)), colour)

    def oval(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """Draw an ellipse into a rectangle."""
        self._draw.ellipse(self._places((left, top, right, bottom)), colour)

    def shape(self, places: tuple[float, ...], colour: str) -> None:
        """Draw a polygon: x, y, x, y, …"""
        self._draw.polygon(self._places(places), colour)

    def line(self, places: tuple[float, ...], colour: str, width: float = 1.5) -> None:
        """Draw a line from point to point."""
        self._draw.line(self._places(places), colour, round(width * self._scale), joint="curve")

    def waves(self, top: float, colour: str, length: float = 12.5) -> None:
        """Draw the sea from `top` to the bottom."""
        self.box(0, top, 100, self.height, colour)
        for number in range(int(100 / length) + 1):
            left = number * length - length / 2
            self.oval(left, top - length / 5, left + length, top + length / 5, colour)

    def save(self, path: Path) -> None:
        """Write a PNG with few colours."""
        smooth = self._image.resize(self.size, Image.Resampling.LANCZOS)
        smooth.quantize(_COLOURS).save(path, "PNG", optimize=True)

    def _places(self, places: tuple[float, ...]) -> list[float]:
        return [place * self._scale for place in places]


def _tower(on: Canvas, middle: float, foot: float, size: float) -> None:
    """Draw a lighthouse of height `size`."""
    at = size / 100
    edges = [(16 - 6 * part / 5, foot - part * 16 * at) for part in range(6)]
    for part, ((below, lower), (above, upper)) in enumerate(pairwise(edges)):
        sides = (middle - below * at, lower, middle + below * at, lower)
        tops = (middle + above * at, upper, middle - above * at, upper)
        on.shape(sides + tops, _FOAM if part % 2 else _RED)
    on.box(middle - 8 * at, foot - 95 * at, middle + 8 * at, foot - 80 * at, _LIGHT)
    on.shape(
        (middle - 11 * at, foot - 95 * at, middle + 11 * at, foot - 95 * at, middle, foot - 108 * at), _RED
    )


def _ship(on: Canvas, left: float, water: float, size: float) -> None:
    """Draw a ferry of length `size`."""
    at = size / 100
    on.box(left + 22 * at, water - 34 * at, left + 78 * at, water - 16 * at, _FOAM)
    on.box(left + 58 * at, water - 48 * at, left + 70 * at, water - 34 * at, _RED)
    for window in range(4):
        on.oval(
            left + (28 + 12 * window) * at,
            water - 30 * at,
            left + (35 + 12 * window) * at,
            water - 23 * at,
            _SEA,
        )
    hull = (left, water - 16 * at, left + 100 * at, water - 16 * at, left + 86 * at, water + 6 * at)
    on.shape((*hull, left + 14 * at, water + 6 * at), _RED)


def _bird(on: Canvas, x: float, y: float, size: float, colour: str) -> None:
    """Draw a flying storm petrel."""
    at = size / 100
    on.shape((x, y, x - 50 * at, y - 22 * at, x - 22 * at, y - 2 * at, x - 6 * at, y + 12 * at), colour)
    on.shape((x, y, x + 50 * at, y - 22 * at, x + 22 * at, y - 2 * at, x + 6 * at, y + 12 * at), colour)
    on.oval(x - 8 * at, y - 8 * at, x + 8 * at, y + 26 * at, colour)
    on.oval(x - 6 * at, y + 16 * at, x + 6 * at, y + 23 * at, _FOAM)


def _lighthouse() -> Canvas:
    on = Canvas(400, 400, _NIGHT)
    on.shape((40, 24, 100, 9, 100, 43), _LIGHT)
    _tower(on, 40, 84, 68)
    on.waves(82, _SEA)
    return on


def _ferry() -> Canvas:
    on = Canvas(600, 400, "#bfe0e6")
    _ship(on, 27, 48, 46)
    on.waves(50, _DEEP)
    return on


def _loaf() -> Canvas:
    on = Canvas(360, 360, "#f4e3c5")
    on.oval(12, 26, 88, 78, _WOOD)
    on.oval(16, 28, 84, 70, "#c58a4c")
    for left in (30, 44, 58):
        on.line((left, 62, left + 14, 36), "#f4e3c5", 3)
    return on


def _petrel() -> Canvas:
    on = Canvas(400, 500, "#dcebef")
    on.waves(92, _SEA)
    _bird(on, 50, 55, 90, _NIGHT)
    return on


def _book() -> Canvas:
    on = Canvas(400, 400, "#5a4a78")
    on.shape((50, 34, 14, 26, 14, 72, 50, 80), _FOAM)
    on.shape((50, 34, 86, 26, 86, 72, 50, 80), "#d7e2e6")
    for row in range(4):
        y = 40.0 + 9 * row
        on.line((21, y - 3, 44, y + 2), _GREY, 1.2)
        on.line((56, y + 2, 79, y - 3), _GREY, 1.2)
    return on


def _gauge() -> Canvas:
    on = Canvas(400, 400, "#f7f3e6")
    on.box(40, 0, 60, 100, _FOAM)
    for mark in range(9):
        on.box(40, 6 + 10 * mark, 60 if mark % 2 else 50, 11 + 10 * mark, _NIGHT)
    on.waves(62, _SEA)
    return on


def _harbour() -> Canvas:
    on = Canvas(1200, 400, "#f2b28a")
    on.oval(64, 9, 76, 21, _LIGHT)
    _tower(on, 14, 26, 20)
    on.shape((0, 34, 0, 24, 14, 24, 30, 34), _NIGHT)
    _ship(on, 38, 25, 18)
    on.waves(26, _DEEP, 6)
    return on


def _door() -> Canvas:
    on = Canvas(640, 640, "#cfd6d3")
    on.box(27, 12, 73, 90, _NIGHT)
    on.box(30, 15, 70, 90, _SEA)
    for left in (34, 53):
        on.box(left, 21, left + 13, 46, _DEEP)
        on.box(left, 54, left + 13, 79, _DEEP)
    on.oval(63, 48, 67, 52, _LIGHT)
    on.box(0, 90, 100, 100, _GREY)
    return on


def _chick() -> Canvas:
    on = Canvas(480, 640, "#3a3128")
    on.oval(10, 52, 90, 128, _WOOD)
    on.oval(18, 40, 82, 112, _GREY)
    on.oval(30, 26, 70, 66, "#969fa4")
    on.oval(41, 42, 46, 47, _NIGHT)
    on.shape((66, 48, 78, 54, 66, 57), _NIGHT)
    return on


def _buns() -> Canvas:
    on = Canvas(720, 480, _WOOD)
    for row in range(2):
        for column in range(3):
            left, top = 6.0 + 31 * column, 5.0 + 30 * row
            on.oval(left, top, left + 26, top + 26, _SAND)
            on.oval(left + 3, top + 3, left + 23, top + 21, "#b9bdbf")
            on.oval(left + 15, top + 8, left + 18, top + 11, _NIGHT)
    return on


def _shelf() -> Canvas:
    on = Canvas(400, 720, "#efe6d2")
    for row in range(4):
        foot = 40.0 + 42 * row
        for place in range(9):
            tall = 24 + (place * 7 + row * 5) % 11
            colour = (_RED, _SEA, _NIGHT, _SAND, "#5a4a78")[(place + row * 2) % 5]
            on.box(8 + 9.4 * place, foot - tall, 15.5 + 9.4 * place, foot, colour)
        on.box(3, foot, 97, foot + 4, _WOOD)
    return on


Wanted = tuple[str, Purpose]
"""The name of a drawing, and its purpose."""
Pictures = dict[Wanted, Decoded]

DRAWINGS: dict[str, Callable[[], Canvas]] = {
    "lighthouse": _lighthouse,
    "ferry": _ferry,
    "loaf": _loaf,
    "petrel": _petrel,
    "book": _book,
    "gauge": _gauge,
    "harbour": _harbour,
    "door": _door,
    "chick": _chick,
    "buns": _buns,
    "shelf": _shelf,
}
"""Name in demo/community.toml → function that draws it."""


def keep(config: Config, wanted: Iterable[Wanted]) -> Pictures:
    """Draw the wanted drawings and store them like uploads. Raise Busy."""
    keeper = GuardedStore(open_store(config))

    async def kept() -> Pictures:
        return {(name, purpose): await _keep(name, purpose, keeper, config) for name, purpose in wanted}

    return asyncio.run(kept())


async def _keep(name: str, purpose: Purpose, keeper: GuardedStore, config: Config) -> Decoded:
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "drawing.png"
        DRAWINGS[name]().save(source)
        # In this process: unlike an upload, the file is trusted.
        answer = decode(
            DecodeJob(
                directory=directory,
                source=str(source),
                purpose=purpose,
                max_image_bytes=config.media.max_image_bytes,
                max_video_bytes=config.media.max_video_bytes,
                max_image_pixels=config.media.max_image_pixels,
            )
        )
        return await keeper.keep(Path(directory), answer)
