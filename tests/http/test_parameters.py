"""Parameters in every spelling that clients use, and in some that they should not."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stormpetrel.errors import Invalid, Malformed
from stormpetrel.http.forms import UploadedFile
from stormpetrel.http.parameters import MAX_DEPTH, nest, read_json, struct
from stormpetrel.shield.percent import MAX_PARAMETERS


class Option(msgspec.Struct):
    name: str = ""
    value: int | None = None


class Wanted(msgspec.Struct):
    text: str = ""
    number: int | None = None
    ratio: float | None = None
    flag: bool = False
    ids: list[str] = []
    numbers: list[int] | None = None
    either: str | int | None = None
    option: Option | None = None
    options: list[Option] = []
    table: dict[str, str] = {}
    renamed: str = msgspec.field(name="re-named", default="")
    anything: Any = None


@pytest.mark.parametrize(
    ("pairs", "tree"),
    [
        ([], {}),
        ([("a", "1"), ("b", "2")], {"a": "1", "b": "2"}),
        ([("a", "1"), ("a", "2")], {"a": "2"}),
        ([("x[]", "1"), ("x[]", "2")], {"x": ["1", "2"]}),
        ([("x[0]", "a"), ("x[1]", "b")], {"x": ["a", "b"]}),
        ([("x[10]", "c"), ("x[2]", "b"), ("x[1]", "a")], {"x": ["a", "b", "c"]}),
        ([("x[0]", "a"), ("x[0]", "b")], {"x": ["b"]}),
        ([("h[a]", "1"), ("h[b]", "2")], {"h": {"a": "1", "b": "2"}}),
        ([("h[a][b][c]", "1")], {"h": {"a": {"b": {"c": "1"}}}}),
        ([("x[][n]", "a"), ("x[][v]", "1"), ("x[][n]", "b")], {"x": [{"n": "a", "v": "1"}, {"n": "b"}]}),
        ([("x[0][n]", "a"), ("x[1][n]", "b"), ("x[0][v]", "1")], {"x": [{"n": "a", "v": "1"}, {"n": "b"}]}),
        ([("x", "1"), ("x[]", "2")], {"x": ["2"]}),
        ([("x[]", "1"), ("x", "2")], {"x": "2"}),
        ([("x[", "1"), ("]", "2"), ("x[a", "3")], {"x[": "1", "]": "2", "x[a": "3"}),
        ([("[b]", "4"), ("", "5")], {"[b]": "4", "": "5"}),
        ([("x[1]", "a"), ("x[b]", "c")], {"x": {"1": "a", "b": "c"}}),
        ([("x[²]", "a")], {"x": {"²": "a"}}),
    ],
)  # fmt: skip
def test_how_parameters_nest(pairs: list[tuple[str, str]], tree: dict[str, Any]) -> None:
    assert nest(pairs) == tree


def test_an_index_of_thousands_of_digits_is_only_a_large_one() -> None:
    assert nest([("x[" + "9" * 5000 + "]", "last"), ("x[8]", "b"), ("x[007]", "a")]) == {
        "x": ["a", "b", "last"]
    }


def test_too_many_or_too_deep_is_malformed() -> None:
    assert len(nest([(f"a{n}", "") for n in range(MAX_PARAMETERS)])) == MAX_PARAMETERS
    with pytest.raises(Malformed, match="too many"):
        nest([("a", "")] * (MAX_PARAMETERS + 1))
    nest([("a" + "[b]" * (MAX_DEPTH - 1), "")])
    with pytest.raises(Malformed, match="deep"):
        nest([("a" + "[b]" * MAX_DEPTH, "")])


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("number", "17"), ("ratio", "1.5"), ("flag", "true")], Wanted(number=17, ratio=1.5, flag=True)),
        ([("flag", "1")], Wanted(flag=True)),
        ([("flag", "0")], Wanted(flag=False)),
        ([("flag", "false"), ("number", "-3")], Wanted(flag=False, number=-3)),
        ([("text", ""), ("number", ""), ("flag", ""), ("ratio", "")], Wanted()),
        ([("text", "17")], Wanted(text="17")),
        ([("ids[]", "1"), ("ids[]", "2")], Wanted(ids=["1", "2"])),
        ([("ids", "1"), ("ids", "2")], Wanted(ids=["1", "2"])),
        ([("ids", "1")], Wanted(ids=["1"])),
        ([("ids[1]", "b"), ("ids[0]", "a")], Wanted(ids=["a", "b"])),
        ([("numbers[]", "1"), ("numbers[]", "2")], Wanted(numbers=[1, 2])),
        ([("either", "17")], Wanted(either="17")),
        ([("option[name]", "a"), ("option[value]", "1")], Wanted(option=Option("a", 1))),
        ([("options[][name]", "a"), ("options[][name]", "b")], Wanted(options=[Option("a"), Option("b")])),
        ([("table[a]", "1"), ("table[b]", "2")], Wanted(table={"a": "1", "b": "2"})),
        ([("re-named", "x"), ("renamed", "y")], Wanted(renamed="x")),
        ([("unknown", "1"), ("un[kn][own]", "2"), ("text", "x")], Wanted(text="x")),
    ],
)
def test_parameters_become_what_is_wanted(pairs: list[tuple[str, str]], expected: Wanted) -> None:
    assert struct(Wanted, list(pairs)) == expected


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([("number", "many")], "number"),
        ([("number", "1.5")], "number"),
        ([("number", "9" * 5000)], "number"),
        ([("flag", "perhaps")], "flag"),
        ([("ids[a]", "1")], "ids"),
        ([("numbers[]", "x")], "numbers[0]"),
        ([("text[a]", "1")], "text"),
        ([("text[]", "1")], "text"),
        ([("option", "1")], "option"),
        ([("option[value]", "x")], "option.value"),
        ([("options[0][value]", "x")], "options[0].value"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_name(pairs: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        struct(Wanted, list(pairs))
    assert refused.value.safe_text.startswith(f"{field}: ")


def test_json_wins_over_the_query() -> None:
    pairs = [("text", "query"), ("number", "1"), ("ids[]", "1")]
    extra = {"text": "json", "ids": ["2"], "flag": True, "anything": {"deep": [1]}}
    assert struct(Wanted, list(pairs), extra) == Wanted(
        text="json", number=1, ids=["2"], flag=True, anything={"deep": [1]}
    )
    assert struct(Wanted, [], {"ids": "1", "numbers": 2, "number": "3"}) == Wanted(
        ids=["1"], numbers=[2], number=3
    )
    with pytest.raises(Invalid):
        struct(Wanted, [], {"text": ["17"]})


def test_a_file_where_text_is_wanted_is_refused() -> None:
    upload = UploadedFile("x", io.BytesIO(b"x"))
    for name in ("text", "number", "ids", "ids[]", "option[name]", "table[a]"):
        with pytest.raises(Invalid):
            struct(Wanted, [(name, upload)])


NAMES = st.one_of(
    st.text(max_size=8),
    st.lists(
        st.sampled_from(
            ["text", "number", "ids", "options", "option", "table", "[", "]", "[]", "[0]", "[1]", "[a]", "[name]"]
        ),
        max_size=6,
    ).map("".join),
)  # fmt: skip
VALUES = st.one_of(st.text(max_size=8), st.sampled_from(["", "1", "true", "1e400", "nan", "-0", "null"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "value", "x"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=12),
    st.none()
    | st.dictionaries(
        st.sampled_from(["text", "number", "ids", "options", "table", "flag"]), JSON, max_size=4
    ),
)
@settings(max_examples=500)
@example([("number", "1e400"), ("ratio", "1e400")], None)
@example([("option[value]", "99999999999999999999999999")], {"number": 10**30})
def test_no_parameters_can_raise_anything_but_a_refusal(
    pairs: list[tuple[str, str]], extra: dict[str, Any] | None
) -> None:
    with suppress(Malformed, Invalid):
        assert isinstance(struct(Wanted, list(pairs), extra), Wanted)


@given(st.binary(max_size=40) | JSON.map(msgspec.json.encode))
@settings(max_examples=300)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"a": "\\ud800"}')
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"a": 1e999}')
@example(b'{"a": ' + b"9" * 10_000 + b"}")
def test_a_body_is_an_object_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(read_json(body), dict)


class Deep(msgspec.Struct):
    poll: Wanted | None = None
    options: list[Option] = []
    tables: dict[str, Option] = {}


def test_null_in_json_is_left_out_where_it_is_no_value() -> None:
    nulls = {field.encode_name: None for field in msgspec.structs.fields(Wanted)}
    assert struct(Wanted, [], nulls) == Wanted()
    given = {"poll": nulls, "options": [{"name": None}], "tables": {"a": {"name": None, "value": None}}}
    assert struct(Deep, [], given) == Deep(Wanted(), [Option()], {"a": Option()})
    with pytest.raises(Invalid):
        struct(Wanted, [], {"ids": [None]})


def test_a_form_spells_an_empty_list_of_tables() -> None:
    assert struct(Wanted, [("options[]", "")]).options == []
    assert struct(Wanted, [("options", "")]).options == []
    assert struct(Wanted, [("ids[]", "")]).ids == [""]


def test_a_number_in_json_where_a_text_is_wanted_is_that_text() -> None:
    body = (
        b'{"text": 5, "ids": [5, 5.5, "a"], "table": {"a": 7}, "option": {"name": 8, "value": 9}, '
        b'"either": 5, "number": 6, "ratio": 5.5}'
    )
    found = struct(Wanted, [], read_json(body))
    assert (found.text, found.ids, found.table) == ("5", ["5", "5.5", "a"], {"a": "7"})
    assert (found.option, found.either, found.number, found.ratio) == (Option("8", 9), 5, 6, 5.5)
    assert struct(Wanted, [], read_json(b'{"text": 5.5}')).text == "5.5"
    for wrong in (b'{"text": true}', b'{"text": [5]}', b'{"text": {"a": 5}}'):
        with pytest.raises(Invalid):
            struct(Wanted, [], read_json(wrong))


@pytest.mark.parametrize("word", ["undefined", "null"])
def test_what_javascript_s_forms_send_for_no_value_is_left_out_where_no_text_is_wanted(word: str) -> None:
    fields = ("number", "flag", "numbers", "option", "options", "table", "anything")
    assert struct(Wanted, [(field, word) for field in fields]) == Wanted()
    texts = struct(Wanted, [("text", word), ("ids", word), ("either", word)])
    assert (texts.text, texts.ids, texts.either) == (word, [word], word)
