"""A forgotten password in a real browser without scripts: from the link on the sign-in page to the new
session.
"""

from __future__ import annotations

import pytest

from tests.instance import running_instance
from tests.mailbox import link_in, next_mail
from tests.people import place_of
from tests.web.test_mails import NEW

TIMEOUT_MS = 10_000


def _box(element):
    return element.bounding_box()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_who_forgot_the_password_is_in_again(browser, sqlite_url, tmp_path, scripts):
    with (
        running_instance(tmp_path, sqlite_url) as instance,
        place_of(instance, sqlite_url) as place,
    ):
        nino = place.person("Nino")
        context = browser.new_context(
            java_script_enabled=scripts, base_url=place.base_url, viewport={"width": 360, "height": 640}
        )
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.goto("/auth/sign_in")
        page.get_by_role("link", name="Forgot your password?").click()
        page.get_by_label("E-mail address or username").fill(nino.username)
        page.get_by_role("button", name="Send link").click()
        page.get_by_role("heading", name="No e-mail was sent").wait_for()
        page.goto(link_in(next_mail(place, nino.email), place))
        page.get_by_label("New password").fill(NEW)
        page.get_by_role("button", name="Set password").click()
        page.get_by_text("Your new password is set").wait_for()
        page.fill("#user_email", nino.username)
        page.fill("#user_password", NEW)
        page.locator("main form button").click()
        page.get_by_role("heading", name="Home").wait_for()
        page.goto("/settings/account")
        page.get_by_role("heading", name="Signed-in browsers").wait_for()
        # No button reaches beyond the narrowest phone's screen.
        assert all(box["x"] + box["width"] <= 360 for box in map(_box, page.locator("main button").all()))
        context.close()
