"""The addresses to which a form may redirect."""

from __future__ import annotations

import pytest

from stormpetrel.web.links import encoded, same_site, sign_in_path, tag_path


@pytest.mark.parametrize("path", ["/", "/@ann/12#post-12", "/public?max_id=3", "/tags/caf%C3%A9", "/a//b"])
def test_addresses_of_this_site_are_kept(path):
    assert same_site(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "javascript:alert(1)",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "/a\r\nset-cookie: x=1",
        "/\x00",
        " /public",
        "public",
        "/" + "x" * 9000,
    ],
)
def test_addresses_that_could_lead_elsewhere_become_the_front_page(path):
    assert same_site(path) == "/"


def test_the_sign_in_page_leads_back_except_to_itself():
    assert sign_in_path("/@ann?a=1&b=2") == "/auth/sign_in?next=%2F%40ann%3Fa%3D1%26b%3D2"
    assert sign_in_path("/") == "/auth/sign_in"
    assert sign_in_path("/auth/sign_up?next=/x") == "/auth/sign_in"


def test_any_tag_and_any_path_become_valid_addresses():
    assert tag_path("a/b?c#d") == "/tags/a%2Fb%3Fc%23d"
    assert encoded('/tags/é"><script>') == "/tags/%C3%A9%22%3E%3Cscript%3E"
