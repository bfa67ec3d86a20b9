"""The consent page, on which a user lets an app use their account, and the response to the app.

An app receives a response only at a URI that it registered. Until that is verified, errors are shown here to
the user.
"""

from __future__ import annotations

import secrets
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from stormpetrel.errors import Malformed
from stormpetrel.http.request import Request
from stormpetrel.http.response import Response, redirect
from stormpetrel.model.access import OUT_OF_BAND, SCOPES, Application, expand, secret_hash
from stormpetrel.model.account import ascii_domain
from stormpetrel.rules import applications as rules
from stormpetrel.rules.applications import Consent, OAuthRefusal
from stormpetrel.shield.percent import query_string
from stormpetrel.web.links import sign_in_path
from stormpetrel.web.reader import read_reader
from stormpetrel.web.render import pages_of

CODE_BYTES = 24
"""Random bytes in a code: 192 bits (RFC 6749 §10.10 requires 160), and short enough to type."""

SCOPE_WORDS = {
    "profile": "See your name and profile picture",
    "read": "Read everything you can read: timelines, messages to you, notifications, settings",
    "read:accounts": "Read profiles",
    "read:blocks": "See who you block",
    "read:bookmarks": "See your bookmarks",
    "read:favourites": "See your favourites",
    "read:filters": "See your filters",
    "read:follows": "See who you follow",
    "read:lists": "See your lists",
    "read:mutes": "See who you mute",
    "read:notifications": "See your notifications",
    "read:search": "Search on your behalf",
    "read:statuses": "Read all posts you can read, including private mentions",
    "write": "Change everything you can change: post, delete, favourite, follow, block, edit your profile",
    "write:accounts": "Edit your profile",
    "write:blocks": "Block and unblock people",
    "write:bookmarks": "Bookmark posts",
    "write:conversations": "Mute and delete conversations",
    "write:favourites": "Favourite posts",
    "write:filters": "Change your filters",
    "write:follows": "Follow and unfollow people",
    "write:lists": "Change your lists",
    "write:media": "Upload images and other media",
    "write:mutes": "Mute and unmute people",
    "write:notifications": "Clear your notifications",
    "write:reports": "Report people and posts",
    "write:statuses": "Publish and delete posts on your behalf",
    "follow": "Follow, mute and block people, and see who you follow, mute and block",
    "push": "Send you push notifications",
}
"""A plain description of every scope."""


class AuthorizationRequest(msgspec.Struct):
    """RFC 6749 §4.1.1 and RFC 7636 §4.3. `force_login`: sign in again first. `lang` is ignored."""

    response_type: str = ""
    client_id: str = ""
    redirect_uri: str = ""
    scope: str = ""
    state: str | None = None
    code_challenge: str = ""
    code_challenge_method: str = ""
    force_login: str = ""


async def ask(request: Request) -> Response:
    """Show the permissions that the app requests; redirect visitors to sign in first."""
    asked = request.query(AuthorizationRequest)
    client = await _client(request, asked)
    try:
        consent = _consent(client, asked)
    except OAuthRefusal as refusal:
        return _refused(asked, refusal.error, refusal.safe_text)
    again = query_string((name, value) for name, value in request.query_pairs if name != "force_login")
    here = f"/oauth/authorize?{again}"
    if request.reader_id is None:
        return redirect(sign_in_path(here))
    if asked.force_login.lower() in ("1", "true"):
        return redirect(f"{sign_in_path(here)}&again=1")
    reader = await request.site.database.read(read_reader, reader_id=request.reader_id, now_ms=request.now_ms)
    response = pages_of(request).page(
        request,
        "consent.html",
        reader=reader,
        client=client,
        words=permissions(consent.scopes),
        website_host=_host(client.website),
        destination=_destination(consent.redirect_uri),
        asked=[(name, value) for name, value in request.query_pairs if name in _FORM_FIELDS],
        switch=f"{sign_in_path(here)}&again=1",
    )
    # Submitting the form redirects the browser to the app, which may use its own URL scheme.
    response.open_form_action = True
    return response


async def decide(request: Request) -> Response:
    """Handle the decision: send the app a code, or the refusal."""
    form = await request.form()
    asked = msgspec.convert({name: form[name] for name in _FORM_FIELDS if name in form}, AuthorizationRequest)
    client = await _client(request, asked)
    # Validate again: the form normally comes from our page, but a client can send any values.
    try:
        consent = _consent(client, asked)
    except OAuthRefusal as refusal:
        return _refused(asked, refusal.error, refusal.safe_text)
    if request.reader_id is None:
        fields = {name: form[name] for name in _FORM_FIELDS if name in form}
        return redirect(sign_in_path(f"/oauth/authorize?{urlencode(fields)}"))
    if form.get("decision") != "approve":
        return _refused(
            asked, "access_denied", "The resource owner or authorization server denied the request."
        )
    code = secrets.token_urlsafe(CODE_BYTES)
    await request.site.database.write(
        rules.create_code,
        application_id=client.id,
        account_id=request.reader_id,
        consent=consent,
        code_hash=secret_hash(code),
        now_ms=request.now_ms,
    )
    if asked.redirect_uri == OUT_OF_BAND:
        return pages_of(request).page(
            request, "out_of_band.html", client=client, code=code, minutes=rules.CODE_AGE_S // 60
        )
    return _send_back(asked, [("code", code)])


_FORM_FIELDS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)


async def _client(request: Request, asked: AuthorizationRequest) -> Application:
    """Return the requesting app, if the redirect URI is registered; else raise Malformed, for the user."""
    client = await request.site.database.read(rules.application_by_client_id, client_id=asked.client_id)
    if client is None:
        raise Malformed(
            "This server does not know the app that sent you here. Remove your account from the app and add it "
            "again"
        )
    if not rules.redirect_uri_fits(client, asked.redirect_uri):
        raise Malformed(
            f"{client.name} asked for a redirect to a URL it has not registered, so the sign-in was stopped"
        )
    return client


def _consent(client: Application, asked: AuthorizationRequest) -> Consent:
    return rules.consent_wanted(
        client,
        response_type=asked.response_type,
        redirect_uri=asked.redirect_uri,
        scope=asked.scope,
        code_challenge=asked.code_challenge,
        code_challenge_method=asked.code_challenge_method,
    )


def _refused(asked: AuthorizationRequest, error: str, text: str) -> Response:
    """Report the refusal to the app; out of band, show it to the user."""
    if asked.redirect_uri == OUT_OF_BAND:
        if error == "access_denied":
            return redirect("/")
        raise Malformed(text)
    return _send_back(asked, [("error", error), ("error_description", text)])


def _send_back(asked: AuthorizationRequest, answer: list[tuple[str, str]]) -> Response:
    """Redirect to the app with `answer` and its `state`, appended to its URI's own query."""
    if asked.state is not None:
        answer = [*answer, ("state", asked.state)]
    uri = asked.redirect_uri
    return redirect(f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer, quote_via=quote)}")


def permissions(scopes: tuple[str, ...]) -> list[str]:
    """Return descriptions of the scopes; omit a scope that is part of another one."""
    wide = [expand((scope,)) - {scope} for scope in scopes]
    return [
        SCOPE_WORDS[scope]
        for scope in SCOPES
        if scope in scopes and not any(scope in contained for contained in wide)
    ]


def _host(website: str) -> str:
    """Return the host of an app's website in ASCII: letters of two scripts may look alike. Empty for none."""
    return ascii_domain(urlsplit(website).hostname or "")


def _destination(redirect_uri: str) -> str:
    """Return the readable target of the redirect: a host, or an app's scheme; empty out of band."""
    if redirect_uri == OUT_OF_BAND:
        return ""
    url = urlsplit(redirect_uri)
    return url.netloc if url.scheme in ("http", "https") else f"{url.scheme}:"
