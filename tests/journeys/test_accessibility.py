"""axe-core checks every page in a real browser: wide and narrow, light and dark, for each kind of reader.

A page that is in the routes but not in PAGES fails the first test.
"""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import pyotp
import pytest

from stormpetrel.audience.periods import before, periods_at
from stormpetrel.http.routing import Actor
from stormpetrel.model.mail import Purpose, link_token, new_link
from stormpetrel.model.status_subscription import SubscriptionKind
from stormpetrel.storage import status_subscriptions
from stormpetrel.storage.audience import store_numbers
from stormpetrel.web.routes import ROUTES
from tests.insight import recorded
from tests.instance import running_instance
from tests.mailbox import link_of
from tests.parts import NODE, require
from tests.people import PASSWORD, now_ms, place_of
from tests.web.lived_in import APP_BACK, OUT_OF_BAND, demo_route_settings, live_in

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
TIMEOUT_MS = 10_000

PAGES = {
    "/": ("visitor /", "member /", "admin /", "stranger /"),
    "/public": ("visitor /public", "member /public"),
    "/tags/{name}": ("visitor /tags/hello", "member /tags/unused"),
    "/@{name}": ("visitor /@{name}", "member /@{name}", "stranger /@{name}", "admin /@{name}"),
    "/@{name}/with_replies": ("visitor /@{name}/with_replies",),
    "/@{name}/followers": ("visitor /@{name}/followers",),
    "/@{name}/following": ("member /@{name}/following",),
    "/@{name}/{id}": ("visitor /@{name}/{id}", "member /@{name}/{id}", "member /@{name}/1"),
    "/@{name}/{id}/embed": ("visitor /@{name}/{id}/embed",),
    "/@{name}/{id}/history": ("visitor /@{name}/{id}/history",),
    "/@{name}/{id}/boosts": ("visitor /@{name}/{id}/boosts",),
    "/@{name}/{id}/favourites": ("visitor /@{name}/{id}/favourites",),
    "/about": ("visitor /about", "member /about"),
    "/audience": ("visitor /audience", "member /audience"),
    "/explore": ("visitor /explore", "member /explore"),
    "/search": ("visitor /search?q=ada", "member /search?q=hello", "member /search"),
    "/profile": ("member /profile",),
    "/bookmarks": ("member /bookmarks",),
    "/favourites": ("member /favourites",),
    "/notifications": ("member /notifications", "admin /notifications"),
    "/conversations": ("member /conversations", "admin /conversations"),
    "/follow_requests": ("member /follow_requests",),
    "/compose": ("member /compose", "member /compose?in_reply_to={id}"),
    "/posts/{id}/edit": ("member /posts/{id}/edit",),
    "/posts/{id}/delete": ("member /posts/{id}/delete",),
    "/posts/{id}/report": ("stranger /posts/{id}/report",),
    "/people/{id}/report": ("member /people/{account}/report",),
    "/reports/{id}": ("member /reports/{report}",),
    "/settings/muted": ("member /settings/muted",),
    "/settings/blocked": ("member /settings/blocked",),
    "/settings/hidden_boosts": ("member /settings/hidden_boosts",),
    "/settings/notifications": ("member /settings/notifications",),
    "/settings/naming": ("member /settings/naming",),
    "/settings": ("member /settings",),
    "/settings/profile": ("member /settings/profile",),
    "/lists": ("member /lists",),
    "/lists/{id}": ("member /lists/{list}",),
    "/settings/filters": ("member /settings/filters",),
    "/settings/filters/{id}": ("member /settings/filters/{filter}",),
    "/auth/sign_in": ("visitor /auth/sign_in",),
    "/auth/sign_up": ("visitor /auth/sign_up",),
    "/auth/password": ("member /auth/password",),
    "/auth/password/new": ("visitor /auth/password/new",),
    "/auth/mail_sent": ("visitor /auth/mail_sent",),
    "/auth/confirm": ("visitor /auth/confirm?token={confirm}",),
    "/auth/password/edit": ("visitor /auth/password/edit?token={reset}",),
    "/auth/sign_in/mail": ("visitor /auth/sign_in/mail",),
    "/auth/sign_in/phone": ("visitor /auth/sign_in/phone",),
    "/auth/sign_in/phone/code": ("visitor /auth/sign_in/phone/code",),
    "/auth/sign_in/link": ("visitor /auth/sign_in/link?token={link}",),
    "/auth/sign_in/second": ("visitor /auth/sign_in/second",),
    "/settings/security": ("member /settings/security",),
    "/settings/account": ("member /settings/account",),
    "/settings/phone": ("member /settings/phone", "stranger /settings/phone"),
    "/settings/delete": ("member /settings/delete",),
    "/oauth/authorize": ("member /oauth/authorize?{consent}",),
    "/admin": ("admin /admin", "member /admin"),
    "/admin/sign_ups": ("admin /admin/sign_ups",),
    "/admin/texts": ("admin /admin/texts",),
    "/admin/sms": ("admin /admin/sms",),
    "/admin/shield": ("admin /admin/shield",),
    "/admin/status": ("admin /admin/status",),
    "/admin/insight": ("admin /admin/insight",),
    "/admin/audience": ("admin /admin/audience",),
    "/admin/reports": ("admin /admin/reports",),
    "/admin/reports/{id}": ("admin /admin/reports/{report}",),
    "/admin/people/{id}": ("admin /admin/people/{account}",),
    "/admin/log": ("admin /admin/log",),
    "/status/subscribe": ("visitor /status/subscribe", "member /status/subscribe"),
    "/status/subscribed": ("visitor /status/subscribed",),
    "/status/subscription": ("visitor /status/subscription?token={subscription}",),
    "/status/left": ("visitor /status/left",),
    "/demo/phone": ("visitor /demo/phone", "member /demo/phone?number=2"),
}
"""Path of a route → visits to it: a viewer and an address. Ada is the member, and the stranger is unrelated
to her.
"""

REFUSED = {"member /@{name}/1": 404, "member /admin": 403}
"""Visits that are answered by an error page, with its status."""

NO_PAGES = {
    "/tags/{name}/feed.atom",
    "/@{name}/feed.atom",
    "/assets/{name}",
    "/media/{key}",
    "/admin/insight/{name}",
    "/favicon.ico",
    "/robots.txt",
    "/manifest.webmanifest",
    "/status",
    "/status/leave",
}
"""Files and feeds for programs, and reports: in their sandbox no script of a test can run."""

LOOKS = ((DESKTOP, "light"), (PHONE, "dark"))
"""Every page is checked in each of these, in the second one with everything unfolded."""
MORE_LOOKS = ((PHONE, "light"), (DESKTOP, "dark"))
"""The colours of RICH pages are checked in these, too. Together these pages have every kind of element."""
RICH = {
    "/",
    "/public",
    "/@{name}",
    "/@{name}/{id}",
    "/notifications",
    "/conversations",
    "/admin/reports/{id}",
}
JUDGE = """async (only) => {
  const found = await axe.run(document, {
    preload: false, reporter: "no-passes",
    ...(only.length ? { runOnly: { type: "rule", values: only } } : {}),
  });
  return found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.target.join(" ")} ${node.html.slice(0, 160)}`));
}"""
"""Return axe-core's findings on the page, one line each. `only`: names of rules, or empty for all rules."""
COLOURS = ["color-contrast", "link-in-text-block"]
OPEN_ALL = "for (const one of document.querySelectorAll('main details')) one.open = true"


@pytest.fixture(scope="module")
def axe():
    require("node")
    return (NODE / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory, sqlite_template):
    """Yield a running instance for this file. The differences between stores are tested without a browser."""
    require("ffmpeg")
    directory = tmp_path_factory.mktemp("lived_in")
    database = directory / "stormpetrel.db"
    database.write_bytes(sqlite_template.read_bytes())
    settings = {"web_workers": 1, "registration": "approval", "audience_public": True}
    settings |= demo_route_settings(directory)
    url = f"sqlite:///{database}"
    with running_instance(directory, url, **settings) as instance, place_of(instance, url) as place:
        made = live_in(place, directory)
        counts = {"visitors/all": 593, "visitors/web": 500, "from/none": 1, "landing/home": 1}
        recorded.write_record(Path(instance.environ["STORMPETREL_DATA_DIR"]), seconds=5)
        day, _, month = periods_at(time.time())
        store_numbers(url, machine="a", numbers={before(day).name: counts, before(month).name: counts})
        consent = f"response_type=code&client_id={made.values['client']}&scope=read&redirect_uri="
        made.values |= {
            "consent": consent + quote(APP_BACK, safe=""),
            "out_of_band": consent + OUT_OF_BAND,
            "reset": link_of(place, made.ada.id, Purpose.RESET),
            "link": link_of(place, made.ada.id, Purpose.SIGN_IN),
            "confirm": link_of(place, made.ada.id, Purpose.ADDRESS),
            "subscription": subscription_of(place),
        }
        yield made


def subscription_of(place):
    """Store a subscription to the status page that is not confirmed; return the token of its link."""
    link = new_link(b"x" * 32, "subscription")
    place.write(
        status_subscriptions.add,
        kind=SubscriptionKind.EMAIL,
        target="ada@example.org",
        host="",
        channels=("apps",),
        nonce=link.nonce,
        token_hash=link.token_hash,
        now_ms=now_ms(),
    )
    return link_token(b"x" * 32, "subscription")


def window(browser, lived_in, axe, person=None):
    """Yield a browser page with axe-core, in which the person is signed in.

    Animations are disabled, so that no rule meets a half-faded element.
    """
    context = browser.new_context(
        base_url=lived_in.place.base_url, viewport=DESKTOP, color_scheme="light", reduced_motion="reduce"
    )
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(axe)
    if person is not None:
        cookies = lived_in.place.browser_session(person).cookies
        context.add_cookies(
            [
                {"name": name, "value": value, "url": lived_in.place.base_url}
                for name, value in cookies.items()
            ]
        )
    return context.new_page()


def judged(page, where, *, rich=False):
    """Return axe-core's findings on the open page, in every look."""
    found = set()
    for size, scheme in LOOKS + (MORE_LOOKS if rich else ()):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        if size is PHONE:
            page.evaluate(OPEN_ALL)
        only = [] if (size, scheme) in LOOKS else COLOURS
        found |= {f"{where}: {line}" for line in page.evaluate(JUDGE, only)}
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light")
    return sorted(found)


def test_every_page_that_the_routes_have_is_looked_at():
    paths = {route.path for route in ROUTES if route.method == "GET"}
    assert paths == set(PAGES) | NO_PAGES
    members = {route.path for route in ROUTES if route.actor is Actor.ACCOUNT}
    for path, visits in PAGES.items():
        viewers = {visit.partition(" ")[0] for visit in visits}
        assert viewers - {"visitor"} if path in members else viewers, path


TOUCHING = """() => {
    const cards = [...document.querySelectorAll("main .card")].filter(card =>
        card.getClientRects().length && !card.parentElement.closest(".card"));
    const gap = (card, place) => card.getBoundingClientRect().top - cards[place].getBoundingClientRect().bottom;
    return cards.slice(1).filter((card, place) => gap(card, place) < 8).map(card => card.innerText.slice(0, 40));
}"""
"""The beginning of each card that is nearer than 8 pixels to the card above it."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("viewer", ["visitor", "member", "stranger", "admin"])
def test_axe_finds_nothing_wrong_on_any_page(browser, lived_in, axe, viewer):
    people = {"member": lived_in.ada, "admin": lived_in.admin, "stranger": lived_in.stranger}
    page = window(browser, lived_in, axe, people.get(viewer))
    found = []
    for path, visit in [(path, visit) for path, visits in PAGES.items() for visit in visits]:
        who, _, address = visit.partition(" ")
        if who == viewer:
            answer = page.goto(address.format_map(lived_in.values))
            assert answer.status == REFUSED.get(visit, 200), visit
            found += [f"{visit}: touches the card above: {card}" for card in page.evaluate(TOUCHING)]
            found += judged(page, visit, rich=path in RICH)
    page.context.close()
    assert found == [], "\n".join(found)


def send(page, button):
    """Press a button of the page, without the browser's validation of its fields, and wait for the answer."""
    page.evaluate("for (const one of document.forms) one.noValidate = true")
    with page.expect_navigation():
        page.locator("main").get_by_role("button", name=button).first.click()


def test_axe_finds_nothing_wrong_on_what_answers_a_visitor(browser, lived_in, axe):
    found = []
    page = window(browser, lived_in, axe)
    page.goto("/auth/sign_in")
    page.fill("#user_email", lived_in.stranger.username)
    page.fill("#user_password", "a wrong guess")
    send(page, "Sign in")
    page.get_by_role("alert").wait_for()
    found += judged(page, "a wrong password")
    page.goto("/auth/sign_in/phone")
    page.fill("#number", "12")
    send(page, "Text me a code")
    found += judged(page, "a number that is none")
    page.fill("#number", "+995 599 123 456")
    send(page, "Text me a code")
    found += judged(page, "the form for a texted code")
    page.fill("#code", "1")
    send(page, "Sign in")
    page.get_by_role("alert").wait_for()
    found += judged(page, "a wrong code")
    page.goto("/auth/sign_up")
    send(page, "Ask to join")
    page.get_by_role("alert").wait_for()
    found += judged(page, "a sign-up with mistakes")
    for field, typed in {"username": "late_1", "email": "late@example.org", "password": PASSWORD}.items():
        page.fill(f"#user_{field}", typed)
    page.fill("#user_reason", "To read")
    page.check("#user_agreement")
    send(page, "Ask to join")
    page.get_by_role("heading", name="Thank you").wait_for()
    found += judged(page, "a sign-up that waits")
    page.context.close()
    assert found == [], "\n".join(found)


def test_axe_finds_nothing_wrong_on_second_factors(browser, lived_in, axe):
    found = []
    careful = lived_in.place.person("Careful")
    page = window(browser, lived_in, axe, careful)
    page.goto("/settings/security")
    page.locator("#password_app").fill(PASSWORD)
    send(page, "Set up an app")
    app = pyotp.TOTP(page.locator("code").first.inner_text().replace(" ", ""))
    found += judged(page, "an app that is set up")
    page.fill("#code", app.at(time.time()))
    send(page, "Confirm")
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    found += judged(page, "recovery codes")
    page.goto("/settings/security")
    found += judged(page, "second factors")
    page.context.close()
    page = window(browser, lived_in, axe)
    page.goto("/auth/sign_in")
    page.fill("#user_email", careful.username)
    page.fill("#user_password", PASSWORD)
    send(page, "Sign in")
    page.get_by_role("heading", name="Two-factor authentication").wait_for()
    found += judged(page, "the second step")
    page.context.close()
    assert found == [], "\n".join(found)


def test_axe_finds_nothing_wrong_on_what_answers_a_member_or_opens(browser, lived_in, axe):
    found = []
    page = window(browser, lived_in, axe, lived_in.ada)
    page.goto("/settings/filters")
    send(page, "Create filter")
    page.get_by_role("alert").wait_for()
    found += judged(page, "a filter with mistakes")
    page.goto("/")
    page.fill("#compose-text", "y" * 501)
    send(page, "Post")
    page.get_by_role("alert").wait_for()
    found += judged(page, "a post that is too long")
    page.goto(f"/oauth/authorize?{lived_in.values['out_of_band']}")
    send(page, "Allow")
    page.locator("#code").wait_for()
    found += judged(page, "a code to type into an app")
    page.goto("/")
    page.set_viewport_size(PHONE)
    page.locator(".more-menu summary").click()
    found += [f"the menu on a phone: {line}" for line in page.evaluate(JUDGE, [])]
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found += judged(page, "the list of keys")
    page.context.close()
    assert found == [], "\n".join(found)


def test_axe_finds_nothing_wrong_on_forms_about_phones(browser, lived_in, axe):
    found = []
    page = window(browser, lived_in, axe, lived_in.place.person("Linking"))
    page.goto("/settings/phone")
    send(page, "Show a code")
    found += judged(page, "a code to text")
    page.context.close()
    page = window(browser, lived_in, axe, lived_in.ada)
    page.goto("/settings/phone")
    page.fill("#quiet", "late")
    send(page, "Save")
    found += judged(page, "quiet hours with a mistake")
    send(page, "Set the PIN")
    found += judged(page, "a PIN without the password")
    send(page, "Stop now")
    found += judged(page, "a stopped phone")
    page.context.close()
    page = window(browser, lived_in, axe, lived_in.admin)
    page.goto("/admin/sms")
    page.fill("#text", "“Water” is back" + "!" * 100)
    send(page, "Estimate")
    found += judged(page, "an estimate")
    page.context.close()
    assert found == [], "\n".join(found)


def test_axe_finds_nothing_wrong_on_the_status_page(browser, lived_in, axe):
    page = window(browser, lived_in, axe)
    page.goto(lived_in.place.instance.status_url)
    found = judged(page, "status", rich=True)
    page.context.close()
    assert found == [], "\n".join(found)
