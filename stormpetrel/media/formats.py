"""The format of an upload, by its first bytes: never by its name or the client's content type."""

from __future__ import annotations

from dataclasses import dataclass

SNIFFED_BYTES = 64


@dataclass(frozen=True, slots=True)
class Format:
    """A file format. `reader`: Pillow's name of an image format, or the one ffmpeg demuxer that may read it."""

    name: str
    content_type: str
    extension: str
    reader: str
    is_picture: bool


_JPEG = Format("jpeg", "image/jpeg", "jpg", "JPEG", is_picture=True)
_PNG = Format("png", "image/png", "png", "PNG", is_picture=True)
_GIF = Format("gif", "image/gif", "gif", "GIF", is_picture=True)
_WEBP = Format("webp", "image/webp", "webp", "WEBP", is_picture=True)
_AVIF = Format("avif", "image/avif", "avif", "AVIF", is_picture=True)
_MP4 = Format("mp4", "video/mp4", "mp4", "mov", is_picture=False)
_MOV = Format("mov", "video/quicktime", "mp4", "mov", is_picture=False)
_M4A = Format("m4a", "audio/mp4", "m4a", "mov", is_picture=False)
_WEBM = Format("webm", "video/webm", "webm", "matroska", is_picture=False)
_MP3 = Format("mp3", "audio/mpeg", "mp3", "mp3", is_picture=False)
_OGG = Format("ogg", "audio/ogg", "ogg", "ogg", is_picture=False)
_FLAC = Format("flac", "audio/flac", "flac", "flac", is_picture=False)
_WAV = Format("wav", "audio/wav", "wav", "wav", is_picture=False)

PICTURE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif")
FILM_TYPES = (
    *("video/webm", "video/mp4", "video/quicktime"),
    *("audio/wave", "audio/wav", "audio/x-wav", "audio/ogg", "audio/vorbis", "audio/mpeg", "audio/mp3"),
    *("audio/webm", "audio/flac", "audio/m4a", "audio/x-m4a", "audio/mp4"),
)
"""The types that the instance announces; two lists, because videos need ffmpeg."""
SERVED_TYPES = {
    "jpg": b"image/jpeg",
    "png": b"image/png",
    "webp": b"image/webp",
    "mp4": b"video/mp4",
    "webm": b"video/webm",
    "m4a": b"audio/mp4",
    "mp3": b"audio/mpeg",
    "ogg": b"audio/ogg",
    "flac": b"audio/flac",
    "wav": b"audio/wav",
}
"""Content types by the extension of a key: no other types are stored, so no others are served."""
_MP4_BRANDS = (
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"mp41",
    b"mp42",
    b"avc1",
    b"M4V ",
    b"dash",
    b"MSNV",
)


def sniff(head: bytes) -> Format | None:
    """Return the format of a file with these first bytes (SNIFFED_BYTES are enough);
    None if it is not accepted.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _GIF
    if head[:4] == b"RIFF":
        return {b"WEBP": _WEBP, b"WAVE": _WAV}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _ftyp(head[8:12])
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _WEBM
    if head.startswith(b"OggS"):
        return _OGG
    if head.startswith(b"fLaC"):
        return _FLAC
    if head.startswith(b"ID3") or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2):
        return _MP3
    return None


def _ftyp(brand: bytes) -> Format | None:
    if brand in (b"avif", b"avis"):
        return _AVIF
    if brand in (b"M4A ", b"M4B "):
        return _M4A
    if brand == b"qt  ":
        return _MOV
    return _MP4 if brand in _MP4_BRANDS else None
