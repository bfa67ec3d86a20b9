"""Journeys run between the other tests, whole files at a time, and none of them last."""

from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from tests.order import spread


@dataclass(frozen=True)
class OneTest:
    path: Path
    name: str


def files_of(folder, files):
    return [OneTest(Path(f"tests/{folder}/test_{file}.py"), name) for file in range(files) for name in "ab"]


def test_journeys_are_spread_between_the_others_and_each_file_stays_whole():
    tests = [*files_of("api", 50), *files_of("journeys", 10), *files_of("web", 50)]
    ordered = spread(tests)
    assert sorted(map(str, ordered)) == sorted(map(str, tests))
    files = [(path, [one.name for one in group]) for path, group in groupby(ordered, lambda one: one.path)]
    assert [names for _, names in files] == [["a", "b"]] * 110
    at = [place for place, (path, _) in enumerate(files) if path.parent.name == "journeys"]
    assert [files[place][0].name for place in at] == [f"test_{number}.py" for number in range(10)]
    assert {later - earlier for earlier, later in pairwise(at)} <= {8, 9}
    assert at[0] <= 1
    assert at[-1] < 90


def test_the_files_of_one_folder_keep_their_order():
    for folder in ("api", "journeys"):
        assert spread(files_of(folder, 3)) == files_of(folder, 3)
    assert spread([]) == []
