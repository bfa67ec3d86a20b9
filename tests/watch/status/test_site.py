"""The documents by path: which there are, that they are rendered once a second, and never stale."""

from __future__ import annotations

import pytest

from stormpetrel.model.channel import ChannelState
from stormpetrel.watch.status.site import FRESH_S, MAX_AGE_S, MAX_DOCUMENTS, StatusSite, paths
from tests.watch.status.viewing import a_maintenance, a_status, a_view, an_incident

VIEW = a_view(incidents=[an_incident(), a_maintenance()])


class Site:
    def __init__(self, view=VIEW):
        self.view = view
        self.now_s = 10.0
        self.views = 0
        self.site = StatusSite(self.made, clock_s=lambda: self.now_s)

    def made(self):
        self.views += 1
        return self.view

    def find(self, path):
        return self.site.find(path)


@pytest.mark.parametrize("path", paths(VIEW))
def test_every_path_has_a_document(path):
    found = Site().find(f"/{path}")
    assert found.body
    if path.startswith(("api/", "badge", "history.atom")):
        assert "Access-Control-Allow-Origin: *\r\n" in found.head_lines
    else:
        assert "Content-Security-Policy: default-src 'none'" in found.head_lines


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/index.html",
        "/badge/fax.svg",
        "/incidents/ffff",
        "/incidents/",
        "/history/",
        "/history/2026-13",
        "/history/2030-01",
        "/history/1999-01",
        "/api/v2/",
        "/api/v2/summary",
        "/%2e/",
    ],
)
def test_any_other_path_has_none(path):
    assert Site().find(path) is None


def test_documents_are_rendered_once_a_second_from_one_view():
    site = Site()
    first = site.find("/")
    assert site.find("/") is first
    site.find("/api/v2/summary.json")
    assert site.views == 1
    site.view = a_view(a_status("web", ChannelState.MAJOR))
    site.now_s += FRESH_S
    assert b"Major outage" in site.find("/").body
    assert site.views == 2


def test_no_document_is_older_than_five_seconds():
    # A second here, a second in the memo of responses, and then in caches.
    assert FRESH_S + 1 + MAX_AGE_S <= 5


def test_the_number_of_stored_documents_is_bounded():
    incidents = [an_incident(id=f"{number:012x}") for number in range(MAX_DOCUMENTS + 50)]
    site = Site(a_view(incidents=incidents))
    for one in incidents:
        assert site.find(f"/incidents/{one.id}") is not None
    assert len(site.site._documents) <= MAX_DOCUMENTS
