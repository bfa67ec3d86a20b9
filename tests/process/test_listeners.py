"""The supervisor's listening sockets and locks."""

from __future__ import annotations

import os
import resource
import socket

import pytest

from stormpetrel.errors import EnvironmentFailure
from stormpetrel.process.listeners import listen, lock_role, raise_open_file_limit, shown


def close(sockets):
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("::1", "::1"),
        ("::", "127.0.0.1"),
    ],
)
def test_all_workers_share_one_free_port(host, reached_at):
    try:
        opened = listen(host, 0, count=3, key="web.port")
    except EnvironmentFailure:
        if ":" in host and not socket.has_dualstack_ipv6():
            pytest.skip("this machine has no IPv6")
        raise
    ports = {sock.getsockname()[1] for sock in opened}
    assert len(ports) == 1
    for _ in range(10):
        socket.create_connection((reached_at, *ports), timeout=5).close()
    close(opened)


def test_a_port_in_use_is_named_with_its_key_and_nothing_stays_open():
    taken = listen("127.0.0.1", 0, count=2, key="web.port")
    port = taken[0].getsockname()[1]
    with pytest.raises(EnvironmentFailure) as raised:
        listen("127.0.0.1", port, count=2, key="web.port")
    assert raised.value.safe_text == (
        f"cannot listen on 127.0.0.1:{port} (web.port): address already in use; "
        "stop the program that has it, or choose another port"
    )
    close(taken)
    close(listen("127.0.0.1", port, count=2, key="web.port"))


def test_a_host_that_is_none_is_the_environments_fault():
    with pytest.raises(EnvironmentFailure, match=r"sms\.port"):
        listen("no such host.invalid", 0, count=1, key="sms.port")


@pytest.mark.parametrize(
    ("host", "text"),
    [("127.0.0.1", "127.0.0.1:80"), ("0.0.0.0", "127.0.0.1:80"), ("::1", "[::1]:80"), ("::", "[::1]:80")],
)
def test_addresses_are_shown_as_in_a_url(host, text):
    assert shown(host, 80) == text


def test_a_lock_is_one_per_role_and_says_whose_it_is(tmp_path):
    web = lock_role(tmp_path, "web")
    os.close(lock_role(tmp_path, "sms"))
    with pytest.raises(EnvironmentFailure, match=f"role web, process {os.getpid()}"):
        lock_role(tmp_path, "web")
    os.close(web)
    os.close(lock_role(tmp_path, "web"))


def test_the_open_file_limit_becomes_what_is_allowed():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert raise_open_file_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
