"""The bounded table that the renderer uses."""

from __future__ import annotations

from stormpetrel.api.json.recent import Recent


def test_it_never_holds_more_than_twice_its_half():
    table = Recent(100, len)
    for number in range(1000):
        table.put(number, b"x" * 10)
        assert len(table) * 10 <= 2 * 100 + 10
    assert table.get(999) is not None
    assert table.get(0) is None


def test_what_is_used_stays_and_what_is_not_goes():
    table = Recent(100, len)
    table.put("kept", b"k" * 10)
    table.put("left", b"l" * 10)
    for number in range(100):
        table.put(number, b"x" * 10)
        assert table.get("kept") == b"k" * 10
    assert table.get("left") is None


def test_dropping_makes_room_and_dropping_what_is_not_there_does_nothing():
    table = Recent(100, len)
    for _ in range(1000):
        table.put("one", b"x" * 60)
        table.drop("one")
        table.drop("another")
    table.put("one", b"x" * 60)
    assert table.get("one") == b"x" * 60
    assert len(table) == 1


def test_putting_again_replaces():
    table = Recent(100, len)
    table.put("one", b"old")
    table.put("one", b"new")
    assert table.get("one") == b"new"
    assert len(table) == 1


def test_clear_forgets_both_halves():
    table = Recent(20, len)
    for number in range(10):
        table.put(number, b"x" * 10)
    table.clear()
    assert len(table) == 0
    assert table.get(9) is None
