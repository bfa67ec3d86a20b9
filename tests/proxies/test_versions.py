"""The installed proxies withstand attacks on HTTP/2, or a warning says that they do not."""

from __future__ import annotations

import pytest

from stormpetrel.proxies import versions
from stormpetrel.proxies.site import TEMPLATES
from tests.parts import require
from tests.repository import ROOT


@pytest.mark.parametrize("proxy", ["nginx", "haproxy"])
def test_the_installed_proxy_withstands_attacks_on_http_2(proxy):
    require(proxy)
    version = versions.installed(proxy)
    assert version is not None
    assert versions.warning(proxy, version) == ""


def test_the_installed_caddy_withstands_them_or_a_warning_names_the_oldest_that_does():
    # Debian 12 has Caddy 2.6.2 with Go 1.19, which does not: docs/proxies.md says where to get a newer one.
    require("caddy")
    version = versions.installed("caddy")
    assert version is not None
    assert ("2.8.0 or later is needed" in versions.warning("caddy", version)) == (version < (2, 8, 0))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nginx version: nginx/1.22.1\n", (1, 22, 1)),
        ("HAProxy version 2.6.12-1+deb12u3 2025/10/03 - https://haproxy.org/\nStatus: LTS", (2, 6, 12)),
        ("v2.10.0 h1:fonubSaQKF1YANl8TXqGcn4IbIRUDdfAkpcsfI/vX5U=\n", (2, 10, 0)),
        ("3.0", (3, 0, 0)),
        ("unknown", None),
    ],
)
def test_versions_are_read_as_the_programs_print_them(text, version):
    assert versions.parse(text) == version


@pytest.mark.parametrize("proxy", TEMPLATES)
def test_an_older_version_is_warned_about_with_the_reason_and_its_sources(proxy):
    requirement = versions.REQUIREMENTS[proxy]
    assert versions.warning(proxy, requirement.oldest) == ""
    assert versions.warning(proxy, None) == ""
    warned = versions.warning(proxy, (1, 0, 0))
    assert warned.startswith(
        f"{proxy} 1.0.0 is installed, and {versions.dotted(requirement.oldest)} or later"
    )
    assert requirement.sources
    assert all(source in warned for source in requirement.sources)


@pytest.mark.parametrize("proxy", TEMPLATES)
def test_the_documentation_names_the_oldest_version(proxy):
    major, minor, _ = versions.REQUIREMENTS[proxy].oldest
    text = (ROOT / "docs" / "proxies.md").read_text(encoding="utf-8")
    section = text.partition("## Versions")[2].partition("\n## ")[0]
    row = next(line for line in section.splitlines() if line.lower().startswith(f"| {proxy} |"))
    assert f"| {major}.{minor} |" in row
    assert all(source in row for source in versions.REQUIREMENTS[proxy].sources)


def test_what_is_not_installed_has_no_version(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(versions, "SBIN", str(tmp_path))
    assert versions.installed("nginx") is None
