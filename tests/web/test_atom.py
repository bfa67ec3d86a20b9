"""Feeds as documents: valid for any text, without the content of posts under a warning, and with permanent
ids.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stormpetrel.model.account import Account, AccountState
from stormpetrel.model.post import Post, Visibility
from stormpetrel.model.text import clean
from stormpetrel.rules.feeds import Feed
from stormpetrel.web.atom import Heading, render
from tests.atom_rules import ATOM, problems

BASE = "https://here.example"
ANN = Account(
    id=5,
    username="Ann",
    display_name="Ann & <Bea>",
    note="",
    fields=(),
    locked=False,
    bot=False,
    discoverable=True,
    default_visibility=0,
    default_sensitive=False,
    default_language="",
    followers_count=0,
    following_count=0,
    posts_count=0,
    last_post_at_ms=0,
    created_at_ms=1_700_000_000_000,
    state=AccountState.ACTIVE,
)
SAID = Post(
    id=77,
    author_id=5,
    text='a <b>&"word" #birds',
    spoiler_text="",
    visibility=Visibility.PUBLIC,
    sensitive=False,
    language="en",
    in_reply_to_id=None,
    in_reply_to_account_id=None,
    boost_of_id=None,
    application=None,
    replies_count=0,
    boosts_count=0,
    favourites_count=0,
    created_at_ms=1_700_000_001_500,
    tags=("birds",),
)
HEADING = Heading("A title", "", "/@Ann", ANN.created_at_ms)


def document(*posts, account=ANN, heading=HEADING):
    return render(Feed(posts, {5: ANN}, account), heading, base_url=BASE)


def entry_of(*posts, **more):
    found = ET.fromstring(document(*posts, **more)).find(f"{ATOM}entry")
    assert found is not None
    return found


def test_an_entry_says_who_when_what_and_where():
    entry = entry_of(SAID)
    assert entry.findtext(f"{ATOM}id") == f"{BASE}/@Ann/77"
    assert entry.findtext(f"{ATOM}updated") == "2023-11-14T22:13:21Z"
    assert entry.find(f"{ATOM}category").get("term") == "birds"
    assert entry.find(f"{ATOM}content").get("type") == "html"
    assert entry.findtext(f"{ATOM}content").startswith("<p>a &lt;b&gt;&amp;")
    assert entry.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    assert problems(document(SAID)) == problems(document(SAID, account=None)) == problems(document()) == []


def test_an_empty_feed_is_as_old_as_what_it_is_of():
    assert ET.fromstring(document()).findtext(f"{ATOM}updated") == "2023-11-14T22:13:20Z"


def test_of_a_warned_post_the_feed_has_the_warning_only():
    warned = msgspec.structs.replace(SAID, spoiler_text="spiders & such", text="eight legs")
    text = document(warned).decode()
    assert "spiders" in text
    assert "eight legs" not in text
    assert problems(text.encode()) == []


def test_a_thread_of_ones_own_is_told_and_an_answer_to_others_is_not():
    thread = "{http://purl.org/syndication/thread/1.0}in-reply-to"
    own = entry_of(msgspec.structs.replace(SAID, in_reply_to_id=70, in_reply_to_account_id=5))
    assert own.find(thread).get("ref") == f"{BASE}/@Ann/70"
    assert (
        entry_of(msgspec.structs.replace(SAID, in_reply_to_id=70, in_reply_to_account_id=6)).find(thread)
        is None
    )


@given(st.text(max_size=300), st.text(max_size=100), st.text(max_size=30))
def test_whatever_people_write_gives_a_valid_feed(said, warning, name):
    post = msgspec.structs.replace(SAID, text=clean(said), spoiler_text=clean(warning))
    author = msgspec.structs.replace(ANN, display_name=clean(name))
    made = render(Feed((post,), {5: author}, author), HEADING, base_url=BASE)
    assert problems(made) == []


def test_the_check_notices_what_is_wrong():
    good = document(SAID).decode()
    for old, new in (
        ("<updated>2023-11-14T22:13:21Z</updated>\n<link", "<link"),
        ("2023-11-14T22:13:21Z</published>", "yesterday</published>"),
        (f"<id>{BASE}/@Ann/77", "<id>77"),
        ('<content type="html">', "<content>"),
        ('term="birds"', ""),
        ("<name>Ann &amp; &lt;Bea&gt;</name>", ""),
        ('rel="self"', 'rel="other"'),
    ):
        assert old in good
        assert problems(good.replace(old, new).encode()), old
