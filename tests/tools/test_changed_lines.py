"""Which lines a diff changed, and the report on those that no test ran."""

from __future__ import annotations

from tools.changed_lines import changed_lines, code_lines, main, report, spans

DIFF = """diff --git a/stormpetrel/clock.py b/stormpetrel/clock.py
--- a/stormpetrel/clock.py
+++ b/stormpetrel/clock.py
@@ -3 +3 @@ import time
-old
+new
@@ -10,0 +11,2 @@ class SteadyClock:
+one
+two
@@ -20,2 +22,0 @@ class SteadyClock:
-gone
-gone too
diff --git a/stormpetrel/gone.py b/stormpetrel/gone.py
--- a/stormpetrel/gone.py
+++ /dev/null
@@ -1,2 +0,0 @@
-gone
-gone too
"""


def test_changed_lines_are_those_of_the_new_files():
    assert changed_lines(DIFF) == {"stormpetrel/clock.py": {3, 11, 12}}


def test_neighbouring_lines_are_printed_as_one_span():
    assert spans({9, 3, 4, 5, 11}) == "3-5, 9, 11"


def test_the_report_names_changed_lines_that_no_test_ran_and_leaves_out_lines_without_code():
    changed = {"a.py": {1, 2, 3, 4}, "b.py": {7}}
    texts, share = report(changed, {"a.py": [1, 9], "b.py": [7]}, {"a.py": [3, 4, 8]})
    assert texts == ["a.py: 3-4", "The tests miss 2 of 4 changed lines (50 %)."]
    assert share == 50.0


def test_nothing_changed_is_nothing_missed():
    assert report({"a.py": {1}}, {}, {}) == (["The tests miss 0 of 0 changed lines (0 %)."], 0.0)


def test_a_file_that_no_test_loads_is_missed_as_a_whole():
    texts, share = report({"a.py": {1, 2}}, {}, {"a.py": [1, 2]})
    assert (texts[0], share) == ("a.py: 1-2", 100.0)


def test_without_a_commit_it_is_wrong_use():
    assert main([]) == 2


def test_a_commit_that_git_does_not_know_is_wrong_use_and_the_message_names_it(capsys):
    assert main(["no-such-commit"]) == 2
    assert "no-such-commit" in capsys.readouterr().err


def test_docstrings_and_comments_are_no_code():
    source = '''"""A module."""

LIMIT = 5
"""In bytes."""


def cut(
    text: str,
) -> str:
    """Return
    the text."""
    # Why.
    return text[
        :LIMIT
    ]
'''
    assert code_lines(source) == {3, 7, 8, 9, 13, 14, 15}
