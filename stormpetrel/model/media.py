"""Images, videos and sound attached to posts: frozen values, and the limits of their descriptions."""

from __future__ import annotations

from enum import StrEnum

import msgspec

MAX_DESCRIPTION = 1500
MAX_PER_POST = 4
FOCUS_PARTS = 1000
"""A focus is stored in thousandths of half the image's side."""


class MediaKind(StrEnum):
    """The kind of a file; a `gifv` is a video without sound that loops."""

    IMAGE = "image"
    GIFV = "gifv"
    VIDEO = "video"
    AUDIO = "audio"
    UNKNOWN = "unknown"


class MediaState(StrEnum):
    """`processing` until the decoder has answered; `failed` if it refused or was lost."""

    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


class Decoded(msgspec.Struct, frozen=True):
    """The decoder's result for an upload. Sizes are in pixels; an empty key means that there is no file.

    `frame_rate` is as ffprobe writes it ("30/1"); `bit_rate` in bits per second.
    """

    kind: MediaKind
    key: str
    preview_key: str = ""
    width: int = 0
    height: int = 0
    preview_width: int = 0
    preview_height: int = 0
    duration_ms: int = 0
    bit_rate: int = 0
    frame_rate: str = ""
    blurhash: str = ""


class Media(msgspec.Struct, frozen=True):
    """An attachment as stored. `focus` is (x, y) in thousandths, -1000 to 1000, up is positive."""

    id: int
    account_id: int
    post_id: int | None
    state: MediaState
    description: str
    focus: tuple[int, int]
    decoded: Decoded
    created_at_ms: int


class MediaWords(msgspec.Struct, frozen=True):
    """An edit's changes to an attachment of its post; None leaves a value. `focus` is "x,y" as typed."""

    media_id: int
    description: str | None = None
    focus: str | None = None


def parse_focus(text: str) -> tuple[int, int] | None:
    """Parse "x,y", each from -1.0 to 1.0, into thousandths; return None for other text."""
    parts = text.split(",")
    if len(parts) != 2:
        return None
    try:
        x, y = (float(part) for part in parts)
    except ValueError:
        return None
    # Written so that NaN fails too.
    if not (-1.0 <= x <= 1.0 and -1.0 <= y <= 1.0):
        return None
    return round(x * FOCUS_PARTS), round(y * FOCUS_PARTS)
