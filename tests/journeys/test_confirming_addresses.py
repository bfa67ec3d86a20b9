"""Confirming an address: from the sign-up over the mail to the account, also where others typed it first."""

from __future__ import annotations

import re
import secrets

import pytest

from stormpetrel.model import quota
from stormpetrel.model.account import Role
from stormpetrel.model.mail import new_link
from stormpetrel.rules import accounts, quotas
from stormpetrel.rules import mail as mail_rules
from tests.forms import SESSION_COOKIE, send, sign_in, signed_in_as
from tests.instance import running_instance
from tests.mailbox import link_in, mails_to, next_mail
from tests.people import PASSWORD, now_ms, place_of
from tests.waiting import eventually

NEW = "another long password"


@pytest.fixture
def confirming(database_url, tmp_path):
    """Yield an instance where addresses must be confirmed, and which writes mails to files."""
    with (
        running_instance(tmp_path, database_url, mail_confirm="required") as instance,
        place_of(instance, database_url) as place,
    ):
        yield place


def typed(name):
    return {
        "user[username]": name,
        "user[email]": f"{name}@example.org",
        "user[password]": PASSWORD,
        "user[agreement]": "1",
    }


def test_who_signs_up_is_in_once_their_address_is_confirmed(confirming):
    place = confirming
    with place.client() as browser, place.client() as scanner:
        waiting = send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", typed("Lomi"))
        assert waiting.status_code == 200
        assert "Lomi@example.org" in waiting.text
        assert SESSION_COOKIE not in browser.cookies
        assert sign_in(browser, "Lomi").status_code == 403
        assert sign_in(browser, "Lomi", "a wrong password").status_code == 422
        assert place.visitor.get("/@Lomi").status_code == 404
        link = link_in(next_mail(place, "Lomi@example.org"), place)
        # A mail scanner follows the link, which confirms nothing.
        assert scanner.get(link).status_code == 200
        assert sign_in(browser, "Lomi").status_code == 403
        page = browser.get(link)
        done = send(browser, page, "/auth/confirm")
        assert (done.status_code, done.headers["location"]) == (303, "/auth/sign_in?done=confirmed")
        assert 'role="status"' in browser.get(done.headers["location"]).text
        assert sign_in(browser, "Lomi").status_code == 303
        assert browser.get(link).status_code == 404
    # An account added by the operator needs no confirmation.
    place.instance.run_cli("user", "add", "Ida", "--email", "ida@example.org", "--password", PASSWORD)
    with place.client() as browser:
        assert sign_in(browser, "Ida").status_code == 303


def test_an_approved_sign_up_gets_a_mail_that_leads_to_signing_in(database_url, tmp_path):
    with (
        running_instance(tmp_path, database_url, registration="approval") as instance,
        place_of(instance, database_url) as place,
        place.client() as browser,
    ):
        keeper = place.person("Keeper", role=Role.ADMIN)
        for name in ("Lomi", "Zaza"):
            asked = typed(name) | {"user[reason]": "birds"}
            assert send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", asked).status_code == 200
        ids = {name: place.write(accounts.user_by_login, login=name).account_id for name in ("Lomi", "Zaza")}
        with place.client() as admin:
            sign_in(admin, keeper.username)
            page = admin.get("/admin/sign_ups")
            assert mails_to(place, "Lomi@example.org") == []
            assert send(admin, page, f"/admin/sign_ups/{ids['Lomi']}/approve").status_code == 303
        message = next_mail(place, "Lomi@example.org")
        assert message["Subject"].startswith("You can sign in now")
        assert f"{place.base_url}/auth/sign_in" in message.get_content().splitlines()
        assert sign_in(browser, "Lomi").status_code == 303
        # Approval at the command line sends the mail too. A second approval is refused and sends none.
        place.instance.run_cli("user", "approve", "Zaza")
        assert next_mail(place, "Zaza@example.org")["Subject"].startswith("You can sign in now")
        place.instance.run_cli("user", "approve", "Zaza", expect_exit=2)
        assert len(mails_to(place, "Zaza@example.org")) == 1


PENDING_TEXT = "review each one personally"
MAIL_TO_CONFIRM = "We sent an e-mail to"
NO_MAILS = "does not send e-mail"
APPROVAL_MAIL = "you will get an e-mail at"
LATER_MAIL = "You will get another e-mail when they approve it"


@pytest.mark.parametrize(
    ("registration", "transport", "confirm", "said"),
    [
        ("approval", "file", "auto", {PENDING_TEXT, NO_MAILS}),
        ("approval", "smtp", "off", {PENDING_TEXT, APPROVAL_MAIL}),
        ("approval", "smtp", "auto", {MAIL_TO_CONFIRM, LATER_MAIL}),
        ("approval", "file", "required", {NO_MAILS, "Once they approve it, you can sign in."}),
        ("open", "smtp", "auto", {MAIL_TO_CONFIRM, "After that, you can sign in."}),
        ("open", "file", "required", {NO_MAILS, "After that, you can sign in.", "keeper@birds.example"}),
    ],
)
def test_the_page_after_a_sign_up_promises_only_what_happens(
    sqlite_url, tmp_path, registration, transport, confirm, said
):
    every = {
        PENDING_TEXT,
        MAIL_TO_CONFIRM,
        NO_MAILS,
        APPROVAL_MAIL,
        LATER_MAIL,
        "After that, you can sign in.",
    }
    with (
        running_instance(
            tmp_path,
            sqlite_url,
            registration=registration,
            contact_email="keeper@birds.example",
            mail_transport=transport,
            mail_confirm=confirm,
            # No server listens there, so the mails stay with the courier.
            mail_port=9,
        ) as instance,
        place_of(instance, sqlite_url) as place,
        place.client() as browser,
    ):
        asked = typed("Lomi") | ({"user[reason]": "birds"} if registration == "approval" else {})
        page = send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", asked)
        assert page.status_code == 200
        for text in said:
            assert text in page.text, text
        for text in every - said:
            assert text not in page.text, text
        waiting = sign_in(browser, "Lomi")
        assert waiting.status_code == 403
        if PENDING_TEXT in said:
            assert ("You will get an e-mail when" in waiting.text) == (transport == "smtp")


def test_the_mail_can_be_asked_for_once_more(confirming):
    place = confirming
    with place.client() as browser:
        waiting = send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", typed("Lomi"))
        next_mail(place, "Lomi@example.org")
        assert send(browser, waiting, "/auth/confirmation").status_code == 303
        link = link_in(next_mail(place, "Lomi@example.org", count=2), place)
        assert send(browser, browser.get(link), "/auth/confirm").status_code == 303


def test_an_app_that_signs_somebody_up_waits_for_the_confirmation(confirming):
    place = confirming
    app = place.client(place.token(None))
    answer = app.post(
        "/api/v1/accounts",
        json={
            "username": "Lomi",
            "email": "lomi@example.org",
            "password": PASSWORD,
            "agreement": True,
            "locale": "en",
        },
    )
    assert answer.status_code == 200, answer.text
    lomi = place.client(answer.json()["access_token"])
    for method, path in (
        ("GET", "/api/v1/accounts/verify_credentials"),
        ("GET", "/api/v1/timelines/home"),
        ("POST", "/api/v1/statuses"),
    ):
        refused = lomi.request(method, path)
        assert refused.status_code == 403, path
        assert refused.json()["error"] == "Your login is missing a confirmed e-mail address"
    assert lomi.get("/api/v1/timelines/public").status_code == 200
    # For the shield it is a stranger of its address: both use the same ceiling. One connection, hence one worker.
    path = "/api/v1/accounts/verify_credentials"
    token = lomi.headers["authorization"]

    def remaining() -> list[int]:
        found = []
        for authorization in (token, "", token):
            lomi.headers["authorization"] = authorization
            found.append(int(lomi.get(path).headers["x-ratelimit-remaining"]))
        return found

    # On a busy machine a use may come back meanwhile; with two ceilings the third could never be two below the first.
    eventually(remaining, lambda found: found == [found[0], found[0] - 1, found[0] - 2])
    assert lomi.get("/api/v1/emails/check_confirmation").json() is False
    wrong = lomi.post("/api/v1/emails/confirmations", json={"email": "nonsense"})
    assert wrong.status_code == 422
    again = lomi.post("/api/v1/emails/confirmations", json={"email": "lomi2@example.org"})
    assert (again.status_code, again.json()) == (200, {})
    old, new = next_mail(place, "lomi@example.org"), next_mail(place, "lomi2@example.org")
    with place.client() as browser:
        assert browser.get(link_in(old, place)).status_code == 404
        assert send(browser, browser.get(link_in(new, place)), "/auth/confirm").status_code == 303
    for _ in range(200):
        if lomi.get("/api/v1/emails/check_confirmation").json():
            break
    assert lomi.get("/api/v1/accounts/verify_credentials").status_code == 200
    assert lomi.post("/api/v1/emails/confirmations").status_code == 403


def test_no_form_tells_a_stranger_which_address_has_an_account(confirming):
    """With a free address and one in use, every answer is the same, and the owner gets a mail."""
    place = confirming
    nino, mari = place.person("Nino"), place.person("Mari")
    taken = place.write(accounts.user, account_id=nino.id).email
    app = place.client(place.token(None))

    def answers(name, address, other):
        said = []
        with place.client() as browser:
            page = send(
                browser,
                browser.get("/auth/sign_up"),
                "/auth/sign_up",
                typed(f"Web{name}") | {"user[email]": address, "user[password]": NEW},
            )
            said.append((page.status_code, page.text))
            for login in (f"Web{name}", address):
                page = sign_in(browser, login, NEW)
                said.append((page.status_code, page.text))
        fields = {"username": f"App{name}", "email": other, "password": NEW, "agreement": True}
        answer = app.post("/api/v1/accounts", json=fields)
        said.append((answer.status_code, sorted(answer.json())))
        newcomer = place.client(answer.json()["access_token"])
        for method, path, body in (
            ("GET", "/api/v1/accounts/verify_credentials", None),
            ("GET", "/api/v1/emails/check_confirmation", None),
            ("POST", "/api/v1/emails/confirmations", {"email": other}),
            ("POST", "/api/v1/emails/confirmations", {}),
        ):
            answer = newcomer.request(method, path, json=body)
            said.append((answer.status_code, answer.json()))
        with place.client() as browser:
            assert sign_in(browser, mari.username).status_code == 303
            fields = {"user[email]": address, "user[current_password]": PASSWORD}
            page = send(browser, browser.get("/settings/account"), "/settings/account/address", fields)
            said.append((page.status_code, page.headers.get("location")))
            said.append((page.status_code, address in browser.get("/settings/account").text))
        for text in (address, other, name):
            said = [(code, plain(found, text)) for code, found in said]
        return said

    def plain(found, text):
        if not isinstance(found, str):
            return found
        found = re.sub(r'(name="csrf" (?:id="\w+" )?value=|csrf-token" content=)"[^"]*"', "", found)
        return re.sub(r"\d+ (?:s|min|minutes?|seconds?)\b", "", found.replace(text, "…"))

    free = answers("Free", "free@example.org", "free2@example.org")
    used = answers("Used", taken, taken.upper())
    for one, other in zip(free, used, strict=True):
        assert one == other
    assert free[0][0] == 200
    told = next_mail(place, taken, count=2)
    assert "account @Nino" in told.get_content()
    assert "token=" not in told.get_content()
    # The stranger cannot sign in: there is no link, and no other way.
    assert place.write(accounts.user, account_id=nino.id).email == taken
    assert all("confirm" not in message["Subject"] for message in mails_to(place, taken))


def test_the_count_of_attempts_tells_no_stranger_which_address_has_an_account(confirming):
    """A stranger who signed up with an address must not see whether their password was checked against the
    owner's.
    """
    place = confirming
    taken = place.write(accounts.user, account_id=place.person("Nino").id).email

    def statuses(name, address):
        chosen = typed(name) | {"user[email]": address, "user[password]": NEW}
        with place.client() as browser:
            send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", chosen)
            attempts = range(quota.GUESS_PAIR[0].burst + 2)
            return [sign_in(browser, address, NEW).status_code for _ in attempts]

    used = statuses("Used", taken)
    assert used == statuses("Free", "free@example.org")
    assert used[-1] == 429


def test_who_types_an_address_first_neither_keeps_its_owner_out_nor_gets_into_their_account(confirming):
    """A stranger signs up with an address before its owner does, and requests another mail afterwards."""
    place = confirming
    address = "mari@example.org"
    app = place.client(place.token(None))
    fields = {"username": "Thief", "email": address, "password": PASSWORD, "agreement": True}
    thief = place.client(app.post("/api/v1/accounts", json=fields).json()["access_token"])
    thiefs_link = link_in(next_mail(place, address), place)
    with place.client() as browser:
        chosen = typed("Mari") | {"user[email]": address, "user[password]": NEW}
        waiting = send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", chosen)
        assert waiting.status_code == 200
        link = link_in(next_mail(place, address, count=2), place)
        assert thief.post("/api/v1/emails/confirmations", json={"email": address}).status_code == 200
        next_mail(place, address, count=3)
        # The address now belongs to the thief's account: its sign-in link only confirms, and names the
        # account.
        page = browser.get("/auth/sign_in/mail")
        send(browser, page, "/auth/sign_in/mail", {"user[email]": address})
        stolen = link_in(next_mail(place, address, count=4), place)
        assert "/auth/confirm?" in stolen
        assert "@Thief" in browser.get(stolen).text
        # Her own link still works, and can be requested again.
        send(browser, waiting, "/auth/confirmation")
        again = link_in(next_mail(place, address, count=5), place)
        for own in (link, again):
            assert "@Mari" in browser.get(own).text
        assert send(browser, browser.get(again), "/auth/confirm").status_code == 303
        assert sign_in(browser, address, NEW).status_code == 303
        assert signed_in_as(browser) == "Mari"
        for late in (thiefs_link, stolen):
            page = browser.get(late)
            assert page.status_code == 404 or send(browser, page, "/auth/confirm").status_code == 422
    assert thief.get("/api/v1/accounts/verify_credentials").status_code == 403


def test_the_row_that_counts_the_mails_of_an_address_cannot_be_computed_without_the_secret(confirming):
    place = confirming
    address = "aimed_at@example.org"
    place.write(
        mail_rules.want_address,
        account_id=place.person("Aiming").id,
        email=address,
        link=new_link(b"x" * 32, secrets.token_hex(8)),
        now_ms=now_ms(),
    )
    guessed = quota.slot(b"", f"mail to {address}")
    uses = [
        place.write(quotas.spend, quota.MAIL_ADDRESS, guessed, now_ms=now_ms())
        for _ in range(quota.MAIL_ADDRESS.burst)
    ]
    assert uses == [0] * quota.MAIL_ADDRESS.burst


def test_many_accounts_cannot_have_many_mails_sent_to_one_address(confirming):
    place = confirming
    address = "mari@example.org"
    people = [place.person("Crowd") for _ in range(quota.MAIL_ADDRESS.burst + 2)]
    for number, person in enumerate(people):
        place.write(
            mail_rules.want_address,
            account_id=person.id,
            email=address.upper() if number == 1 else address,
            link=new_link(b"x" * 32, secrets.token_hex(24)),
            now_ms=now_ms(),
        )
    # The last mail, for another account, shows that the courier has sent all earlier ones.
    place.write(
        mail_rules.want_address,
        account_id=people[-1].id,
        email="last@example.org",
        link=new_link(b"x" * 32, secrets.token_hex(24)),
        now_ms=now_ms(),
    )
    next_mail(place, address, count=quota.MAIL_ADDRESS.burst - 1)
    next_mail(place, address.upper())
    next_mail(place, "last@example.org")
    sent = mails_to(place, address) + mails_to(place, address.upper())
    assert len(sent) == quota.MAIL_ADDRESS.burst


def test_an_address_of_an_account_that_never_confirmed_it_is_free_to_move_to(confirming):
    place = confirming
    mari = place.person("Mari")
    with place.client() as stranger, place.client() as browser:
        send(stranger, stranger.get("/auth/sign_up"), "/auth/sign_up", typed("Squatter"))
        sign_in(browser, mari.username)
        fields = {"user[email]": "Squatter@example.org", "user[current_password]": PASSWORD}
        send(browser, browser.get("/settings/account"), "/settings/account/address", fields)
        link = link_in(next_mail(place, "Squatter@example.org", count=2), place)
        assert send(browser, browser.get(link), "/auth/confirm").status_code == 303
        assert place.write(accounts.user, account_id=mari.id).email == "Squatter@example.org"
        sign_in(stranger, "Squatter")
        assert signed_in_as(stranger) is None


def test_a_new_password_by_a_link_confirms_the_address_too(confirming):
    place = confirming
    with place.client() as browser:
        send(browser, browser.get("/auth/sign_up"), "/auth/sign_up", typed("Lomi"))
        next_mail(place, "Lomi@example.org")
        send(browser, browser.get("/auth/password/new"), "/auth/password/new", {"user[email]": "Lomi"})
        link = link_in(next_mail(place, "Lomi@example.org", count=2), place)
        send(browser, browser.get(link), "/auth/password/edit", {"user[password]": NEW})
        assert sign_in(browser, "Lomi", NEW).status_code == 303
