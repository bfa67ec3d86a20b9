"""Passkeys in a real browser, with its virtual authenticator."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import pytest

from tests.instance import prepared_instance
from tests.people import PASSWORD, place_of

TIMEOUT_MS = 10_000


@pytest.fixture(scope="module")
def place(tmp_path_factory, sqlite_template):
    """Yield an instance whose URL has the name localhost, which browsers treat like https."""
    directory = tmp_path_factory.mktemp("site")
    database = directory / "stormpetrel.db"
    database.write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{database}"
    with prepared_instance(directory, url) as instance:
        named = instance.base_url.replace("127.0.0.1", "localhost")
        instance.environ["STORMPETREL_PUBLIC_URL"] = named
        instance.start()
        with place_of(instance, url) as running:
            yield running
        instance.stop()


@contextmanager
def window(browser, place):
    """Yield a browser page and an authenticator. At the end, the console must be free of complaints."""
    base_url = place.base_url.replace("127.0.0.1", "localhost")
    context = browser.new_context(base_url=base_url)
    context.set_default_timeout(TIMEOUT_MS)
    complaints = []
    context.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "usb",
        "hasResidentKey": False,
        "hasUserVerification": False,
        "isUserVerified": False,
        "automaticPresenceSimulation": True,
    }
    added = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield (
        page,
        lambda method, **more: devtools.send(
            f"WebAuthn.{method}", {"authenticatorId": added["authenticatorId"], **more}
        ),
    )
    context.close()
    assert [one for one in complaints if "status of 422" not in one] == []


def first_step(page, name):
    page.goto("/auth/sign_in")
    page.fill("#user_email", name)
    page.fill("#user_password", PASSWORD)
    page.locator("main form button").click()


def sign_out(page):
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").first.wait_for()


def add_passkey(page, name):
    """Add a passkey. Return the recovery codes that were shown."""
    page.goto("/settings/security")
    page.fill("#password_passkey", PASSWORD)
    page.get_by_role("button", name="Add a passkey", exact=True).click()
    page.fill("#name", name)
    page.get_by_role("button", name="Create passkey").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    return re.findall(r"<code>([a-z0-9-]{19})</code>", page.content())


def test_a_passkey_is_added_and_signs_in(place, browser):
    nino = place.person("Nino")
    with window(browser, place) as (page, authenticator):
        first_step(page, nino.username)
        page.get_by_role("heading", name="Home").wait_for()
        assert len(add_passkey(page, "A key <b>")) == 10
        page.goto("/settings/security")
        page.get_by_text("A key <b>", exact=True).wait_for()
        assert len(authenticator("getCredentials")["credentials"]) == 1
        sign_out(page)
        first_step(page, nino.username)
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_role("heading", name="Home").wait_for()
        page.goto("/settings/security")
        page.get_by_text("last used").wait_for()


def test_another_key_does_not_sign_in(place, browser):
    nino = place.person("Nino")
    with window(browser, place) as (page, authenticator):
        first_step(page, nino.username)
        page.get_by_role("heading", name="Home").wait_for()
        codes = add_passkey(page, "Key")
        page.goto("/")
        sign_out(page)
        # The same id with another private key, as a copier of ids would have it.
        (credential,) = authenticator("getCredentials")["credentials"]
        authenticator("clearCredentials")
        forged = credential | {"privateKey": other_key(), "signCount": 100}
        authenticator("addCredential", credential=forged)
        first_step(page, nino.username)
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("Wrong code").wait_for()
        page.fill("#code", codes[0])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Home").wait_for()


def test_a_passkeys_answer_is_taken_once(place, browser):
    """Sent again, it is refused despite its valid signature: in the same browser and window."""
    nino = place.person("Nino")
    with window(browser, place) as (page, _):
        first_step(page, nino.username)
        page.get_by_role("heading", name="Home").wait_for()
        add_passkey(page, "Key")
        page.goto("/")
        sign_out(page)
        first_step(page, nino.username)
        sent = []
        page.on(
            "request",
            lambda request: sent.append(request.post_data) if request.method == "POST" else None,
        )
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_role("heading", name="Home").wait_for()
        sign_out(page)
        first_step(page, nino.username)
        page.get_by_role("heading", name="Two-factor authentication").wait_for()
        from urllib.parse import parse_qs

        credential = next(parse_qs(body)["credential"][0] for body in sent if body and "credential=" in body)
        assert json.loads(credential)["type"] == "public-key"
        page.evaluate(
            """(credential) => {
                const form = document.querySelector("form[data-passkey]");
                form.elements.credential.value = credential;
                form.submit();
            }""",
            credential,
        )
        page.get_by_text("Wrong code").wait_for()


def test_a_passkey_is_removed_with_itself(place, browser):
    nino = place.person("Nino")
    with window(browser, place) as (page, _):
        first_step(page, nino.username)
        page.get_by_role("heading", name="Home").wait_for()
        add_passkey(page, "Key")
        page.goto("/settings/security")
        page.get_by_text("Remove it").click()
        form = page.locator("form[action$='/remove']")
        form.locator("input[type=password]").fill(PASSWORD)
        form.get_by_role("button", name="with a passkey").click()
        page.get_by_text("Removed.").wait_for()
        page.goto("/")
        sign_out(page)
        first_step(page, nino.username)
        page.get_by_role("heading", name="Home").wait_for()


def other_key():
    """Return a private key of P-256, in the authenticator's format."""
    import base64

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(key).decode()
