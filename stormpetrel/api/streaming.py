"""`/api/v1/streaming`: live events over WebSocket or as server-sent events.

`streaming/` decides who receives an event; this module opens, subscribes and closes connections.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec

from stormpetrel.api.shapes import answers
from stormpetrel.errors import Malformed, NotFound, NotSignedIn, Refusal
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response
from stormpetrel.streaming.hub import Hub
from stormpetrel.streaming.listeners import Listener
from stormpetrel.streaming.messages import GREETING, THUMP, error_frame
from stormpetrel.streaming.streams import Stream, stream_of

EVENT_STREAM = b"text/event-stream"
MESSAGES_PER_MINUTE = 600
"""Subscribing costs work; a client that sends more is disconnected (1008)."""
UNSUPPORTED = 1003
TOO_MUCH = 1008


class StreamQuery(msgspec.Struct, kw_only=True):
    stream: str = ""
    tag: str = ""
    list: str = ""


class TagStreamQuery(msgspec.Struct, kw_only=True):
    tag: str = ""


class ListStreamQuery(msgspec.Struct, kw_only=True):
    list: str = ""


class PublicStreamQuery(msgspec.Struct, kw_only=True):
    only_media: bool = False


class Wish(msgspec.Struct, kw_only=True):
    """A message from a client on its WebSocket."""

    type: str = ""
    stream: str = ""
    tag: str | None = None
    list: str | None = None


_decode = msgspec.json.Decoder(Wish).decode


def _hub(request: Request) -> Hub:
    return cast(Hub, request.site.streaming)


@answers(str)
async def health(request: Request) -> Response:
    """Check that streaming works"""
    return Response(200, b"OK", content_type=b"text/plain; charset=utf-8")


# Server-sent events: one stream per connection


@answers(str, streams=True)
async def user(request: Request) -> Response:
    """Stream the home timeline and notifications"""
    return await _events(request, "user")


@answers(str, streams=True)
async def notification(request: Request) -> Response:
    """Stream notifications"""
    return await _events(request, "user:notification")


@answers(str, streams=True)
async def direct(request: Request) -> Response:
    """Stream direct posts"""
    return await _events(request, "direct")


@answers(str, takes=PublicStreamQuery, streams=True)
async def public(request: Request) -> Response:
    """Stream all public posts"""
    return await _public(request, "public")


@answers(str, takes=PublicStreamQuery, streams=True)
async def local(request: Request) -> Response:
    """Stream public posts of this instance"""
    return await _public(request, "public:local")


@answers(str, takes=PublicStreamQuery, streams=True)
async def remote(request: Request) -> Response:
    """Stream public posts of other instances: none here"""
    return await _public(request, "public:remote")


@answers(str, streams=True)
async def media(request: Request) -> Response:
    """Stream public posts with media"""
    return await _events(request, "public:media")


@answers(str, streams=True)
async def local_media(request: Request) -> Response:
    """Stream public posts of this instance with media"""
    return await _events(request, "public:local:media")


@answers(str, takes=TagStreamQuery, streams=True)
async def hashtag(request: Request) -> Response:
    """Stream public posts with a hashtag"""
    return await _events(request, "hashtag", tag=request.query(TagStreamQuery).tag)


@answers(str, takes=TagStreamQuery, streams=True)
async def local_hashtag(request: Request) -> Response:
    """Stream public posts of this instance with a hashtag"""
    return await _events(request, "hashtag:local", tag=request.query(TagStreamQuery).tag)


@answers(str, takes=ListStreamQuery, streams=True)
async def members(request: Request) -> Response:
    """Stream the posts of a list"""
    return await _events(request, "list", list_id=request.query(ListStreamQuery).list)


async def _public(request: Request, name: str) -> Response:
    return await _events(request, f"{name}:media" if request.query(PublicStreamQuery).only_media else name)


async def _events(
    request: Request, name: str, *, tag: str | None = None, list_id: str | None = None
) -> Response:
    stream = stream_of(name, tag=tag, list_id=list_id, access=request.access)
    response = Response(200, GREETING, content_type=EVENT_STREAM)
    # Without these headers, proxies would buffer the stream.
    response.headers += [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    hub = _hub(request)
    listener = _listener(request, is_socket=False)
    try:
        await hub.enter(listener)
        await hub.subscribe(listener, stream)
    except BaseException:
        hub.leave(listener)
        raise

    async def listen(receive: Any) -> None:
        try:
            if receive is not None:
                listener.wire = request.scope["open_stream"](THUMP)
                while (await receive())["type"] != "http.disconnect":
                    pass
        finally:
            hub.leave(listener)

    response.listen = listen
    return response


def _listener(request: Request, *, is_socket: bool) -> Listener:
    return _hub(request).listeners.add(
        access=request.access,
        token_hash=request.scope["visit"].token_hash,
        address=request.address,
        is_socket=is_socket,
    )


# WebSocket: several streams per connection


async def socket(request: Request, receive: Any, send: Any) -> None:
    """Serve one WebSocket from handshake to end. Raise Refusal while the handshake can still be refused."""
    query = request.query(StreamQuery)
    hub = _hub(request)
    first: Stream | None = None
    refused: Refusal | None = None
    if query.stream:
        try:
            first = stream_of(query.stream, tag=query.tag, list_id=query.list, access=request.access)
        except NotSignedIn:
            raise
        except Refusal as refusal:
            # As in Mastodon: the connection opens, and an error message about the stream is sent on it.
            refused = refusal
    listener = _listener(request, is_socket=True)
    try:
        await hub.enter(listener)
        if first is not None:
            try:
                await hub.subscribe(listener, first)
            except NotFound as refusal:
                refused = refusal
        offered = request.scope["subprotocols"]
        await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
        wire = listener.wire = request.scope["open_stream"](b"")
        if refused is not None:
            wire.push(error_frame(refused.safe_text, refused.status))
        await _converse(hub, listener, receive)
    finally:
        hub.leave(listener)


async def _converse(hub: Hub, listener: Listener, receive: Any) -> None:
    wire = listener.wire
    assert wire is not None
    loop = asyncio.get_running_loop()
    minute, said = int(loop.time() / 60), 0
    while (message := await receive())["type"] == "websocket.receive":
        now = int(loop.time() / 60)
        minute, said = (minute, said + 1) if now == minute else (now, 1)
        if said > MESSAGES_PER_MINUTE:
            wire.end(TOO_MUCH)
            return
        text = message.get("text")
        if text is None:
            wire.end(UNSUPPORTED)
            return
        try:
            await _obey(hub, listener, text)
        except Refusal as refusal:
            wire.push(error_frame(refusal.safe_text, refusal.status))


async def _obey(hub: Hub, listener: Listener, text: str) -> None:
    """Handle one message. Raise Refusal."""
    try:
        wish = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Malformed("The message could not be read") from error
    if wish.type not in ("subscribe", "unsubscribe"):
        raise Malformed("Unknown message type")
    stream = stream_of(wish.stream, tag=wish.tag, list_id=wish.list, access=listener.access)
    if wish.type == "subscribe":
        await hub.subscribe(listener, stream)
    else:
        hub.unsubscribe(listener, stream.names)
