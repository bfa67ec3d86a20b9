"""Every page and every form's target, one line each."""

from __future__ import annotations

from stormpetrel.http import files
from stormpetrel.http.routing import Actor, Handler, Route
from stormpetrel.web import (
    account,
    admin,
    admin_texts,
    assets,
    auth,
    compose,
    consent,
    conversations,
    edits,
    embeds,
    explore,
    feeds,
    filters,
    lists,
    mails,
    manifest,
    moderation,
    notifications,
    pages,
    people,
    polls,
    posts,
    reports,
    search,
    second_step,
    security,
    settings,
)
from stormpetrel.web.paging import PARAMETERS


def _public(path: str, handler: Handler, summary: str, hot: tuple[str, ...] | None = PARAMETERS) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, hot=hot)


def _member(path: str, handler: Handler, summary: str) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, actor=Actor.ACCOUNT)


def _form(path: str, handler: Handler, summary: str) -> Route:
    return Route(
        method="POST", path=path, handler=handler, summary=summary, actor=Actor.ACCOUNT, statuses=(303,)
    )


ROUTES: tuple[Route, ...] = (
    _public("/", pages.front, "Home, or a welcome"),
    _public("/public", pages.public, "The public timeline"),
    _public("/tags/{name}", pages.tag, "Posts with a hashtag"),
    _public("/tags/{name}/feed.atom", feeds.of_tag, "Posts with a hashtag, as an Atom feed", ()),
    _public("/@{name}", people.profile, "A profile"),
    _public("/@{name}/feed.atom", feeds.of_account, "What an account says in public, as an Atom feed", ()),
    _public("/@{name}/with_replies", people.profile_with_replies, "A profile with replies"),
    _public("/@{name}/followers", people.followers, "Who follows an account", None),
    _public("/@{name}/following", people.following, "Whom an account follows", None),
    _public("/@{name}/{id}", posts.post, "A post and its thread", ()),
    _public("/@{name}/{id}/embed", embeds.embed, "A post to be shown inside pages of other sites", ()),
    _public("/@{name}/{id}/history", edits.history, "What a post was before it was edited", ()),
    _public("/about", pages.about, "What this place is", ()),
    _public("/explore", explore.explore, "Hashtags and posts that many use now", ()),
    _public("/search", search.search, "Posts by their words, people by name, and hashtags", None),
    _member("/profile", settings.own_profile, "One's own profile"),
    _member("/bookmarks", pages.bookmarks, "What one keeps for later"),
    _member("/favourites", pages.favourites, "What one likes"),
    _member("/notifications", notifications.notifications, "What others did"),
    _member("/conversations", conversations.index, "Direct posts, by whom one talks with"),
    _form("/conversations/{id}/read", conversations.mark_read, "Marks a conversation as read"),
    _form("/conversations/{id}/remove", conversations.remove, "Takes a conversation out of one's list"),
    _member("/follow_requests", people.follow_requests, "Who asks to follow"),
    _member("/compose", compose.compose, "Writing a post or a reply"),
    _form("/compose", compose.send, "Posts"),
    _form("/posts/{id}/boost", posts.boost, "Repeats a post"),
    _form("/posts/{id}/unboost", posts.unboost, "Takes the repetition back"),
    _form("/posts/{id}/favourite", posts.favourite, "Likes a post"),
    _form("/posts/{id}/unfavourite", posts.unfavourite, "Takes the like back"),
    _form("/posts/{id}/bookmark", posts.bookmark, "Keeps a post for later"),
    _form("/posts/{id}/unbookmark", posts.unbookmark, "Keeps it no longer"),
    _form("/posts/{id}/pin", posts.pin, "Keeps a post on top of one's profile"),
    _form("/posts/{id}/unpin", posts.unpin, "Keeps it there no longer"),
    _form("/posts/{id}/vote", polls.vote, "Votes in a poll"),
    _member("/posts/{id}/edit", edits.edit, "One's own post, to be changed"),
    _form("/posts/{id}/edit", edits.save, "Changes a post"),
    _member("/posts/{id}/delete", posts.ask_delete, "Asks before a post is deleted"),
    _form("/posts/{id}/delete", posts.delete, "Deletes a post"),
    _member("/posts/{id}/report", reports.report_post, "Reports a post to the moderators"),
    _form("/posts/{id}/report", reports.report_post, "Reports a post to the moderators"),
    _member("/people/{id}/report", reports.report_person, "Reports a person to the moderators"),
    _form("/people/{id}/report", reports.report_person, "Reports a person to the moderators"),
    _form("/people/{id}/follow", people.follow, "Follows a person"),
    _form("/people/{id}/unfollow", people.unfollow, "Follows no longer"),
    _form("/people/{id}/accept", people.accept, "Lets a person follow"),
    _form("/people/{id}/reject", people.reject, "Does not let a person follow"),
    _form("/people/{id}/remove", people.remove_follower, "Ends that a person follows"),
    _form("/people/{id}/block", people.block, "Blocks a person"),
    _form("/people/{id}/unblock", people.unblock, "Blocks no longer"),
    _form("/people/{id}/mute", people.mute, "Mutes a person"),
    _form("/people/{id}/unmute", people.unmute, "Mutes no longer"),
    _member("/settings/profile", settings.edit_profile, "One's profile, to be changed"),
    _form("/settings/profile", settings.save_profile, "Changes one's profile"),
    _member("/lists", lists.index, "One's lists, and hashtags that one follows"),
    _form("/lists", lists.create, "Makes a list"),
    _member("/lists/{id}", lists.show, "A list: its posts, members and settings"),
    _form("/lists/{id}", lists.change, "Changes a list"),
    _form("/lists/{id}/delete", lists.delete, "Deletes a list"),
    _form("/lists/{id}/add", lists.add, "Puts a person into a list"),
    _form("/lists/{id}/remove", lists.remove, "Takes a person out of a list"),
    _form("/followed_tags", lists.follow_tag, "Follows a hashtag"),
    _form("/followed_tags/end", lists.unfollow_tag, "Follows a hashtag no longer"),
    _member("/settings/filters", filters.index, "What one does not want to read"),
    _form("/settings/filters", filters.create, "Makes a filter"),
    _member("/settings/filters/{id}", filters.show, "A filter, to be changed"),
    _form("/settings/filters/{id}", filters.change, "Changes a filter"),
    _form("/settings/filters/{id}/delete", filters.delete, "Deletes a filter"),
    _public("/assets/{name}", assets.asset, "Stylesheet, script, icons", ()),
    _public("/media/{key}", files.serve, "What people uploaded", None),
    _public("/favicon.ico", assets.favicon, "The icon that browsers ask for", ()),
    _public("/robots.txt", assets.robots, "What search engines may read", ()),
    _public("/manifest.webmanifest", manifest.manifest, "The place as an app on a phone", ()),
    *auth.ROUTES,
    *mails.ROUTES,
    *second_step.ROUTES,
    *security.ROUTES,
    *account.ROUTES,
    *consent.ROUTES,
    *admin.ROUTES,
    *admin_texts.ROUTES,
    *moderation.ROUTES,
)
