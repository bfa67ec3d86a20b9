"""The job and the answer of a decoder: everything that the server and decode.py share."""

from __future__ import annotations

import errno
from typing import Literal

import msgspec

from stormpetrel.model.media import MediaKind

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a write without room: on the disk, for this user, for this process."""

Purpose = Literal["attachment", "avatar", "header", "thumbnail"]


class UploadRefused(Exception):  # an answer, like errors.Refusal
    """The reason why an upload is refused, for its sender."""


class DecodeJob(msgspec.Struct, frozen=True):
    """`source`: the upload's path. Results go into `directory`, which this job alone uses."""

    directory: str
    source: str
    purpose: Purpose
    max_image_bytes: int
    max_video_bytes: int
    max_image_pixels: int


class DecodeResult(msgspec.Struct, frozen=True):
    """`refused`: the reason for the sender, or "". `main`, `preview`: names of files in the directory.

    `no_room`: the upload is valid, but the results could not be written.
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
