"""Each rule of the table, with generated seconds: at the usual rate, half and double, in pairs, and unknown ones."""

from __future__ import annotations

from random import Random

import pytest

from stormpetrel.model.attack import UNKNOWN_VECTOR, VECTORS
from stormpetrel.shield import evidence as e
from stormpetrel.watch.phases.measures import Measures, figures, mean
from stormpetrel.watch.phases.usual import Usual
from stormpetrel.watch.phases.vectors import RULES, named_vectors
from stormpetrel.watch.phases.verdict import find
from tests.watch.phases import traffic
from tests.watch.phases.traffic import learnt, seconds_of

ONE_ACCOUNT = {"failed_sign_ins": 20.0, "most_failed": 19.0}
MANY_ACCOUNTS = {"failed_sign_ins": 20.0, "most_failed": 1.0}
CASES = (
    ("page_flood", traffic.page_flood, 1000, {}),
    ("few_sources", traffic.few_sources, 1500, {}),
    ("expensive_reads", traffic.expensive_reads, 300, {}),
    ("sign_in_flood", traffic.sign_in_flood, 60, {"features": MANY_ACCOUNTS}),
    ("account_guessing", traffic.sign_in_flood, 120, {"features": ONE_ACCOUNT}),
    ("shared_addresses", traffic.shared_addresses, 600, {}),
    ("stolen_credentials", traffic.stolen_credentials, 500, {}),
    ("forged_credentials", traffic.forged_credentials, 1000, {}),
    ("sms_pumping", traffic.people, 1, {"features": {"texts_new": 17.0}}),
    ("slow_connections", traffic.people, 1, {"connections": {"slow_head": 60, "silent": 50, "unread": 50}}),
    ("streams", traffic.streams, 200, {}),
    ("write_flood", traffic.write_flood, 100, {}),
    ("connection_churn", traffic.people, 1, {"connections": {"opened": 3000, "reset": 2000, "unused": 900}}),
    ("provocation", traffic.provocation, 200, {}),
    ("expensive_bodies", traffic.expensive_bodies, 1200, {}),
    ("store_filling", traffic.store_filling, 60, {}),
    ("feeds_and_search", traffic.feeds_and_search, 800, {}),
)


def test_an_attack_on_an_instance_without_visitors_has_a_name():
    # The watch's own requests are counted, but not sampled: there is no usual mix.
    usual = Usual()
    for second in range(24):
        rates = {"requests": (13.0, 1.0, 0.0)[second % 3], "opened": (13.0, 1.0, 0.0)[second % 3]}
        mix = {"expensive": 8.6} if second == 0 else {}
        usual = usual.learn(Measures(float(second), rates, {}, mix, sampled=len(mix), networks={}))
    rates = {"few": 180.0, "requests": 180.0, "opened": 11.0}
    seen = Measures(30.0, rates, {"steady": 1.0}, {"few": 180.0}, sampled=180, networks={"few": 5.0})
    assert [one.name for one in named_vectors(seen, usual)] == ["few_sources"]


def names(seed, mixes, **more):
    rng = Random(seed)
    measurer, usual = learnt(rng)
    seen = mean(seconds_of(measurer, rng, 60, mixes, **more))
    return {one.name for one in named_vectors(seen, usual)}


def test_every_name_of_the_model_has_a_rule_and_a_case() -> None:
    assert {rule.name for rule in RULES} == set(VECTORS) == {name for name, *_ in CASES}


@pytest.mark.parametrize("times", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("name", "maker", "per_s", "more"), CASES, ids=[name for name, *_ in CASES])
def test_an_attack_is_named_at_its_rate_at_half_and_at_double(name, maker, per_s, more, times) -> None:
    for seed in range(3):
        assert names(seed, [(maker, max(1, round(per_s * times)))], **more) == {name}


@pytest.mark.parametrize(
    ("one", "other", "features"),
    [
        ("few_sources", "sign_in_flood", MANY_ACCOUNTS),
        ("page_flood", "forged_credentials", {}),
        ("expensive_reads", "write_flood", {}),
        ("shared_addresses", "streams", {}),
        ("stolen_credentials", "feeds_and_search", {}),
    ],
)
def test_two_attacks_at_once_are_both_named(one, other, features) -> None:
    mixes = [(maker, per_s) for name, maker, per_s, _ in CASES if name in (one, other)]
    assert names(1, mixes, features=features) == {one, other}


@pytest.mark.parametrize(
    ("maker", "more"),
    [
        (traffic.an_api_flood, {}),
        (traffic.a_file_flood, {}),
        (traffic.people, {"because": {"edge/malformed": 400}}),
    ],
)
def test_an_attack_of_a_kind_that_has_no_rule_is_called_unknown(maker, more) -> None:
    for seed in range(3):
        assert names(seed, [(maker, 400 if maker is not traffic.people else 1)], **more) == {UNKNOWN_VECTOR}


def test_every_measure_that_a_rule_reads_is_measured() -> None:
    measured: set[str] = set()
    for _, maker, per_s, more in CASES:
        (seen,) = seconds_of(learnt(Random(1))[0], Random(2), 60, [(maker, per_s)], seconds=1, **more)
        measured |= seen.rates.keys() | seen.features.keys()
    # The senders of an attack can only be compared with those before when it has lasted for some seconds.
    *_, seen = seconds_of(learnt(Random(1))[0], Random(2), 60, [(traffic.few_sources, 1500)], seconds=5)
    measured |= seen.features.keys()
    assert {name for rule in RULES for name in rule.measures} <= measured
    # A rule is within rules above it only.
    names = [rule.name for rule in RULES]
    assert all(
        names.index(one) < place for place, rule in enumerate(RULES) for one in rule.within + rule.beside
    )


def few_slowed_senders(rng):
    """Return a request of 50 senders, of which most are slowed so much that they are not heavy."""
    number = rng.choice((0, 1, 2, rng.randrange(50)))
    return traffic.asked(e.DEEP, e.NEW_NETWORK, e.BROWSER, address=30_000 + number * 300)


def test_senders_of_a_flood_from_few_sources_that_are_slowed_are_no_expensive_reads_from_many() -> None:
    for seed in range(5):
        assert names(seed, [(few_slowed_senders, 150)]) == {"few_sources"}
        # Of thousands of networks they are another attack.
        assert names(seed, [(few_slowed_senders, 150), (wide_reads, 150)]) == {
            "few_sources",
            "expensive_reads",
        }


def recorded(networks, *, features=None, **rates):
    """Return the measures of a second of a drill, by cohort."""
    return Measures(60.0, rates, features or {}, dict(rates), sampled=300, networks=networks)


def named_in(seen):
    _, usual = learnt(Random(1))
    return {one.name for one in named_vectors(seen, usual)}


@pytest.mark.parametrize(
    "seen",
    [
        # The first second of A3, and one after its end, when the rest in the queue was read.
        recorded({"few": 6.0, "expensive": 49.0, "members": 9.0}, few=34.0, expensive=102.9, members=56.9),
        recorded({"few": 50.0, "expensive": 32.0, "members": 8.0}, few=78.5, expensive=92.8, members=42.8),
        recorded({"few": 50.0, "expensive": 6.0, "members": 7.0}, few=1450.6, members=46.6, malformed=45.6),
    ],
)
def test_recorded_seconds_of_an_attack_from_fifty_networks_are_of_few_sources_alone(seen) -> None:
    assert named_in(seen) == {"few_sources"}


@pytest.mark.parametrize(
    ("networks", "few", "pages"), [(93.0, 3336.6, 14.8), (123.0, 1436.5, 45.5), (125.0, 2797.9, 119.0)]
)
def test_recorded_seconds_of_slow_connections_behind_nginx_have_no_wrong_name(networks, few, pages) -> None:
    seen = recorded({"few": networks, "pages": 34.0}, few=few, pages=pages, members=43.6, malformed=25.7)
    assert named_in(seen) == {UNKNOWN_VECTOR}
    _, usual = learnt(Random(1))
    assert find(seen, usual).verdict == "attack"


@pytest.mark.parametrize(
    ("steady", "networks", "few", "pages"),
    [
        (0.44, 45.0, 1537.0, 109.0),
        (0.59, 50.0, 700.0, 142.0),
        (0.41, 67.0, 2436.0, 201.0),
        (0.54, 75.0, 1345.0, 282.0),
    ],
)
def test_senders_who_become_more_with_each_second_are_not_called_few(steady, networks, few, pages) -> None:
    # Recorded behind nginx, while few networks of slow connections had been seen. A3 was steady by 0.88 to 1 there.
    seen = recorded({"few": networks, "pages": 40.0}, features={"steady": steady}, few=few, pages=pages)
    assert named_in(seen) == {UNKNOWN_VECTOR}
    assert find(seen, learnt(Random(1))[1]).verdict == "attack"
    steadily = recorded(
        {"few": 36.0, "expensive": 20.0}, features={"steady": 0.88}, few=297.0, expensive=20.0
    )
    assert named_in(steadily) == {"few_sources"}


@pytest.mark.parametrize(
    ("refused", "names"), [(10.8, {"few_sources"}), (0.0, {"few_sources", "expensive_bodies"})]
)
def test_bodies_that_were_refused_for_their_size_are_not_expensive(refused, names) -> None:
    # Recorded in the first second of slow connections behind nginx, which passes the heads of large bodies on.
    seen = recorded({"few": 4.4}, few=36.2, bodies=11.2, pages=15.7, members=63.8, refused_bodies=refused)
    assert named_in(seen) == names


@pytest.mark.parametrize(
    ("networks", "rates", "names"),
    [
        # Slow connections that send many requests each, with few live streams, and feeds of many networks.
        (
            {
                "pages": 206.0,
                "pipelined": 208.0,
                "forged": 578.0,
                "feeds": 500.0,
                "search": 474.0,
                "bodies": 289.0,
            },
            {
                "bodies": 83.0,
                "refused_bodies": 76.0,
                "streams": 68.0,
                "forged": 93.0,
                "pipelined": 664.0,
                "feeds": 145.0,
            }
            | {"search": 77.0, "pages": 109.0, "slow": 1371.0, "slow_bodies": 239.0, "malformed": 117.0},
            {"slow_connections", "feeds_and_search", "streams"},
        ),
        # Connections that are reset after a request, with forged credentials and live streams.
        (
            {"forged": 204.0, "streams": 414.0, "pages": 378.0, "members": 18.0},
            {
                "streams": 85.0,
                "forged": 125.0,
                "members": 59.0,
                "pages": 2087.0,
                "churn": 3014.0,
                "churned_pages": 2059.0,
            },
            {"connection_churn", "forged_credentials", "streams"},
        ),
    ],
)
def test_requests_of_slow_and_reset_connections_do_not_hide_attacks_beside_them(
    networks, rates, names
) -> None:
    seen = recorded(networks, features={"churn_share": 0.88 if "churn" in rates else 0.0}, **rates)
    assert named_in(seen) == names
    assert find(seen, learnt(Random(1))[1]).verdict == "attack"


def test_few_recorded_requests_that_claim_an_address_make_sign_ins_beside_them_provocation() -> None:
    # Recorded in A7 x0.4 + A16 x0.4 + A23 x1.3. Their sign-ins, of one address, were called guessing of passwords.
    seen = recorded(
        {"claims": 267.0, "sign_ins": 1.0, "forged": 1.0, "abused": 164.0, "members": 23.0},
        features={"one_account": 1.0, "churn_share": 0.91},
        claims=11.0,
        sign_ins=17.0,
        forged=12.0,
        abused=181.0,
        members=89.0,
        churn=1092.0,
    )
    assert named_in(seen) == {"provocation", "stolen_credentials", "connection_churn"}


@pytest.mark.parametrize(
    ("networks", "rates", "features", "verdict", "names"),
    [
        # A21 beside a crowd: searches were called expensive reads, forged credentials got a name of their own.
        (
            {"pages": 3081.0, "search": 630.0, "feeds": 537.0, "forged": 647.0, "sign_ins": 302.0},
            {
                "sign_ins": 66.0,
                "forged": 117.0,
                "feeds": 294.0,
                "search": 126.0,
                "pages": 562.0,
                "failed": 4.0,
            },
            {"one_account": 1.0, "page_programs": 0.0},
            "mixed",
            {"feeds_and_search", "account_guessing"},
        ),
        # A23 beside a crowd: TLS handshakes ask for no page, so the pages are the crowd's.
        (
            {"pages": 3420.0, "sign_ins": 254.0},
            {"sign_ins": 59.0, "pages": 484.0, "churn": 669.0, "malformed": 669.0, "failed": 50.0},
            {"one_account": 1.0, "page_programs": 0.0, "churn_share": 0.71},
            "mixed",
            {"connection_churn", "account_guessing"},
        ),
        # A4 at 0.4 times its rate beside sign-ins and stolen credentials.
        (
            {"abused": 165.0, "search": 584.0, "expensive": 439.0, "sign_ins": 262.0, "pages": 92.0},
            {
                "sign_ins": 228.0,
                "abused": 777.0,
                "search": 38.0,
                "expensive": 74.0,
                "pages": 20.0,
                "requests": 1211.0,
            },
            {"one_account": 0.3},
            "attack",
            {"stolen_credentials", "sign_in_flood", "expensive_reads"},
        ),
    ],
)
def test_attacks_beside_a_crowd_or_a_larger_attack_are_named(
    networks, rates, features, verdict, names
) -> None:
    seen = recorded(networks, features={"networks": 2000.0} | features, **rates)
    assert named_in(seen) == names
    assert find(seen, learnt(Random(1))[1]).verdict == verdict


@pytest.mark.parametrize(
    ("few", "hidden"), [("feeds", {"search": 110.0, "forged": 120.0}), ("claims", {"sign_ins": 40.0})]
)
def test_requests_that_may_belong_to_an_attack_without_a_name_are_not_decided(few, hidden) -> None:
    # So few feeds, or claims of an address, beside a crowd say nothing of themselves.
    seen = recorded(
        {"pages": 3000.0, few: 300.0} | dict.fromkeys(hidden, 300.0),
        features={"one_account": 1.0, "networks": 3000.0, "page_programs": 0.0},
        **{"pages": 900.0, few: 60.0 if few == "feeds" else 12.0} | hidden,
    )
    assert named_in(seen) <= {UNKNOWN_VECTOR}
    assert find(seen, learnt(Random(1))[1]).verdict == "crowd"


def wide_reads(rng):
    return traffic.asked(e.DEEP, e.NEW_NETWORK, e.BROWSER, address=40_000 + rng.randrange(5_000) * 250)


def test_calm_and_a_crowd_have_no_vectors() -> None:
    for seed in range(3):
        assert names(seed, []) == set()
        assert names(seed, [(traffic.crowd, 1500)]) == set()
        assert names(seed, [(traffic.crowd_without_referrer, 800)]) == set()


def test_every_value_of_the_evidence_is_among_the_features_of_the_moment() -> None:
    for _, maker, per_s, more in CASES:
        rng = Random(5)
        measurer, usual = learnt(rng)
        (seen,) = seconds_of(measurer, rng, 60, [(maker, per_s)], seconds=1, **more)
        features = figures(seen)
        for vector in named_vectors(seen, usual):
            for item in vector.evidence:
                assert item.value == pytest.approx(features[item.name], abs=0.06)
