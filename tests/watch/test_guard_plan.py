import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.guard.limits import ListLimits
from stormpetrel.shield.prefixes import prefix_of
from stormpetrel.shield.reports import StrangerSource
from stormpetrel.watch.guard_plan import MAX_LISTED, OFF_S, STRIKES, WIDENS_AT, GuardInputs, GuardPlan

BOT = "45.90.1.10"
PERSON = "45.90.2.20"


def a_plan(known=(), trusted=()):
    return GuardPlan(is_known=set(known).__contains__, proxies=tuple(map(ipaddress.ip_network, trusted)))


def flood(*networks, refused=20, ignored=9, served=0, **more):
    return GuardInputs([StrangerSource(network, refused, ignored) for network in networks], served, **more)


def seconds(plan, inputs, *, from_s=0, count=STRIKES):
    """Return all that is listed in some seconds of the same."""
    return [one for at in range(count) for one in plan.second(inputs, at_s=float(from_s + at)).listed]


def test_a_source_that_stays_far_above_its_share_and_never_waits_is_listed_for_half_a_minute():
    plan = a_plan()
    assert seconds(plan, flood(BOT), count=STRIKES - 1) == []
    assert plan.second(flood(BOT), at_s=4.0).listed == ((BOT, 30),)
    assert (len(plan), plan.until_s(BOT), plan.added) == (1, 34.0, 1)
    assert seconds(plan, flood(BOT), from_s=5) == [], "it is listed already"


def test_a_source_whose_clients_wait_as_asked_is_never_listed():
    assert seconds(a_plan(), flood(BOT, ignored=4), count=60) == []
    # The address may be shared: one of its clients waits, on another worker.
    shared = GuardInputs([StrangerSource(BOT, 100, 50), StrangerSource(BOT, 1, 0)])
    assert seconds(a_plan(), shared, count=60) == []


def test_a_client_that_waits_takes_back_all_strikes():
    plan = a_plan()
    seconds(plan, flood(BOT), count=4)
    plan.second(flood(BOT, ignored=0), at_s=4.0)
    assert seconds(plan, flood(BOT), from_s=5, count=4) == []


def test_a_client_that_waits_on_another_worker_counts_for_a_minute_without_a_further_report():
    plan = a_plan()
    seconds(plan, flood(), count=10)
    plan.hear(1, [StrangerSource(BOT, 1, 0)])
    for at in range(10, 70):
        plan.hear(0, flood(BOT).sources)
        assert not plan.second(flood(BOT), at_s=float(at)).listed, at
    assert seconds(plan, flood(BOT), from_s=70) == [(BOT, 30)]


def test_a_client_that_waits_no_more_does_not_count():
    plan = a_plan()
    plan.hear(1, [StrangerSource(BOT, 1, 0)])
    seconds(plan, flood(BOT), count=4)
    plan.hear(1, [StrangerSource(BOT, 9, 5)])
    assert plan.second(flood(BOT), at_s=4.0).listed == ((BOT, 30),)


def test_a_quiet_second_takes_back_one_strike():
    plan = a_plan()
    seconds(plan, flood(BOT), count=4)
    plan.second(flood(), at_s=4.0)
    plan.second(flood(BOT), at_s=5.0)
    assert plan.second(flood(BOT), at_s=6.0).listed == ((BOT, 30),)


def test_a_few_refusals_and_an_ordinary_share_are_not_enough():
    assert seconds(a_plan(), flood(BOT, refused=2), count=60) == []
    # 100 requests of strangers are served in the second, 50 for each source: 20 refused are no excess.
    assert seconds(a_plan(), flood(BOT, PERSON, refused=20, served=100), count=60) == []
    assert len(seconds(a_plan(), flood(BOT, PERSON, refused=200, served=100))) == 2


def test_the_refusals_of_all_workers_count_together():
    plan = a_plan()
    halves = GuardInputs([StrangerSource(BOT, 2, 9), StrangerSource(BOT, 2, 7)])
    assert seconds(plan, halves) == [(BOT, 30)]


def test_an_ipv4_client_of_a_listener_for_both_versions_is_listed_as_ipv4():
    assert seconds(a_plan(), flood(f"::ffff:{BOT}")) == [(BOT, 30)]


def test_a_source_that_comes_back_is_listed_for_twice_as_long_up_to_ten_minutes():
    plan, at_s, lasted = a_plan(), 0, []
    for _ in range(7):
        ((_, lasts_s),) = seconds(plan, flood(BOT), from_s=at_s)
        lasted.append(lasts_s)
        at_s += STRIKES + lasts_s
    assert lasted == [30, 60, 120, 240, 480, 600, 600]
    plan.second(flood(), at_s=at_s)
    assert len(plan) == 0
    assert seconds(plan, flood(BOT), from_s=at_s + 2_000) == [(BOT, 30)], "forgotten after half an hour"


def test_networks_with_accounts_and_earlier_visitors_trusted_proxies_and_private_addresses_are_never_listed():
    plan = a_plan(known={"45.90.1.0/24"}, trusted={"45.90.3.1"})
    plan.shelter(["45.90.2.0/24", "2a0e:b107:0::/48"])
    safe = (
        BOT,
        PERSON,
        "45.90.3.1",
        "127.0.0.1",
        "192.168.1.7",
        "local",
        "",
        "2a0e:b107:0:7::/64",
        "fe80:0:0:0::/64",
    )
    assert seconds(plan, flood(*safe), count=20) == []
    assert seconds(plan, flood("45.90.3.2"), from_s=20) == [("45.90.3.2", 30)]


def test_an_address_with_a_member_of_its_network_on_the_same_worker_is_never_listed():
    assert seconds(a_plan(), flood(BOT, ignored=-1), count=20) == []


def test_a_member_who_appears_in_a_listed_network_frees_it_within_a_second():
    plan = a_plan()
    seconds(plan, flood(BOT, PERSON))
    plan.shelter([prefix_of(BOT)])
    changes = plan.second(flood(), at_s=5.0)
    assert (changes.dropped, changes.is_all, plan.withdrawn) == ((BOT,), False, 1)
    assert plan.until_s(PERSON) > 0
    assert seconds(plan, flood(BOT), from_s=6, count=20) == []


def test_an_allow_frees_an_address_and_its_network_within_a_second():
    plan = a_plan()
    seconds(plan, flood(BOT, PERSON, "2a0e:b107:0:7::/64"))
    assert plan.second(flood(allowed=("45.90.1.0/24",)), at_s=5.0).dropped == (BOT,)
    assert plan.second(flood(allowed=("2a0e:b107:0:7::5",)), at_s=6.0).dropped == ("2a0e:b107:0:7::/64",)
    assert seconds(plan, flood(BOT, allowed=("45.90.1.10",)), from_s=7, count=20) == []


def test_a_pause_withdraws_everything_and_lists_nothing_until_it_ends():
    plan = a_plan()
    seconds(plan, flood(BOT))
    paused = flood(BOT, is_paused=True)
    assert plan.second(paused, at_s=5.0).is_all
    assert (len(plan), plan.off_because, plan.withdrawn) == (0, "the shield is paused", 1)
    assert seconds(plan, paused, from_s=6, count=20) == []
    assert seconds(plan, flood(BOT), from_s=26) == [(BOT, 60)]
    assert plan.off_because == ""


def test_two_failures_of_a_members_canary_withdraw_everything_for_ten_minutes():
    plan = a_plan()
    seconds(plan, flood(BOT, failures={"web": 0}))
    assert not plan.second(flood(failures={"web": 1}), at_s=5.0).is_all
    assert plan.second(flood(failures={"web": 2}), at_s=6.0).is_all
    assert plan.off_because == "canary web failed 2 times in a row"
    assert plan.off_s(6.0) == OFF_S
    assert seconds(plan, flood(BOT, failures={"web": 0}), from_s=7, count=599) == []
    assert seconds(plan, flood(BOT, failures={"web": 0}), from_s=606) == [(BOT, 60)]


def test_a_plan_that_does_not_know_the_networks_yet_lists_nothing_for_a_while():
    plan = a_plan()
    plan.stay_off("the journal could not be read", until_s=100.0)
    assert seconds(plan, flood(BOT), count=90) == []
    assert (plan.off_because, plan.off_s(40.0)) == ("the journal could not be read", 60.0)
    assert seconds(plan, flood(BOT), from_s=100) == [(BOT, 30)]
    assert plan.off_because == ""


def test_a_canary_that_failed_before_there_was_a_list_does_not_end_it():
    plan = a_plan()
    assert seconds(plan, flood(BOT, failures={"web": 1})) == [(BOT, 30)]
    assert not plan.second(flood(failures={"web": 5}), at_s=5.0).is_all
    plan.second(flood(failures={"web": 0}), at_s=6.0)
    plan.second(flood(failures={"web": 1}), at_s=7.0)
    assert plan.second(flood(failures={"web": 2}), at_s=8.0).is_all


def test_a_network_of_which_many_addresses_are_listed_is_listed_as_a_whole():
    plan = a_plan()
    bots = [f"45.90.1.{n}" for n in range(WIDENS_AT[4] - 1)]
    assert len(seconds(plan, flood(*bots))) == len(bots)
    assert seconds(plan, flood("45.90.1.200", "45.90.1.201"), from_s=5) == [("45.90.1.0/24", 30)]
    assert plan.until_s("45.90.1.7") == plan.until_s("45.90.1.250") == 39.0
    assert plan.until_s("45.90.2.7") == 0.0
    sites = [f"2a0e:b107:0:{n:x}::/64" for n in range(1, WIDENS_AT[6] + 5)]
    assert seconds(plan, flood(*sites), from_s=10)[-1] == ("2a0e:b107:0::/48", 30)
    plan.shelter(["45.90.1.0/24"])
    assert "45.90.1.0/24" in plan.second(flood(), at_s=15.0).dropped


def test_a_network_with_a_proxy_or_an_allowed_address_is_not_listed_as_a_whole():
    bots = [f"45.90.1.{n}" for n in range(WIDENS_AT[4] + 10)]
    for plan, allowed in ((a_plan(trusted={"45.90.1.250"}), ()), (a_plan(), ("45.90.1.250",))):
        assert {source for source, _ in seconds(plan, flood(*bots, allowed=allowed))} == set(bots)


def test_a_network_where_a_client_waits_at_another_address_is_not_listed_as_a_whole():
    plan = a_plan()
    bots = [f"45.90.1.{n}" for n in range(WIDENS_AT[4] + 10)]
    plan.hear(0, [StrangerSource("45.90.1.250", 1, 0)])
    assert {source for source, _ in seconds(plan, flood(*bots))} == set(bots)
    # It has not come back for a minute.
    assert ("45.90.1.0/24", 30) in seconds(plan, flood(*bots), from_s=100)


def test_addresses_that_are_listed_no_more_do_not_widen_to_their_network():
    plan = a_plan()
    bots = [f"45.90.1.{n}" for n in range(WIDENS_AT[4] - 1)]
    seconds(plan, flood(*bots))
    assert seconds(plan, flood("45.90.1.200"), from_s=34) == [("45.90.1.200", 30)]


def test_a_guard_that_connects_gets_the_entries_that_last_long_enough():
    plan = a_plan()
    seconds(plan, flood(BOT))
    seconds(plan, flood(BOT), from_s=35)
    seconds(plan, flood(PERSON), from_s=41)
    everything = plan.all(46.0)
    assert (everything.is_all, everything.listed) == (True, ((BOT, 53),))


def test_at_most_twenty_thousand_are_listed():
    plan = a_plan()
    # Ten addresses of each network: with more, whole networks are listed.
    many = [f"46.{n // 2_560}.{n // 10 % 256}.{n % 10}" for n in range(MAX_LISTED + 100)]
    assert len(seconds(plan, flood(*many))) == MAX_LISTED
    assert len(plan) == MAX_LISTED


NETWORKS = st.sampled_from(
    [f"45.90.{a}.{b}" for a in (1, 2, 3) for b in (1, 2)] + ["2a0e:b107:0:7::/64", "10.0.0.1"]
)
SOURCES = st.lists(st.builds(StrangerSource, NETWORKS, st.integers(0, 50), st.integers(-1, 20)), max_size=8)
SECONDS = st.lists(
    st.builds(
        GuardInputs,
        SOURCES,
        st.integers(0, 20),
        st.booleans(),
        st.lists(NETWORKS, max_size=1).map(tuple),
        st.fixed_dictionaries({"web": st.integers(0, 3)}),
    ),
    max_size=30,
)


@given(SECONDS, st.sets(st.sampled_from(["45.90.1.0/24", "45.90.2.0/24", "2a0e:b107:0::/48"])))
def test_whatever_happens_no_safe_source_is_listed_and_the_guard_takes_every_entry(seconds_of, safe):
    known, sheltered = a_plan(known=safe), a_plan()
    sheltered.shelter(safe)
    limits = ListLimits(())
    for plan in (known, sheltered):
        listed = set()
        for at, inputs in enumerate(seconds_of):
            changes = plan.second(inputs, at_s=float(at))
            if changes.is_all:
                listed.clear()
            listed -= set(changes.dropped)
            for source, lasts_s in changes.listed:
                assert prefix_of(source) not in safe
                assert limits.checked(source, lasts_s) is not None
                network = ipaddress.ip_network(source)
                assert not any(network.overlaps(ipaddress.ip_network(one)) for one in inputs.allowed)
                listed.add(source)
            assert len(plan) <= len(listed)
            if inputs.is_paused:
                assert len(plan) == 0
