"""Every kind of notification has a text on the page."""

from __future__ import annotations

from stormpetrel.api.json.convert import KIND_NAMES
from stormpetrel.model.notification import Kind
from stormpetrel.web import notifications


def test_every_kind_has_words_on_the_page_and_a_name_in_the_api():
    assert set(notifications._SAID) == set(Kind)
    assert set(KIND_NAMES) == set(Kind)
