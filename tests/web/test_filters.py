"""Filters are created, changed and deleted with forms, without scripts, and with every possible error."""

from __future__ import annotations

from contextlib import closing

import pytest

from stormpetrel.model.filter import MAX_KEYWORDS
from tests.markup import EVIL, checked, sent
from tests.people import csrf_of

FORM = {"title": "Weather", "context_home": "on", "action": "hide", "ends": "0"}
PATH = "/settings/filters"


@pytest.fixture
def reader(place):
    person = place.person("reader")
    with closing(place.browser_session(person)) as browser:
        yield person, browser


def own(person):
    """Return the person's filters as (title, contexts, action, words, parts), and the path of the first one's
    page.
    """
    found = person.get("/api/v2/filters")
    said = [
        (
            one["title"],
            one["context"],
            one["filter_action"],
            [word["keyword"] for word in one["keywords"] if word["whole_word"]],
            [word["keyword"] for word in one["keywords"] if not word["whole_word"]],
        )
        for one in found
    ]
    return said, f"{PATH}/{found[0]['id']}" if found else ""


def test_a_filter_is_made_changed_and_deleted(reader):
    person, browser = reader
    checked(browser.get(PATH))
    answer = sent(browser, PATH, **FORM, words="rain\r\n heavy  snow \r\n\r\n", parts="#storm")
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    said, path = own(person)
    assert said == [("Weather", ["home"], "hide", ["rain", "heavy snow"], ["#storm"])]
    listed = browser.get(PATH)
    checked(listed)
    assert "Hidden · Home and lists" in listed.text
    assert f'href="{path}"' in listed.text
    before = {word["keyword"]: word["id"] for word in person.get("/api/v2/filters")[0]["keywords"]}
    form = browser.get(path)
    checked(form)
    assert ">rain\nheavy snow</textarea>" in form.text
    assert ">#storm</textarea>" in form.text
    changed = {
        "title": "Rain",
        "context_public": "on",
        "context_thread": "on",
        "action": "warn",
        "ends": "3600",
    }
    assert sent(browser, path, **changed, words="#storm\nheavy snow\nhail").status_code == 303
    assert own(person)[0] == [("Rain", ["public", "thread"], "warn", ["#storm", "heavy snow", "hail"], [])]
    (one,) = person.get("/api/v2/filters")
    after = {word["keyword"]: word["id"] for word in one["keywords"]}
    assert all(after[word] == before[word] for word in ("#storm", "heavy snow"))
    assert one["expires_at"] is not None
    # Saved unchanged, the filter keeps its end and its other values.
    form = browser.get(path).text
    assert '<option value="" selected>Unchanged: ' in form
    assert sent(browser, path, **changed | {"ends": ""}, words="#storm\nheavy snow\nhail").status_code == 303
    assert person.get("/api/v2/filters") == [one]
    assert sent(browser, path, **changed | {"ends": "0"}, words="").status_code == 303
    (one,) = person.get("/api/v2/filters")
    assert (one["expires_at"], one["keywords"]) == (None, [])
    assert sent(browser, f"{path}/delete").status_code == 303
    assert person.get("/api/v2/filters") == []


WRONG = [
    ({"title": " "}, "title", "The title can't be blank"),
    ({"title": "x" * 257}, "title", "The title is too long (maximum is 256 characters)"),
    ({"context_home": None}, "context", "Where it applies can't be blank"),
    ({"action": "explode"}, "filter_action", "This is invalid"),
    ({"words": "x" * 513}, "keyword", "A word or phrase must have 1 to 512 characters"),
    (
        {"parts": "\n".join(map(str, range(MAX_KEYWORDS + 1)))},
        "keyword",
        "A word or phrase is one too many: all filters together can have at most 500",
    ),
    (
        {"words": "\n".join(f"{n} {'x' * 500}" for n in range(20))},
        "keyword",
        "A word or phrase is too long: all keywords together can have at most 10000 characters",
    ),
]


@pytest.mark.parametrize(("wrong", "field", "said"), WRONG, ids=[said[:24] for _, _, said in WRONG])
def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(reader, wrong, field, said):
    person, browser = reader
    assert sent(browser, PATH, **FORM).status_code == 303
    _, path = own(person)
    typed = {
        name: value
        for name, value in (FORM | {"parts": "kept as typed"} | wrong).items()
        if value is not None
    }
    for where in (PATH, path):
        answer = sent(browser, where, **typed)
        checked(answer, 422)
        assert f'id="filter-{field}-problem">{said}.</p>'.replace("'", "&#x27;") in answer.text
        assert f'aria-describedby="filter-{field}-problem"' in answer.text
        assert typed["parts"] + "</textarea>" in answer.text
    assert own(person)[0] == [("Weather", ["home"], "hide", [], [])]


def test_everything_that_is_wrong_is_said_at_once(reader):
    _, browser = reader
    answer = sent(browser, PATH, action="hide", words="x" * 513)
    assert answer.status_code == 422
    assert answer.text.count('class="problem" id="filter-') == 3


def test_what_people_typed_is_escaped(reader):
    person, browser = reader
    assert (
        sent(browser, PATH, **FORM | {"title": EVIL}, words=EVIL, parts=f"</textarea>{EVIL}").status_code
        == 303
    )
    _, path = own(person)
    for where in (PATH, path):
        checked(browser.get(where))
    refused = sent(browser, path, title=EVIL, words=f"</textarea>{EVIL}")
    checked(refused, 422)


def test_a_filter_is_its_owners_and_forms_need_their_token(place, reader):
    person, browser = reader
    assert sent(browser, PATH, **FORM).status_code == 303
    said, path = own(person)
    for target in (PATH, path, f"{path}/delete"):
        assert browser.post(target, data=FORM).status_code == 403
        assert place.visitor.get(PATH if target == PATH else path).status_code == 303
    stranger = place.person("stranger")
    with closing(place.browser_session(stranger)) as other:
        assert other.get(path).status_code == 404
        csrf = csrf_of(other.get(PATH).text)
        assert other.post(path, data=FORM | {"csrf": csrf}).status_code == 404
        assert other.post(path, data={"csrf": csrf, "title": ""}).status_code == 404
        assert other.post(f"{path}/delete", data={"csrf": csrf}).status_code == 404
    assert own(person)[0] == said
