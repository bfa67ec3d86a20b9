"""The Atom feed: valid under any text, an entry for each update, ids that stay."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.watch.status.feed import NEWEST, atom
from tests.atom_rules import ATOM, problems
from tests.watch.status.viewing import a_maintenance, a_view, an_incident


def entries(view):
    return ET.fromstring(atom(view)).findall(f"{ATOM}entry")


def test_the_feed_is_valid_with_and_without_incidents():
    for view in (a_view(), a_view(incidents=[an_incident("one", "two"), a_maintenance()])):
        assert problems(atom(view)) == []


def test_an_entry_says_which_channels_are_no_longer_affected():
    one = an_incident("It fails.", "Apps work.", channels=("web",))
    last = replace(one.updates[-1], removed=("apps",))
    (entry, _) = entries(a_view(incidents=[replace(one, updates=(one.updates[0], last))]))
    assert entry.findtext(f"{ATOM}content") == "<p>Apps work.</p>\n<p>No longer affected: Apps.</p>"


def test_every_update_is_an_entry_and_its_id_stays():
    before = an_incident("It fails.")
    after = an_incident("It fails.", "It works.", status="resolved")
    old, new = entries(a_view(incidents=[before])), entries(a_view(incidents=[after]))
    assert [entry.findtext(f"{ATOM}content") for entry in new] == ["<p>It works.</p>", "<p>It fails.</p>"]
    assert new[-1].findtext(f"{ATOM}id") == old[0].findtext(f"{ATOM}id")
    assert new[0].findtext(f"{ATOM}title") == "Resolved: Apps fail"
    assert len(entries(a_view(incidents=[an_incident(*["x"] * (NEWEST + 5))]))) == NEWEST


@given(st.text(max_size=50), st.text(min_size=1, max_size=50))
def test_any_text_gives_a_well_formed_feed(name, body):
    text = atom(a_view(incidents=[an_incident(body, name=name)], title=name))
    assert len(ET.fromstring(text).findall(f"{ATOM}entry")) == 1
