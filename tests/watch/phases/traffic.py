"""Generated seconds of traffic for the tests of phases: people, and attacks of each kind, as sampled requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from random import Random

from stormpetrel.model.attack import Moment
from stormpetrel.shield import evidence as e
from stormpetrel.shield.evidence import SampledRequest
from stormpetrel.watch.phases.cohorts import Sampled
from stormpetrel.watch.phases.measures import Measurer, Measures
from stormpetrel.watch.phases.usual import Usual

MAIL, NONE = e.REFERRERS.index("mail"), e.REFERRERS.index("none")
OWN = e.REFERRERS.index("own")
Maker = Callable[[Random], SampledRequest]


def asked(
    kind: int,
    source: int,
    agent: int,
    *,
    address: int,
    referrer: int = NONE,
    flags: int = 0,
    query: int = 0,
    credential: int = 0,
    body_bytes: int = 0,
) -> SampledRequest:
    """Return one request; 250 addresses share a network."""
    return SampledRequest(
        kind, source, agent, referrer, flags, address, address // 250 + 1, query, 1, credential, body_bytes
    )


def people(rng: Random) -> SampledRequest:
    """Return a request of the usual mix: apps, members in browsers, visitors with files, feeds, a few sign-ins."""
    drawn = rng.random()
    if drawn < 0.45:
        who = rng.randrange(800)
        return asked(e.APIS, e.MEMBER, e.APP, address=who, credential=who + 1)
    if drawn < 0.5:
        who = rng.randrange(800)
        return asked(e.WRITE, e.MEMBER, e.APP, address=who, credential=who + 1, flags=e.IS_WRITE)
    if drawn < 0.75:
        return asked(e.ASSET, e.RETURNING, e.BROWSER, address=5_000 + rng.randrange(900), referrer=OWN)
    if drawn < 0.92:
        source = rng.choice((e.RETURNING, e.KNOWN_NETWORK, e.NEW_NETWORK))
        return asked(
            e.PAGES,
            source,
            e.BROWSER,
            address=5_000 + rng.randrange(900),
            referrer=rng.choice((OWN, NONE, MAIL)),
            flags=e.HAS_COOKIE,
        )
    if drawn < 0.97:
        return asked(e.FEEDS, e.KNOWN_NETWORK, e.READER, address=8_000 + rng.randrange(80))
    if drawn < 0.98:
        return asked(e.SIGN_INS, e.KNOWN_NETWORK, e.BROWSER, address=rng.randrange(800), flags=e.IS_WRITE)
    return asked(e.STREAMS, e.MEMBER, e.APP, address=rng.randrange(800), credential=7)


def bots(rng: Random) -> int:
    """Return the address of one of 2,000 bots."""
    return 20_000 + rng.randrange(2_000)


def page_flood(rng: Random) -> SampledRequest:
    agent = rng.choice((e.PROGRAM, e.PROGRAM, e.BROWSER))
    return asked(
        e.CACHED,
        e.NEW_NETWORK,
        agent,
        address=bots(rng),
        query=rng.getrandbits(31) + 1,
        flags=e.HAS_EXTRA_QUERY,
    )


def few_sources(rng: Random) -> SampledRequest:
    return asked(
        e.DEEP, e.NEW_NETWORK, e.BROWSER, address=30_000 + rng.randrange(50) * 300, query=rng.getrandbits(31)
    )


def expensive_reads(rng: Random) -> SampledRequest:
    kind = rng.choice((e.SEARCHES, e.TAGS, e.DEEP, e.UNKNOWN_PATH))
    return asked(kind, e.NEW_NETWORK, e.BROWSER, address=40_000 + rng.randrange(5_000))


def sign_in_flood(rng: Random) -> SampledRequest:
    kind = rng.choice((e.SIGN_INS, e.SIGN_INS, e.TOKENS))
    return asked(kind, e.NEW_NETWORK, e.BROWSER, address=bots(rng), flags=e.IS_WRITE, body_bytes=120)


def shared_addresses(rng: Random) -> SampledRequest:
    return asked(e.DEEP, e.KNOWN_NETWORK, e.BROWSER, address=rng.randrange(14), query=rng.getrandbits(31))


def stolen_credentials(rng: Random) -> SampledRequest:
    if rng.random() < 0.4:
        return asked(e.PAGES, e.MEMBER, e.BROWSER, address=bots(rng), credential=9_999)
    return asked(e.DEEP, e.MEMBER, e.APP, address=rng.randrange(60), credential=9_000 + rng.randrange(60))


def forged_credentials(rng: Random) -> SampledRequest:
    return asked(e.APIS, e.FORGED, e.APP, address=bots(rng), credential=rng.getrandbits(31))


def streams(rng: Random) -> SampledRequest:
    return asked(e.STREAMS, e.NEW_NETWORK, e.BROWSER, address=bots(rng))


def write_flood(rng: Random) -> SampledRequest:
    who = 300 + rng.randrange(100)
    flags = e.IS_WRITE | e.IS_YOUNG
    return asked(e.WRITE, e.MEMBER, e.APP, address=who, credential=who + 1, flags=flags, body_bytes=150)


def provocation(rng: Random) -> SampledRequest:
    makers: tuple[Maker, ...] = (
        lambda rng: asked(e.DEEP, e.KNOWN_NETWORK, e.APP, address=3),
        lambda rng: asked(e.DEEP, e.NEW_NETWORK, e.PROGRAM, address=bots(rng), flags=e.CLAIMS_ADDRESS),
        lambda rng: asked(e.APIS, e.FORGED, e.APP, address=4, credential=rng.getrandbits(31)),
        lambda rng: asked(e.TOKENS, e.KNOWN_NETWORK, e.APP, address=3, flags=e.IS_WRITE),
        lambda rng: asked(e.DEEP, e.NEW_NETWORK, e.PROGRAM, address=77_000),
    )
    return rng.choice(makers)(rng)


def expensive_bodies(rng: Random) -> SampledRequest:
    kind = rng.choice((e.SIGN_UPS, e.TOKENS, e.SIGN_INS))
    return asked(
        kind,
        e.NEW_NETWORK,
        e.PROGRAM,
        address=50_000 + rng.randrange(20),
        body_bytes=60_000,
        flags=e.IS_WRITE,
    )


def store_filling(rng: Random) -> SampledRequest:
    if rng.random() < 0.4:
        return write_flood(rng)
    return asked(
        e.SIGN_UPS,
        e.NEW_NETWORK,
        e.PROGRAM,
        address=60_000 + rng.randrange(30),
        body_bytes=4_100,
        flags=e.IS_WRITE,
    )


def feeds_and_search(rng: Random) -> SampledRequest:
    address = 100_000 + rng.randrange(20_000)
    drawn = rng.random()
    if drawn < 0.5:
        return asked(e.FEEDS, e.NEW_NETWORK, e.PROGRAM, address=address)
    if drawn < 0.75:
        return asked(e.APIS, e.FORGED, e.APP, address=address, credential=rng.getrandbits(31))
    return asked(e.SEARCHES, e.NEW_NETWORK, e.BROWSER, address=address)


def crowd(rng: Random) -> SampledRequest:
    return asked(e.CACHED, e.NEW_NETWORK, e.BROWSER, address=200_000 + rng.randrange(100_000), referrer=MAIL)


def crowd_without_referrer(rng: Random) -> SampledRequest:
    if rng.random() < 0.6:
        return asked(
            e.ASSET, e.NEW_NETWORK, e.BROWSER, address=200_000 + rng.randrange(100_000), referrer=OWN
        )
    return asked(e.CACHED, e.NEW_NETWORK, e.BROWSER, address=200_000 + rng.randrange(100_000))


def an_api_flood(rng: Random) -> SampledRequest:
    return asked(e.APIS, e.NEW_NETWORK, e.PROGRAM, address=bots(rng))


def a_file_flood(rng: Random) -> SampledRequest:
    return asked(e.MEDIA, e.NEW_NETWORK, e.PROGRAM, address=bots(rng))


def a_second(
    rng: Random,
    at_s: float,
    *mixes: tuple[Maker, int],
    calm: int = 70,
    connections: dict[str, int] | None = None,
    features: dict[str, float] | None = None,
    because: dict[str, int] | None = None,
) -> tuple[Moment, tuple[Sampled, ...]]:
    """Return a second of people with attacks: pairs of a maker and requests per second; at most 300 are sampled."""
    rows = [people(rng) for _ in range(calm)]
    for maker, per_s in mixes:
        rows += [maker(rng) for _ in range(per_s)]
    rng.shuffle(rows)
    sample = tuple(rows[: e.MAX_SAMPLE])
    moment = Moment(
        int(at_s),
        1.0,
        is_overloaded=False,
        requests=len(rows),
        sampled=len(sample),
        connections={"opened": len(rows) // 2} | (connections or {}),
        features=features or {},
        because=because or {},
    )
    return moment, (Sampled(len(rows) / len(sample), sample),) if sample else ()


@cache
def usual_traffic(seed: int = 1, seconds: int = 60) -> Usual:
    """Return what is usual after a minute of calm."""
    rng, measurer, usual = Random(seed), Measurer(), Usual()
    for second in range(seconds):
        usual = usual.learn(measurer.measure(*a_second(rng, second), at_s=float(second)))
    return usual


def learnt(rng: Random) -> tuple[Measurer, Usual]:
    """Return a measurer after three seconds of calm, and what is usual."""
    measurer = Measurer()
    for second in range(57, 60):
        measurer.measure(*a_second(rng, second), at_s=float(second))
    return measurer, usual_traffic()


def seconds_of(
    measurer: Measurer,
    rng: Random,
    start: int,
    mixes: Iterable[tuple[Maker, int]],
    *,
    seconds: int = 4,
    **more,
) -> list[Measures]:
    """Return the measures of some seconds of an attack."""
    mixes = tuple(mixes)
    return [
        measurer.measure(*a_second(rng, start + n, *mixes, **more), at_s=float(start + n))
        for n in range(seconds)
    ]
