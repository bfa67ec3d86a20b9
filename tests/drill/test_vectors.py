"""What each vector sends: its rate, sources and requests. No socket is opened, and simulated minutes take no
time.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from random import Random
from urllib.parse import parse_qs

import pytest

from stormpetrel.drill import people
from stormpetrel.drill.attackers import FORM_VECTORS, AttackPlan, fires
from stormpetrel.drill.carrier import GATEWAY, SECRET
from stormpetrel.drill.community import HOMES
from stormpetrel.drill.loopback import require_loopback
from stormpetrel.drill.scenario import VECTORS, Phase
from stormpetrel.drill.vectors import (
    credentials,
    crowd,
    floods,
    kills,
    networks,
    shared,
    sign_ins,
    sockets,
    writes,
)
from stormpetrel.drill.vectors.attack_requests import (
    AttackRequest,
    Behaviour,
    Form,
    World,
    arrivals,
    scattered,
)
from stormpetrel.drill.vectors.catalogue import CATALOGUE, MAX_CONNECTIONS_PER_S, within_cap
from stormpetrel.drill.vectors.heads import BROWSERS, app_agent, browse, call
from tests.drill.attacked import invented_community

COMMUNITY = invented_community()
SENDING = tuple(name for name in CATALOGUE if name != "A17")


def world(*, scale: float = 1.0, seconds: float = 10.0, turn: int = 0, forms: tuple[Form, ...] = ()) -> World:
    return World("drill.example", COMMUNITY, scale, seconds, turn, forms)


@cache
def attack_requests(name: str, seed: int = 1, **more: object) -> list[AttackRequest]:
    return list(CATALOGUE[name].attack_requests(world(**more), Random(seed)))  # type: ignore[arg-type]


def test_every_vector_that_fills_in_forms_gets_some_before_it_begins():
    forms = (Form("stormpetrel_visitor=a", "token"),)
    filled = {name for name in SENDING if attack_requests(name) != attack_requests(name, forms=forms)}
    assert filled == FORM_VECTORS


def heads_of(some: list[AttackRequest]) -> list[bytes]:
    return [data for attack_request in some for data in attack_request.requests]


def is_about(count: float, expected: float) -> bool:
    """Return True within five standard deviations of a Poisson count: wrong once in two million."""
    return abs(count - expected) <= 5 * expected**0.5


def test_every_vector_that_scenarios_name_is_in_the_catalogue_and_no_other():
    assert tuple(CATALOGUE) == VECTORS


@pytest.mark.parametrize("name", [name for name in SENDING if name not in ("A1", "A15")])
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_a_vector_sends_at_its_rate_times_the_scale(name, scale):
    assert is_about(len(attack_requests(name, scale=scale)), CATALOGUE[name].per_s * scale * 10.0)


def test_the_crowd_comes_up_to_its_rate_in_twenty_seconds():
    requests = Counter(
        int(attack_request.at_s)
        for attack_request in attack_requests("A1", seconds=40.0)
        for _ in attack_request.requests
    )
    # Requests of one person come together, so their count varies more than a Poisson count: by 7/3 for 1 to 3
    # each.
    for begin, end, mean_share in ((0, 10, 0.25), (10, 20, 0.75), (20, 40, 1.0)):
        sent = sum(requests[second] for second in range(begin, end))
        assert is_about(sent / 2.34, crowd.CROWD_PER_S * mean_share * (end - begin) / 2.34)


def test_in_a_short_phase_the_crowd_is_there_after_half_of_it():
    sent = [attack_request.at_s for attack_request in attack_requests("A1", seconds=12.0)]
    late = sum(at_s >= 6 for at_s in sent)
    assert is_about(late, crowd.CROWD_PER_S / 2 * 6)


def test_churn_comes_in_pulses_of_five_seconds_with_ten_between():
    seconds = Counter(
        int(attack_request.at_s) for attack_request in attack_requests("A15", scale=0.1, seconds=30.0)
    )
    assert set(seconds) == {second for second in range(30) if second % 15 < 5}
    assert is_about(sum(seconds.values()), sockets.CHURN_PER_S / 10 * 10)


@pytest.mark.parametrize("name", CATALOGUE)
def test_shots_come_in_the_order_of_time_and_within_their_phase(name):
    moments = [attack_request.at_s for attack_request in attack_requests(name, scale=0.1, seconds=20.0)]
    assert moments
    assert all(one <= other for one, other in pairwise(moments))
    assert moments[0] >= 0
    assert moments[-1] < 20.0


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_same_seed_gives_the_same_shots_and_another_seed_others(name):
    once, again, other = (
        list(CATALOGUE[name].attack_requests(world(scale=0.1), Random(seed))) for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


def plan(*phases: Phase, seed: int = 1) -> AttackPlan:
    return AttackPlan("127.0.0.1", 1, "drill.example", "", phases, seed, 0.0, 1000, 60.0, {})


def test_a_plan_gives_the_same_shots_each_time_in_the_order_of_time():
    phases = (Phase("calm", 0.0, 2.0), Phase("both", 2.0, 5.0, (("A1", 0.1), ("A3", 0.1))))
    once = list(fires(plan(*phases), COMMUNITY))
    assert once == list(fires(plan(*phases), COMMUNITY))
    assert once != list(fires(plan(*phases, seed=2), COMMUNITY))
    assert {fire.vector for fire in once} == {"A1", "A3"}
    assert all(2.0 <= fire.at_s < 5.0 and fire.until_s == 5.0 for fire in once)
    assert all(one.at_s <= other.at_s for one, other in pairwise(once))


def test_a_plan_travels_as_json():
    made = plan(Phase("calm", 0.0, 2.0), Phase("both", 2.0, 5.0, (("A1", 0.1), ("A3", 0.1))))
    assert AttackPlan.from_json(made.to_json()) == made


def test_vectors_together_stay_within_the_cap_of_new_connections():
    assert within_cap((("A1", 1.0), ("A2", 1.0))) == (("A1", 1.0), ("A2", 1.0))
    capped = within_cap((("A15", 1.0), ("A3", 1.0), ("A2", 1.0)))
    assert sum(CATALOGUE[name].connections_per_s * scale for name, scale in capped) == pytest.approx(
        MAX_CONNECTIONS_PER_S
    )
    assert len({scale for _, scale in capped}) == 1
    assert within_cap(()) == ()
    assert within_cap((("A17", 1.0),)) == (("A17", 1.0),)


# Addresses -----------------------------------------------------------------------------------------------


def own_networks(source: str) -> bool:
    return 128 <= int(source.split(".")[1]) <= 255


@pytest.mark.parametrize("name", SENDING)
def test_every_shot_has_a_loopback_address_of_the_attackers_or_one_that_the_vector_may_hide_behind(name):
    homes = {*COMMUNITY.shared.carrier, *COMMUNITY.shared.school, *COMMUNITY.shared.tor}
    allowed: dict[str, set[str]] = {
        "A6": homes,
        "A7": {one.address for one in COMMUNITY.sleepers},
        "A11": {one.address for one in COMMUNITY.sleepers},
        "A9": {GATEWAY},
        "A12": {one.address for one in (*COMMUNITY.newcomers, COMMUNITY.popular)},
        "A16": homes | {GATEWAY},
        "A20": {one.address for one in COMMUNITY.newcomers},
        "A22": {one.address for one in COMMUNITY.sleepers},
    }
    for attack_request in attack_requests(name, seconds=5.0):
        require_loopback(attack_request.source)
        assert own_networks(attack_request.source) or attack_request.source in allowed.get(name, set())


def test_nobody_else_lives_in_the_attackers_networks():
    assert not any(own_networks(f"{prefix}.0.0") for prefix in HOMES.values())


def test_everybody_in_the_crowd_is_new_also_in_a_later_phase():
    first, later = (
        {attack_request.source for attack_request in attack_requests("A1", turn=turn)} for turn in (0, 1)
    )
    assert len(first) == len(attack_requests("A1"))
    assert not first & later


@pytest.mark.parametrize(
    ("name", "addresses", "seconds"),
    [
        ("A2", crowd.BOT_ADDRESSES, 10.0),
        ("A3", floods.FEW_ADDRESSES, 10.0),
        ("A4", floods.WIDE_ADDRESSES, 60.0),
        ("A5", sign_ins.ADDRESSES, 120.0),
        ("A8", credentials.FORGED_ADDRESSES, 10.0),
        ("A10", sockets.SLOW_ADDRESSES, 40.0),
        ("A15", sockets.CHURN_ADDRESSES, 5.0),
        ("A21", networks.ADDRESSES, 90.0),
        ("A23", sockets.HELLO_ADDRESSES, 20.0),
    ],
)
def test_a_vector_uses_as_many_addresses_as_it_says(name, addresses, seconds):
    used = {attack_request.source for attack_request in attack_requests(name, seconds=seconds)}
    assert addresses * 0.95 <= len(used) <= addresses


def test_wide_and_slow_means_that_no_address_is_heavy():
    per_address = Counter(attack_request.source for attack_request in attack_requests("A4", seconds=60.0))
    assert max(per_address.values()) <= 20  # in a minute; 3.6 on average


def test_scattered_addresses_are_all_different_and_far_apart():
    some = [scattered(144, 16, number) for number in range(200_000)]
    assert len(set(some)) == 200_000
    assert len({address.rpartition(".")[0] for address in some[:1000]}) > 900
    assert scattered(144, 16, 16 * 65_024) == some[0]
    assert all(not address.endswith((".0", ".255")) for address in some[:70_000])


# Requests ------------------------------------------------------------------------------------------------


def test_the_crowd_reads_one_page_and_three_posts_one_to_three_of_them_each():
    some = attack_requests("A1", seconds=5.0)
    assert {len(attack_request.requests) for attack_request in some} == {1, 2, 3}
    paths = Counter(data.split(b" ")[1] for data in heads_of(some))
    assert set(paths) == {b"/@activist", b"/@activist/31", b"/@activist/32", b"/@activist/33"}
    assert paths[b"/@activist"] > sum(paths.values()) * 0.4


def test_bots_add_random_queries_and_bring_no_cookies():
    some = heads_of(attack_requests("A2", seconds=5.0))
    paths = [data.split(b" ")[1] for data in some]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith(b"/@activist") and b"?" in path for path in paths)
    assert not any(b"Cookie:" in data for data in some)


def test_nothing_but_abused_and_forged_credentials_is_ever_sent():
    for name in ("A1", "A2", "A3", "A4", "A6", "A15"):
        assert not any(
            b"Authorization:" in data or b"Cookie:" in data
            for data in heads_of(attack_requests(name, seconds=2.0))
        )


def header_lines(data: bytes) -> dict[str, str]:
    lines = data.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def test_browsers_and_applications_of_attackers_look_like_those_of_people():
    browser = header_lines(browse("drill.example", "/", BROWSERS[0]))
    assert browser == {"Host": "drill.example", **dict(people._BROWSER)}
    assert list(header_lines(call("drill.example", "/", app_agent("Tusky"), "abc")).items()) == [
        ("Host", "drill.example"),
        ("Authorization", "Bearer abc"),
        ("User-Agent", "Tusky/1.0"),
    ]


def test_every_header_is_one_that_ordinary_clients_send():
    ordinary = {
        *("host", "user-agent", "accept", "accept-language", "accept-encoding", "referer", "cookie"),
        *("authorization", "content-type", "content-length", "connection", "upgrade"),
        *("sec-websocket-version", "sec-websocket-key"),
    }
    forged = {"x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip"}
    # A24 speaks HTTP/2.
    for name in set(SENDING) - {"A24"}:
        # A10 drips generated headers one by one. This test does not check those.
        for data in (
            attack_request.requests[0]
            for attack_request in attack_requests(name, scale=0.1, seconds=3.0)
            if attack_request.requests
        ):
            names = {name.lower() for name in header_lines(data)}
            assert names <= ordinary | (forged if name == "A16" else set()), names


def test_sign_ins_use_real_names_and_a_form_that_was_shown():
    form = Form("form=abc", "the-token")
    some = heads_of(attack_requests("A5", forms=(form,)))
    at_form = [data for data in some if data.startswith(b"POST /auth/sign_in ")]
    at_tokens = [data for data in some if data.startswith(b"POST /oauth/token ")]
    assert len(at_form) + len(at_tokens) == len(some)
    assert is_about(len(at_form), len(some) * 0.7)
    names = {name.encode() for name in COMMUNITY.names}
    for data in at_form:
        assert b"\r\nCookie: form=abc\r\n" in data
        assert b"csrf=the-token" in data
        assert re.search(rb"user%5Bemail%5D=([^&]+)", data)[1] in names  # type: ignore[index]


def test_pumped_texts_come_through_the_carrier_from_ever_new_numbers():
    some = attack_requests("A9", seconds=40.0)
    asked = [parse_qs(data.split(b" ")[1].partition(b"?")[2].decode()) for data in heads_of(some)]
    assert all(attack_request.is_sms and attack_request.source == GATEWAY for attack_request in some)
    assert all(fields["secret"] == [SECRET] for fields in asked)
    assert len({fields["from"][0] for fields in asked}) > len(asked) / 2
    assert {"START", "HELP", "STATUS"} <= {fields["text"][0] for fields in asked}
    assert len({fields["id"][0] for fields in asked}) == len(asked)


def test_provocation_also_uses_the_gateway_of_text_messages_on_the_web_and_without_its_secret():
    from_gateway = [
        attack_request for attack_request in attack_requests("A16") if attack_request.source == GATEWAY
    ]
    at_webhooks = [attack_request for attack_request in from_gateway if attack_request.is_sms]
    assert 0 < len(at_webhooks) < len(from_gateway)
    assert not any(SECRET.encode() in data for data in heads_of(from_gateway))


def test_sign_ins_without_a_form_are_sent_all_the_same():
    assert all(b"Cookie" not in data for data in heads_of(attack_requests("A5")))


def test_every_body_is_as_long_as_its_head_says():
    for name in ("A5", "A12", "A16"):
        for data in heads_of(attack_requests(name)):
            head, _, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"\r\nContent-Length: (\d+)", head)
            assert len(body) == (int(length[1]) if length else 0)


def test_abused_tokens_come_from_where_they_always_came_from_and_one_session_from_500_addresses():
    some = attack_requests("A7")
    by_session = [attack_request for attack_request in some if b"\r\nCookie: " in attack_request.requests[0]]
    by_token = [
        attack_request
        for attack_request in some
        if b"\r\nAuthorization: Bearer " in attack_request.requests[0]
    ]
    assert len(by_session) + len(by_token) == len(some)
    assert (
        len({attack_request.source for attack_request in by_session}) > credentials.SESSION_ADDRESSES * 0.95
    )
    assert (
        len({re.search(rb"Cookie: ([^\r]+)", attack_request.requests[0])[1] for attack_request in by_session})
        == 1
    )  # type: ignore[index]
    home = {one.token.encode(): one.address for one in COMMUNITY.sleepers}
    used = set()
    for attack_request in by_token:
        token = re.search(rb"Bearer ([^\r]+)", attack_request.requests[0])[1]  # type: ignore[index]
        assert attack_request.source == home[token]
        used.add(token)
    assert len(used) == credentials.SLEEPERS


def test_forged_credentials_have_the_right_shape_and_are_never_the_same():
    some = heads_of(attack_requests("A8", seconds=5.0))
    found = [re.search(rb"(?:Bearer |stormpetrel_session=)([^\r]+)", data)[1] for data in some]  # type: ignore[index]
    assert len(set(found)) == len(found)
    assert {len(text) for text in found} == {43, 54}


def test_inside_attackers_send_from_nowhere_but_shared_addresses():
    used = Counter(attack_request.source for attack_request in attack_requests("A6"))
    assert set(used) == {*COMMUNITY.shared.carrier, *COMMUNITY.shared.school, *COMMUNITY.shared.tor}


def test_provocation_takes_the_schools_address_the_victims_app_his_address_and_his_name():
    some = attack_requests("A16")
    from_school = [
        attack_request for attack_request in some if attack_request.source in COMMUNITY.shared.school
    ]
    as_app = [
        attack_request for attack_request in some if b"User-Agent: Tusky/" in attack_request.requests[0]
    ]
    forged = [
        attack_request
        for attack_request in some
        if b"X-Forwarded-For: 127.48.1.1" in attack_request.requests[0]
    ]
    by_name = [
        attack_request
        for attack_request in some
        if b"activist" in attack_request.requests[0].partition(b"\r\n\r\n")[2]
    ]
    assert is_about(len(forged), len(some) / 6)
    assert is_about(len(from_school), len(some) / 3)
    assert is_about(len(as_app), len(some) / 3)
    assert by_name
    assert all(own_networks(attack_request.source) for attack_request in forged)
    assert any(attack_request in from_school for attack_request in as_app)


def test_slow_sockets_are_of_four_kinds_in_equal_parts():
    some = attack_requests("A10")
    heads = [
        attack_request
        for attack_request in some
        if attack_request.behaviour is Behaviour.SLOW_SEND and attack_request.requests[0].startswith(b"GET")
    ]
    bodies = [
        attack_request
        for attack_request in some
        if attack_request.behaviour is Behaviour.SLOW_SEND and attack_request.requests[0].startswith(b"POST")
    ]
    silent = [attack_request for attack_request in some if attack_request.behaviour is Behaviour.SILENT]
    deaf = [attack_request for attack_request in some if attack_request.behaviour is Behaviour.NO_READ]
    assert len(heads) + len(bodies) + len(silent) + len(deaf) == len(some)
    for kind in (heads, bodies, silent, deaf):
        assert is_about(len(kind), len(some) / 4)
    assert all(
        b"\r\n\r\n" not in attack_request.requests[0] + attack_request.requests[1] for attack_request in heads
    )
    assert all(not attack_request.requests for attack_request in silent)


def test_streams_are_left_after_a_while_so_that_3000_are_open_at_200_new_ones_a_second():
    some = attack_requests("A11")
    mean_s = sum(attack_request.hold_s for attack_request in some) / len(some)
    assert mean_s * sockets.STREAMS_PER_S == pytest.approx(sockets.STREAM_SOCKETS, rel=0.02)
    upgrades = sum(b"Upgrade: websocket" in attack_request.requests[0] for attack_request in some)
    assert is_about(upgrades, len(some) / 2)


def test_websockets_are_left_within_half_a_second():
    some = attack_requests("A22")
    assert all(b"Upgrade: websocket" in data for data in heads_of(some))
    assert all(0 < one.hold_s <= 0.5 for one in some)
    with_token = sum(b"Authorization: Bearer token-of-sleeper" in data for data in heads_of(some))
    assert is_about(with_token, len(some) / 10)


def test_the_flood_of_posts_is_by_new_accounts_and_the_one_that_many_follow():
    some = attack_requests("A12")
    by_popular = [
        attack_request
        for attack_request in some
        if COMMUNITY.popular.token.encode() in attack_request.requests[0]
    ]
    assert is_about(len(by_popular), len(some) * writes._POPULAR_SHARE)
    tokens = {re.search(rb"Bearer ([^\r]+)", data)[1] for data in heads_of(some)}  # type: ignore[index]
    assert len(tokens) == writes.ACCOUNTS + 1
    posts = [data for data in heads_of(some) if data.startswith(b"POST /api/v1/statuses ")]
    texts = [data.partition(b"\r\n\r\n")[2] for data in posts]
    assert len(set(texts)) == len(texts)


def test_one_worker_watch_the_store_and_the_sms_role_die_in_the_middle_of_the_phase():
    some = attack_requests("A17", seconds=20.0)
    assert [attack_request.victim for attack_request in some] == list(kills.ORDER)
    assert all(
        attack_request.behaviour is Behaviour.KILL and 5.0 < attack_request.at_s < 15.0
        for attack_request in some
    )


def test_a_rate_of_nothing_sends_nothing():
    assert list(arrivals(Random(1), 0.0, 10.0)) == []
    assert shared.PROVOCATION_PER_S > 0
