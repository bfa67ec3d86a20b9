"""The grammar of commands: a message is a command as a whole, or a post."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.gateway.command_words import NO, SETTINGS, WORDS, YES, Verb
from stormpetrel.gateway.commands import ALL, MOST_CHARACTERS, TextCommand, parse
from stormpetrel.sms import keywords

WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)} | {" ": "\u3000"})
LINES = (
    "follow bob,f @bob,unfollow bob,on,on bob,off,off bob,leave bob,l bob,get bob,g bob,whois bob,w bob,more,more 3,"
    "more #3,like 3,fav bob,like bob,rt 3,boost 3,rt bob,del,delete,status,stats,lock,quiet 22-7,quiet off,"
    "digest 18:00,digest off,set quiet 22-7,set language ka,block bob,mute bob,report bob,go 482913,yes,no,stop,"
    "start,help,signup,set quiet 25-7,digest 25:00,quiet 10 pm - 7 am"
).split(",")


def command(verb, **values):
    return TextCommand(verb, **values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FOLLOW bob", command(Verb.FOLLOW, name="bob")),
        ("f @Bob_2", command(Verb.FOLLOW, name="bob_2")),
        ("Unfollow bob", command(Verb.UNFOLLOW, name="bob")),
        ("ON", command(Verb.ON)),
        ("on bob", command(Verb.ON, name="bob")),
        ("OFF", command(Verb.OFF)),
        ("off @bob", command(Verb.OFF, name="bob")),
        ("L bob", command(Verb.LEAVE, name="bob")),
        ("G bob", command(Verb.GET, name="bob")),
        ("W bob", command(Verb.WHOIS, name="bob")),
        ("MORE", command(Verb.MORE)),
        ("more 12", command(Verb.MORE, tag=12)),
        ("like 3", command(Verb.LIKE, tag=3)),
        ("LIKE #3", command(Verb.LIKE, tag=3)),
        ("LIKE @3", command(Verb.LIKE, name="3")),
        ("FAV bob", command(Verb.LIKE, name="bob")),
        ("BOOST 3", command(Verb.RT, tag=3)),
        ("RT bob", command(Verb.RT, name="bob")),
        ("R 3 Yes, both roads", command(Verb.REPLY, tag=3, text="Yes, both roads")),
        ("r #3 two\nlines", command(Verb.REPLY, tag=3, text="two\nlines")),
        ("R 3", command(Verb.REPLY, tag=3, error="empty")),
        ("D bob See you At 5", command(Verb.DM, name="bob", text="See you At 5")),
        ("dm @bob: hi", command(Verb.DM, name="bob", text="hi")),
        ("M bob", command(Verb.DM, name="bob", error="empty")),
        ("POST stop", command(Verb.POST, text="stop")),
        ("POST", command(Verb.POST, error="empty")),
        (".STOP", command(Verb.POST, text="STOP")),
        (". FOLLOW bob", command(Verb.POST, text="FOLLOW bob")),
        (".", command(Verb.POST, error="empty")),
        ("", command(Verb.POST, error="empty")),
        (" \u200b\n", command(Verb.POST, error="empty")),
        ("DEL", command(Verb.DEL)),
        ("status", command(Verb.STATUS)),
        ("Stats", command(Verb.STATS)),
        ("LOCK", command(Verb.LOCK)),
        ("BLOCK bob", command(Verb.BLOCK, name="bob")),
        ("MUTE bob", command(Verb.MUTE, name="bob")),
        ("REPORT bob", command(Verb.REPORT, name="bob")),
        ("SET NAME Bob of the Hill", command(Verb.SET, key="name", text="Bob of the Hill")),
        ("set bio Fisher.\nDad.", command(Verb.SET, key="bio", text="Fisher.\nDad.")),
        ("SET LANGUAGE Georgian", command(Verb.SET, key="language", text="ka")),
        ("SET LANGUAGE Klingon", command(Verb.SET, key="language", error="not-understood")),
        ("SET QUIET 22-7", command(Verb.SET, key="quiet", text="22-7")),
        ("SET NAME", command(Verb.SET, key="name", error="empty")),
        ("GO 482913", command(Verb.GO, text="482913")),
        ("GO 4829130192", command(Verb.GO, text="4829130192")),
        ("go 482 913", command(Verb.GO, text="482913")),
        ("GO ٤٨٢٩١٣", command(Verb.GO, text="482913")),
        ("GO 482913.", command(Verb.GO, text="482913")),
        ("YES", command(Verb.CONFIRM, key="yes")),
        ("Yes.", command(Verb.CONFIRM, key="yes")),
        ("Lock!", command(Verb.LOCK)),
        ("R #3: on my way", command(Verb.REPLY, tag=3, text="on my way")),
        ("n", command(Verb.CONFIRM, key="no")),
        ("SIGNUP bob", command(Verb.SIGNUP, name="bob")),
        ("START", command(Verb.START)),
        ("Stop.", command(Verb.STOP)),
        ("ayuda", command(Verb.HELP)),
    ],
)
def test_each_command_has_its_form(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("22-7", "22-7"),
        ("22:00-07:00", "22-7"),
        ("22 – 7", "22-7"),
        ("10pm-7am", "22-7"),
        ("10 pm - 12 am", "22-0"),
        ("24-7", "0-7"),
        ("OFF", "off"),
        ("выкл", "off"),
        ("25-7", ""),
        ("22", ""),
        ("22 7", ""),
        ("7-7", ""),
        ("22:30-7", ""),
        ("13pm-7", ""),
        ("24:10-7", ""),
    ],
)
def test_quiet_hours_are_two_hours_of_the_day(value, text):
    assert parse(f"QUIET {value}") == command(Verb.QUIET, text=text, error="" if text else "bad-time")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("18:00", "18:00"),
        ("1830", "18:30"),
        ("7", "07:00"),
        ("7:05 pm", "19:05"),
        ("24:00", "00:00"),
        ("off", "off"),
        ("25:00", ""),
        ("18:60", ""),
        ("99", ""),
    ],
)
def test_the_digest_has_a_time_of_day(value, text):
    assert parse(f"DIGEST {value}") == command(Verb.DIGEST, text=text, error="" if text else "bad-time")


@pytest.mark.parametrize(
    "text",
    [
        "Stop the war",
        "Start the car",
        "@ON",
        "@bob hello",
        "follow the money",
        "Report fire at the station",
        "On my way home",
        "Like 3 people asked me",
        "More coffee please",
        "Quiet night here",
        "Quiet 3 days now",
        "Digest this",
        "R they coming?",
        "R",
        "D",
        "D - day",
        "Go home",
        "Go 2 the market",
        "Go",
        "Black cat",
        "Fallow land",
        "Fellow citizens",
        "Lock doors",
        "Lake Tbilisi",
        "Likes cats",
        "Boots on",
        "Denuncias falsas",
        "Repost",
        "RT @bob well said",
        "follow bob!",
        "Get ready.",
        "set the table",
        "Status: alive",
        "FOLLOW bob@example.org",
        "FOLLOW " + "b" * 31,
        "LIKE 3.5",
        "MORE 1234567",
        "1984",
        "აქ არის სიჩუმე",
        "...and then",
        ".5 litres",
    ],
)
def test_other_messages_are_posts_and_stay_as_written(text):
    assert parse(text) == command(Verb.POST, text=text)


# Written down, because people will meet them: the gateway's answer explains how to post such a text.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On fire", command(Verb.ON, name="fire")),
        ("Report fire", command(Verb.REPORT, name="fire")),
        ("M is closed road", command(Verb.DM, name="is", text="closed road")),
        ("R 3 people hurt", command(Verb.REPLY, tag=3, text="people hurt")),
    ],
)
def test_a_post_that_looks_like_a_command_is_that_command(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("D José hola", "D @josé hola", "DM @bob@example.org hi", "D bob@example.org hi", "D bob.smith hi"),
        *("dm bob-smith hi", "D bob; hi", "D +995599123456 hi", "DM: bob hi"),
    ],
)
def test_a_direct_message_to_an_impossible_name_is_not_posted(text):
    assert parse(text).verb is Verb.DM


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("FOLOW bob", "FOLLOW bob"),
        ("folllow @bob", "FOLLOW bob"),
        ("fololw bob", "FOLLOW bob"),
        ("Follow bob.", "FOLLOW bob"),
        ("unfolow bob", "UNFOLLOW bob"),
        ("blok bob", "BLOCK bob"),
        ("unfallow bob", "UNFOLLOW bob"),
        ("liek 3", "LIKE 3"),
        ("mroe 3", "MORE 3"),
        ("qiuet 22-7", "QUIET 22-7"),
        ("follow", "FOLLOW"),
        ("QUIET", "QUIET"),
        ("482913", "GO 482913"),
        ("482913.", "GO 482913"),
        ("please stop", "STOP"),
        ("stop texting me", "STOP"),
    ],
)
def test_a_message_that_resembles_a_command_is_asked_about(text, near):
    assert parse(text) == command(Verb.NONE, near=near)
    again = parse(near)
    assert again.verb is not Verb.POST
    assert again.verb is not Verb.NONE or again.near == near


@pytest.mark.parametrize("language", sorted(ALL))
def test_commands_work_in_each_language_besides_english(language):
    words = WORDS[language]

    def of(verb, rest=""):
        return [parse(f"{word} {rest}", languages=[language]) for word in words[verb]]

    for verb in (Verb.FOLLOW, Verb.UNFOLLOW, Verb.ON, Verb.OFF, Verb.LEAVE, Verb.GET, Verb.WHOIS, Verb.BLOCK):
        assert set(of(verb, "bob")) == {command(verb, name="bob")}
    for verb in (Verb.LIKE, Verb.RT, Verb.MORE):
        assert set(of(verb, "3")) == {command(verb, tag=3)}
    for verb in (Verb.DEL, Verb.STATUS, Verb.STATS, Verb.LOCK, Verb.MORE):
        assert set(of(verb)) == {command(verb)}
    assert set(of(Verb.REPLY, "3 hi")) == {command(Verb.REPLY, tag=3, text="hi")}
    assert set(of(Verb.DM, "bob hi")) == {command(Verb.DM, name="bob", text="hi")}
    assert set(of(Verb.POST, "hi")) == {command(Verb.POST, text="hi")}
    assert set(of(Verb.GO, "482913")) == {command(Verb.GO, text="482913")}
    assert set(of(Verb.QUIET, words[Verb.OFF][0])) == {command(Verb.QUIET, text="off")}
    assert set(of(Verb.DIGEST, "18:00")) == {command(Verb.DIGEST, text="18:00")}
    for key, names in SETTINGS[language].items():
        value = {"language": "ka", "quiet": "22-7"}.get(key, "X")
        for name in names:
            assert set(of(Verb.SET, f"{name} {value}")) == {command(Verb.SET, key=key, text=value)}
    assert {parse(word, languages=[language]).key for word in YES[language]} == {"yes"}
    assert {parse(word, languages=[language]).key for word in NO[language]} == {"no"}
    assert parse("follow bob", languages=[language]).verb is Verb.FOLLOW


def test_words_of_other_languages_count_only_if_asked_for():
    assert parse("ver Lima", languages=["ka"]) == command(Verb.POST, text="ver Lima")
    assert parse("ver Lima", languages=["es"]) == command(Verb.GET, name="lima")
    assert parse("სტოპ", languages=[]) == command(Verb.STOP)


@pytest.mark.parametrize("line", LINES)
def test_case_width_and_spaces_do_not_matter(line):
    expected = parse(line)
    assert expected.verb is not Verb.POST
    forms = [line.upper(), line.title(), line.translate(WIDE), f"\u200f {line.replace(' ', '   ')}\n\ufeff"]
    if "22-7" not in line:
        forms.append("  " + line.replace(" ", "\u00a0"))
    for form in forms:
        assert parse(form) == expected, form


WORD = st.sampled_from(
    [word for verbs in WORDS.values() for words in verbs.values() for word in words]
    + [word for keyword in keywords.WORDS.values() for words in keyword.values() for word in words]
    + ["@", "#", "3", "bob", "@bob", "22-7", ".", "18:00", "482913", "OFF", "\u200f", "İ", "ſ", "﷽", "²", "①"]
)
MESSAGE = st.text(max_size=200) | st.lists(WORD | st.text(max_size=3), max_size=6).map(" ".join)


@given(MESSAGE, st.sets(st.sampled_from([*sorted(ALL), "xx"])))
def test_every_message_has_a_meaning(text, languages):
    found = parse(text, languages=languages)
    assert (found.verb is Verb.NONE) == bool(found.near)
    assert found.text or found.verb is not Verb.POST or found.error == "empty"
    if not (found.verb in {Verb.SET, Verb.DM, Verb.POST, Verb.REPLY} or found.near):
        assert parse(f"  {text}\n", languages=languages) == found


@given(st.text(min_size=1), st.sampled_from(LINES))
def test_a_text_longer_than_a_command_is_a_post(text, line):
    longer = f"{line} {text}".ljust(MOST_CHARACTERS + 1, "x")
    if not line.startswith("set"):
        assert parse(longer).verb is Verb.POST


@given(st.text(max_size=100))
def test_a_point_makes_a_post_of_every_text(text):
    found = parse(f". {text}")
    assert found.verb is Verb.POST
    assert found.error or found.text in text
