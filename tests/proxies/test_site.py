"""The configurations of the proxies come from one source, with this instance's names, ports and limits."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from stormpetrel.proxies.site import EDGE_SETTINGS, TEMPLATES, ProxiedSite, render
from stormpetrel.proxies.trial import ProxyTrial, environment
from tests.deploy.fronts import make_certificate
from tests.parts import require
from tests.ports import reserved_ports
from tests.repository import ROOT


@pytest.mark.parametrize("proxy", TEMPLATES)
def test_the_file_in_deploy_is_the_template_for_the_default_settings(proxy):
    shipped = (ROOT / "deploy" / TEMPLATES[proxy]).read_text(encoding="utf-8")
    assert shipped == render(proxy, ProxiedSite()), (
        f"write it again: stormpetrel proxy {proxy} --domain example.org > deploy/{TEMPLATES[proxy]}"
    )


@pytest.mark.parametrize("proxy", TEMPLATES)
def test_every_part_of_the_site_is_in_its_configuration(proxy):
    site = ProxiedSite("a.example", "up.example", "127.0.0.1:9000", "127.0.0.1:9001", keepalive_s=90.0)
    text = render(proxy, site)
    for part in (
        *("127.0.0.1:9000", "127.0.0.1:9001", "https://up.example/", "a.example", "90 s)"),
        *('public_url = "https://a.example"', 'status.public_url = "https://up.example"'),
    ):
        assert part in text, part
    assert not re.search(r"@\w+@|example\.org", text)


def test_a_proxy_closes_idle_connections_before_the_instance_does():
    site = ProxiedSite(keepalive_s=6.0)
    assert "keepalive_timeout 4s;" in render("nginx", site)
    assert "keepalive 4s" in render("caddy", site)
    assert "pool-purge-delay 2s" in render("haproxy", site)


IDLE_LINE = {
    "nginx": r"^    keepalive_timeout (\d+)(ms|s);$",
    "haproxy": r" pool-purge-delay (\d+)(ms|s)$",
    "caddy": r"^\t+keepalive (\d+)(ms|s)$",
}
PURGES = {"nginx": 1, "haproxy": 2, "caddy": 1}
"""HAProxy closes an idle connection within twice its delay."""


@pytest.mark.parametrize("proxy", TEMPLATES)
@pytest.mark.parametrize("keepalive_s", [0.1, 0.5, 1.0, 1.5, 2.0, 2.9, 3.0, 3600.0])
def test_the_shortest_idle_time_of_the_instance_is_longer_than_that_of_the_proxy(proxy, keepalive_s):
    found = re.search(IDLE_LINE[proxy], render(proxy, ProxiedSite(keepalive_s=keepalive_s)), re.MULTILINE)
    assert found is not None
    idle_s = int(found[1]) / (1000 if found[2] == "ms" else 1)
    assert 0 < PURGES[proxy] * idle_s < keepalive_s


@pytest.mark.parametrize("proxy", TEMPLATES)
def test_the_proxy_accepts_the_shortest_idle_time(proxy, tmp_path):
    assert complaint(proxy, ProxiedSite(keepalive_s=0.1), tmp_path) == ""


def test_nginx_takes_the_largest_upload_and_its_form():
    assert ProxiedSite().body_mebibytes == 180
    larger = ProxiedSite(max_image_bytes=100 * 2**20, max_video_bytes=2**30)
    assert larger.body_mebibytes == 1440
    assert "client_max_body_size 1440m;" in render("nginx", larger)


CHECKS = {
    "nginx": lambda command: [*command, "-t"],
    "haproxy": lambda command: [*command, "-c"],
    "caddy": lambda command: [command[0], "validate", *command[2:]],
}
"""Name of the proxy → its command that checks the configuration, made from the one that runs it."""


def complaint(proxy: str, site: ProxiedSite, directory: Path) -> str:
    """Return the output of the proxy if it refuses its configuration for `site`; "" if it accepts it."""
    require(proxy)
    pem = make_certificate(directory)
    with reserved_ports(2) as (port, plain_port):
        command = ProxyTrial(directory, site, port, plain_port, pem).command(proxy)
        done = subprocess.run(
            CHECKS[proxy](command),
            env=environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
    return done.stdout or "refused" if done.returncode else ""


def name_of(characters: int) -> str:
    """Return a host name of so many characters."""
    labels = ".".join(["a" * 49] * 6)
    return f"b{labels[-(characters - 5) :]}.org"


@pytest.mark.parametrize("proxy", TEMPLATES)
@pytest.mark.parametrize("characters", [46, 47, 253])
def test_the_proxy_accepts_names_up_to_the_longest_that_dns_allows(proxy, characters, tmp_path):
    long = name_of(characters)
    assert len(long) == characters
    assert complaint(proxy, ProxiedSite("a.example", long), tmp_path) == ""
    assert complaint(proxy, ProxiedSite(long, "a.example"), tmp_path) == ""


def test_only_long_names_set_a_size_that_nginx_takes_once():
    assert "server_names_hash_bucket_size" not in render("nginx", ProxiedSite(status_domain=name_of(46)))
    assert "\nserver_names_hash_bucket_size 512;\n" in render("nginx", ProxiedSite(status_domain=name_of(47)))


@pytest.mark.parametrize("proxy", EDGE_SETTINGS)
def test_the_settings_that_it_requires_are_in_its_comment(proxy):
    text = render(proxy, ProxiedSite())
    assert f'edge.trusted_proxies = "{EDGE_SETTINGS[proxy]["trusted_proxies"]}"' in text
    assert ("edge.proxy_protocol = true" in text) == ("proxy_protocol" in EDGE_SETTINGS[proxy])
