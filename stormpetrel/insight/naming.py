"""The accounts behind hot pages in a finished report: those that agreed, or for operators all that were asked.

They are added when a report is shown, not when it is written: an owner answers later, and may change the answer.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from html import escape

from stormpetrel.insight.document import clock, day
from stormpetrel.model.naming import NamingAnswer, NamingQuestion

TITLE = "Accounts behind hot pages"
_ANSWERS = {
    NamingAnswer.NONE: "no answer yet, so it is not named in public",
    NamingAnswer.AGREED: "agreed to be named in public",
    NamingAnswer.DECLINED: "declined to be named in public",
}


def agreed(questions: Sequence[NamingQuestion]) -> tuple[NamingQuestion, ...]:
    """Return the questions whose accounts a public report names."""
    return tuple(one for one in questions if one.answer is NamingAnswer.AGREED)


def with_accounts(body: bytes, form: str, questions: Sequence[NamingQuestion], *, edition: str) -> bytes:
    """Return a form of a report with its accounts; unchanged if there are none.

    The public edition names those that agreed. The internal edition has all, with their answers.
    """
    shown = agreed(questions) if edition == "public" else tuple(questions)
    if not shown:
        return body
    match form:
        case "html":
            items = "".join(f"<li>{escape(_sentence(one, edition=edition))}</li>" for one in shown)
            section = f'<section id="accounts"><h2>{TITLE}</h2><ul>{items}</ul></section>'.encode()
            head, end, tail = body.rpartition(b"</main>")
            return head + section + end + tail if end else body + section
        case "md":
            lines = "\n".join(f"- {_sentence(one, edition=edition)}" for one in shown)
            # An underscore is the only sign of a name that Markdown reads.
            return body + f"\n## {TITLE}\n\n{lines}\n".replace("_", r"\_").encode()
        case "json":
            found = json.loads(body)
            found["accounts"] = [
                {"name": one.username, "answer": one.answer.value or "none", "percent": one.percent}
                for one in shown
            ]
            return (json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode()
        case _:
            out = io.StringIO()
            writer = csv.writer(out, lineterminator="\n")
            for one in shown:
                writer.writerow(("accounts", one.username, "percent", one.percent, "", ""))
                writer.writerow(("accounts", one.username, "answer", one.answer.value or "none", "", ""))
            return body + out.getvalue().encode()


def lines_of(questions: Sequence[NamingQuestion]) -> list[str]:
    """Return a sentence for each account, for operators."""
    return [_sentence(one, edition="internal") for one in questions]


def _sentence(one: NamingQuestion, *, edition: str) -> str:
    part = f"About {one.percent} % of the requests went to pages of @{one.username}"
    if edition == "public":
        return f"{part}, which agreed to be named."
    asked = f"asked on {day(one.asked_at_ms)} at {clock(one.asked_at_ms)} UTC"
    return f"{part}: {asked}; {_ANSWERS[one.answer]}."
