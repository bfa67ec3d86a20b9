"""Search: who finds which posts by their words, people, and hashtags; on both stores."""

from __future__ import annotations

import pytest

from stormpetrel.model.page import Page
from stormpetrel.model.poll import PollDraft
from stormpetrel.model.post import Visibility
from stormpetrel.model.search import parse
from stormpetrel.rules import accounts, posts, reactions, search
from tests.community import block, follow, mute
from tests.rules.test_edits import edit, upload
from tests.store import Store


def found(store: Store, reader: int, text: str, **page: int) -> list[int]:
    return search.find_posts(
        store.connection,
        reader_id=reader,
        query=parse(text),
        page=Page(**({"limit": 20} | page)),
        now_ms=store.now_ms,
    )


def test_words_phrases_and_what_is_left_out(store: Store) -> None:
    ann, bob = store.person("ann"), store.person("bob")
    fresh = store.post(ann, "Fresh bread from the café, https://bread.example/loaf")
    rye = store.post(ann, "The bread is not fresh: rye")
    tokyo = store.post(bob, "東京は今日も晴れ", language="ja")
    for text, wanted in {
        "bread": [rye, fresh],
        "BREAD fresh": [rye, fresh],
        '"fresh bread"': [fresh],
        "bread -rye": [fresh],
        "cafe": [fresh],
        "CAFÉ": [fresh],
        "loaf": [fresh],
        "has:link": [fresh],
        "-has:link bread": [rye],
        "東京": [tokyo],
        "今日": [tokyo],
        "京東": [],
        "language:ja": [tokyo],
        f"from:{store.name(bob)}": [tokyo],
        f"from:{store.name(ann)} bread rye": [rye],
        "from:nobody_at_all bread": [],
        "bread after:2000-01-01": [rye, fresh],
        "bread before:2000-01-01": [],
        "-bread": [],
        "brea": [],
    }.items():
        assert found(store, bob, text) == wanted, text
        assert found(store, ann, text) == wanted, text


def test_a_hashtag_finds_posts_with_that_very_hashtag(store: Store) -> None:
    ann, bob = store.person("ann"), store.person("bob")
    tagged = store.post(ann, "Out of the oven #Bread")
    both = store.post(ann, "#bread and #butter")
    store.post(ann, "#bread_and_butter, bread without a hash")
    kept = store.post(ann, "For few #bread", visibility=Visibility.FOLLOWERS)
    for text, wanted in {
        "#bread": [both, tagged],
        "#BREAD oven": [tagged],
        "#bread #butter": [both],
        "#bread -#butter": [tagged],
        "bread -#bread -#bread_and_butter": [],
        "#bread_and": [],
        "#nowhere": [],
        "bread -#nowhere out": [tagged],
    }.items():
        assert found(store, bob, text) == wanted, text
    assert found(store, ann, "#bread") == [kept, both, tagged]
    assert found(store, ann, "#bread in:library") == [kept, both, tagged]
    for liked in (both, tagged):
        store.do(reactions.favourite, account_id=bob, post_id=liked, now_ms=store.now_ms)
    assert found(store, bob, "#butter in:library") == [both]
    assert found(store, bob, "#bread", limit=1, min_id=tagged - 1) == [tagged]


def test_paging_goes_down_and_up_without_gaps(store: Store) -> None:
    ann, bob = store.person("ann"), store.person("bob")
    ids = [store.post(ann, f"swift number {n}") for n in range(7)][::-1]
    assert found(store, bob, "swift", limit=3) == ids[:3]
    assert found(store, bob, "swift", limit=3, max_id=ids[2]) == ids[3:6]
    assert found(store, bob, "swift", limit=3, max_id=ids[5]) == ids[6:]
    assert found(store, bob, "swift", limit=2, min_id=ids[4]) == ids[2:4]
    assert found(store, bob, "swift", limit=5, since_id=ids[2]) == ids[:2]


def test_who_finds_a_post(store: Store) -> None:
    author = store.person("author")
    people = {role: store.person(role) for role in ("follower", "stranger", "blocked", "muting", "named")}
    follow(store, people["follower"], author)
    block(store, author, people["blocked"])
    mute(store, people["muting"], author)
    name = store.name(people["named"])
    made = {
        visibility: store.post(author, f"heron {visibility.name} @{name}", visibility=visibility)
        for visibility in Visibility
    }
    everything = sorted(made.values(), reverse=True)
    public = [made[Visibility.PUBLIC]]
    assert found(store, author, "heron") == everything
    assert found(store, people["named"], "heron") == everything
    assert found(store, people["named"], "heron in:public") == public
    assert found(store, people["follower"], "heron") == public
    assert found(store, people["stranger"], "heron") == public
    assert found(store, people["blocked"], "heron") == []
    assert found(store, people["muting"], "heron") == []


def test_one_finds_again_what_one_kept_as_long_as_one_may_see_it(store: Store) -> None:
    author, reader = store.person("author"), store.person("reader")
    follow(store, reader, author)
    kept = store.post(author, "secret garden", visibility=Visibility.FOLLOWERS)
    liked = store.post(author, "secret plan", visibility=Visibility.FOLLOWERS)
    own = store.post(reader, "my secret", visibility=Visibility.DIRECT)
    assert found(store, reader, "secret") == [own]
    store.do(reactions.bookmark, account_id=reader, post_id=kept, now_ms=store.now_ms)
    store.do(reactions.favourite, account_id=reader, post_id=liked, now_ms=store.now_ms)
    for text in ("secret", "secret in:library"):
        assert found(store, reader, text) == [own, liked, kept], text
    assert found(store, reader, "secret in:public") == []
    assert found(store, reader, "from:me secret") == [own]
    assert found(store, reader, f"secret from:{store.name(author)}") == [liked, kept]
    block(store, author, reader)
    assert found(store, reader, "secret") == [own]


def test_who_does_not_want_to_be_found_is_not_and_who_is_suspended_neither(store: Store) -> None:
    shy, gone, reader = store.person("shy", indexable=False), store.person("gone"), store.person("reader")
    own = store.post(shy, "walrus")
    other = store.post(gone, "walrus too")
    assert found(store, reader, "walrus") == [other]
    assert found(store, shy, "walrus") == [other, own]
    store.do(accounts.suspend, account_id=gone)
    assert found(store, reader, "walrus") == []


def test_a_deleted_post_is_not_found_and_a_boost_never(store: Store) -> None:
    ann, bob = store.person("ann"), store.person("bob")
    post = store.post(ann, "ephemeral @nobody")
    store.do(reactions.boost, account_id=bob, post_id=post, visibility=None, now_ms=store.now_ms)
    assert found(store, bob, "ephemeral") == [post]
    store.do(posts.delete_post, author_id=ann, post_id=post, now_ms=store.now_ms)
    assert found(store, bob, "ephemeral") == []


def test_nobody_can_write_a_mark_into_their_text(store: Store) -> None:
    ann, mallory = store.person("ann"), store.person("mallory")
    store.post(mallory, f"xa{ann} xlink xreply")
    assert found(store, mallory, f"from:{store.name(ann)}") == []


@pytest.mark.parametrize(
    "text",
    [
        "*" * 10_000,
        '"' * 999,
        "a OR " * 2048,
        "word -" * 2048,
        "from:me " * 2048,
        "a\x00b 'x' | !y & (z",
        "😀🏽",
        "\u202eabc\u0645\u0631",
        "NEAR(a b)",
        "words:x",
        "1e5 3d 4.5 -7",
        "{a b}: ^c",
    ],
)
def test_hostile_texts_are_queries_like_others(store: Store, text: str) -> None:
    reader = store.person("reader")
    post = store.post(reader, "plain words")
    assert found(store, reader, f"plainly {text}") == []
    assert found(store, reader, "plain") == [post]


def people(store: Store, text: str, **options: object) -> list[str]:
    values = {"reader_id": None, "limit": 10, "now_ms": store.now_ms} | options
    return [one.username for one in search.find_people(store.connection, text=text, **values)]  # type: ignore[arg-type]


def test_people_are_found_by_the_beginning_of_a_name_most_followed_first(store: Store) -> None:
    petra = store.person("petra", display_name="Zoë O'Hara")
    petrel = store.person("petrel", display_name="王小明")
    other = store.person("other", display_name="Big Pet")
    names = {one: store.name(one) for one in (petra, petrel, other)}
    assert set(people(store, "pet")) == set(names.values())
    follow(store, other, petrel)
    assert people(store, "@PET")[0] == names[petrel]
    assert people(store, "zoe") == people(store, "Zoë o'h") == [names[petra]]
    assert people(store, "小明") == people(store, "王") == [names[petrel]]
    assert people(store, "big pet") == [names[other]]
    assert people(store, "pet", only_followed=True, reader_id=other) == [names[petrel]]
    assert people(store, names[petra]) == [names[petra]]
    for text in ("", "%", "_", "pet zz", "ü", "\x00"):
        assert people(store, text) == [], text
    block(store, petra, other)
    assert names[petra] not in people(store, "pet", reader_id=other)
    store.do(accounts.suspend, account_id=petra)
    assert names[petra] not in people(store, "pet")


def test_hashtags_are_found_by_their_beginning_if_they_were_used_in_public(store: Store) -> None:
    ann = store.person("ann")
    store.post(ann, "#birds #birdsong #Bird")
    store.post(ann, "#birdsecret", visibility=Visibility.FOLLOWERS)
    assert search.find_tags(store.connection, text="#bird", limit=10) == ["bird", "birds", "birdsong"]
    assert search.find_tags(store.connection, text="BIRDSO", limit=10) == ["birdsong"]
    assert search.find_tags(store.connection, text="two words", limit=10) == []


def test_posts_are_found_by_their_media_and_polls_as_these_come_and_go(store: Store) -> None:
    ann, bob = store.person("ann"), store.person("bob")
    plain = store.post(ann, "gull in words")
    seen = store.post(ann, "gull in a picture", media_ids=(upload(store, ann),))
    asked = store.post(ann, "gull or tern?", poll=PollDraft(("gull", "tern"), 600))
    for text, wanted in {
        "has:media": [seen],
        "has:poll": [asked],
        "gull has:media": [seen],
        "gull -has:media": [asked, plain],
        "gull -has:media -has:poll": [plain],
        "has:media has:poll": [],
        f"from:{store.name(ann)} has:poll": [asked],
    }.items():
        assert found(store, bob, text) == wanted, text
        assert found(store, ann, text) == wanted, text
    edit(store, ann, seen, "gull in a picture")
    edit(store, ann, plain, "gull in words", poll=PollDraft(("one", "two"), 600))
    edit(store, ann, asked, "gull or tern?", media_ids=(upload(store, ann),))
    assert found(store, bob, "has:media") == [asked]
    assert found(store, bob, "has:poll") == [plain]
    assert found(store, bob, "gull -has:media -has:poll") == [seen]
    store.do(posts.delete_post, author_id=ann, post_id=asked, now_ms=store.now_ms)
    assert found(store, bob, "has:media") == []
    assert found(store, bob, "gull") == [seen, plain]


def test_a_search_on_the_event_loop_finds_the_same_people_or_leaves_it_to_the_thread(store: Store) -> None:
    reader = store.person("reader")
    for _ in range(search.FEW_NAMES // 2):
        store.person("anna")
    wanted = {"reader_id": reader, "limit": 80, "offset": 0, "now_ms": store.now_ms}
    for text in ("anna", "@anna1", "anna2@here.example", "none", "", "@"):
        few = search.find_few_people_ids(store.connection, text=text, **wanted)
        assert few == search.find_people_ids(store.connection, text=text, **wanted), text
    assert search.find_few_people_ids(store.connection, text="anna reader", **wanted) is None
    for _ in range(search.FEW_NAMES):
        store.person("anton")
    assert search.find_few_people_ids(store.connection, text="an", **wanted) is None
