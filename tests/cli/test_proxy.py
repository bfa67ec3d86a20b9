"""`proxy` prints the configuration of a proxy for this instance, and refuses a text that is no name."""

from __future__ import annotations

import pytest

from stormpetrel.proxies import versions
from stormpetrel.proxies.site import TEMPLATES
from tests.repository import ROOT


@pytest.mark.parametrize("proxy", TEMPLATES)
def test_for_example_org_and_the_defaults_it_prints_the_file_in_deploy(run, proxy):
    printed = run("proxy", proxy, "--domain", "example.org").out
    assert printed == (ROOT / "deploy" / TEMPLATES[proxy]).read_text(encoding="utf-8")


def test_names_ports_and_limits_are_those_of_the_instance(run, monkeypatch):
    for name, value in {
        "PUBLIC_URL": "https://birds.example",
        "STATUS_PUBLIC_URL": "https://up.birds.example",
        "WEB_PORT": "9000",
        "STATUS_PORT": "9001",
        "MEDIA_MAX_VIDEO_BYTES": str(2**30),
        "EDGE_KEEPALIVE_TIMEOUT_S": "60",
    }.items():
        monkeypatch.setenv(f"STORMPETREL_{name}", value)
    text = run("proxy", "nginx").out
    for part in (
        *("server_name birds.example up.birds.example;", "server 127.0.0.1:9000 ", "http://127.0.0.1:9001;"),
        *("client_max_body_size 1100m;", "keepalive_timeout 40s;", "/live/birds.example/fullchain.pem"),
    ):
        assert part in text, part
    # For another name, the status page is below that name unless told otherwise.
    other = run("proxy", "nginx", "--domain", "Fish.example").out
    assert "server_name fish.example status.fish.example;" in other
    other = run("proxy", "nginx", "--domain", "fish.example", "--status-domain", "up.example").out
    assert "server_name fish.example up.example;" in other


def test_nginx_takes_every_body_that_the_edge_takes(run, monkeypatch):
    monkeypatch.setenv("STORMPETREL_EDGE_MAX_BODY_BYTES", str(2**30))
    assert "client_max_body_size 1040m;" in run("proxy", "nginx", "--domain", "example.org").out


@pytest.mark.parametrize("name", ["https://example.org", "a b.example", "example.org;", "x-.org", "x\n.org"])
def test_what_is_no_host_name_is_refused(run, name):
    assert run("proxy", "nginx", "--domain", name, expect=2).complaint.startswith("--domain must be a name")
    refused = run("proxy", "nginx", "--domain", "example.org", "--status-domain", name, expect=2)
    assert refused.complaint.startswith("--status-domain must be a name")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Bücher.example", "; write it as xn--bcher-kva.example"),
        ("שלום.example", "; write it as xn--9dbne9b.example"),
        # Two standards differ: no form is better than that of another name.
        ("straße.example", "'straße.example'"),
        ("bücher .example", "'bücher .example'"),
        ("ü" * 70 + ".example", ".example'"),
    ],
)
def test_a_name_with_other_letters_is_refused_with_its_ascii_form(run, name, hint):
    for option in ("--domain", "--status-domain"):
        words = ["--domain", "example.org", option, name]
        assert run("proxy", "nginx", *words, expect=2).complaint.endswith(hint)


@pytest.mark.parametrize("more", [[], ["--domain", ""]])
@pytest.mark.parametrize("url", ["", "http://127.0.0.1:8080", "https://petrel.example:8443"])
def test_an_instance_without_a_public_name_is_told_how_to_give_one(run, monkeypatch, more, url):
    monkeypatch.setenv("STORMPETREL_PUBLIC_URL", url)
    assert run("proxy", "nginx", *more, expect=2).complaint == (
        "the public name is not known: give --domain NAME, or set public_url to https://NAME"
    )


def test_the_status_page_needs_another_name_than_the_site(run):
    refused = run("proxy", "caddy", "--domain", "example.org", "--status-domain", "example.org", expect=2)
    assert refused.complaint == "the status page needs a name of its own: give --status-domain"


@pytest.mark.parametrize("host", ["192.0.2.7", "::1", "127.evil", "127.1", "127.0.0.1.example"])
def test_an_instance_that_a_proxy_of_this_machine_does_not_reach_is_refused(run, monkeypatch, host):
    monkeypatch.setenv("STORMPETREL_WEB_HOST", host)
    monkeypatch.setenv("STORMPETREL_PUBLIC_URL", "https://example.org")
    refused = run("proxy", "haproxy", "--domain", "example.org", expect=2)
    assert refused.complaint.startswith(f"web.host is {host}, but the proxy is on this machine")


@pytest.mark.parametrize("role", ["web", "status"])
def test_a_port_that_changes_with_each_start_is_refused(run, monkeypatch, role):
    monkeypatch.setenv(f"STORMPETREL_{role.upper()}_PORT", "0")
    refused = run("proxy", "nginx", "--domain", "example.org", expect=2)
    assert refused.complaint == (
        f"{role}.port is 0, so each start takes another port: set {role}.port to a fixed one"
    )


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.0.5"])
def test_the_proxy_connects_to_an_address_of_this_machine(run, monkeypatch, host):
    monkeypatch.setenv("STORMPETREL_WEB_HOST", host)
    expected = host if host == "127.0.0.5" else "127.0.0.1"
    assert f"server {expected}:8000 " in run("proxy", "nginx", "--domain", "example.org").out


def test_another_proxy_is_refused(run):
    assert "unknown value 'apache'" in run("proxy", "apache", "--domain", "example.org", expect=2).complaint


def test_an_old_proxy_is_warned_about_on_standard_error_only(run, tmp_path, monkeypatch):
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\necho 'nginx version: nginx/1.14.2' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    done = run("proxy", "nginx", "--domain", "example.org")
    assert done.err.startswith(
        "stormpetrel: warning: nginx 1.14.2 is installed, and 1.22.0 or later is needed"
    )
    assert versions.REQUIREMENTS["nginx"].sources[0] in done.err
    assert "1.14.2" not in done.out
