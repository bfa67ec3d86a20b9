"""The house rules (CONTRIBUTING.md), as tests: imports, clocks, names, tables.

Each rule is a function that takes a tree or a text and returns the violations, so that its test can feed it a
bad sample: a check that cannot fail checks nothing.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from tests.repository import ROOT, python_files, text_files
from tools.reference import BEGIN, END

PACKAGE = ROOT / "stormpetrel"
LONGEST_FILE_LINES = 500


@cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    """Return all nodes of a Python text. Several rules look at each file of the package: parsing it takes longest."""
    return tuple(ast.walk(ast.parse(text)))


@pytest.fixture(scope="module", autouse=True)
def _forget_nodes():
    yield
    nodes.cache_clear()


# Imports -------------------------------------------------------------------------------------------------


def broken_contracts(directory: Path) -> list[str]:
    """Return the names of the import rules that the package in `directory` breaks, according to
    import-linter.
    """
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    broken = re.findall(r"^(.+) BROKEN$", done.stdout, re.MULTILINE)
    assert bool(broken) == (done.returncode != 0), done.stdout
    return broken


@pytest.fixture
def copy_of_the_package(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "stormpetrel", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_go_one_way():
    assert broken_contracts(ROOT) == []


def test_every_import_rule_notices_when_it_is_broken(copy_of_the_package):
    package = copy_of_the_package / "stormpetrel"
    (package / "model" / "injected.py").write_text(
        "import sqlalchemy\nimport python_multipart\nimport stormpetrel.rules\n"
    )
    (package / "shield" / "injected.py").write_text("import stormpetrel.errors\n")
    (package / "edge" / "injected.py").write_text("import python_multipart\n")
    # shield/decide.py imports this one.
    with (package / "shield" / "percent.py").open("a") as file:
        file.write("import stormpetrel.shield.decide\n")
    (package / "drill" / "injected.py").write_text("import stormpetrel.errors\n")
    (package / "injected.py").write_text('"""A new file at the top."""\n')
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert sorted(broken_contracts(copy_of_the_package)) == sorted(rule["name"] for rule in rules)


def test_a_new_file_at_the_top_of_the_package_must_be_given_its_place(copy_of_the_package):
    (copy_of_the_package / "stormpetrel" / "injected.py").write_text('"""A new file at the top."""\n')
    assert broken_contracts(copy_of_the_package) == ["Layers: downward only, and everything has its place"]


DATABASE_LIBRARIES = {"sqlalchemy", "sqlite3", "psycopg", "psycopg_pool", "alembic", "aiosqlite"}


def imported(text: str) -> set[str]:
    """Return the top-level names of all modules that the text imports, at any depth."""
    found = set()
    for node in nodes(text):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def database_imports(files: dict[str, str]) -> list[str]:
    """Return the files outside storage/ that import a database library."""
    return [
        name
        for name, text in files.items()
        if not name.startswith("stormpetrel/storage/") and imported(text) & DATABASE_LIBRARIES
    ]


def test_only_storage_knows_a_database_library():
    assert database_imports(python_files("stormpetrel")) == []
    assert database_imports({"stormpetrel/api/a.py": "def f():\n    import sqlite3\n"}) == [
        "stormpetrel/api/a.py"
    ]
    assert database_imports({"stormpetrel/web/a.py": "from psycopg.rows import x\n"}) == [
        "stormpetrel/web/a.py"
    ]
    assert database_imports({"stormpetrel/storage/a.py": "import sqlite3\n"}) == []


def test_only_storage_holds_sql():
    assert sql_texts(python_files("stormpetrel")) == []
    assert sql_texts({"stormpetrel/rules/a.py": 'Q = "SELECT id FROM posts"\n'}) == [
        "stormpetrel/rules/a.py:1"
    ]
    assert sql_texts({"stormpetrel/rules/a.py": 'ABOUT = "Select a person from the list"\n'}) == []


def sql_texts(files: dict[str, str]) -> list[str]:
    """Return the places outside storage/ where a string looks like SQL."""
    looks_like_sql = re.compile(r"\b(SELECT\b.*\bFROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET)\b", re.DOTALL)
    return [
        f"{name}:{node.lineno}"
        for name, text in files.items()
        if not name.startswith("stormpetrel/storage/")
        for node in nodes(text)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and looks_like_sql.search(node.value)
    ]


# Time and randomness are arguments -----------------------------------------------------------------------

CLOCKS_AND_DICE = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "os": {"urandom", "getrandom"},
    "uuid": {"uuid1", "uuid4"},
    "secrets": None,  # every name of it
    "random": None,
}
ALLOWED_NAMES = {"random.Random", "secrets.compare_digest"}  # a type for an argument, and a comparison


def clock_readings(files: dict[str, str]) -> list[str]:
    """Return the places where a module reads a clock or a random number. `random.Random` may be named, not
    called.
    """
    found = []
    for name, text in files.items():
        for node in nodes(text):
            used = []
            if isinstance(node, ast.ImportFrom):
                used = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute):
                used = [ast.unparse(node)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"random.Random", "Random"}:
                used = ["random.Random()"]
            found += [f"{name}:{node.lineno} {one}" for one in used if _is_clock_or_die(one)]
    return found


def _is_clock_or_die(used: str) -> bool:
    if used in ALLOWED_NAMES:
        return False
    owner, _, name = used.rpartition(".")
    owner = owner.rpartition(".")[2]
    return owner in CLOCKS_AND_DICE and (CLOCKS_AND_DICE[owner] is None or name in CLOCKS_AND_DICE[owner])


def test_model_rules_and_shield_read_no_clock_and_roll_no_dice():
    files = (
        python_files("stormpetrel/model")
        | python_files("stormpetrel/rules")
        | python_files("stormpetrel/shield")
    )
    assert files
    assert clock_readings(files) == []


@pytest.mark.parametrize(
    "sample",
    [
        "import time\nnow = time.time()\n",
        "from time import monotonic\n",
        "import datetime\ndatetime.datetime.now()\n",
        "from datetime import datetime\nread = datetime.utcnow\n",
        "import random\nrandom.choice([1])\n",
        "import random\nrng = random.Random()\n",
        "import os\nos.urandom(8)\n",
        "from secrets import token_hex\n",
        "import uuid\nuuid.uuid4()\n",
    ],
)
def test_a_clock_or_a_die_is_noticed(sample):
    assert clock_readings({"a.py": sample})


def test_time_and_chance_as_arguments_are_fine():
    fine = "import random\ndef f(rng: random.Random, now_ms: int):\n    return rng.random() + now_ms\n"
    assert clock_readings({"a.py": fine}) == []


# Files and names -----------------------------------------------------------------------------------------

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "misc"}


def vague_names(names: list[str]) -> list[str]:
    """Return the paths in which a file or folder has a name that does not describe its content."""
    return [
        name
        for name in names
        if {part.partition(".")[0] for part in name.split("/")} & NAMES_THAT_SAY_NOTHING
    ]


def test_no_file_has_a_name_that_says_nothing():
    assert vague_names([name for name in text_files() if name.endswith(".py")]) == []
    assert vague_names(
        ["stormpetrel/utils.py", "tests/helpers/a.py", "stormpetrel/base.py", "a/based.py"]
    ) == [
        "stormpetrel/utils.py",
        "tests/helpers/a.py",
        "stormpetrel/base.py",
    ]


GENERATED = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def too_long(files: dict[str, str]) -> list[str]:
    """Return the files that should be split by noun. Generated files and migrations may have any length.

    Databases record migrations by their number, so a released one is never split.
    """
    return [
        f"{name}: {lines} lines"
        for name, text in files.items()
        if not name.startswith(("requirements/", "stormpetrel/storage/migrations/versions/"))
        and (lines := GENERATED.sub("", text).count("\n")) > LONGEST_FILE_LINES
    ]


def test_no_file_is_too_long_to_be_read():
    assert too_long(text_files()) == []
    assert too_long({"stormpetrel/a.py": "\n" * 501}) == ["stormpetrel/a.py: 501 lines"]
    assert too_long({"stormpetrel/storage/migrations/versions/0001_a.py": "\n" * 501}) == []
    assert too_long({"docs/a.md": BEGIN + "\n" * 501 + END}) == []
    assert too_long({"docs/a.md": BEGIN + "\n" * 501}) == ["docs/a.md: 501 lines"]


def full_init_files(files: dict[str, str]) -> list[str]:
    """Return the `__init__.py` files with more than a docstring (the topmost may also have the version)."""
    full = []
    for name, text in files.items():
        if not name.endswith("__init__.py"):
            continue
        body = ast.parse(text).body
        is_documented = (
            bool(body) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        )
        rest = [ast.unparse(node).partition(" = ")[0] for node in body[1:]]
        if not is_documented or rest != (["__version__"] if name == "stormpetrel/__init__.py" else []):
            full.append(name)
    return full


def test_init_files_hold_one_docstring():
    assert full_init_files(python_files("stormpetrel")) == []
    samples = {
        "a/__init__.py": '"""A."""\nfrom a.b import c\n',
        "b/__init__.py": "",
        "c/__init__.py": '"""C."""\n',
    }
    assert full_init_files(samples) == ["a/__init__.py", "b/__init__.py"]


def uncollected(files: dict[str, str]) -> list[str]:
    """Return test files that pytest would not collect, or that contain no test."""
    wrong = []
    for name, text in files.items():
        has_tests = any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            for node in nodes(text)
        )
        base = name.rpartition("/")[2]
        if has_tests != base.startswith("test_"):
            wrong.append(f"{name}: {'tests that are not collected' if has_tests else 'no test in it'}")
        if base == "__init__.py":
            wrong.append(f"{name}: tests are no package")
    return wrong


def test_every_test_file_is_collected():
    assert uncollected(python_files("tests")) == []
    samples = {
        "tests/api/statuses.py": "def test_a(): ...\n",
        "tests/api/test_a.py": "def check(): ...\n",
        "tests/api/test_b.py": "async def test_b(): ...\n",
        "tests/web/__init__.py": "",
    }
    assert [wrong.partition(":")[0] for wrong in uncollected(samples)] == [
        "tests/api/statuses.py",
        "tests/api/test_a.py",
        "tests/web/__init__.py",
    ]


def is_json_twin(path: str) -> bool:
    """Return True for the files whose classes are the JSON form of a class of the model, under the same name."""
    return path.startswith("stormpetrel/api/") and path.endswith("entities.py")


def names_of_two_classes(files: dict[str, str]) -> list[str]:
    """Return "Name: file, file" for each class name that several of `files` (path → source) define.

    A class of the model or the rules and its JSON form share a name.
    """
    found: dict[str, list[str]] = {}
    for path, source in files.items():
        for node in nodes(source):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(path)
    wrong = []
    for name, paths in sorted(found.items()):
        twins = [path for path in paths if is_json_twin(path)]
        others = [path for path in paths if path not in twins]
        may_have_a_twin = all(
            path.startswith(("stormpetrel/model/", "stormpetrel/rules/")) for path in others
        )
        if len(others) > 1 or len(twins) > 1 or (twins and not may_have_a_twin):
            wrong.append(f"{name}: {', '.join(paths)}")
    return wrong


def sources_of(package: Path) -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }


def test_a_class_name_means_one_class():
    assert names_of_two_classes(sources_of(PACKAGE)) == []


def test_a_class_name_given_twice_is_noticed():
    one, model, twin = "class Page: ...", "stormpetrel/model/page.py", "stormpetrel/api/json/entities.py"
    assert names_of_two_classes({model: one, "stormpetrel/process/health.py": one})
    assert names_of_two_classes({model: one, twin: one, "stormpetrel/process/health.py": one})
    assert names_of_two_classes({twin: one, "stormpetrel/process/health.py": one})
    assert names_of_two_classes({model: one, twin: one}) == []


def routes_elsewhere(files: dict[str, str]) -> list[str]:
    """Return "file:line" of each Route that is made outside a table of routes (routes.py)."""
    return [
        f"{path}:{node.lineno}"
        for path, source in files.items()
        if not path.endswith("/routes.py")
        for node in nodes(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Route"
    ]


def test_every_route_stands_in_a_table_of_routes():
    assert routes_elsewhere(sources_of(PACKAGE)) == []
    assert routes_elsewhere({"stormpetrel/web/auth.py": "ROUTES = (Route(path='/'),)"})


# Concatenated from halves, because this file is checked too.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
FOREIGN_PLACE = re.compile(
    r"(?<![\w./-])/(home|Users)/\w+/|(?<![\w./-])/(root|wo" + r"rk)/"  # paths of a developer's machine
    r"|\b(pypi\.|files\.python"
    + r"hosted|registry\.npm|npm"
    + r"js\.|deb\.deb"
    + r"ian|archive\.ubu"
    + r"ntu)"
)


def leftovers(files: dict[str, str]) -> list[str]:
    """Return the places where a text contains unfinished work, a local path or the address of a registry."""
    return [
        f"{name}:{number} {match[0]}"
        for name, text in files.items()
        for pattern in (UNFINISHED, FOREIGN_PLACE)
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := pattern.search(line))
    ]


def test_nothing_unfinished_and_no_place_of_somebodys_machine_is_committed():
    assert leftovers(text_files()) == []


@pytest.mark.parametrize(
    "sample",
    [
        "# TO" + "DO: later",
        "raise NotImplemented" + "Error",
        "cd /home/" + "ann/src",
        "see /ro" + "ot/.ssh",
        "/wo" + "rk/main",
        "https://pypi" + ".org/simple",
        "http://deb.deb" + "ian.org",
        "//registry.n" + "pmjs.org",
    ],
)
def test_a_leftover_is_noticed(sample):
    assert leftovers({"a.py": sample})


# Tables and randomness -----------------------------------------------------------------------------------


def differences(url: str) -> list[object]:
    """Return the changes that alembic would make at `url` to match storage/tables/."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    tables = importlib.import_module("stormpetrel.storage.tables.schema")
    search = importlib.import_module("stormpetrel.storage.tables.search")
    with migrate.engine(url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                # The word index differs between the stores. tests/storage/test_search.py covers it.
                "include_name": lambda name, kind, _: kind != "table" or name not in search.WORD_INDEX_TABLES,
            },
        )
        return list(compare_metadata(context, tables.metadata))


def test_migrations_give_the_tables_of_the_code(database_url):
    assert differences(database_url) == []
    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    with migrate.engine(database_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE forgotten_by_the_code (id bigint)")
    assert len(differences(database_url)) == 1


def test_migrating_twice_changes_nothing(empty_database_url):
    migrate = importlib.import_module("stormpetrel.storage.engine.migrate")
    migrate.upgrade(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert differences(empty_database_url) == []


def test_hypothesis_tries_the_same_examples_in_every_run_of_continuous_integration():
    in_ci = os.environ.get("CI") == "true" or "HYPOTHESIS_PROFILE" not in os.environ
    assert hypothesis.settings.get_profile("fixed").derandomize
    assert not in_ci or hypothesis.settings.default.derandomize
