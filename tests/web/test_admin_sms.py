"""The administrators' page of the sms role: figures, pauses, failed texts and estimates; for administrators only."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest

from stormpetrel.config import SmsConfig
from stormpetrel.config_sms import RouteConfig
from stormpetrel.model.account import Role
from stormpetrel.storage.sms_spool import outbox, state
from stormpetrel.storage.sms_spool.file import SpoolFailed, open_spool
from stormpetrel.storage.sms_spool.panel import SpoolMissing, pause, read_panel, reading, replay
from stormpetrel.web.admin_sms import MAX_TEXT, estimate_of
from tests.forms import form_to, forms_of, send, sign_in
from tests.gateway.phones import Texting, new_number, route_settings
from tests.people import now_ms
from tests.waiting import eventually

PAGE = "/admin/sms"
ESTIMATE = f"{PAGE}/estimate#estimate"


@pytest.fixture(scope="module")
def drop_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def place_settings(drop_directory):
    return route_settings(drop_directory) | {
        "sms_route_drop_price": "0.03",
        "sms_route_drop_prices": "+995=0.05",
        "sms_cap_day": "12.5",
    }


@pytest.fixture(scope="module")
def texting(place, drop_directory):
    return Texting(place, drop_directory)


@pytest.fixture(scope="module")
def data_dir(place):
    return Path(place.instance.environ["STORMPETREL_DATA_DIR"])


@pytest.fixture(scope="module")
def admin(place):
    """Return a browser in which an administrator is signed in."""
    browser = place.client()
    sign_in(browser, place.person("Chief", role=Role.ADMIN).username)
    return browser


def fail_one(data_dir, number, *, error="no such subscriber"):
    """Store a text that failed; return its id."""
    with open_spool(data_dir) as spool, spool.transaction() as db:
        outbox.put(
            db, key=f"{number}{time.monotonic_ns()}", route="none", number=number, text="secret words", kind="dm",
            lane=2, segments=1, now_ms=now_ms(), expires_ms=now_ms() + 60_000,
        )  # fmt: skip
        queued = outbox.queued(db, route="none", now_ms=now_ms(), count=100)
        message = next(one for one in queued if one.number == number)
        (unit,) = outbox.begin(db, message=message, wants=[True], now_ms=now_ms())
        outbox.failed(db, unit=unit, error=error, now_ms=now_ms())
    return message.id


def test_the_page_and_its_forms_are_for_administrators(place, data_dir):
    failed = fail_one(data_dir, new_number())
    paths = (f"{PAGE}/routes/drop/pause", f"{PAGE}/texts/{failed}/replay", f"{PAGE}/estimate")
    assert place.visitor.get(PAGE).headers["location"].startswith("/auth/sign_in")
    for role in (Role.MEMBER, Role.MODERATOR):
        with place.client() as browser:
            sign_in(browser, place.person("Nino", role=role).username)
            refused = browser.get(PAGE)
            assert refused.status_code == 403
            csrf = form_to(refused, "/auth/sign_out").fields["csrf"]
            for path in paths:
                answer = browser.post(path, data={"csrf": csrf, "text": "x", "phones": "1"})
                assert answer.status_code == 403, path
            assert PAGE not in browser.get("/admin").text
    with reading(data_dir) as db:
        assert state.paused(db) == set()
        assert outbox.lanes(db) == {}


def test_no_form_acts_for_another_site(place, admin, data_dir):
    page = admin.get(PAGE)
    path = f"{PAGE}/routes/drop/pause"
    assert admin.post(path).status_code == 403
    fields = form_to(page, path).fields
    assert admin.post(path, data=fields, headers={"origin": "https://evil.example"}).status_code == 403
    with reading(data_dir) as db:
        assert state.paused(db) == set()


def test_the_page_shows_routes_receipts_delay_and_money_but_no_number(texting, admin, data_dir):
    _, phone = texting.member()
    phone.ask("STATUS")
    eventually(lambda: read_panel(data_dir, SmsConfig(), now_ms=now_ms()).receipts.get("sent"))
    page = admin.get(PAGE)
    assert admin.get("/admin").text.count(f'"{PAGE}"') == 1
    for words in ("drop", "up", "median", "0.05", "12.5", "+995</th>", f"+995…{phone.number[-2:]}"):
        assert words in page.text, words
    assert phone.number not in page.text


def test_a_route_is_paused_and_resumed(texting, admin, data_dir):
    answer = send(admin, admin.get(PAGE), f"{PAGE}/routes/drop/pause")
    assert answer.headers["location"] == f"{PAGE}?done=pause"
    page = admin.get(PAGE)
    assert "paused" in page.text
    _, phone = texting.member()
    eventually(lambda: read_panel(data_dir, SmsConfig(), now_ms=now_ms()).paused == {"drop"})
    time.sleep(0.5)  # the role reads it four times a second
    phone.write("STATUS")
    eventually(lambda: waiting(data_dir))
    assert phone.texts() == []
    send(admin, page, f"{PAGE}/routes/drop/resume")
    assert phone.next_text()
    log = admin.get("/admin/log").text
    assert "pause route" in log
    assert "resume route" in log
    assert "SMS route drop" in log
    csrf = form_to(page, "/auth/sign_out").fields["csrf"]
    for path in ("routes/none/pause", "routes/drop/remove"):
        assert admin.post(f"{PAGE}/{path}", data={"csrf": csrf}).status_code == 404


def waiting(data_dir):
    with reading(data_dir) as db:
        return sum(count for count, _ in outbox.lanes(db).values())


def test_a_failed_text_is_listed_without_its_words_and_sent_again_once(admin, data_dir):
    number = new_number()
    failed = fail_one(data_dir, number, error="<b>no credit</b>")
    page = admin.get(PAGE)
    assert "&lt;b&gt;no credit" in page.text
    assert number not in page.text
    assert "secret words" not in page.text
    path = f"{PAGE}/texts/{failed}/replay"
    assert send(admin, page, path).headers["location"] == f"{PAGE}?done=replay"
    assert path not in {form.action for form in forms_of(admin.get(PAGE))}
    assert admin.get("/admin/log").text.count(f"text o{failed}") == 1
    assert send(admin, page, path).status_code == 404
    with reading(data_dir) as db:
        assert state.log(db, direction="out", number=number, since_ms=0, limit=1)[0][2]["state"] == "queued"


def test_the_estimator_counts_segments_and_money_before_anything_is_sent(admin, data_dir):
    before = waiting(data_dir)
    page = send(admin, admin.get(PAGE), ESTIMATE, {"text": "წყალი " * 13, "phones": "1000"})
    assert "<b>2 segments</b> in Unicode" in page.text
    assert '<td class="amount">100</td>' in page.text
    assert waiting(data_dir) == before
    for typed in (
        {"text": " ", "phones": "1"},
        {"text": "x" * (MAX_TEXT + 1), "phones": "1"},
        {"text": "x", "phones": "0"},
        {"text": "x", "phones": "many"},
        {"text": "x", "phones": "99999999999"},
    ):
        answer = send(admin, page, ESTIMATE, typed)
        assert answer.status_code == 422, typed
        assert 'role="alert"' in answer.text


def test_an_estimate_has_each_price_of_each_route_in_use():
    routes = (
        RouteConfig("carrier", None, price=Decimal("0.01"), prices="+995=0.05,+1=0.008"),
        RouteConfig("old", None, price=Decimal(9), enabled=False),
    )
    found = estimate_of("“Water” is back" + "!" * 100, 1000, SmsConfig(routes=routes))
    assert (found.parts, found.alphabet, found.plain_parts) == (2, "Unicode (UCS-2)", 1)
    assert found.rows == (
        ("carrier", "+1", "0.008", "0.016", "16"),
        ("carrier", "+995", "0.05", "0.1", "100"),
        ("carrier", "", "0.01", "0.02", "20"),
    )


def test_a_machine_without_a_spool_gets_none_by_being_asked(tmp_path):
    for work in (
        lambda: read_panel(tmp_path, SmsConfig(), now_ms=1),
        lambda: pause(tmp_path, route="drop", is_paused=True),
        lambda: replay(tmp_path, message_id=1, now_ms=1),
    ):
        with pytest.raises(SpoolMissing):
            work()
    assert list(tmp_path.iterdir()) == []


def test_the_spool_of_a_role_that_does_not_run_can_be_read(tmp_path):
    with open_spool(tmp_path):
        pass
    assert read_panel(tmp_path, SmsConfig(), now_ms=1).failed == ()


def test_reading_the_spool_ends_in_time_and_writes_nothing(tmp_path):
    with open_spool(tmp_path), reading(tmp_path) as db, pytest.raises(Exception, match="readonly"):
        state.pause(db, route="drop", is_paused=True)
    began = time.monotonic()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(SpoolFailed, match="interrupted"), reading(tmp_path, within_s=0.2) as db:
        db.execute(endless)
    assert time.monotonic() - began < 2
    (tmp_path / "sms.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(SpoolFailed):
        read_panel(tmp_path, SmsConfig(), now_ms=1)
