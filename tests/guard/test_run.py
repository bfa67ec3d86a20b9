"""The guard as its own process, with real packets between two network namespaces."""

import contextlib
import signal
import sys
import time

from tests.guard.listing import a_guard, a_list_server, a_listener, connects, table, until_table
from tests.guard.networks import LISTED, LISTED_IPV6, OTHER, SERVER, SERVER_IPV6, two_machines


@contextlib.contextmanager
def guarded_listener(folder):
    """Yield two machines and the sender of the list. The first runs a guard, and a server at the guard's port."""
    with (
        two_machines() as (server, client),
        a_list_server(folder) as watch,
        a_listener(server),
        a_guard(server, folder),
    ):
        watch.accept()
        yield server, client, watch


def test_a_listed_source_cannot_connect_and_another_can(tmp_path):
    with guarded_listener(tmp_path) as (_, client, watch):
        assert watch.say(is_all=True).listed == 0
        assert connects(client, LISTED, SERVER)
        assert watch.say((LISTED, 60)).listed == 1
        assert not connects(client, LISTED, SERVER)
        assert connects(client, OTHER, SERVER)
        assert watch.say(dropped=(LISTED,)).listed == 0
        assert connects(client, LISTED, SERVER)
        assert watch.say().packets > 0


def test_only_the_ports_of_the_web_are_closed_to_a_listed_source(tmp_path):
    with guarded_listener(tmp_path) as (_, client, watch):
        watch.say((LISTED, 60))
        # No program listens there, so that the kernel answers with a reset.
        assert (
            "Connection refused"
            in client.run(
                *(sys.executable, "-c"),
                f"import socket; socket.create_connection(('{SERVER}', 22), 5, ('{LISTED}', 0))",
                check=False,
            ).stderr
        )


def test_prefixes_of_ipv6_and_ipv4_are_dropped_by_mask(tmp_path):
    with guarded_listener(tmp_path) as (_, client, watch):
        assert connects(client, LISTED_IPV6, SERVER_IPV6)
        for prefix in ("2a0e:b107:0:1::/64", "2a0e:b107::/48"):
            assert watch.say((prefix, 60), is_all=True).listed == 1
            assert not connects(client, LISTED_IPV6, SERVER_IPV6), prefix
        assert watch.say(("2a0e:b107:0:2::/64", 60), is_all=True).listed == 1
        assert connects(client, LISTED_IPV6, SERVER_IPV6)
        # 45.90.1.0/24 has both clients, and not the server.
        assert watch.say(("45.90.1.0/24", 60), is_all=True).listed == 1
        assert not connects(client, OTHER, SERVER)


def test_the_guard_refuses_what_exceeds_its_limits_whoever_sends_it(tmp_path):
    with (
        two_machines() as (server, _),
        a_list_server(tmp_path) as watch,
        a_guard(server, tmp_path, "--never", OTHER),
    ):
        watch.accept()
        report = watch.say(
            (SERVER, 60), (OTHER, 60), ("10.0.0.1", 60), ("45.90.0.0/16", 60), (LISTED, 601), (LISTED, 29)
        )
        assert (report.listed, report.refused) == (0, 6)
        assert (
            watch.say(*((f"46.{n >> 16}.{n >> 8 & 255}.{n & 255}", 600) for n in range(20_001))).listed
            == 20_000
        )


def test_the_guard_ends_an_entry_in_time_and_counts_what_it_dropped(tmp_path):
    with two_machines() as (server, _), a_list_server(tmp_path) as watch, a_guard(server, tmp_path):
        watch.accept()
        watch.say((LISTED, 30))
        found = table(server)
        assert f"{LISTED} timeout 30s expires" in found


def test_the_table_is_gone_when_the_guard_ends_and_other_tables_stay(tmp_path):
    with two_machines() as (server, _), a_list_server(tmp_path) as watch:
        server.run("nft", "add", "table", "inet", "mine")
        with a_guard(server, tmp_path):
            watch.accept()
            watch.say((LISTED, 600))
            assert LISTED in table(server)
        assert table(server) == ""
        assert server.run("nft", "list", "tables").stdout == "table inet mine\n"


def test_a_guard_that_was_killed_leaves_entries_that_the_next_one_removes(tmp_path):
    with two_machines() as (server, _), a_list_server(tmp_path) as watch:
        with a_guard(server, tmp_path) as guard:
            watch.accept()
            watch.say((LISTED, 600))
            guard.send_signal(signal.SIGKILL)
            guard.wait(30)
        assert LISTED in table(server)
        with a_guard(server, tmp_path):
            watch.accept()
            watch.say(is_all=True)
            assert LISTED not in table(server)


def test_a_guard_that_is_not_served_leaves_the_table_of_another_alone(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with (
        two_machines() as (server, _),
        a_list_server(tmp_path) as watch,
        a_list_server(elsewhere) as full,
        a_guard(server, tmp_path),
    ):
        watch.accept()
        watch.say((LISTED, 600))
        with a_guard(server, elsewhere):
            full.accept()
            full.leave()
            # It comes again: what it does when it is turned away, it has done.
            full.accept()
            assert LISTED in table(server)
        assert LISTED in table(server)


def test_without_the_watch_the_list_is_empty_and_it_comes_back_with_it(tmp_path):
    with two_machines() as (server, _), a_list_server(tmp_path) as watch, a_guard(server, tmp_path):
        watch.accept()
        watch.say((LISTED, 600))
        watch.leave()
        watch.accept()
        assert LISTED not in table(server)
        watch.say((LISTED, 600), is_all=True)
        assert LISTED in table(server)


def test_a_watch_that_says_nothing_for_ten_seconds_is_gone(tmp_path):
    with two_machines() as (server, _), a_list_server(tmp_path) as watch, a_guard(server, tmp_path):
        watch.accept()
        watch.say((LISTED, 600))
        began_s = time.monotonic()
        until_table(server, "set ipv4_32 {\n\t\ttype ipv4_addr\n\t\tsize 20000\n\t\tflags timeout\n\t}")
        assert time.monotonic() - began_s > 5


def test_a_ruleset_that_another_program_flushed_is_made_again(tmp_path):
    with two_machines() as (server, _), a_list_server(tmp_path) as watch, a_guard(server, tmp_path):
        watch.accept()
        watch.say((LISTED, 600))
        server.run("nft", "flush", "ruleset")
        assert watch.say().problem == ""
        assert LISTED in table(server)


def test_one_capability_is_all_that_it_needs(tmp_path):
    options = ("--bounding-set", "--inh-caps", "--ambient-caps")
    only_net_admin = ["setpriv", *(word for name in options for word in (name, "-all,+net_admin"))]
    with (
        two_machines() as (server, _),
        a_list_server(tmp_path) as watch,
        a_guard(server, tmp_path, before=[*only_net_admin, "--no-new-privs"]),
    ):
        watch.accept()
        assert watch.say((LISTED, 60)).problem == ""
        assert LISTED in table(server)
