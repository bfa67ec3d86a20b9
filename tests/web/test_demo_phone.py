"""The phone simulator: what the phones of the demo send and get, in a browser too."""

from __future__ import annotations

import json
import re
from contextlib import closing

import pytest

from stormpetrel.model.demo_phone import NUMBERS
from stormpetrel.web.demo_phone import KEPT, MAX_TEXT, MOST_WAITING, SHOWN, put_text, texts_of
from tests.forms import send, sign_in
from tests.instance import Instance, clean_environment
from tests.people import place_of
from tests.ports import reserved_ports
from tests.waiting import eventually

PAGE = "/demo/phone"
PHONE = {"width": 375, "height": 812}
TIMEOUT_MS = 15_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Yield a running demo, as `make run` starts it: its configuration is the one that `init --demo` wrote."""
    directory = tmp_path_factory.mktemp("demo")
    with reserved_ports(4) as ports:
        keys = ("web_port", "status_port", "sms_port", "courier_port")
        environ = clean_environment(
            data_dir=directory / "data", web_workers=1, **dict(zip(keys, ports, strict=True))
        )
        instance = Instance(directory, environ, ports)
        printed = instance.run_cli("init", "--demo").stdout
        instance.start()
        try:
            with place_of(instance, f"sqlite:///{directory / 'data' / 'stormpetrel.db'}") as place:
                assert f"phones:       {place.base_url}{PAGE}" in printed
                yield place
        finally:
            instance.kill()


def password_of(demo, name):
    logins = (demo.instance.directory / "data" / "demo-logins.txt").read_text()
    return re.search(rf"^ +{name} +(\S+)", logins, re.M)[1]


def ask(browser, text, answer, *, number=1):
    """Send a text from a phone; wait until the page shows the answer, and return it."""
    path = f"{PAGE}?number={number}"
    done = send(browser, browser.get(path), path, {"text": text})
    assert (done.status_code, done.headers["location"]) == (303, f"{path}#newest")
    return eventually(lambda: browser.get(path), lambda page: answer in page.text)


def test_what_a_linked_phone_sends_is_posted_and_answered(demo):
    with demo.client() as browser:
        assert f'href="{PAGE}"' in browser.get("/about").text
        page = ask(browser, "HELP", "STOP")
        assert "@demo" in page.text
        ask(browser, "Fog at the quay <b>", "Fog at the quay &lt;b&gt;")
        eventually(lambda: "Fog at the quay" in demo.visitor.get("/@demo").text)
        ask(browser, "GET Marit_Sund", "@Marit_Sund:")


def test_a_phone_without_an_account_is_linked_by_a_code_of_the_settings(demo):
    with demo.client() as browser:
        sign_in(browser, "keeper", password_of(demo, "keeper"))
        shown = send(browser, browser.get("/settings/phone"), "/settings/phone/code")
        code = re.search(r"GO (\d{6})", shown.text)[1]
        path = f"{PAGE}?number=3"
        assert browser.get(path).text.count("no account") == 2
        send(browser, browser.get(path), path, {"text": f"GO {code}"})
        eventually(lambda: browser.get(path).text.count("no account") == 1)
        assert f"+1…{NUMBERS[2][-2:]}" in browser.get("/settings/phone").text


def test_a_text_needs_the_form_and_some_words(demo):
    with demo.client() as browser:
        assert browser.post(PAGE, data={"text": "HELP"}).status_code == 403
        for text in ("", "  \n", "x" * (MAX_TEXT + 1)):
            answer = send(browser, browser.get(PAGE), f"{PAGE}?number=1", {"text": text})
            assert answer.status_code == 422
            assert 'role="alert"' in answer.text
        for number in ("0", "99", "-1"):
            assert browser.get(PAGE, params={"number": number}).status_code == 200
        assert browser.get(PAGE, params={"number": "two"}).status_code == 422


def test_the_phone_shows_its_newest_texts_and_the_directory_stays_small(tmp_path):
    for count in range(KEPT + 10):
        assert put_text(tmp_path, NUMBERS[0], f"text {count}", message_id=f"m{count:04}")
        (tmp_path / "in" / f"m{count:04}.json").unlink()
    assert len(list((tmp_path / "sent").iterdir())) == KEPT
    (tmp_path / "out").mkdir()
    for name, content in (
        ("o1.json", json.dumps({"to": NUMBERS[0], "text": "an answer"})),
        ("o2.json", json.dumps({"to": NUMBERS[1], "text": "for another phone"})),
        ("o3.json", "{no json"),
        ("o4.json", "[]"),
        (".o5.tmp", "unfinished"),
    ):
        (tmp_path / "out" / name).write_text(content)
    found = texts_of(tmp_path, NUMBERS[0])
    assert len(found) == SHOWN
    assert [one.text for one in found if not one.is_own] == ["an answer"]
    assert texts_of(tmp_path / "none", NUMBERS[0]) == []


def test_texts_are_not_piled_up_for_a_role_that_does_not_run(tmp_path):
    for count in range(MOST_WAITING):
        assert put_text(tmp_path, NUMBERS[0], "x", message_id=f"m{count}")
    assert not put_text(tmp_path, NUMBERS[0], "one too many", message_id="last")
    assert len(list((tmp_path / "in").iterdir())) == len(list((tmp_path / "sent").iterdir())) == MOST_WAITING


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_browser_shows_what_comes_back(browser, demo, scripts):
    complaints = []
    context = browser.new_context(base_url=demo.base_url, java_script_enabled=scripts, viewport=PHONE)
    context.set_default_timeout(TIMEOUT_MS)
    context.on("console", lambda message: complaints.append(message.text))
    page = context.new_page()
    page.goto(PAGE)
    page.get_by_role("link", name=NUMBERS[1]).click()
    page.wait_for_url("**number=2")
    words = "HELP" if scripts else "START"
    page.get_by_label("Text to 40404").fill(words)
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**#newest")
    answer = page.locator(".theirs .bubble").last
    if scripts:
        answer.wait_for()
        page.get_by_label("Text to 40404").fill("what I type stays")
        page.wait_for_timeout(1500)
        assert page.get_by_label("Text to 40404").input_value() == "what I type stays"
        times = page.locator("#texts time").all_inner_texts()
        assert {"just now"} <= set(times) <= {"just now", "1 min ago"}
    else:

        def refreshed():
            page.get_by_role("link", name="Refresh").click()
            return "40404:" in page.locator("#texts li").last.inner_text()

        eventually(refreshed)
    assert page.locator(".own .bubble").last.inner_text() == words
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    context.close()
    assert complaints == []


def test_phones_and_visitors_find_the_simulator_too(demo):
    # The line at the foot of the page, which has the link on wide screens, is not shown on narrow ones.
    about = demo.visitor.get("/about").text
    main = about.partition("<main")[2].partition("</main>")[0]
    assert f'href="{PAGE}"' in main
    with closing(demo.browser_session(demo.person("on_a_phone"))) as browser:
        menu = browser.get("/about").text.partition("more-menu only-narrow")[2].partition("</details>")[0]
    assert f'href="{PAGE}"' in menu
