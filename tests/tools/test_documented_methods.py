"""The table of documented methods in docs/methods.md is correct."""

from __future__ import annotations

from stormpetrel.api.routes import ROUTES
from stormpetrel.web.routes import ROUTES as WEB_ROUTES
from tools.documented_methods import METHODS, key
from tools.reference import ELSEWHERE

HERE = {key(f"{route.method} {route.path}") for route in (*ROUTES, *WEB_ROUTES)} | ELSEWHERE
DOCUMENTED = [line for _, lines in METHODS for line in lines]


def test_every_documented_method_exists_or_the_table_says_why_not():
    assert [method for method, why_not in DOCUMENTED if not why_not and key(method) not in HERE] == []


def test_no_reason_outlives_the_lack_that_it_explains():
    assert [method for method, why_not in DOCUMENTED if why_not and key(method) in HERE] == []


def test_each_documented_method_is_listed_once():
    keys = [key(method) for method, _ in DOCUMENTED]
    assert len(keys) == len(set(keys))
    assert len(keys) > 250
