"""What is asked of a decoder and what it answers: all that the server and decode.py share."""

from __future__ import annotations

import errno
from typing import Literal

import msgspec

from stormpetrel.model.media import MediaKind

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write ends with where there is no room: on the disk, for this user, for this process."""

Purpose = Literal["attachment", "avatar", "header", "thumbnail"]


class Refused(Exception):  # an answer, like errors.Refusal
    """What is wrong with an upload, for its sender."""


class Job(msgspec.Struct, frozen=True):
    """`source`: the upload's path; what comes of it goes into `directory`, which is nobody else's."""

    directory: str
    source: str
    purpose: Purpose
    max_image_bytes: int
    max_video_bytes: int
    max_image_pixels: int


class Answer(msgspec.Struct, frozen=True):
    """`refused`: what is wrong, for the sender, or "". `main`, `preview`: names of files in the directory.

    `no_room`: nothing is wrong with it, but what comes of it could not be written.
    """

    refused: str = ""
    no_room: bool = False
    kind: MediaKind = MediaKind.UNKNOWN
    main: str = ""
    preview: str = ""
    width: int = 0
    height: int = 0
    preview_width: int = 0
    preview_height: int = 0
    duration_ms: int = 0
    bit_rate: int = 0
    frame_rate: str = ""
    blurhash: str = ""
