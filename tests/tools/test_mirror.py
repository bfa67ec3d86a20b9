"""The test of each file stands at its path, what spans several files in tests/journeys/, and the table is exact."""

from __future__ import annotations

import pytest

from tests.repository import ROOT, files_of_the_repository
from tools.mirror import covering_tests, main, stray_tests, untested


@pytest.fixture(scope="module")
def paths() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in files_of_the_repository()]


def test_each_test_is_named_after_its_source_file(paths):
    assert stray_tests(paths) == []


def test_a_test_that_is_named_after_nothing_is_noticed():
    source = ["stormpetrel/api/lists.py", "stormpetrel/drill/vectors/dear.py", "tools/install"]
    right = ["tests/api/test_lists.py", "tests/drill/test_vectors.py", "tests/tools/test_install.py"]
    assert stray_tests([*source, *right, "tests/journeys/test_a_day.py", "tests/api/clients.py"]) == []
    for stray in ("tests/api/test_list.py", "tests/test_lists.py", "tests/rules/test_lists.py"):
        assert stray_tests([*source, stray]) == [stray]


def test_each_source_file_has_a_test_at_its_path_or_in_the_table(paths):
    assert untested(paths) == []


def test_a_source_file_without_a_test_is_noticed():
    test = "tests/api/test_lists.py"
    row = ("api/tags api/*_entities", test, "why")
    files = [*(f"stormpetrel/api/{name}.py" for name in ("lists", "tags", "post_entities")), test]
    assert untested(files, [row]) == []
    assert untested([*files, "stormpetrel/api/polls.py"], [row]) == ["stormpetrel/api/polls.py"]
    assert untested([*files, "stormpetrel/web/tags.py"], [row]) == ["stormpetrel/web/tags.py"]


def test_a_pattern_of_the_table_that_covers_no_file_is_noticed():
    test = "tests/api/test_lists.py"
    row = ("api/tags api/*_entities", test, "why")
    files = ["stormpetrel/api/lists.py", "stormpetrel/api/tags.py", test]
    assert untested(files, [row]) == [f"unused: api/*_entities, {test}"]
    # A file that has a test of its own needs no row.
    assert untested([*files, "stormpetrel/api/a_entities.py", "tests/api/test_tags.py"], [row]) == [
        f"unused: api/tags, {test}"
    ]
    assert untested(files[:1], [row])[1:] == [f"unused: api/tags, {test}", f"unused: api/*_entities, {test}"]


def test_a_statement_belongs_to_the_rule_of_its_name():
    row = ("storage/*", "tests/rules/test_{name}.py", "why")
    files = ["stormpetrel/storage/posts.py", "stormpetrel/rules/posts.py", "tests/rules/test_posts.py"]
    assert untested(files, [row]) == []
    assert untested([*files, "stormpetrel/storage/seed/plan.py"], [row]) == [
        "stormpetrel/storage/seed/plan.py"
    ]


def test_the_tests_of_a_file_are_those_at_its_path_or_else_those_of_the_table():
    row = ("api/*", "tests/api/test_lists.py", "why")
    tests = ["tests/api/test_lists.py", "tests/api/test_polls.py"]
    assert covering_tests("stormpetrel/api/polls.py", tests, [row]) == {"tests/api/test_polls.py": None}
    assert covering_tests("stormpetrel/api/tags.py", tests, [row]) == {"tests/api/test_lists.py": row}
    assert covering_tests("stormpetrel/web/tags.py", tests, [row]) == {}


def test_the_command_prints_the_tests_of_files(capsys):
    assert main(["stormpetrel/storage/lists.py", "stormpetrel/config.py"]) == 0
    assert capsys.readouterr().out.splitlines() == ["tests/rules/test_lists.py", "tests/test_config.py"]


def test_the_command_refuses_a_path_that_is_no_source_file(capsys):
    for wrong in ("storage/lists.py", "stormpetrel/storage/list.py", "stormpetrel/demo/community.toml"):
        assert main([wrong]) == 2
        assert wrong in capsys.readouterr().err
    assert main([]) == 2
