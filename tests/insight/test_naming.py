"""The accounts behind hot pages in a finished report, in each form and edition."""

from __future__ import annotations

import csv
import json

import pytest

from stormpetrel.insight.make import made, read
from stormpetrel.insight.naming import TITLE, with_accounts
from stormpetrel.model.insight import ReportWindow
from stormpetrel.model.naming import NamingAnswer, NamingQuestion
from stormpetrel.storage.insight_folder import FORMS
from tests.insight import recorded

SPAN = recorded.SPAN
ANSWERS = {
    "agreed_1": NamingAnswer.AGREED,
    "declined_2": NamingAnswer.DECLINED,
    "silent_3": NamingAnswer.NONE,
}
QUESTIONS = [
    NamingQuestion(number, number, name, SPAN.onset_ms, SPAN.ended_ms, 42, answer, SPAN.ended_ms, 0)
    for number, (name, answer) in enumerate(ANSWERS.items())
]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    recorded.write_both(data_dir)
    window = ReportWindow(SPAN.onset_ms, SPAN.ended_ms, SPAN.ended_ms + 5_000)
    data = read(data_dir, window, domain="petrel.example")
    return {edition: made(data, edition=edition) for edition in ("internal", "public")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edition", ["internal", "public"])
def test_the_public_edition_names_those_that_agreed_and_the_internal_one_all_that_were_asked(
    reports, edition, form
):
    body = reports[edition].form(form).encode()
    shown = with_accounts(body, form, QUESTIONS, edition=edition).decode().replace("\\_", "_")
    names = {name for name in ANSWERS if name in shown}
    assert names == ({"agreed_1"} if edition == "public" else set(ANSWERS))


@pytest.mark.parametrize("form", FORMS)
def test_a_public_edition_without_a_yes_is_unchanged(reports, form):
    body = reports["public"].form(form).encode()
    assert with_accounts(body, form, QUESTIONS[1:], edition="public") == body


def test_each_form_stays_whole(reports):
    internal = reports["internal"]
    shown = {
        form: with_accounts(internal.form(form).encode(), form, QUESTIONS, edition="internal").decode()
        for form in FORMS
    }
    assert json.loads(shown["json"])["accounts"] == [
        {"name": name, "answer": answer.value or "none", "percent": 42} for name, answer in ANSWERS.items()
    ]
    assert {len(row) for row in csv.reader(shown["csv"].splitlines())} == {6}
    assert shown["html"].endswith("</ul></section></main></body></html>\n")
    assert f"\n## {TITLE}\n\n- About 42 % of the requests" in shown["md"]
    assert "no answer yet, so it is not named in public" in shown["html"]


def test_a_page_that_an_operator_wrote_anew_still_has_the_section() -> None:
    assert with_accounts(b"Short.", "html", QUESTIONS, edition="public").startswith(b"Short.<section")
