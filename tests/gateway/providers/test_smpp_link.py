"""Links of the SMPP provider to npm smpp as the carrier: bound, silent, cut, encrypted, and with garbage."""

from __future__ import annotations

import asyncio
import logging
import subprocess

import pytest

from stormpetrel.gateway.provider import (
    Accepted,
    LinkState,
    SubmitFailed,
    Throttled,
)
from stormpetrel.sms.smpp.pdu import MessageResponse, Pdu, ShortMessage, UnknownBody, encode
from stormpetrel.sms.smpp.protocol import Command
from tests.gateway.carrier import message, running_carrier
from tests.gateway.providers.smpp_parts import PHONE, bound, provider_of, read, run, units, until
from tests.parts import require


@pytest.mark.parametrize("failure", ["hang", "freeze"])
def test_a_silent_link_is_found_and_bound_again(port, inbox, failure):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox, enquire_link_s=0.3, dead_s=0.5, response_s=60) as provider:
                getattr(carrier, failure)()
                # A submission on the silent link fails with it.
                assert isinstance(await provider.send(units("lost")[0]), SubmitFailed)
                await read(carrier, "bound", 2)
                await until(lambda: provider.state is LinkState.UP)
                assert isinstance(await provider.send(units("found")[0]), Accepted)

    run(work())


@pytest.mark.prove
def test_a_silent_link_is_bound_again_within_45_s_with_the_default_settings(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                carrier.freeze()
                async with asyncio.timeout(45):
                    await asyncio.to_thread(carrier.wait_for, "bound", 2, 45)

    run(work())


def test_a_submission_without_an_answer_makes_the_link_be_tested_at_once(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox, response_s=0.3, dead_s=0.3) as provider:
                carrier.hang()
                assert isinstance(await provider.send(units("lost")[0]), SubmitFailed)
                await read(carrier, "bound", 2)

    run(work())


@pytest.mark.parametrize("end", ["drop", "unbind"])
def test_a_link_that_the_carrier_ends_is_bound_again(port, inbox, end):
    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox) as provider:
                getattr(carrier, end)()
                await read(carrier, "bound", 2)
                await until(lambda: provider.state is LinkState.UP)

    run(work())


def test_a_carrier_that_is_away_is_tried_until_it_comes(port, inbox):
    async def work():
        provider = provider_of(port)
        await provider.start(inbox)
        assert provider.state is LinkState.CONNECTING
        assert isinstance(await provider.send(units("a")[0]), Throttled)
        with running_carrier(port=port):
            await until(lambda: provider.state is LinkState.UP)
            await provider.stop()

    run(work())


def test_a_wrong_password_is_logged_without_it_and_the_route_is_down(port, inbox, caplog):
    async def work():
        with running_carrier(port=port) as carrier:
            provider = provider_of(port, password="battery-staple")
            await provider.start(inbox)
            await until(lambda: provider.state is LinkState.DOWN)
            assert isinstance(await provider.send(units("a")[0]), Throttled)
            await provider.stop()
            assert len(carrier.all("bind refused")) == 1

    with caplog.at_level(logging.INFO):
        run(work())
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "route one: the carrier refused the bind (invalid password 0x0e)" in line
    assert "battery-staple" not in caplog.text


def test_stopping_waits_for_what_is_in_progress_and_unbinds(port, inbox):
    async def work():
        with running_carrier(port=port) as carrier:
            inbox.delay_s = 0.3
            async with bound(port, inbox):
                carrier.deliver(message(PHONE, "40404", "last words"))
                await until(lambda: inbox.most_at_once)
            await read(carrier, "unbound")
            assert len(carrier.acknowledged()) == 1
            # The answer to unbind proves that the acknowledgement before it was read.
            assert inbox.open_keys == {}

    run(work())


def test_stopping_does_not_wait_for_a_silent_carrier(port, inbox, monkeypatch):
    monkeypatch.setattr("stormpetrel.gateway.providers.smpp.STOP_S", 0.3)

    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                carrier.hang()
            await read(carrier, "unbound")
            await read(carrier, "lost")

    run(work())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    require("openssl")
    directory = tmp_path_factory.mktemp("tls")
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        [
            *"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(),
            *("-subj", "/CN=carrier", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


def test_tls_binds_if_the_certificate_is_trusted_and_not_otherwise(
    port, inbox, certificate, monkeypatch, caplog
):
    key, cert = certificate

    async def work():
        with running_carrier(port=port, key=str(key), cert=str(cert)) as carrier:
            untrusting = provider_of(port, tls=True)
            await untrusting.start(inbox)
            await until(lambda: "certificate" in caplog.text)
            await untrusting.stop()
            assert carrier.all("bound") == []
            monkeypatch.setenv("SSL_CERT_FILE", str(cert))
            async with bound(port, inbox, tls=True) as provider:
                carrier.deliver(message(PHONE, "40404", "hello"))
                assert isinstance(await provider.send(units("hello")[0]), Accepted)
                await until(lambda: inbox.texts == ["hello"])

    run(work())


def test_garbage_ends_the_link_or_is_refused_and_nothing_of_it_is_stored(port, inbox):
    deliver = encode(Pdu(Command.DELIVER_SM, 9, ShortMessage("1", "2", b"x" * 20)))
    too_long = deliver[:-21] + b"\xff" + deliver[-20:]

    async def work():
        with running_carrier(port=port) as carrier:
            async with bound(port, inbox):
                carrier.send_octets(encode(Pdu(0x0000_0777, 7, UnknownBody(b"what"))))
                assert (await read(carrier, "nack"))[0] | {"event": ""} == {
                    "event": "",
                    "status": 3,
                    "sequence": 7,
                }
                carrier.send_octets(too_long)
                carrier.send_octets(encode(Pdu(Command.SUBMIT_SM_RESP, 12345, MessageResponse("a"))))
                carrier.enquire()
                await read(carrier, "alive")
                assert len(carrier.all("bound")) == 1
                carrier.send_octets(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                await read(carrier, "bound", 2)
            assert inbox.stored == {}

    run(work())
