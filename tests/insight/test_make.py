"""Reports from a record and a journal: what they say, in which forms, and what a public edition leaves out."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stormpetrel.errors import SetupError
from stormpetrel.insight.edition import public_data
from stormpetrel.insight.make import found_in, made, publish, store, window_of
from stormpetrel.model.attack import AttackSpan
from stormpetrel.storage.attack_record import AttackRecord
from stormpetrel.storage.insight_folder import FORMS, InsightFolder
from stormpetrel.storage.journal import Journal, Note
from tests.insight import recorded
from tests.insight.recorded import WINDOW, data_of, recomputed

PRIVATE = (recorded.ADDRESS, recorded.TOKEN, recorded.PERSON, "marta", "@ana", "data centre", "a school")


def test_the_summary_can_be_quoted(data_dir):
    summary = made(data_of(data_dir), edition="public").form("md").split("## ")[1]
    assert (
        "came under unusual traffic that lasted 10 min: 1,332,000 requests, up to 3,120 a second" in summary
    )
    assert (
        "it was a crowd, then an attack; about 64.7 % of the additional requests are attributed to" in summary
    )
    assert "attributed to an attack, by page flood." in summary
    assert "Of 3,120 acknowledged posts that were checked, 0 were lost." in summary


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"posts_checked": 1, "posts_missing": 1}, "Of 1 acknowledged post that was checked, 1 was lost."),
        ({"posts_checked": 0, "posts_missing": 0}, "The watch knew of no acknowledged post of this time"),
        ({"refused": 1, "refused_known": 0}, "The server refused 1 request; none"),
        ({"refused": 9, "refused_known": 2, "people_refused": 1}, "2 of them came from 1 client with"),
    ],
)
def test_the_summary_counts_one_as_one_and_none_as_none(data_dir, numbers, said):
    data = data_of(data_dir)
    changed = {name: replace(data.numbers[name], value=value) for name, value in numbers.items()}
    report = made(replace(data, numbers={**data.numbers, **changed}), edition="internal")
    assert said in " ".join(report.form("md").split())


def test_a_report_that_is_not_over_says_so_after_the_zone_of_its_time(data_dir):
    window = replace(WINDOW, is_over=False)
    assert re.search(
        r"\d UTC to now; it is not over\. ", made(data_of(data_dir, window), edition="internal").form("md")
    )


@pytest.mark.parametrize("edition", ["internal", "public"])
def test_a_foreign_script_computes_every_number_again(data_dir, edition):
    report = data_dir / "report.json"
    report.write_text(made(data_of(data_dir), edition=edition).form("json"))
    said = recomputed(report, data_dir)
    assert re.fullmatch(r"(\d+) of \1 numbers are the same \(100\.0 %\)\n", said), said


def test_the_foreign_script_finds_a_number_that_is_wrong(data_dir):
    report = json.loads(made(data_of(data_dir), edition="internal").form("json"))
    report["numbers"]["requests"]["value"] += 1
    report["tables"]["collateral"][0]["numbers"]["refused"]["value"] = 0
    report["series"]["outcomes"]["rows"][3][3] += 5
    path = data_dir / "report.json"
    path.write_text(json.dumps(report))
    assert len(recomputed(path, data_dir).splitlines()) == 4


def test_each_query_gives_its_number(data_dir):
    report = json.loads(made(data_of(data_dir), edition="internal").form("json"))
    numbers = list(report["numbers"].values())
    numbers += [n for rows in report["tables"].values() for row in rows for n in row["numbers"].values()]
    files = {name: sqlite3.connect(data_dir / name) for name in ("attacks.sqlite", "journal.sqlite")}
    assert len(numbers) > 200
    for number in numbers:
        assert files[number["file"]].execute(number["query"]).fetchone() == (number["value"],), number[
            "query"
        ]
    for raw in files.values():
        raw.close()


def test_the_page_is_one_file_without_script_and_links_each_number_to_its_query(data_dir):
    page = made(data_of(data_dir), edition="internal").form("html")
    assert len(page.encode()) <= 200_000
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "default-src 'none'" in page
    queries = set(re.findall(r'<li id="(q\d+)">', page))
    assert set(re.findall(r'href="#(q\d+)"', page)) == queries
    assert set(re.findall(r'href="#([a-z_]+)"', page)) <= set(re.findall(r'id="([a-z_]+)"', page))


def test_a_page_about_very_many_phases_is_as_small(tmp_path):
    recorded.write_journal(tmp_path)
    record = AttackRecord(tmp_path / "attacks.sqlite")
    step_ms = recorded.SECONDS * 1000 // 300
    phases = [
        replace(
            recorded.FLOOD if number % 2 else recorded.CROWD,
            number=number + 1,
            began_ms=recorded.SPAN.onset_ms + number * step_ms,
            ended_ms=recorded.SPAN.onset_ms + (number + 1) * step_ms,
        )
        for number in range(300)
    ]
    record.write(attack=3, moments=recorded.moments(), phases=phases, spans=[recorded.SPAN])
    record.close()
    page = made(data_of(tmp_path), edition="internal").form("html")
    assert len(page.encode()) <= 200_000
    assert "260 later ones, are left out" in page


def test_names_in_a_record_are_escaped_in_every_form(tmp_path):
    record = AttackRecord(tmp_path / "attacks.sqlite")
    moment = replace(
        recorded.moment(recorded.ONSET_S + 1, load=50),
        known_applications={"<b>=1+1</b>|`x": {"served": 5}, "=cmd": {"served": 4}},
        pages={"/@x'; DROP": 4},
    )
    record.write(attack=3, moments=[moment], phases=[recorded.FLOOD], spans=[recorded.SPAN])
    record.close()
    report = made(data_of(tmp_path), edition="internal")
    assert "&lt;b&gt;=1+1&lt;/b&gt;|`x" in report.form("html")
    assert "\\<b\\>=1+1\\</b\\>\\|\\`x" in report.form("md")
    rows = list(csv.reader(io.StringIO(report.form("csv"))))
    assert any(row[1] == "'=cmd" for row in rows)
    path = tmp_path / "report.json"
    path.write_text(report.form("json"))
    assert "(100.0 %)" in recomputed(path, tmp_path)


@pytest.mark.parametrize("name", ["```<img src=x>`", "`a|<img src=x>`", "`<img src=x>`", "``` `<img src=x>`"])
def test_an_application_named_with_backticks_puts_no_html_into_markdown(tmp_path, name):
    record = AttackRecord(tmp_path / "attacks.sqlite")
    moment = replace(recorded.moment(recorded.ONSET_S + 1, load=50), known_applications={name: {"served": 5}})
    record.write(attack=3, moments=[moment], phases=[recorded.FLOOD], spans=[recorded.SPAN])
    record.close()
    text = made(data_of(tmp_path), edition="internal").form("md")
    assert "\\<img src=x\\>" in text
    assert "<img" not in text.replace("\\<", "")


def test_an_attack_without_moments_and_phases_still_has_a_report(tmp_path):
    record = AttackRecord(tmp_path / "attacks.sqlite")
    record.write(attack=3, spans=[recorded.SPAN])
    record.close()
    report = made(data_of(tmp_path), edition="public")
    for form in FORMS:
        assert report.form(form)
    assert "came under unusual traffic that lasted 10 min." in report.form("md")
    assert "It was not checked whether posts were lost." in report.form("md")


def test_an_overload_in_usual_traffic_is_not_called_unusual_traffic(tmp_path):
    record = AttackRecord(tmp_path / "attacks.sqlite")
    usual = replace(recorded.FLOOD, verdict="calm", vectors=(), attack_share=0)
    record.write(attack=3, moments=recorded.moments(), phases=[usual], spans=[recorded.SPAN])
    record.close()
    data = data_of(tmp_path)
    for edition in ("internal", "public"):
        text = " ".join(made(data, edition=edition).form("md").split())
        assert "was overloaded for 10 min: 1,332,000 requests" in text
        assert "The traffic was usual, and does not explain the overload" in text
        assert "nusual traffic" not in text
    ongoing = made(data_of(tmp_path, replace(WINDOW, is_over=False)), edition="internal").form("md")
    assert "has been overloaded for 10 min" in ongoing


def test_an_attack_that_is_not_over_lasts_until_now():
    window = window_of(AttackSpan(1, 5_000, 6_000, 0), now_ms=65_000)
    assert (window.until_ms, window.is_over) == (65_000, False)
    stopped = window_of(AttackSpan(1, 5_000, 6_000, 0), now_ms=65_000, last_moment_ms=20_000)
    assert stopped.until_ms == 20_000


# The public edition


def test_the_public_edition_names_no_page_no_client_and_no_words_of_operators(data_dir):
    data = data_of(data_dir)
    internal = "".join(made(data, edition="internal").form(form) for form in FORMS)
    public = "".join(made(data, edition="public").form(form) for form in FORMS)
    assert recorded.PAGE in internal
    assert [text for text in PRIVATE if text in public] == []
    assert found_in(public, domain="petrel.example") == []


def test_advice_for_operators_is_not_public(data_dir):
    internal, public = (made(data_of(data_dir), edition=edition) for edition in ("internal", "public"))
    for form in ("html", "md", "json"):
        assert "stormpetrel shield" in internal.form(form)
        assert "stormpetrel shield" not in public.form(form)
        assert "advice" not in public.form(form).lower()
    assert json.loads(internal.form("json"))["advice"]
    # Version 1 had it in both editions.
    assert json.loads(public.form("json"))["version"] == 4


def test_the_highest_point_of_a_chart_says_that_it_is_a_mean(data_dir):
    data = data_of(data_dir)
    html = made(data, edition="internal").form("html")
    rates = [
        row.numbers["requests"].known / row.numbers["seconds"].known for row in data.series["outcomes"].rows
    ]
    width_s = max(row.numbers["seconds"].known for row in data.series["outcomes"].rows)
    assert width_s > 1
    assert f"at most {max(rates):,.0f}, as the mean of {width_s:.0f} s" in html
    assert data.numbers["peak_per_s"].known >= max(rates)


def test_texts_are_counted_where_the_sms_role_reports_them(tmp_path):
    without = tmp_path / "without"
    without.mkdir()
    recorded.write_record(without, texts={})
    data = data_of(without)
    assert "Texts (SMS) are not in these counts" in made(data, edition="public").form("md")
    recorded.write_both(tmp_path)
    data = data_of(tmp_path)
    assert {name: data.numbers[f"texts_{name}"].value for name in ("in", "out", "new")} == {
        name: count * recorded.SECONDS for name, count in recorded.TEXTS.items()
    }
    text = made(data, edition="public").form("md")
    assert "not in these counts" not in text
    assert "| Received | 1,800 |" in text


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ({"in": 1, "out": 1, "new": 0}, {}),
        ({"in": 0, "out": 0, "new": 0}, {}),
        ({"in": 12, "out": 9, "new": 9}, {"texts_in": 12}),
        ({"in": 12, "out": 10, "new": 11}, {"texts_in": 12, "texts_out": 10}),
        ({"in": 20, "out": 10, "new": 10}, {"texts_in": 20, "texts_out": 10, "texts_new": 10}),
    ],
)
def test_counts_of_texts_that_could_be_of_one_person_are_not_public(data_dir, texts, shown):
    data = data_of(data_dir)
    numbers = {f"texts_{name}": replace(data.numbers[f"texts_{name}"], value=n) for name, n in texts.items()}
    table = data.tables["evidence_for"]
    rate = replace(table.rows[0], key=(table.rows[0].key[0], "texts_new_per_s"))
    tables = data.tables | {"evidence_for": replace(table, rows=(*table.rows, rate))}
    public = made(replace(data, numbers=data.numbers | numbers, tables=tables), edition="public")
    found = json.loads(public.form("json"))["numbers"]
    assert {name: one["value"] for name, one in found.items() if name.startswith("texts_")} == shown
    for form in FORMS:
        assert ("texts_new" in public.form(form)) is ("texts_new" in shown and form in ("json", "csv"))
    text = public.form("md")
    assert ("Texts (SMS) are not in these counts" in text) is (not shown)
    assert ("from new numbers" in text) is ("texts_new" in shown)


def test_an_internal_edition_holds_no_address_and_no_token_because_it_outlives_them(data_dir):
    internal = "".join(made(data_of(data_dir), edition="internal").form(form) for form in FORMS)
    assert recorded.ADDRESS not in internal
    assert recorded.TOKEN not in internal


def test_applications_that_could_be_a_person_are_not_public(data_dir):
    data = data_of(data_dir)
    names = {row.name for row in public_data(data).tables["known_applications"].rows}
    assert names == {"Tusky", "Ivory"}
    table = data.tables["known_applications"]
    odd = [
        replace(table.rows[0], key=(name,))
        for name in ("@ana", "ana@example.org", "10.1.2.3", "Russian bots", "")
    ]
    rare = replace(
        table.rows[1],
        key=("Rare",),
        numbers=table.rows[1].numbers | {"requests": replace(table.rows[1].numbers["requests"], value=1)},
    )
    tables = data.tables | {"known_applications": replace(table, rows=(*table.rows, *odd, rare))}
    assert {
        row.name for row in public_data(replace(data, tables=tables)).tables["known_applications"].rows
    } == names


identities = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.integers(10_000, 10**12).map(lambda n: f"account:{n}"),
    st.binary(min_size=8, max_size=8).map(lambda b: f"token:{b.hex()}"),
)


@given(st.lists(identities, min_size=1, max_size=20, unique=True))
@settings(max_examples=8, deadline=None)
def test_no_identity_of_the_journal_is_in_a_public_edition(tmp_path_factory, found):
    data_dir = tmp_path_factory.mktemp("insight")
    recorded.write_record(data_dir, seconds=10)
    journal = Journal(data_dir / "journal.sqlite")
    kinds = (
        "collateral",
        "offender",
        "allow",
        "deny",
        "canary",
        "worker",
        "pause",
        "undo",
        "watch",
        "incident",
    )
    at_ms = recorded.SPAN.onset_ms + 5_000
    for place, identity in enumerate(found):
        is_address = not identity.startswith(("account", "token"))
        note = Note(
            at_ms=at_ms,
            kind=kinds[place % len(kinds)],
            text=f"{identity} did it",
            who="address" if is_address else identity,
            address=identity if is_address else "",
            application=identity if place % 3 == 0 else "Tusky",
            channel="apps",
            because="queue/full",
        )
        journal.write([note])
    journal.close()
    report = made(data_of(data_dir), edition="public")
    for form in FORMS:
        text = report.form(form)
        assert [identity for identity in found if identity in text] == []


# Publishing


def test_a_report_is_published_only_by_order_and_can_be_withdrawn(data_dir):
    store(data_dir, 3, data_of(data_dir))
    folder = InsightFolder(data_dir)
    assert [one.is_published for one in folder.reports()] == [False]
    publish(data_dir, 3, domain="petrel.example")
    assert folder.is_published(3)
    folder.withdraw(3)
    assert not folder.is_published(3)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("It came from Russia.", "a country or people"),
        ("A gang of hackers did it.", "an actor"),
        ("A state-sponsored group.", "a state"),
        ("They are to blame.", "guilt"),
        ("From 198.51.100.7 alone.", "an address"),
        ("From 2001:db8::17 alone.", "an address"),
        ("The page of @marta_writes.", "an account"),
        ("By account:117.", "an account"),
        ("Write to marta@example.org.", "a mail address"),
        ("The key 9f86d081884c7d659a2f.", "a token"),
        ("Sent from +4915112345678.", "a phone number"),
    ],
)
def test_an_edited_report_that_names_anyone_is_refused_with_the_word_and_its_place(data_dir, word, kind):
    store(data_dir, 3, data_of(data_dir))
    path = data_dir / "insight" / "attack-3-public.md"
    path.write_text(path.read_text().replace("## Impact", f"## Impact\n\n{word}"))
    with pytest.raises(SetupError) as refused:
        publish(data_dir, 3, domain="petrel.example")
    assert kind in refused.value.safe_text
    assert "md file, line " in refused.value.safe_text
    assert not InsightFolder(data_dir).is_published(3)


def test_an_identity_of_the_journal_is_found_in_any_form(data_dir):
    store(data_dir, 3, data_of(data_dir))
    path = data_dir / "insight" / "attack-3-public.csv"
    path.write_text(path.read_text() + "web-1\n")
    with pytest.raises(SetupError, match="'web-1' names a client"):
        publish(data_dir, 3, domain="petrel.example")


def test_only_a_report_that_exists_can_be_published(data_dir):
    with pytest.raises(SetupError, match="no report about attack 9"):
        publish(data_dir, 9, domain="petrel.example")
