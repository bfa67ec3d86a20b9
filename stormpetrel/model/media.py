"""Pictures, films and sound that hang on posts: frozen values and the limits of what is said about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_DESCRIPTION = 1500
MAX_PER_POST = 4
FOCUS_PARTS = 1000
"""A focus is kept in thousandths of half the picture's side."""


class MediaKind(StrEnum):
    """What it is; a `gifv` is a film without sound that plays again and again."""

    IMAGE = "image"
    GIFV = "gifv"
    VIDEO = "video"
    AUDIO = "audio"
    UNKNOWN = "unknown"


class MediaState(StrEnum):
    """`processing` until the decoder has answered; `failed` when it refused or was lost."""

    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder made of an upload. Sizes in pixels; empty keys: there is no such file.

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


@dataclass(frozen=True, slots=True)
class Media:
    """An attachment as stored. `focus` is (x, y) in thousandths, -1000 to 1000, up is positive."""

    id: int
    account_id: int
    post_id: int | None
    state: MediaState
    description: str
    focus: tuple[int, int]
    decoded: Decoded
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class MediaWords:
    """What an edit says about an attachment of its post; None leaves a value. `focus` is "x,y" as typed."""

    media_id: int
    description: str | None = None
    focus: str | None = None


def parse_focus(text: str) -> tuple[int, int] | None:
    """ "x,y", each from -1.0 to 1.0, in thousandths; None for anything else."""
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
