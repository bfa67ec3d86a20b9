"""The ASGI application: find the route, identify the caller, call the handler, and turn exceptions into
responses. Only this module maps our errors to HTTP."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stormpetrel import clock
from stormpetrel.edge.header_policy import CORS, PREFLIGHT, HeaderPolicy
from stormpetrel.edge.streams import ClientDisconnected
from stormpetrel.errors import (
    Busy,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    NotSignedIn,
    Refusal,
    TooMany,
    code_of,
)
from stormpetrel.http.request import FORM_COOKIE, Request
from stormpetrel.http.response import HTML, TEXT, Response, json, redirect
from stormpetrel.http.routing import Actor, Route, Router
from stormpetrel.http.site import Site
from stormpetrel.model.access import Access
from stormpetrel.model.account import Role
from stormpetrel.rules import access as access_rules
from stormpetrel.shield.classify import K3_FAR, K3_NEAR, K4
from stormpetrel.shield.identify import TokenEntry
from stormpetrel.shield.paths import Family
from stormpetrel.shield.percent import quoted

log = logging.getLogger(__name__)

MAX_CHANGING = 64
"""Requests of a worker that may wait for the writer or a password check without holding a slot."""
MAX_STRANGERS_CHANGING = {K3_NEAR: 32, K3_FAR: 32, K4: 16}
"""The same for each of the shield's lower lanes: sign-ups from anywhere must not use up the room of people who sign
in from networks of members."""
FORM_COOKIE_S = 86_400
AWAY = "The database is unreachable; nothing was stored. Please try again in a moment"
AWAY_RETRY_S = 5
_SAFE_METHODS = frozenset({"GET", "HEAD"})

Socket = Callable[[Request, Any, Any], Awaitable[None]]
"""A WebSocket's handler (handshake request, `receive`, `send`). It may raise Refusal until it accepts."""
ErrorPage = Callable[[Request, Refusal], Response]


class WebApplication:
    """The ASGI application of a web worker. `sockets`: handlers of WebSockets by path. `error_page`: renders the page
    of a refusal."""

    def __init__(
        self,
        site: Site,
        router: Router,
        *,
        error_page: ErrorPage,
        sockets: Mapping[str, Socket] | None = None,
    ) -> None:
        self.site = site
        self.router = router
        self._error_page = error_page
        self._sockets = sockets or {}
        self.is_away = False
        """True if the database has not been reached since the start: every request is refused at once."""
        self._changing = 0
        self._strangers_changing = dict.fromkeys(MAX_STRANGERS_CHANGING, 0)
        start = secrets.token_hex(6)
        self._request_ids = (f"{start}-{number:x}" for number in itertools.count(1))
        self._headers = HeaderPolicy(is_https=site.https, media_origin=site.config.media_origin)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        # First apply pending events of other processes, so that a client reads here what it wrote there.
        self.site.drain()
        request = self._request(scope, receive)
        request_id = next(self._request_ids)
        try:
            if self.is_away:
                raise Busy(AWAY, retry_after_s=AWAY_RETRY_S)
            answer = await self._answer(request)
            if answer is None:
                return
            response = answer
        except Refusal as refusal:
            response = self._refuse(request, refusal)
        except Exception:
            log.exception("request %s failed: %s %s", request_id, request.method, request.path)
            response = self._refuse(request, _Broken())
        request.close_files()
        self._complete(request, response, request_id)
        body, listen = response.body, response.listen
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        if response.pieces is not None and request.method != "HEAD":
            # Sending a video waits for its reader and the disk, so release the slot to other requests.
            scope["release_slot"]()
            async for piece in response.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if listen is None:
            await send({"type": "http.response.body", "body": body})
            return
        is_open = False
        try:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            is_open = request.method != "HEAD"
        finally:
            await listen(receive if is_open else None)
        if not is_open:
            await send({"type": "http.response.body", "body": b""})

    async def _socket(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve a WebSocket: refuse it in HTTP like any request, or run its handler until it ends."""
        await receive()
        self.site.drain()
        # A handshake is a GET, but ASGI gives no method for it.
        scope["method"] = "GET"
        request = self._request(scope, receive)
        request_id = next(self._request_ids)
        try:
            if self.is_away:
                raise Busy(AWAY, retry_after_s=AWAY_RETRY_S)
            handler = self._sockets.get(request.path.removesuffix("/"))
            if handler is None:
                raise NotFound
            await self._identify(request, None)
            await handler(request, receive, send)
            return
        except Refusal as refusal:
            response = self._refuse(request, refusal)
        except ClientDisconnected:
            return
        self._complete(request, response, request_id)
        await send(
            {
                "type": "websocket.http.response.start",
                "status": response.status,
                "headers": response.headers,
            }
        )
        await send({"type": "websocket.http.response.body", "body": response.body})

    async def _answer(self, request: Request) -> Response | None:
        """Return the response; None if the edge had a finished one and has sent it."""
        routes, request.parameters = self.router.find(request.path)
        method = request.method
        if not routes:
            if method == "OPTIONS" and request.facts.has_cors:
                return Response(204, headers=list(PREFLIGHT), content_type=None)
            await self._identify_for_page(request)
            raise NotFound(None if request.facts.family is Family.API else "This page does not exist")
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            if method == "OPTIONS":
                headers = list(PREFLIGHT) if request.facts.has_cors else []
                headers.append((b"allow", ", ".join(_allowed(routes)).encode()))
                return Response(204, headers=headers, content_type=None)
            await self._identify_for_page(request)
            raise MethodNotAllowed(_allowed(routes))
        await self._identify(request, route)
        self._authorise(request, route)
        if method in _SAFE_METHODS:
            send_finished = request.scope.get("send_finished")
            if send_finished is not None and send_finished():
                return None
            return await route.handler(request)
        if request.facts.family is not Family.API:
            await request.check_csrf()
        return await self._change(request, route)

    async def _change(self, request: Request, route: Route) -> Response:
        """Run a handler that waits for the writer or a password check, which is not work of this loop.

        So release its slot: if waiting requests held the few slots, a commit would contain only that many
        posts, and four sign-ins at once would block all readers. Beyond MAX_CHANGING the slots are held, and
        the fair queue before them decides which request is next.
        """
        lane = request.scope.get("lane", 0)
        if lane in self._strangers_changing:
            if self._strangers_changing[lane] >= MAX_STRANGERS_CHANGING[lane]:
                raise Busy
            request.scope["release_slot"]()
            self._strangers_changing[lane] += 1
            try:
                return await route.handler(request)
            finally:
                self._strangers_changing[lane] -= 1
        if self._changing < MAX_CHANGING:
            request.scope["release_slot"]()
        self._changing += 1
        try:
            return await route.handler(request)
        finally:
            self._changing -= 1

    # Identification

    def _request(self, scope: dict[str, Any], receive: Any) -> Request:
        return Request(
            scope,
            receive,
            site=self.site,
            facts=self.router.facts[scope["raw_path"]],
            now_ms=clock.now_ms(),
            at_s=time.monotonic(),
        )

    async def _identify(self, request: Request, route: Route | None) -> None:
        """Set `request.access`. The API accepts only bearer tokens, so other sites cannot act with a
        browser's cookies. `route`: None if there is none for the path and the method.

        Raise NotSignedIn for an invalid token, except on routes open to visitors: there it is ignored, as in
        Mastodon, because apps still send their old token when they register again.
        """
        visit = request.scope["visit"]
        if request.facts.family is not Family.API:
            if visit.session is not None:
                request.access = await self._session(request, visit.session.session_id)
            return
        # The edge read the entry before the pending events were applied, which may have ended or changed the access.
        entry = None if visit.token is None else self.site.tokens.get(visit.token_hash, request.at_s)
        if entry is not None and entry is visit.token:
            request.access = entry.claims  # type: ignore[assignment]  # we put it there, below
        elif visit.token_hash is not None:
            request.access = await self._token(request, visit.token_hash)
            is_open = route is not None and route.actor is Actor.ANYONE and not route.streams
            if request.access is None and not is_open:
                raise NotSignedIn

    async def _identify_for_page(self, request: Request) -> None:
        """Identify the reader for an error page; only pages use the session."""
        if request.facts.family is not Family.API:
            await self._identify(request, None)

    async def _token(self, request: Request, token_hash: bytes) -> Access | None:
        tokens = self.site.tokens
        if tokens.is_unknown(token_hash, request.at_s):
            return None
        began = self.site.access_freshness.begin()
        access = await self.site.database.read(access_rules.access_by_token, token_hash=token_hash)
        if access is None:
            tokens.forget(token_hash)
            # Its account may have been approved, or unsuspended, during the look-up.
            if self.site.access_freshness.is_current(began):
                tokens.mark_unknown(token_hash, request.at_s)
            return None
        if self.site.access_freshness.is_current(began):
            tokens.put(token_hash, token_entry(access, request.at_s))
        return access

    async def _session(self, request: Request, session_id: int) -> Access | None:
        tokens = self.site.tokens
        key = b"session:%d" % session_id
        entry = tokens.get(key, request.at_s)
        if entry is not None and entry.is_fresh(request.at_s):
            return entry.claims  # type: ignore[return-value]  # we put it there, below
        began = self.site.access_freshness.begin()
        access = await self.site.database.read(
            access_rules.access_by_session, session_id=session_id, now_ms=request.now_ms
        )
        if access is None:
            tokens.forget(key)
            if self.site.access_freshness.is_current(began):
                tokens.mark_ended(session_id)
            return None
        if self.site.access_freshness.is_current(began):
            tokens.put(key, token_entry(access, request.at_s))
        return access

    def _authorise(self, request: Request, route: Route) -> None:
        access = request.access
        if route.actor is not Actor.ANYONE and access is None:
            if request.facts.family is not Family.API:
                raise _SignInFirst(request)
            raise NotSignedIn
        if access is None:
            return
        if not access.confirmed and not route.unconfirmed:
            if route.actor is Actor.ACCOUNT:
                raise Forbidden(access_rules.UNCONFIRMED)
            if route.actor is Actor.ANYONE:
                # They see the same as a visitor.
                request.access = None
                return
        if route.actor is Actor.ACCOUNT and access.account_id is None:
            raise Invalid("This method requires an authenticated user")
        if route.scope is not None and route.scope not in access.allowed:
            raise Forbidden("This action is outside the authorized scopes")

    # Responses

    def _refuse(self, request: Request, refusal: Refusal) -> Response:
        if isinstance(refusal, _SignInFirst):
            return redirect(refusal.location)
        family = request.facts.family
        if family is Family.API:
            content: dict[str, Any] = {"error": refusal.safe_text}
            if isinstance(refusal, Invalid) and refusal.fields:
                content["details"] = {
                    name: [{"error": code_of(text), "description": str(text)}]
                    for name, text in refusal.fields.items()
                }
            response = json(content, refusal.status)
        elif family is Family.FEED:
            # Its reader is a program: an HTML page would only clutter its log.
            response = Response(refusal.status, f"{refusal.safe_text}\n".encode(), content_type=TEXT)
        else:
            try:
                response = self._error_page(request, refusal)
            except Exception:
                log.exception("rendering the error page failed")
                response = Response(refusal.status, refusal.safe_text.encode(), content_type=HTML)
        if isinstance(refusal, TooMany | Busy):
            response.headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        if isinstance(refusal, MethodNotAllowed):
            response.headers.append((b"allow", ", ".join(refusal.allowed).encode()))
        return response

    def _complete(self, request: Request, response: Response, request_id: str) -> None:
        headers = response.headers
        if response.listen is None:
            headers.append((b"content-length", b"%d" % (len(response.body) or response.length)))
        headers.append((b"x-request-id", request_id.encode()))
        facts = request.facts
        is_api = facts.family is Family.API
        if facts.has_cors:
            headers += CORS
        limit = request.scope.get("rate_limit")
        if response.is_file:
            headers += self._headers.file
        elif is_api:
            headers += self._headers.api
            if limit:
                # The edge adds the remaining count and the time of reset (framing.py).
                headers.append((b"x-ratelimit-limit", b"%d" % limit))
        else:
            headers += self._headers.of_page(
                headers,
                has_opener=facts.is_opened_by_apps,
                may_be_framed=response.may_be_framed,
                open_form_action=response.open_form_action,
            )
            if request.new_form_cookie is not None:
                response.set_cookie(
                    FORM_COOKIE, request.new_form_cookie, max_age_s=FORM_COOKIE_S, secure=self.site.https
                )
        for name, _ in headers:
            if name == b"cache-control":
                break
        else:
            # Caches may store anonymous responses briefly; they must never store others.
            alone = request.access is None and request.method in _SAFE_METHODS and response.status == 200
            shared = alone and facts.hot is not None
            headers.append((b"cache-control", b"public, max-age=0" if shared else b"private, no-store"))
            if shared:
                headers.append((b"vary", b"Authorization" if is_api else b"Cookie"))


def token_entry(access: Access, at_s: float) -> TokenEntry:
    """Return the shield's entry of a credential that was looked up at `at_s`, on the monotonic clock."""
    return TokenEntry(
        access.account_id,
        access.created_at_ms,
        at_s,
        access,
        application=access.application,
        is_operator=access.role == Role.ADMIN,
        is_confirmed=access.confirmed,
    )


class _SignInFirst(Refusal):
    """A visitor requested a page for members: redirect to the sign-in page."""

    status = 303

    def __init__(self, request: Request) -> None:
        super().__init__("Please sign in first")
        target = request.path if request.method in _SAFE_METHODS else "/"
        query = request.scope["query_string"].decode("latin-1")
        if query and request.method in _SAFE_METHODS:
            target += f"?{query}"
        self.location = f"/auth/sign_in?next={quoted(target, safe=b'/')}"


class _Broken(Refusal):
    """An internal error. The cause is in the log under the request's id."""

    status = 500
    default_text = "Something went wrong on the server. The error has been logged"


def _allowed(routes: dict[str, Route]) -> tuple[str, ...]:
    return tuple(sorted({*routes, "OPTIONS", *(["HEAD"] if "GET" in routes else [])}))
