"""The API's entity of a media attachment."""

from __future__ import annotations

from typing import Any, Literal

from stormpetrel.api.json.entities import Entity
from stormpetrel.model.media import FOCUS_PARTS, Media, MediaKind, MediaState


class MediaAttachment(Entity, frozen=True):
    """A file attached to a post. `url` is null while it is being processed."""

    id: str
    type: Literal["image", "gifv", "video", "audio", "unknown"]
    url: str | None
    preview_url: str | None
    remote_url: str | None
    preview_remote_url: str | None
    text_url: str | None
    meta: dict[str, Any]
    description: str | None
    blurhash: str | None


def media_url(key: str, base_url: str) -> str:
    """Return the URL of a file."""
    return f"{base_url}/media/{key}"


def attachment(media: Media, *, base_url: str) -> MediaAttachment:
    """Return the entity of an attachment."""
    decoded = media.decoded
    done = media.state is MediaState.DONE
    preview = media_url(decoded.preview_key, base_url) if decoded.preview_key else None
    return MediaAttachment(
        id=str(media.id),
        type=decoded.kind.value,
        url=media_url(decoded.key, base_url) if done else None,
        preview_url=preview,
        remote_url=None,
        preview_remote_url=None,
        text_url=None,
        meta=_meta(media),
        description=media.description or None,
        blurhash=decoded.blurhash or None,
    )


def _meta(media: Media) -> dict[str, Any]:
    decoded = media.decoded
    meta: dict[str, Any] = {}
    if decoded.kind is MediaKind.IMAGE:
        meta["focus"] = {"x": media.focus[0] / FOCUS_PARTS, "y": media.focus[1] / FOCUS_PARTS}
    original: dict[str, Any] = _size(decoded.width, decoded.height) if decoded.width else {}
    if decoded.kind in (MediaKind.VIDEO, MediaKind.GIFV, MediaKind.AUDIO):
        original.pop("size", None)
        original.pop("aspect", None)
        if decoded.frame_rate:
            original["frame_rate"] = decoded.frame_rate
        original["duration"] = decoded.duration_ms / 1000
        original["bitrate"] = decoded.bit_rate
        meta["length"] = _clock(decoded.duration_ms)
        meta["duration"] = decoded.duration_ms / 1000
        if decoded.width:
            meta |= _size(decoded.width, decoded.height)
    if original:
        meta["original"] = original
    if decoded.preview_width:
        meta["small"] = _size(decoded.preview_width, decoded.preview_height)
    return meta


def _size(width: int, height: int) -> dict[str, Any]:
    return {"width": width, "height": height, "size": f"{width}x{height}", "aspect": round(width / height, 6)}


def _clock(duration_ms: int) -> str:
    hundredths = duration_ms // 10
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"
