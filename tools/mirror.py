"""Where the test of a file is: at the same path below tests/. What spans several files is in tests/journeys/.

The tables list the exceptions. tests/tools/test_mirror.py checks them, and tools/changed_lines.py runs the tests of
the files that changed. `python3 -m tools.mirror PATH…` prints the tests of each file below stormpetrel/, one per
line; exit 1 if a file has none, exit 2 for wrong use.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent

# Tests without a source file, by path or folder: what they test instead.
OTHER_SUBJECTS = {
    "tests/journeys/": "several parts together: a user's whole way, real clients, kills, sweeps over all routes",
    "tests/deploy/": "the configurations in deploy/, with each proxy in front of a server",
    "tests/drill/test_front_with_tls.py": "drill/fronts.py, run.py and engine.py, through each proxy with TLS",
    "tests/edge/": "files of edge/ in several combinations",
    "tests/test_documents.py": "docs/ and the documents at the root",
    "tests/test_house.py": "the rules of CONTRIBUTING.md",
    "tests/test_install_guide.py": "docs/install.md",
    "tests/test_order.py": "tests/order.py",
    "tests/test_packaging.py": "requirements/, pyproject.toml and the scripts",
    "tests/test_parts.py": "tests/parts.py",
}

Row = tuple[str, str, str]

# Source files that another file's test covers: (paths below stormpetrel/, that test, the reason).
# A file with logic of its own does not belong here: give it a test at its path.
COVERED = (
    (
        "cli/sms_log storage/sms_spool/figures",
        "tests/cli/test_sms.py",
        "the log and the status that commands print",
    ),
    (
        "gateway/member_commands gateway/open_commands gateway/outcome gateway/reading",
        "tests/gateway/test_effects.py",
        "commands, through the running role",
    ),
    ("gateway/sender", "tests/journeys/test_sms_carrier.py", "the role with a real carrier"),
    ("proxies/trial", "tests/deploy/test_proxies.py", "each proxy, run as the module configures it"),
    ("storage/phone_queue", "tests/gateway/test_deliver.py", "the queue that the test's deliveries leave"),
    ("storage/phone_sign_ins", "tests/rules/test_phone_sign_in.py", "the requests that the rules store"),
    (
        "gateway/sign_in_codes web/own_password",
        "tests/web/test_phone_sign_in.py",
        "from the form for the number to the settings of an account without a password",
    ),
    (
        "storage/sms_spool/money storage/sms_spool/state",
        "tests/storage/sms_spool/test_outbox.py",
        "texts with their money and log",
    ),
    (
        "insight/attack_sections insight/blocks insight/charts insight/csv_form insight/defence_sections "
        "insight/document insight/html insight/json_form insight/markdown insight/sections "
        "insight/summary insight/vocabulary",
        "tests/insight/test_make.py",
        "parts of a whole report, in each form",
    ),
    (
        "storage/acknowledged_posts",
        "tests/watch/test_acknowledged.py",
        "the check of posts, in both stores",
    ),
    (
        "model/insight storage/insight_queries",
        "tests/storage/test_insight.py",
        "the numbers and their queries",
    ),
    (
        "rules/drafts",
        "tests/rules/test_posts.py",
        "steps of creating a post",
    ),
    (
        "storage/engine/together",
        "tests/storage/engine/test_group.py",
        "a mark on functions, which groups of calls go by",
    ),
    ("gateway/provider", "tests/test_config_sms.py", "types, the interface of each provider"),
    (
        "gateway/fields gateway/polling gateway/route_checks",
        "tests/gateway/providers/test_file.py",
        "parts of every provider",
    ),
    ("__main__ errors own_thread", "tests/roles/test_serve.py", "run by every process"),
    (
        "api/account_notes api/tags */followed_tags",
        "tests/api/test_lists.py",
        "what a reader notes and follows",
    ),
    ("api/emails */mail", "tests/web/test_mails.py", "the links in mails, from the request to their use"),
    ("api/empty api/instance_texts api/trends", "tests/api/test_instance.py", "one call of a rule each"),
    (
        "api/featured_tags api/scheduled_statuses api/suggestions",
        "tests/journeys/test_mastodon_py.py",
        "likewise",
    ),
    ("api/relationships", "tests/api/test_accounts.py", "actions on an account"),
    ("api/oembed", "tests/web/test_embeds.py", "describes the page that the test embeds"),
    ("api/shapes", "tests/api/test_openapi.py", "types, which become the description"),
    ("api/json/*_entities api/json/notification_details", "tests/api/json/test_entities.py", "types"),
    (
        "api/json/endings api/json/loaded api/json/view",
        "tests/api/json/test_render.py",
        "parts of the renderer",
    ),
    ("cli/addresses cli/parser cli/serve", "tests/cli/test_main.py", "parts of every command"),
    (
        "cli/archive storage/engine/contents storage/engine/snapshot",
        "tests/cli/test_backup.py",
        "parts of a backup",
    ),
    ("cli/demo_pictures", "tests/cli/test_demo.py", "drawings that the demo posts"),
    ("cli/findings", "tests/cli/test_check.py", "what the command prints"),
    ("cli/shield_who", "tests/cli/test_shield.py", "the targets of the command"),
    ("config_loader", "tests/test_config.py", "reads the keys, which the test sets"),
    ("control/*", "tests/watch/test_control_server.py", "the other ends of its socket"),
    (
        "courier/files courier/role courier/trends",
        "tests/courier/test_drain.py",
        "steps of the courier's loop",
    ),
    ("model/attack", "tests/storage/test_attack_record.py", "values that the record stores"),
    ("model/channel", "tests/model/test_incident.py", "the states of the status page"),
    ("process/document", "tests/process/test_health.py", "what the server answers with"),
    ("courier/post_office", "tests/courier/test_mailer.py", "hands the outbox's mails to the mailer"),
    (
        "cli/drill_community cli/drill_phones cli/drill_steps drill/*",
        "tests/drill/test_run.py",
        "parts that every run uses",
    ),
    ("edge/*", "tests/edge/test_edge_server.py", "parts of one protocol, tested through sockets"),
    ("http/files", "tests/api/test_media.py", "serves the files that apps upload"),
    ("http/response http/site", "tests/http/test_application.py", "values of one request"),
    (
        "media/decode media/folder media/job media/open_store",
        "tests/media/test_decoding.py",
        "its process and store",
    ),
    ("model/addresses", "tests/model/test_text.py", "the links of a text"),
    ("model/browser", "tests/web/test_account.py", "the list of browsers on that page"),
    ("model/demo_phone", "tests/web/test_demo_phone.py", "the numbers and the route of that page"),
    ("model/event", "tests/bus/test_local.py", "the messages of the bus"),
    ("model/*", "tests/rules/test_{name}s.py", "values, which the test of the rule makes and compares"),
    ("model/*", "tests/rules/test_{name}.py", "likewise"),
    ("model/page http/paging", "tests/api/test_paging.py", "a part of a list"),
    ("*/password */passwords", "tests/http/test_passwords.py", "which are refused and what a new one ends"),
    (
        "rules/languages rules/reactions rules/threads",
        "tests/rules/test_posts.py",
        "what people do with a post",
    ),
    ("*/reports", "tests/web/test_moderation.py", "from the form to the moderator's decision"),
    (
        "*/second_factor */second_factors web/proofs web/second_step",
        "tests/web/test_security.py",
        "codes and keys",
    ),
    (
        "shield/agents shield/budgets shield/paths",
        "tests/shield/test_decide.py",
        "parts of one decision",
    ),
    ("sms/national_tables", "tests/sms/test_gsm.py", "the tables that it decodes"),
    ("sms/smpp/protocol", "tests/sms/smpp/test_pdu.py", "the numbers in PDUs"),
    ("storage/*", "tests/rules/test_{name}.py", "statements of a rule, whose test runs them on both stores"),
    ("storage/sms_spool/canary", "tests/gateway/test_canary.py", "the canary's rows in the spool"),
    ("storage/gammu_smsd", "tests/gateway/providers/test_gammu.py", "the tables of gammu-smsd"),
    ("storage/sms_spool/panel", "tests/web/test_admin_sms.py", "reads what that page shows"),
    ("storage/engine/*", "tests/storage/engine/test_database.py", "parts of the calls to a database"),
    ("storage/seed/*", "tests/cli/test_seed.py", "parts of one synthetic community"),
    (
        "storage/migrations/* storage/migrations/versions/* storage/tables/*",
        "tests/test_house.py",
        "migrations and declarations, which it compares",
    ),
    (
        "streaming/messages streaming/streams",
        "tests/api/test_streaming.py",
        "delivery to sockets",
    ),
    ("roles/outside", "tests/watch/test_outside.py", "its process"),
    ("watch/status/view", "tests/watch/status/test_page.py", "parts of the pages"),
    ("watch/probes watch/probe_client", "tests/watch/test_canaries.py", "what a canary sends"),
    ("web/explore web/manifest web/reader web/routes", "tests/web/test_pages.py", "parts of the pages"),
)


def mirrored(test: str) -> str:
    """Return the path of the source file or folder that the test at `test` is named after, without its suffix."""
    path = PurePosixPath(test).relative_to("tests")
    name = path.with_name(path.stem.removeprefix("test_")).as_posix()
    return name if name.startswith(("tools/", "bench/")) else f"stormpetrel/{name}"


def is_test(path: str) -> bool:
    """Return True for the path of a file of tests."""
    return path.startswith("tests/") and PurePosixPath(path).match("test_*.py")


def stray_tests(paths: Collection[str]) -> list[str]:
    """Return the tests that are named after no source file or folder, and do not test another subject."""
    known = {path.removesuffix(".py") for path in paths}
    known |= {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents}
    return [
        path
        for path in paths
        if is_test(path)
        and mirrored(path) not in known
        and not any(
            path == other or (other.endswith("/") and path.startswith(other)) for other in OTHER_SUBJECTS
        )
    ]


def covering_tests(
    source: str, tests: Collection[str], covered: Collection[Row] = COVERED
) -> dict[str, Row | None]:
    """Return those of `tests` that cover the source file, each with the row of the table that says so.

    The row is None for a test at the path of the file or of its folder. Then the table does not matter.
    """
    path = PurePosixPath(source)
    own: dict[str, Row | None] = {
        test: None for test in (_test_at(path.with_suffix("")), _test_at(path.parent)) if test in tests
    }
    if own:
        return own
    rows = {row[1].format(name=path.stem): row for row in covered if covers(row, path)}
    return {test: row for test, row in rows.items() if test in tests}


def _test_at(path: PurePosixPath) -> str:
    """Return the path of the test of a source file, without its suffix, or folder: the inverse of `mirrored`."""
    below = path.relative_to("stormpetrel") if path.is_relative_to("stormpetrel") else path
    return f"tests/{below.parent / f'test_{below.name}.py'}" if below.name else ""


def is_source(path: str) -> bool:
    """Return True for a file of the package that needs a test."""
    pure = PurePosixPath(path)
    return pure.is_relative_to("stormpetrel") and pure.suffix == ".py" and pure.stem != "__init__"


def untested(paths: Collection[str], covered: Collection[Row] = COVERED) -> list[str]:
    """Return the source files without a test, and the patterns of `covered` that cover no file."""
    tests = {path for path in paths if is_test(path)}
    found = {path: covering_tests(path, tests, covered) for path in paths if is_source(path)}
    covered_by = [(PurePosixPath(path), row) for path, rows in found.items() for row in rows.values() if row]
    used = {(row, pattern) for path, row in covered_by for pattern in row[0].split() if _fits(pattern, path)}
    return [
        *(path for path, rows in found.items() if not rows),
        *(
            f"unused: {pattern}, {row[1]}"
            for row in covered
            for pattern in row[0].split()
            if (row, pattern) not in used
        ),
    ]


def covers(row: Row, path: PurePosixPath) -> bool:
    """Return True if one of the row's patterns fits the path."""
    return any(_fits(pattern, path) for pattern in row[0].split())


def _fits(pattern: str, path: PurePosixPath) -> bool:
    """Return True if the pattern fits the path; a `*` stands for a part of one name."""
    parts = path.relative_to("stormpetrel").with_suffix("").parts
    names = pattern.split("/")
    return len(names) == len(parts) and all(map(fnmatchcase, parts, names))


def known_tests() -> list[str]:
    """Return the paths of all files of tests in this checkout, also of those not committed yet."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "tests"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(path for path in done.stdout.splitlines() if is_test(path))


def main(sources: list[str]) -> int:
    """Print the tests of each source file."""
    wrong = [path for path in sources if not is_source(path) or not (ROOT / path).is_file()]
    if wrong or not sources:
        for path in wrong:
            print(f"{path}: not a file of Python below stormpetrel/ that needs a test", file=sys.stderr)
        print("usage: python3 -m tools.mirror stormpetrel/FOLDER/FILE.py…", file=sys.stderr)
        return 2
    tests = known_tests()
    found = [covering_tests(path, tests) for path in sources]
    for test in sorted({test for rows in found for test in rows}):
        print(test)
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
