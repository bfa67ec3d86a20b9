"""`check`: reports problems of a setup and how to solve them."""

from __future__ import annotations

import argparse
from typing import Any

from stormpetrel.cli.output import print_json
from stormpetrel.cli.parser import Commands, add_command


def add_commands(commands: Commands[Any]) -> None:
    """Add `check`."""
    parser = add_command(
        commands,
        "check",
        _check,
        about="Checks the setup and says how to fix it; exits with 1 if something would not work.",
        example="stormpetrel check --json",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def _check(args: argparse.Namespace) -> int:
    from stormpetrel.cli.findings import Severity, findings
    from stormpetrel.cli.mail_findings import mail_findings
    from stormpetrel.cli.sms_findings import sms_findings
    from stormpetrel.config_loader import load

    loaded = load(args.config)
    found = [*findings(loaded), *mail_findings(loaded.config), *sms_findings(loaded.config)]
    failed = any(finding.verdict is Severity.FAIL for finding in found)
    if args.json:
        print_json(
            {
                "ok": not failed,
                "checks": [
                    {"subject": f.subject, "verdict": f.verdict.lower(), "text": f.text, "todo": f.todo}
                    for f in found
                ],
            }
        )
    else:
        for finding in found:
            print(f"{finding.verdict.value:<5} {finding.subject}: {finding.text}")
            if finding.todo:
                print(f"      → {finding.todo}")
    return 1 if failed else 0
