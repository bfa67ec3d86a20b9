"""Mastodon.py against a running instance: it signs in, and its typed entities accept every answer."""

from __future__ import annotations

import contextlib
import datetime
import io

import pytest
from mastodon import Mastodon, MastodonAPIError, MastodonNotFoundError, MastodonUnauthorizedError
from mastodon import return_types as types

from tests.api.out_of_band import code_for
from tests.api.typed_entities import check, problems
from tests.media_files import png

SCOPES = ["read", "write", "follow", "push"]


def signed_in(place, name):
    """Return a person and a Mastodon.py client that has signed in for them through the full OAuth flow."""
    person = place.person(name)
    client_id, client_secret = Mastodon.create_app(
        "Mastodon.py", scopes=SCOPES, api_base_url=place.base_url, website="https://app.example"
    )
    app = Mastodon(client_id, client_secret, api_base_url=place.base_url, ratelimit_method="throw")
    with contextlib.closing(place.browser_session(person)) as browser:
        code = code_for(browser, app.auth_request_url(scopes=SCOPES, allow_http=True))
    app.log_in(code=code, scopes=SCOPES, allow_http=True)
    return person, app


@pytest.fixture(scope="module")
def two(place):
    """Yield Ann and Bob, each with their app."""
    ann, ann_app = signed_in(place, "ann")
    bob, bob_app = signed_in(place, "bob")
    yield ann, ann_app, bob, bob_app
    ann_app.session.close()
    bob_app.session.close()


def test_posts_replies_boosts_and_reads_home_and_notifications(two):
    ann, ann_app, bob, bob_app = two
    relationship = bob_app.account_follow(ann.id)
    check(relationship, types.Relationship)
    assert relationship.following
    post = ann_app.status_post(
        f"Hello @{bob.username}, about #Storms: https://example.org/", spoiler_text="weather", language="en"
    )
    reply = bob_app.status_post("Hello back", in_reply_to_id=post.id)
    boost = bob_app.status_reblog(post.id)
    for status in (post, reply, boost):
        check(status, types.Status)
    assert boost.reblog.id == post.id
    assert str(reply.in_reply_to_account_id) == str(ann.id)
    assert post.application.name == "Mastodon.py"
    home = bob_app.timeline_home()
    check(home, [types.Status])
    # The post itself is in the timeline, so its boost is left out.
    assert [status.id for status in home] == [reply.id, post.id]
    told = ann_app.notifications()
    check(told, [types.Notification])
    assert {"follow", "reblog"} <= {notification.type for notification in told}
    mentions = bob_app.notifications(types=["mention", "a_type_of_the_future"])
    check(mentions, [types.Notification])
    assert [mention.status.id for mention in mentions] == [post.id]
    check(bob_app.notifications(mentions[0].id), types.Notification)


def test_every_answer_about_a_status_is_accepted(two):
    _, ann_app, _, bob_app = two
    post = ann_app.status_post("Something to react to #Reaction")
    check(bob_app.status(post.id), types.Status)
    check(bob_app.status_favourite(post.id), types.Status)
    check(bob_app.status_bookmark(post.id), types.Status)
    check(bob_app.status_reblog(post.id), types.Status)
    check(bob_app.favourites(), [types.Status])
    check(bob_app.bookmarks(), [types.Status])
    check(ann_app.status_favourited_by(post.id), [types.Account])
    check(ann_app.status_reblogged_by(post.id), [types.Account])
    bob_app.status_reply(post, "A reply")
    context = ann_app.status_context(post.id)
    check(context, types.Context)
    assert len(context.descendants) == 1
    check(ann_app.status_source(post.id), types.StatusSource)
    check(ann_app.statuses([post.id]), [types.Status])
    check(bob_app.status_unfavourite(post.id), types.Status)
    check(bob_app.status_unbookmark(post.id), types.Status)
    undone = bob_app.status_unreblog(post.id)
    check(undone, types.Status)
    assert undone.id == post.id
    deleted = ann_app.status_delete(post.id)
    check(deleted, types.Status)
    assert deleted.text == "Something to react to #Reaction"
    with pytest.raises(MastodonNotFoundError):
        ann_app.status(post.id)


def test_every_answer_about_polls_edits_and_pins_is_accepted(two):
    _, ann_app, _, bob_app = two
    post = ann_app.status_post("Which?", poll=ann_app.make_poll(["a", "b"], 3600, multiple=True))
    check(post, types.Status)
    check(post.poll, types.Poll)
    check(bob_app.poll(post.poll.id), types.Poll)
    voted = bob_app.poll_vote(post.poll.id, [0, 1])
    check(voted, types.Poll)
    assert (voted.voted, voted.own_votes, voted.voters_count) == (True, [0, 1], 1)
    with pytest.raises(MastodonAPIError, match="already voted"):
        bob_app.poll_vote(post.poll.id, 0)
    bob_app.status_reblog(post.id)
    edited = ann_app.status_update(post.id, "Which one?", poll=ann_app.make_poll(["a", "c"], 3600))
    check(edited, types.Status)
    assert edited.edited_at is not None
    assert [option.votes_count for option in edited.poll.options] == [0, 0]
    history = bob_app.status_history(post.id)
    assert [edit.content for edit in history] == ["<p>Which?</p>", "<p>Which one?</p>"]
    # The documented poll of an edit has only the titles of its options. Mastodon.py uses the Poll type.
    assert [option.title for option in history[0].pop("poll").options] == ["a", "b"]
    history[1].pop("poll")
    check(history, [types.StatusEdit])
    assert ann_app.status_source(post.id).text == "Which one?"
    for act in (ann_app.status_pin, ann_app.status_unpin, bob_app.status_mute, bob_app.status_unmute):
        check(act(post.id), types.Status)


def test_an_edit_changes_pictures_and_what_is_said_about_them(two):
    _, ann_app, _, bob_app = two
    first, second = (
        ann_app.media_post(io.BytesIO(png()), mime_type="image/png", description="before") for _ in range(2)
    )
    post = ann_app.status_post("Look", media_ids=[first.id])
    edited = ann_app.status_update(post.id, "Look", media_ids=[second.id, first.id])
    check(edited, types.Status)
    assert edited.edited_at is not None
    assert [str(one.id) for one in edited.media_attachments] == [str(second.id), str(first.id)]
    # Mastodon.py sends the ids of `media_attributes` as the post's media, and permits no others with them.
    words = ann_app.generate_media_edit_attributes(second.id, description="A grey sea", focus=(0.5, -0.5))
    (said,) = ann_app.status_update(post.id, "Look", media_attributes=[words]).media_attachments
    assert (str(said.id), said.description, said.meta.focus.x) == (str(second.id), "A grey sea", 0.5)
    history = bob_app.status_history(post.id)
    assert [[one.description for one in edit.media_attachments] for edit in history] == [
        [],  # the removed image is not shown again
        ["before"],
        ["A grey sea"],
    ]
    check(history, [types.StatusEdit])
    # As in Mastodon, an edit removes the media that it does not name.
    assert ann_app.status_update(post.id, "Nothing to see").media_attachments == []


def test_a_post_for_later_is_accepted_moved_and_taken_back(two):
    ann, app, _, _ = two
    before = app.account(ann.id).statuses_count
    in_an_hour = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    later = app.status_post("Later", scheduled_at=in_an_hour)
    check(later, types.ScheduledStatus)
    assert later.params.text == "Later"
    check(app.scheduled_statuses(), [types.ScheduledStatus])
    moved = app.scheduled_status_update(later.id, in_an_hour + datetime.timedelta(hours=1))
    check(moved, types.ScheduledStatus)
    assert moved.scheduled_at > later.scheduled_at
    check(app.scheduled_status(later.id), types.ScheduledStatus)
    app.scheduled_status_delete(later.id)
    assert app.scheduled_statuses() == []
    with pytest.raises(MastodonAPIError, match="5 minutes"):
        app.status_post("Too soon", scheduled_at=datetime.datetime.now(datetime.UTC))
    assert app.account(ann.id).statuses_count == before


def test_every_answer_about_accounts_is_accepted(two):
    ann, ann_app, bob, bob_app = two
    check(ann_app.account_verify_credentials(), types.Account)
    changed = ann_app.account_update_credentials(
        display_name="Ann of the Sea",
        note="I sail.\n\nhttps://example.org/",
        fields=[("Web", "https://example.org/"), ("Boat", "Petrel")],
        bot=False,
        locked=False,
        discoverable=True,
    )
    check(changed, types.Account)
    check(changed.source, types.CredentialAccountSource)
    assert changed.display_name == "Ann of the Sea"
    assert [field.name for field in changed.fields] == ["Web", "Boat"]
    assert changed.source.note.startswith("I sail.")
    check(bob_app.account(ann.id), types.Account)
    check(bob_app.account_lookup(ann.username), types.Account)
    check(bob_app.account_search(ann.username[:5]), [types.Account])
    check(bob_app.account_statuses(ann.id), [types.Status])
    check(bob_app.account_relationships([ann.id, bob.id]), [types.Relationship])
    bob_app.account_follow(ann.id)
    check(ann_app.account_followers(ann.id), [types.Account])
    check(bob_app.account_following(bob.id), [types.Account])
    check(bob_app.account_familiar_followers(ann.id), [types.FamiliarFollowers])
    check(bob_app.account_mute(ann.id), types.Relationship)
    check(bob_app.mutes(), [types.Account])
    check(bob_app.account_unmute(ann.id), types.Relationship)
    check(bob_app.account_unfollow(ann.id), types.Relationship)
    check(bob_app.preferences(), types.Preferences)
    check(bob_app.search(ann.username), types.SearchV2)
    check(bob_app.search_v2("#storms"), types.SearchV2)


def test_a_locked_account_is_asked(two, place):
    _, _, bob, bob_app = two
    cara, cara_app = signed_in(place, "cara")
    cara_app.account_update_credentials(locked=True)
    assert bob_app.account_follow(cara.id).requested
    asking = cara_app.follow_requests()
    check(asking, [types.Account])
    assert [account.username for account in asking] == [bob.username]
    check(cara_app.follow_request_authorize(bob.id), types.Relationship)
    assert bob_app.account_relationships(cara.id)[0].following
    check(cara_app.account_block(bob.id), types.Relationship)
    check(cara_app.blocks(), [types.Account])
    check(cara_app.account_unblock(bob.id), types.Relationship)
    cara_app.session.close()


def test_every_answer_about_timelines_and_reading_is_accepted(two):
    _, ann_app, _, bob_app = two
    post = ann_app.status_post("For everybody #Timelines")
    check(bob_app.timeline_public(), [types.Status])
    check(bob_app.timeline_local(), [types.Status])
    check(bob_app.timeline_hashtag("timelines"), [types.Status])
    marker = bob_app.markers_set("home", post.id)
    check(marker["home"], types.Marker)
    check(bob_app.markers_get("home")["home"], types.Marker)
    check(bob_app.notifications_unread_count(), types.UnreadNotificationsCount)
    check(bob_app.tag("timelines"), types.Tag)
    first = bob_app.timeline_home(limit=1)
    following = bob_app.fetch_next(first)
    assert following[0].id < first[0].id
    assert [status.id for status in bob_app.fetch_previous(following)] == [first[0].id]


def test_every_suggestion_is_accepted_and_can_be_turned_down(two, place):
    ann, _, bob, bob_app = two
    dora, erin = place.person("dora"), place.person("erin")
    bob_app.account_follow(ann.id)
    for target in (dora, erin):
        ann.do(f"/api/v1/accounts/{target.id}/follow")
    found = bob_app.suggestions_v2()
    check(found, [types.Suggestion])
    (why,) = [one for one in found if str(one.account.id) == str(dora.id)]
    assert (why.source, why.sources) == ("past_interactions", ["friends_of_friends", "most_followed"])
    check(bob_app.suggestions_v1(), [types.Account])
    assert len(bob_app.suggestions_v1()) == len(found)
    bob_app.suggestion_delete(dora.id)
    left = {str(account.id) for account in bob_app.suggestions()}
    assert str(erin.id) in left
    assert not {str(one.id) for one in (dora, ann, bob)} & left
    answer = place.visitor.delete(f"/api/v1/suggestions/{erin.id}")
    assert answer.status_code == 401


def test_every_answer_about_featured_tags_is_accepted(two, place):
    ann, ann_app, _, bob_app = two
    ann_app.status_post("#Cormorants and #Shags")
    # The documented type is Tag. Mastodon.py casts to FeaturedTag.
    (shags,) = [tag for tag in ann.get("/api/v1/featured_tags/suggestions") if tag["name"] == "shags"]
    assert shags["featuring"] is False
    assert "shags" in {tag.name for tag in ann_app.featured_tag_suggestions()}
    made = ann_app.featured_tag_create("#cormorants")
    check(made, types.FeaturedTag)
    assert (made.name, int(made.statuses_count)) == ("cormorants", 1)
    assert ann.do("/api/v1/tags/shags/feature")["featuring"] is True
    assert ann.get("/api/v1/tags/shags")["featuring"] is True
    assert ann.do("/api/v1/tags/shags/follow")["featuring"] is True
    # The documented type is FeaturedTag. Mastodon.py casts to Tag. The entities equal those of the own list.
    assert [tag.name for tag in bob_app.account_featured_tags(ann.id)] == ["cormorants", "shags"]
    own = ann.get("/api/v1/featured_tags")
    assert place.visitor.get(f"/api/v1/accounts/{ann.id}/featured_tags").json() == own
    assert ann.do("/api/v1/tags/shags/unfeature")["featuring"] is False
    check(ann_app.featured_tags(), [types.FeaturedTag])
    ann_app.featured_tag_delete(made.id)
    assert ann_app.featured_tags() == []
    for name in ("", "no tag"):
        with pytest.raises(MastodonAPIError, match="Name is not a hashtag"):
            ann_app.featured_tag_create(name)
    assert place.visitor.post("/api/v1/featured_tags", json={"name": "a"}).status_code == 401


def test_conversations_are_read_and_marked(two):
    _, ann_app, bob, bob_app = two
    assert bob_app.conversations() == []
    first = ann_app.status_post(f"@{bob.username} psst", visibility="direct")
    ann_app.status_post(f"@{bob.username} something else", visibility="direct")
    told = bob_app.conversations()
    check(told, [types.Conversation])
    assert [one.unread for one in told] == [True, True]
    assert told[1].last_status.id == first.id
    assert [account.id for account in told[1].accounts] == [first.account.id]
    (newest,) = bob_app.conversations(limit=1)
    (older,) = bob_app.conversations(max_id=newest.last_status)
    assert older.id == told[1].id
    check(bob_app.conversations_read(older), types.Conversation)
    assert [one.unread for one in bob_app.conversations()] == [True, False]


def test_grouped_notifications_are_read_counted_and_dismissed(two):
    _, ann_app, bob, bob_app = two
    ann_app.notifications_clear()
    post = ann_app.status_post("To be favoured")
    bob_app.status_favourite(post.id)
    found = ann_app.grouped_notifications()
    (group,) = found.notification_groups
    assert (group.type, group.status_id) == ("favourite", post.id)
    # Mastodon sends this one id as a number, and strict decoders insist on it. Mastodon.py declares text but
    # accepts a number.
    assert [
        one for one in problems(found, types.GroupedNotificationsResults) if "most_recent" not in one
    ] == []
    assert ann_app.unread_grouped_notifications_count() == 1
    again = ann_app.grouped_notification(group.group_key)
    assert again.notification_groups[0].group_key == group.group_key
    (account,) = ann_app.grouped_notification_accounts(group.group_key)
    check(account, types.Account)
    assert str(account.id) == str(bob.id)
    ann_app.dismiss_grouped_notification(group.group_key)
    assert ann_app.grouped_notifications().notification_groups == []


def test_notifications_of_strangers_wait_are_accepted_and_dismissed(place):
    ann, ann_app = signed_in(place, "ann")
    bob, eve, ian = (place.person(name) for name in ("bob", "eve", "ian"))
    with contextlib.closing(ann_app.session):
        policy = ann_app.update_notifications_policy(for_not_following="filter", for_new_accounts="accept")
        check(policy, types.NotificationPolicy)
        check(ann_app.notifications_policy(), types.NotificationPolicy)
        assert (policy.for_not_following, policy.for_limited_accounts) == ("filter", "drop")
        for person in (bob, eve, ian):
            person.post(f"@{ann.username} hello")
        waiting = ann_app.notification_requests()
        check(waiting, [types.NotificationRequest])
        assert [str(one.account.id) for one in waiting] == [str(one.id) for one in (ian, eve, bob)]
        check(ann_app.notification_request(waiting[0].id), types.NotificationRequest)
        ann_app.accept_notification_request(waiting[0].id)
        ann_app.accept_multiple_notification_requests([waiting[1].id])
        ann_app.dismiss_notification_request(waiting[2].id)
        assert ann_app.notification_requests() == []
        assert ann_app.notifications_merged() is True
        assert [str(one.account.id) for one in ann_app.notifications()] == [str(ian.id), str(eve.id)]


def test_what_does_not_exist_yet_is_empty_and_right(two):
    _, app, _, _ = two
    assert app.custom_emojis() == []
    check(app.trending_tags(), [types.Tag])
    check(app.trending_statuses(), [types.Status])
    assert app.domain_blocks() == []
    check(app.directory(), [types.Account])


def test_every_answer_about_the_instance_is_accepted(two):
    _, app, _, _ = two
    v1 = app.instance_v1()
    # An instance without an admin has no contact account. The entity requires an Account, but the
    # documentation permits null.
    assert [p for p in problems(v1, types.Instance) if p != "contact_account: missing"] == []
    v2 = app.instance_v2()
    assert [p for p in problems(v2, types.InstanceV2) if p != "contact.account: missing"] == []
    check(app.instance_nodeinfo(), types.Nodeinfo)
    # No description is published yet. The entity requires a datetime, but Mastodon answers null too.
    extended = app.instance_extended_description()
    assert problems(extended, types.ExtendedDescription) == ["updated_at: missing"]
    activity = app.instance_activity()
    check(activity, [types.Activity])
    assert len(activity) == 12
    assert app.instance_peers() == []
    assert app.instance_rules() == []
    assert app.retrieve_mastodon_version().startswith("4.5.0")
    check(app.app_verify_credentials(), types.Application)


def test_an_admin_is_the_instances_contact(place):
    from stormpetrel.model.account import Role

    place.person("chief", role=Role.ADMIN)
    # Use a token: a visitor's answer may come from the cache and be older than the admin.
    app = Mastodon(api_base_url=place.base_url, access_token=place.person("asker").token)
    with contextlib.closing(app.session):
        check(app.instance_v1(), types.Instance)
        check(app.instance_v2(), types.InstanceV2)


def test_a_revoked_token_speaks_for_nobody(place):
    _, app = signed_in(place, "dan")
    app.status_post("Before")
    token = app.access_token
    app.revoke_access_token(allow_http=True)
    app.session.close()
    app = Mastodon(access_token=token, api_base_url=place.base_url)
    with contextlib.closing(app.session), pytest.raises(MastodonUnauthorizedError):
        app.status_post("After")


def test_what_is_not_known_here_yet_is_refused_and_nothing_is_posted(two):
    ann, app, _, _ = two
    before = app.account(ann.id).statuses_count
    with pytest.raises(MastodonAPIError, match="Quote posts are not supported"):
        app.status_post("A quote", quoted_status_id=5)
    assert app.account(ann.id).statuses_count == before


def test_the_checker_notices_what_is_missing_or_mistyped():
    from mastodon.types_base import try_cast_recurse

    role = {"id": "1", "name": "", "permissions": "0", "color": "", "highlighted": False}
    assert problems(try_cast_recurse(types.Role, role), types.Role) == ["collection_limit: missing"]
    tag = try_cast_recurse(types.Tag, {"name": ["x"], "url": "u"})
    assert problems(tag, types.Tag) == []  # Mastodon.py converted the list to text
    marker = {"last_read_id": "1", "version": "x", "updated_at": "never"}
    found = problems(try_cast_recurse(types.Marker, marker), types.Marker)
    assert found == ["version: missing", "updated_at: missing"]
