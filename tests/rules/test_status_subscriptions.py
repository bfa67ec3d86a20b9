"""Subscriptions to the status page, on both databases: confirmed by their owners alone, limited, and ended."""

from __future__ import annotations

import msgspec
import pytest

from stormpetrel.errors import Invalid, NotFound, TooMany
from stormpetrel.model.access import secret_hash
from stormpetrel.model.channel import CHANNEL_NAMES
from stormpetrel.model.ids import first_id_at
from stormpetrel.model.mail import Notice, link_token, new_link
from stormpetrel.model.quota import (
    STATUS_ALL,
    STATUS_MAILBOX,
    STATUS_NETWORK,
    STATUS_WEBHOOK,
    STATUS_WEBHOOK_ALL,
    STATUS_WEBHOOK_HOST,
)
from stormpetrel.model.status_subscription import (
    MAX_URL,
    PENDING_KEPT_MS,
    SubscriptionKind,
    SubscriptionState,
    chosen_channels,
    mailbox_of,
    signature,
    signing_key,
    webhook_target,
)
from stormpetrel.rules import status_subscriptions as rules
from stormpetrel.rules.quotas import spend
from stormpetrel.storage import status_subscriptions as stored
from stormpetrel.storage.engine.statement import sql
from tests.store import Store

SECRET = b"s" * 32
JOBS = sql("SELECT kind, payload, lane FROM outbox ORDER BY id")
CLEAR = sql("DELETE FROM outbox")
CLEAR_QUOTAS = sql("DELETE FROM quotas")
QUOTA_ROWS = sql(
    "SELECT quota, slot FROM quotas WHERE quota IN ('status.mailbox', 'status.webhook', 'status.webhook.host')"
)
URL = "https://hooks.example/in?key=1"


def jobs(store: Store, kind: str) -> list[str]:
    """Return the payloads of the waiting jobs of a kind."""
    return [payload for found, payload, _ in store.connection.all(JOBS) if found == kind]


def ask(
    store: Store,
    address: str = "ann@example.org",
    *channels: str,
    network: int = 1,
    most: int = 100,
    secret: bytes = SECRET,
) -> str:
    """Ask for an address and let the courier work; return the token of the request's link."""
    store.now_ms += 1
    link = new_link(SECRET, f"{store.now_ms}")
    store.do(
        rules.ask_by_mail,
        address=address,
        channels=channels,
        link=link,
        network=network,
        most=most,
        secret=secret,
        now_ms=store.now_ms,
    )
    wanted = msgspec.json.decode(jobs(store, "status_mail_wanted")[-1], type=rules.StatusMailWanted)
    store.do(rules.send_wanted, wanted=wanted, now_ms=store.now_ms)
    return link_token(SECRET, link.nonce)


def ask_hook(
    store: Store, url: str = URL, *, network: int = 1, per_host: int = 3, secret: bytes = SECRET
) -> bytes:
    store.now_ms += 1
    link = new_link(SECRET, f"{store.now_ms}")
    store.do(
        rules.ask_by_webhook,
        target=webhook_target(url, allows_private=False),
        channels=(),
        link=link,
        network=network,
        most=100,
        most_per_host=per_host,
        secret=secret,
        now_ms=store.now_ms,
    )
    return link.token_hash


def hash_of(token: str) -> bytes:
    return secret_hash(token)


def confirm(store: Store, token: str, *channels: str):
    return store.do(
        rules.save, token_hash=hash_of(token), channels=channels, secret=SECRET, now_ms=store.now_ms
    )


def hook(store: Store, token_hash: bytes):
    return store.do(rules.subscription, token_hash=token_hash)


def test_an_address_is_subscribed_once_its_owner_confirms_it(store):
    token = ask(store, "ann@example.org", "apps")
    found = store.do(rules.subscription, token_hash=hash_of(token))
    assert (found.state, found.channels) == (SubscriptionState.PENDING, ("apps",))
    saved = confirm(store, token, "web", "apps")
    assert (saved.state, saved.channels, saved.target) == (
        SubscriptionState.ACTIVE,
        ("web", "apps"),
        "ann@example.org",
    )
    assert confirm(store, token).channels == ()
    store.do(rules.leave, token_hash=hash_of(token))
    store.do(rules.leave, token_hash=hash_of(token))
    with pytest.raises(NotFound):
        store.do(rules.subscription, token_hash=hash_of(token))


def test_the_database_has_no_token_that_works(store):
    token = ask(store)
    dump = repr(store.connection.all(sql("SELECT * FROM status_subscriptions")))
    assert token not in dump
    assert token not in "".join(jobs(store, "mail"))


def test_an_address_gets_one_mail_a_day_however_often_it_is_typed(store):
    for network in range(1, 6):
        ask(store, "ann@example.org", network=network)
    assert len(jobs(store, "mail")) == 1
    store.now_ms += rules.MAIL_EVERY_MS
    ask(store, "ANN@example.org")
    assert len(jobs(store, "mail")) == 2


def test_a_mailbox_is_not_flooded_by_way_of_its_further_addresses_and_its_owner_is_not_kept_out(store):
    for number in range(STATUS_MAILBOX.burst + 5):
        ask(store, f"ann+{number}@example.org", network=number)
        ask(store, f"b{'.' * (number % 2)}en+{number}@gmail.com", network=number)
    assert len(jobs(store, "mail")) == 2 * STATUS_MAILBOX.burst
    ask(store, "ann@example.org")
    ask(store, "ann.a@example.org")
    assert len(jobs(store, "mail")) == 2 * STATUS_MAILBOX.burst + 2


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Ann+x+y@Example.org", "ann@example.org"),
        ("ann.b@example.org", "ann.b@example.org"),
        ("a.n.n+x@gmail.com", "ann@gmail.com"),
        ("+@example.org", "+@example.org"),
    ],
)
def test_further_addresses_of_a_mailbox_are_recognised(address, mailbox):
    assert mailbox_of(address) == mailbox


def test_a_known_address_gets_the_link_that_it_has_and_nothing_changes(store):
    token = ask(store, "ann@example.org", "apps")
    confirm(store, token, "apps")
    store.now_ms += rules.MAIL_EVERY_MS
    ask(store, "Ann@Example.org", "web")
    last = jobs(store, "mail")[-1]
    assert f'"about":"{Notice.STATUS_KNOWN.value}"' in last
    assert "ann@example.org" in last
    found = store.do(rules.subscription, token_hash=hash_of(token))
    assert (found.channels, stored.count(store.connection)) == (("apps",), 1)


def test_two_links_of_one_address_make_one_subscription(store):
    first = ask(store)
    store.now_ms += rules.MAIL_EVERY_MS
    second = ask(store)
    kept = confirm(store, first, "apps")
    again = confirm(store, second, "web")
    assert (again.id, again.channels) == (kept.id, ("web",))
    assert stored.count(store.connection) == 1


@pytest.mark.parametrize(
    "address", ["", "ann", "ann@local", "ann@b@example.org", "ä@b.example", "a\r\n@b.example"]
)
def test_a_wrong_address_is_refused(store, address):
    with pytest.raises(Invalid):
        ask(store, address)
    assert store.connection.all(JOBS) == []


def test_requests_are_limited_by_network_and_in_all(store):
    for number in range(STATUS_NETWORK.burst):
        ask(store, f"a{number}@example.org")
    with pytest.raises(TooMany):
        ask(store, "another@example.org")
    ask(store, "another@example.org", network=2)
    store.do(spend, STATUS_ALL, 1, now_ms=store.now_ms, uses=STATUS_ALL.burst - STATUS_NETWORK.burst - 1)
    with pytest.raises(TooMany):
        ask(store, "third@example.org", network=3)


def test_there_is_a_limit_of_all_subscriptions(store):
    ask(store, most=1)
    with pytest.raises(Invalid, match=rules.FULL):
        ask(store, "ben@example.org", most=1)


def old(store: Store) -> int:
    return first_id_at(store.now_ms - PENDING_KEPT_MS)


def test_a_subscription_that_was_never_confirmed_is_deleted(store):
    kept = ask(store, "kept@example.org")
    confirm(store, kept)
    ask(store, "gone@example.org")
    store.now_ms += PENDING_KEPT_MS
    assert store.do(stored.remove_old_pending, before_id=old(store), count=10) == 0
    store.now_ms += 1
    assert store.do(stored.remove_old_pending, before_id=old(store), count=10) == 1
    assert store.do(rules.subscription, token_hash=hash_of(kept)).state is SubscriptionState.ACTIVE


def test_a_webhook_is_subscribed_once_it_answers_its_challenge(store):
    token_hash = ask_hook(store)
    assert len(jobs(store, "challenge")) == 1
    one = hook(store, token_hash)
    assert one.state is SubscriptionState.PENDING
    store.do(rules.challenge_failed, id=one.id, reason="no answer in time")
    assert hook(store, token_hash).off_reason == "no answer in time"
    store.do(rules.save, token_hash=token_hash, channels=("apps",), secret=SECRET, now_ms=store.now_ms)
    assert hook(store, token_hash).state is SubscriptionState.PENDING
    assert len(jobs(store, "challenge")) == 2
    store.do(rules.challenge_answered, id=one.id)
    found = hook(store, token_hash)
    assert (found.state, found.channels, found.off_reason) == (SubscriptionState.ACTIVE, ("apps",), "")


def test_a_stranger_who_knows_a_url_cannot_take_its_subscription_over(store):
    owner = ask_hook(store)
    store.do(rules.challenge_answered, id=hook(store, owner).id)
    other = ask_hook(store, network=2)
    one = hook(store, other)
    assert store.do(rules.to_challenge, id=one.id) is None
    store.do(rules.challenge_answered, id=one.id)
    assert hook(store, other).state is SubscriptionState.PENDING
    assert hook(store, owner).state is SubscriptionState.ACTIVE


def test_calls_of_a_url_and_webhooks_of_a_host_are_limited(store):
    for _ in range(STATUS_WEBHOOK.burst):
        ask_hook(store, per_host=100)
    with pytest.raises(TooMany):
        ask_hook(store, per_host=100)
    with pytest.raises(Invalid, match=rules.FULL_HOST):
        ask_hook(store, "https://hooks.example/other", per_host=3)
    ask_hook(store, "https://elsewhere.example/", per_host=3)
    # Those that were never confirmed keep others away for an hour at most.
    store.now_ms += 3_600_001
    ask_hook(store, "https://hooks.example/other", per_host=3)


def test_one_network_cannot_take_all_places_of_a_host(store):
    for number in range(STATUS_WEBHOOK_HOST.burst):
        ask_hook(store, f"https://hooks.example/{number}", per_host=20)
    with pytest.raises(TooMany, match="on this host"):
        ask_hook(store, "https://hooks.example/more", per_host=20)
    ask_hook(store, "https://hooks.example/more", network=2, per_host=20)
    ask_hook(store, "https://elsewhere.example/", per_host=20)
    # Confirmed or not, the places of a host come back to the network one a week.
    store.now_ms += 86_400_000
    with pytest.raises(TooMany, match="on this host"):
        ask_hook(store, "https://hooks.example/later", per_host=20)
    store.now_ms += 7 * 86_400_000
    ask_hook(store, "https://hooks.example/later", per_host=20)


def test_the_rows_that_count_urls_hosts_and_mailboxes_depend_on_the_secret(store):
    found = set()
    for secret in (SECRET, b"t" * 32):
        store.connection.run(CLEAR_QUOTAS)
        ask_hook(store, secret=secret)
        ask(store, f"ann+{secret[:1].decode()}@example.org", secret=secret)
        found |= set(store.connection.all(QUOTA_ROWS))
    names = sorted(name for name, _ in found)
    assert names == ["status.mailbox"] * 2 + ["status.webhook"] * 2 + ["status.webhook.host"] * 2


def test_webhooks_are_limited_in_all(store):
    for number in range(STATUS_WEBHOOK_ALL.burst):
        ask_hook(store, f"https://h{number}.example/", network=number + 1)
    with pytest.raises(TooMany):
        ask_hook(store, "https://another.example/", network=200)
    ask(store, "ann@example.org", network=200)


def test_a_webhook_that_fails_for_hours_is_turned_off_with_its_reason_and_can_return(store):
    token_hash = ask_hook(store)
    one = hook(store, token_hash)
    store.do(rules.challenge_answered, id=one.id)
    for _ in range(rules.FAILURES + 3):
        store.now_ms += 1000
        store.do(rules.webhook_failed, id=one.id, reason="no connection", now_ms=store.now_ms)
    assert hook(store, token_hash).state is SubscriptionState.ACTIVE
    store.now_ms += rules.FAILING_MS
    store.do(rules.webhook_failed, id=one.id, reason="no answer in time", now_ms=store.now_ms)
    found = hook(store, token_hash)
    assert (found.state, found.off_reason) == (SubscriptionState.OFF, "no answer in time")
    store.do(rules.save, token_hash=token_hash, channels=(), secret=SECRET, now_ms=store.now_ms)
    store.do(rules.challenge_answered, id=one.id)
    assert hook(store, token_hash).state is SubscriptionState.ACTIVE


def test_a_call_that_succeeds_ends_the_row_of_failures(store):
    token_hash = ask_hook(store)
    one = hook(store, token_hash)
    store.do(rules.challenge_answered, id=one.id)
    store.do(rules.webhook_failed, id=one.id, reason="no connection", now_ms=store.now_ms)
    store.do(rules.webhook_called, id=one.id)
    assert hook(store, token_hash).off_reason == ""
    store.do(rules.end, id=one.id)
    with pytest.raises(NotFound):
        hook(store, token_hash)


def test_an_address_whose_server_refuses_mails_is_turned_off_and_its_owner_returns_by_a_mail(store):
    token = ask(store)
    one = confirm(store, token)
    for _ in range(rules.REFUSALS):
        store.do(rules.mail_refused, id=one.id, reason="550 no such user", now_ms=store.now_ms)
    found = store.do(rules.subscription, token_hash=hash_of(token))
    assert (found.state, found.off_reason) == (SubscriptionState.OFF, "550 no such user")
    store.now_ms += rules.MAIL_EVERY_MS
    ask(store)
    assert f'"about":"{Notice.STATUS_CONFIRM.value}"' in jobs(store, "mail")[-1]
    assert confirm(store, token).state is SubscriptionState.ACTIVE


def test_an_operator_removes_an_address_or_a_url(store):
    confirm(store, ask(store))
    store.now_ms += rules.MAIL_EVERY_MS
    ask(store)
    ask_hook(store)
    assert store.do(rules.remove, target="ANN@example.org") == 1
    assert store.do(rules.remove, target=URL) == 1
    assert store.do(rules.remove, target=URL) == 0
    assert stored.count(store.connection) == 0


def test_operators_see_numbers(store):
    confirm(store, ask(store, "a@example.org"), "apps")
    confirm(store, ask(store, "b@example.org"))
    ask_hook(store)
    counted = stored.counts(store.connection)
    assert counted.states == {("email", "active"): 2, ("webhook", "pending"): 1}
    assert counted.channels == {("apps",): 1, (): 1}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "http://hooks.example/",
        "ftp://hooks.example/",
        "https://user:secret@hooks.example/",
        "https://@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks.example:22/",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example:x/",
        "https://ho oks.example/",
        "https://hooks.example/\r\nHost: other",
        "https://hooks.example\\@other.example/",
        "https://[::1/",
        "https://hoöks.example/",
        "https://-hooks.example/",
        f"https://hooks.example/{'a' * MAX_URL}",
    ],
)
def test_a_wrong_url_is_refused(url):
    with pytest.raises(Invalid):
        webhook_target(url, allows_private=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1:8443", "2130706433", "[::1]", "localhost", "169.254.169.254"]
)
def test_a_private_address_is_refused_in_the_form_with_the_reason(host):
    with pytest.raises(Invalid, match="this address is private"):
        webhook_target(f"https://{host}/hook", allows_private=False)
    assert webhook_target(f"https://{host}/hook", allows_private=True).scheme == "https"


def test_a_url_is_taken_apart():
    target = webhook_target("https://Hooks.Example:8443?key=1", allows_private=False)
    assert (target.host, target.port, target.path) == ("hooks.example", 8443, "/?key=1")
    assert webhook_target("http://127.0.0.1:80/x", allows_private=True).port == 80
    assert webhook_target("https://[2606:4700::1]/", allows_private=False).host == "2606:4700::1"


def test_channels_are_in_the_order_of_the_page_and_all_are_none():
    assert chosen_channels(["media", "web"]) == ("web", "media")
    assert chosen_channels(CHANNEL_NAMES) == chosen_channels([]) == ()
    with pytest.raises(Invalid):
        chosen_channels(["fax"])


def test_each_webhook_has_a_key_of_its_own():
    key = signing_key(SECRET, "one")
    assert key != signing_key(SECRET, "two") != signing_key(b"t" * 32, "two")
    assert len(key) == 64
    assert signature(key, at_s=1, body=b"{}") != signature(key, at_s=2, body=b"{}")


def test_a_kind_is_found_by_its_own_key_alone(store):
    confirm(store, ask(store))
    assert stored.confirmed(store.connection, kind=SubscriptionKind.WEBHOOK, target="ann@example.org") is None
