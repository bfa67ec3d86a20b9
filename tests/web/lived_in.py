"""An instance where every page has content: what `live_in` creates, and which accounts see it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from stormpetrel.config import Config
from stormpetrel.model.account import Role
from stormpetrel.model.demo_phone import NUMBERS, ROUTE, SENDER
from stormpetrel.model.phone import PhoneKeys
from stormpetrel.process import secret
from stormpetrel.rules import naming, phones
from stormpetrel.storage.sms_spool import money, outbox
from stormpetrel.storage.sms_spool.file import open_spool
from stormpetrel.web.demo_phone import put_text
from tests.forms import send, sign_in
from tests.media_files import film, jpeg
from tests.people import PASSWORD, Person, Place, now_ms

LONG = "A long story. " + "It went on and on, and the tide went out. " * 9
APP_BACK = "https://app.example/back"
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


@dataclass
class LivedIn:
    """`values` fill the placeholders in the pages' paths: names, ids, secrets of links."""

    place: Place
    ada: Person
    admin: Person
    stranger: Person
    values: dict[str, str]


def demo_route_settings(directory: Path) -> dict[str, object]:
    """Return the settings of the demo's SMS route, with which there is a phone simulator."""
    return {
        "sms_route_demo_provider": "file",
        "sms_route_demo_directory": directory / "phones",
        "sms_route_demo_sender": SENDER,
        "sms_route_demo_trust": "device",
    }


def upload(person: Person, data: bytes, kind: str, description: str) -> str:
    """Upload a file through the API and wait until it can be posted. Return its id."""
    file = {"file": ("file", data, kind)}
    answer = person.http.post("/api/v2/media", files=file, data={"description": description})
    assert answer.status_code in (200, 202), answer.text
    media_id = str(answer.json()["id"])
    for _ in range(400):
        if person.http.get(f"/api/v1/media/{media_id}").status_code == 200:
            return media_id
        time.sleep(0.05)
    raise AssertionError(f"{kind} was not decoded")


def live_in(place: Place, directory: Path) -> LivedIn:
    """Create accounts, posts of every kind, and pending items for members, moderators and visitors.

    `directory` is where the files to upload are created.
    """
    ada, ben, cleo = place.person("Ada"), place.person("Ben"), place.person("Cleo")
    admin = place.person("Admin", role=Role.ADMIN)
    _profile(ada)
    for one, other in ((ada, ben), (ben, ada), (cleo, ada), (ben, cleo)):
        one.follow(other)
    ada.http.patch("/api/v1/accounts/update_credentials", json={"locked": True})
    place.person("Asking").follow(ada)
    values = {"name": ada.username, "account": str(ben.id)}
    shares = {one.username: 0.3 for one in (ada, ben, cleo)}
    place.write(naming.ask, shares=shares, began_ms=now_ms() - 600_000, ended_ms=now_ms(), now_ms=now_ms())

    edited = ada.post("First words, to be changed", spoiler_text="Old words")
    changed = {"status": "First words #hello https://example.org/a/long/address?with=words @" + ben.username}
    assert ada.http.put(f"/api/v1/statuses/{edited['id']}", json=changed).status_code == 200
    values["id"] = edited["id"]
    picture = [upload(ada, jpeg(), "image/jpeg", text) for text in ("A teal wall", "")]
    ada.post("Two pictures, one without a description", media_ids=picture)
    moving = [upload(ben, film(directory), "video/mp4", "A test card")]
    ben.post("A film", media_ids=moving)
    ben.post("Hidden", media_ids=[upload(ben, jpeg(), "image/jpeg", "Quiet")], sensitive=True)
    poll = ben.post("Which?", poll={"options": ["Tea", "Coffee"], "expires_in": 86_400})["poll"]["id"]
    several = {"options": ["Rain", "Wind"], "expires_in": 86_400, "multiple": True}
    voted = ben.post("Several?", poll=several, spoiler_text="Weather")["poll"]["id"]
    ada.do(f"/api/v1/polls/{voted}/votes", choices=[0])
    cleo.do(f"/api/v1/polls/{poll}/votes", choices=[1])
    ben.post(LONG, visibility="private", language="en")
    warned = ben.post("What happens at the end", spoiler_text="The end of the book")
    answer = ben.post(f"@{ada.username} an answer #hello", in_reply_to_id=edited["id"])
    ada.post(f"@{ben.username} and one more", in_reply_to_id=answer["id"])
    ben.do(f"/api/v1/statuses/{edited['id']}/reblog")
    ada.do(f"/api/v1/statuses/{warned['id']}/reblog")
    for verb in ("favourite", "bookmark", "reblog"):
        cleo.do(f"/api/v1/statuses/{edited['id']}/{verb}")
        ada.do(f"/api/v1/statuses/{answer['id']}/{verb}")
    ada.do(f"/api/v1/statuses/{edited['id']}/pin")
    ben.post(f"@{ada.username} for you alone", visibility="direct")
    ada.post(f"@{cleo.username} for you too", visibility="direct")
    for word, action in (("spider", "warn"), ("moths", "blur")):
        title = f"No {word}"
        made = ada.do(
            "/api/v2/filters",
            title=title,
            context=["home", "public", "thread", "account", "notifications"],
            filter_action=action,
            keywords_attributes=[{"keyword": word, "whole_word": True}],
        )
        values["filter"] = made["id"]
    ben.post("A spider on the wall")
    ben.post("Look, moths", media_ids=[upload(ben, jpeg(), "image/jpeg", "Some moths")])
    values["list"] = ada.do("/api/v1/lists", title="Sailors")["id"]
    ada.do(f"/api/v1/lists/{values['list']}/accounts", account_ids=[str(ben.id)])
    ada.do("/api/v1/tags/hello/follow")
    _text(place, ada, ben)
    _moderate(place, values, ada=ada, ben=ben, admin=admin)
    _come_from_outside(place, ada)
    ada.http.patch("/api/v2/notifications/policy", json={"for_not_following": "filter"})
    place.person("Unknown").post(f"@{ada.username} do you know me?")
    application = place.visitor.post(
        "/api/v1/apps",
        data={
            "client_name": "An app",
            "redirect_uris": f"{APP_BACK}\n{OUT_OF_BAND}",
            "scopes": "read",
            "website": APP_BACK,
        },
    ).json()
    values["client"] = application["client_id"]
    return LivedIn(place, ada, admin, cleo, values)


def _profile(person: Person) -> None:
    lines = {"fields_attributes[0][name]": "Home", "fields_attributes[0][value]": "https://example.org/ada"}
    answer = person.http.patch(
        "/api/v1/accounts/update_credentials",
        data={"display_name": "Ada of the Sea", "note": "Sails. See https://example.org #sea", **lines},
        files={
            "avatar": ("me.jpg", jpeg((200, 200)), "image/jpeg"),
            "header": ("sea.jpg", jpeg((900, 300)), "image/jpeg"),
        },
    )
    assert answer.status_code == 200, answer.text


def _text(place: Place, person: Person, other: Person) -> None:
    """Link a simulated phone, let it write, and store a text that failed."""
    data_dir = Path(place.instance.environ["STORMPETREL_DATA_DIR"])
    place.write(
        phones.link, account_id=person.id, number=NUMBERS[0], route=ROUTE, zone="UTC", language="en",
        keys=PhoneKeys(secret.load(Config(data_dir=data_dir))), now_ms=now_ms(),
    )  # fmt: skip
    person.do(f"/api/v1/accounts/{other.id}/follow", notify=True)
    put_text(
        Path(place.instance.environ["STORMPETREL_SMS_ROUTE_DEMO_DIRECTORY"]),
        NUMBERS[0],
        "HELP",
        message_id="1",
    )
    with open_spool(data_dir) as spool, spool.transaction() as db:
        outbox.put(
            db, key="failed", route="none", number=NUMBERS[1], text="x", kind="dm", lane=2, segments=1,
            now_ms=now_ms(), expires_ms=now_ms() + 60_000,
        )  # fmt: skip
        (message,) = outbox.queued(db, route="none", now_ms=now_ms(), count=1)
        (unit,) = outbox.begin(db, message=message, wants=[False], now_ms=now_ms())
        outbox.failed(db, unit=unit, error="no such subscriber", now_ms=now_ms())
        money.reserve(
            db, price=50_000, number=NUMBERS[1], prefix="+1", is_security=False,
            caps=money.Caps(0, 0, 0, 0.0), now_ms=now_ms(),
        )  # fmt: skip


def _moderate(place: Place, values: dict[str, str], *, ada: Person, ben: Person, admin: Person) -> None:
    browser = place.browser_session(admin)
    texts = browser.get("/admin/texts")
    for target, typed in (
        ("add_rule", {"text": "Be kind", "hint": "Everyone has a bad day."}),
        ("announce", {"text": "The server moves on Sunday, see https://example.org"}),
        ("privacy_policy", {"text": "We keep little.\n\nAsk us."}),
        ("block_domain", {"domain": "spam.example"}),
    ):
        assert send(browser, texts, f"/admin/texts/{target}", typed).status_code == 303, target
    bad = [ben.post(f"Buy boats {number}") for number in (1, 2)]
    for post in bad:
        report = ada.do(
            "/api/v1/reports",
            account_id=str(ben.id),
            status_ids=[post["id"]],
            comment="Boats again",
            category="spam",
        )
    values["report"] = report["id"]
    page = browser.get(f"/admin/reports/{report['id']}")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert csrf is not None
    for verb in ("assign", "hide"):
        done = browser.post(
            f"/admin/reports/{report['id']}/{verb}",
            data={"csrf": csrf[1], "reason": "It is spam"},
            headers={"origin": place.base_url, "sec-fetch-site": "same-origin"},
        )
        assert done.status_code == 303, done.text


def _come_from_outside(place: Place, ada: Person) -> None:
    """Sign up an account that waits for approval, and guess at Ada's password."""
    with place.client() as browser:
        form = browser.get("/auth/sign_up")
        typed = {
            "user[username]": "waiting_1",
            "user[email]": "waiting@example.org",
            "user[password]": PASSWORD,
            "user[agreement]": "1",
            "user[reason]": "I would like to read along",
        }
        assert send(browser, form, "/auth/sign_up", typed).status_code == 200
        assert sign_in(browser, ada.username, "a wrong guess").status_code == 422
