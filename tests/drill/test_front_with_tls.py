"""The fronts as in deploy/, with TLS, in front of an instance: people and attackers reach it through them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from stormpetrel.drill import community, fronts, place, scenario
from stormpetrel.drill.attack_connection import Fire, Tally
from stormpetrel.drill.engine import Engine
from stormpetrel.drill.fronts import DOMAIN, SHIPPED, Front
from stormpetrel.drill.loopback import Address, TrafficBudget
from stormpetrel.drill.record import OK
from stormpetrel.drill.run import Result
from stormpetrel.drill.tls import TlsName
from stormpetrel.drill.vectors import http2
from stormpetrel.drill.vectors.attack_requests import AttackRequest, Behaviour
from stormpetrel.drill.wire import WireResponse, connect, request
from stormpetrel.proxies.site import EDGE_SETTINGS
from tests.drill.prepared import drilled, setting
from tests.parts import require

SECONDS = 6


@pytest.fixture(scope="module", params=SHIPPED)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Yield each installed front, in front of an instance with the settings that it requires."""
    require(request.param)
    ready = setting()
    with (
        place.running(
            ready.prepared,
            tmp_path_factory.mktemp("there") / request.param,
            command=ready.command,
            environment=ready.environment,
            settings={
                **fronts.settings_behind(request.param),
                "shield_requests_per_5min": 5,
                "web_workers": 1,
            },
        ) as there,
        fronts.shipped(request.param, upstream_port=there.web.port, status_port=there.status.port) as running,
    ):
        yield running


def asked(path: str) -> bytes:
    return request("GET", path, host=DOMAIN, headers={"User-Agent": "Tusky/1.0"})


def answers(front: Front, source: str, *paths: str) -> list[WireResponse]:
    """Return the answers to requests on one connection."""
    assert front.certificate is not None
    tls = TlsName(front.certificate, DOMAIN)

    async def main() -> list[WireResponse]:
        budget = TrafficBudget.of(connections=1, seconds=60)
        exchange = await connect(
            Address("127.0.0.1", front.port), source=source, budget=budget, tls=tls.client()
        )
        try:
            return [await exchange.send(asked(path), timeout_s=10) for path in paths]
        finally:
            exchange.close()

    return asyncio.run(main())


HEADERS, SETTINGS, PING = 1, 4, 6


def http2_frames_until(sock: ssl.SSLSocket, data: bytes, wanted: set[int]) -> set[int]:
    """Send the data; return the types of the frames that came until the wanted ones had, or nothing did for 5 s."""
    got = b""
    sock.settimeout(5)
    kinds: set[int] = set()
    with contextlib.suppress(OSError):  # a front may end the connection of an attacker
        sock.sendall(data[:60_000])
    while not wanted <= kinds:
        try:
            piece = sock.recv(65_536)
        except OSError:
            break
        if not piece:
            break
        got += piece
        while len(got) >= 9:
            kinds.add(got[3])
            got = got[9 + int.from_bytes(got[:3]) :]
    return kinds


def test_each_address_of_a_client_has_a_ceiling_of_its_own_behind_it(front):
    path = "/api/v1/accounts/verify_credentials"
    statuses = [one.status for one in answers(front, "127.44.1.1", *[path] * 7)]
    assert statuses == [401] * 5 + [429] * 2
    assert [one.status for one in answers(front, "127.44.1.2", path)] == [401]


def fired(front: Front, *attack_requests: AttackRequest, seconds: float = 1.5) -> tuple[Counter[str], Engine]:
    """Fire them until all have ended, but for at most `seconds`; return all counts and the engine."""
    total: Counter[str] = Counter()

    def each_second(_: int, tallies: dict[str, Tally]) -> None:
        for tally in tallies.values():
            for name in ("sent", "ok", "refused", "failed", "skipped"):
                total[name] += getattr(tally, name)
            total["connections"] = max(total["connections"], tally.connections)

    assert front.certificate is not None
    made = Engine(
        Address("127.0.0.1", front.port),
        budget=TrafficBudget.of(connections=1000, seconds=60),
        begin_s=time.monotonic(),
        each_second=each_second,
        tls=TlsName(front.certificate, DOMAIN),
    )
    made.run((Fire(one.at_s, seconds, "A3", one, 0) for one in attack_requests), seconds=seconds)
    return +total, made


def test_attackers_speak_tls_and_a_source_keeps_its_connection(front):
    total, _ = fired(front, *(AttackRequest(n / 5, "127.200.1.1", (asked("/status"),)) for n in range(5)))
    assert total == {"sent": 5, "ok": 5, "connections": 1}


def test_people_of_a_crowd_ask_several_times_and_every_handshake_is_counted(front):
    crowd = [AttackRequest(0.0, f"127.201.1.{n}", (asked("/status"),) * 2) for n in range(1, 101)]
    total, made = fired(front, *crowd, seconds=10)
    assert total["sent"] == total["ok"] == 2 * (100 - made.skipped)
    assert 0 < total["skipped"] == made.skipped < 100


def test_slow_and_silent_connections_are_held_behind_tls_too(front):
    total, _ = fired(
        front,
        AttackRequest(0.0, "127.202.1.1", behaviour=Behaviour.SILENT),
        AttackRequest(
            0.0, "127.202.1.2", (b"GET / HTTP/1.1\r\n", b"X-A: b\r\n"), Behaviour.SLOW_SEND, pace_s=0.2
        ),
        AttackRequest(0.0, "127.202.1.3", (asked("/status"),), Behaviour.RESET),
    )
    assert total == {"sent": 3, "ok": 2, "connections": 2}


def test_a_front_does_its_part_of_a_handshake_that_the_client_leaves(front):
    total, _ = fired(
        front,
        *(AttackRequest(n / 50, f"127.203.1.{n}", behaviour=Behaviour.HELLO) for n in range(1, 21)),
        seconds=10,
    )
    assert total["sent"] == total["ok"] == 20


@pytest.mark.parametrize("kind", http2.Http2Abuse)
def test_a_front_reads_each_kind_of_http2_abuse_and_serves_others_meanwhile(front, kind):
    """An answer to the first request shows that its header fields were read; a flood may get a goodbye."""
    assert front.certificate is not None
    context = TlsName(front.certificate, DOMAIN).http2_context
    data = http2.frames(kind, DOMAIN, "/status", "Tusky/1.0")
    wanted = {
        http2.Http2Abuse.CANCELLED: {SETTINGS},
        http2.Http2Abuse.ENDLESS: {SETTINGS},
        http2.Http2Abuse.PINGS: {SETTINGS, PING},
        http2.Http2Abuse.UNREAD: {SETTINGS, HEADERS},
    }[kind]
    with (
        socket.create_connection(("127.0.0.1", front.port), 10, ("127.204.1.1", 0)) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as sock,
    ):
        assert sock.selected_alpn_protocol() == "h2"
        assert wanted <= http2_frames_until(sock, data, wanted)
        assert [one.status for one in answers(front, "127.44.1.3", "/status")] == [302]


def test_no_client_has_the_address_of_a_trusted_proxy():
    trusted = {ipaddress.ip_network(str(one["trusted_proxies"])) for one in EDGE_SETTINGS.values()}
    there = community.load(setting().community)
    people = {one.address for one in (*there.members, *there.sleepers, *there.newcomers)}
    homes = {
        ipaddress.ip_network(f"{prefix}{'.0' * (3 - prefix.count('.'))}/{8 * (prefix.count('.') + 1)}")
        for prefix in (*community.HOMES.values(), community.ATTACKERS_HOME)
    }
    for proxy in trusted:
        assert not any(proxy.overlaps(home) for home in homes)
        assert not any(ipaddress.ip_address(address) in proxy for address in people)


def test_cookies_of_an_instance_with_https_have_the_prefix():
    path = setting().community
    plain, https = community.load(path).cookies, community.load(path, https=True).cookies
    assert https == {kind: f"__Host-{name}" for kind, name in plain.items()}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Result:
    require("nginx")
    result, _ = drilled(
        tmp_path_factory.mktemp("behind"),
        scenario.build("a few", (SECONDS, "calm", ())),
        mode="full",
        front="nginx",
        has_tls=True,
        passes=lambda result, _: are_served(result),
    )
    return result


def are_served(result: Result) -> bool:
    return sum(one.outcome == OK for one in result.lines) >= len(result.lines) * 0.97


@pytest.mark.calm
def test_people_are_served_behind_nginx_and_its_work_is_counted(calm):
    served = [one for one in calm.lines if one.outcome == OK]
    outcomes = Counter((one.channel, one.outcome, one.status) for one in calm.lines if one.outcome != OK)
    assert are_served(calm), outcomes
    assert {one.channel for one in served} >= {"apps", "web", "posting", "streaming", "new", "returning"}
    assert calm.run.column == "full behind nginx"
    assert 0 < calm.usage.front_s < calm.usage.server_s
    use = calm.scores().front
    assert use is not None
    assert (use.cpu_s, use.sent, use.skipped) == (calm.usage.front_s, 0, 0)


@pytest.mark.calm
def test_every_acknowledged_post_is_found_behind_it(calm):
    posted = {one.text for one in calm.lines if one.text}
    assert posted
    assert {one.text: one.times for one in calm.found if one.text in posted} == dict.fromkeys(posted, 1)
