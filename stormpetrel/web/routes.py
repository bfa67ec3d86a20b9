"""Every page and every form of the web, one line each: method and actor by the function's name, then path,
handler and summary."""

from __future__ import annotations

from typing import Any

from stormpetrel.http import files
from stormpetrel.http.routing import Actor, BodySize, Handler, Route
from stormpetrel.shield.paths import SEARCH, SIGN_IN, SIGN_UP, TAG, Family
from stormpetrel.web import (
    account,
    admin,
    admin_insight,
    admin_shield,
    admin_sms,
    admin_status,
    admin_texts,
    assets,
    audience,
    auth,
    compose,
    consent,
    conversations,
    demo_phone,
    edits,
    embeds,
    explore,
    feeds,
    filters,
    hidden_people,
    lists,
    mails,
    manifest,
    moderation,
    naming,
    notification_policy,
    notifications,
    pages,
    people,
    phone,
    phone_sign_in,
    polls,
    post_people,
    posts,
    reports,
    search,
    second_step,
    security,
    settings,
    status_subscriptions,
)
from stormpetrel.web.paging import PARAMETERS


def _hot(path: str, handler: Handler, summary: str, *parameters: str, **more: Any) -> Route:
    """A page that the hot-page cache may answer to visitors; `parameters` of the query tell its versions apart."""
    return Route(method="GET", path=path, handler=handler, summary=summary, hot=parameters, **more)


def _visitor_page(path: str, handler: Handler, summary: str, **more: Any) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, **more)


def _visitor_form(path: str, handler: Handler, summary: str, **more: Any) -> Route:
    return Route(method="POST", path=path, handler=handler, summary=summary, **more)


def _member_page(path: str, handler: Handler, summary: str, **more: Any) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, actor=Actor.ACCOUNT, **more)


def _member_form(path: str, handler: Handler, summary: str, **more: Any) -> Route:
    return Route(method="POST", path=path, handler=handler, summary=summary, actor=Actor.ACCOUNT, **more)


ROUTES: tuple[Route, ...] = (
    # Timelines, profiles and posts
    _hot("/", pages.front, "Home timeline, or a welcome page for visitors", *PARAMETERS, reads_home=True),
    _hot("/public", pages.public, "Public timeline", *PARAMETERS),
    _hot("/tags/{name}", pages.tag, "Posts with a hashtag", *PARAMETERS, kind=TAG),
    _hot("/tags/{name}/feed.atom", feeds.of_tag, "Posts with a hashtag, as an Atom feed"),
    _hot("/@{name}", people.profile, "Profile", *PARAMETERS),
    _hot("/@{name}/feed.atom", feeds.of_account, "Public posts of an account, as an Atom feed"),
    _hot("/@{name}/with_replies", people.profile_with_replies, "Profile with replies", *PARAMETERS),
    _visitor_page("/@{name}/followers", people.followers, "Followers of an account"),
    _visitor_page("/@{name}/following", people.following, "Accounts that an account follows"),
    _hot("/@{name}/{id}", posts.post, "Post with its thread"),
    _hot("/@{name}/{id}/embed", embeds.embed, "Post for embedding in pages of other sites"),
    _hot("/@{name}/{id}/history", edits.history, "Earlier versions of an edited post"),
    _visitor_page("/@{name}/{id}/boosts", post_people.boosts, "Accounts that boosted a post"),
    _visitor_page("/@{name}/{id}/favourites", post_people.favourites, "Accounts that favourited a post"),
    _hot("/about", pages.about, "About this server"),
    _hot("/audience", audience.public, "Unique visitors, if they are public"),
    _hot("/explore", explore.explore, "Trending hashtags and posts"),
    _visitor_page("/search", search.search, "Search for posts, people and hashtags", kind=SEARCH),
    # Your own pages
    _member_page("/profile", settings.own_profile, "Redirect to your profile"),
    _member_page("/bookmarks", pages.bookmarks, "Your bookmarks"),
    _member_page("/favourites", pages.favourites, "Your favourites"),
    _member_page("/notifications", notifications.notifications, "Your notifications"),
    _member_page("/conversations", conversations.index, "Your direct messages, by conversation"),
    _member_form("/conversations/{id}/read", conversations.mark_read, "Mark a conversation as read"),
    _member_form("/conversations/{id}/remove", conversations.remove, "Remove a conversation from your list"),
    _member_page("/follow_requests", people.follow_requests, "Follow requests you received"),
    # Posts
    _member_page("/compose", compose.compose, "Form to write a post or a reply"),
    _member_form("/compose", compose.send, "Publish a post", body=BodySize.FILES),
    _member_form("/posts/{id}/boost", posts.boost, "Boost a post"),
    _member_form("/posts/{id}/unboost", posts.unboost, "Undo a boost"),
    _member_form("/posts/{id}/favourite", posts.favourite, "Favourite a post"),
    _member_form("/posts/{id}/unfavourite", posts.unfavourite, "Undo a favourite"),
    _member_form("/posts/{id}/bookmark", posts.bookmark, "Bookmark a post"),
    _member_form("/posts/{id}/unbookmark", posts.unbookmark, "Remove a bookmark"),
    _member_form("/posts/{id}/pin", posts.pin, "Pin a post to your profile"),
    _member_form("/posts/{id}/unpin", posts.unpin, "Unpin a post"),
    _member_form("/posts/{id}/vote", polls.vote, "Vote in a poll"),
    _member_page("/posts/{id}/edit", edits.edit, "Form to edit a post"),
    _member_form("/posts/{id}/edit", edits.save, "Save an edited post"),
    _member_page("/posts/{id}/delete", posts.ask_delete, "Confirmation before a post is deleted"),
    _member_form("/posts/{id}/delete", posts.delete, "Delete a post"),
    _member_page("/posts/{id}/report", reports.report_post, "Form to report a post"),
    _member_form("/posts/{id}/report", reports.report_post, "Report a post"),
    _member_page("/people/{id}/report", reports.report_person, "Form to report an account"),
    _member_form("/people/{id}/report", reports.report_person, "Report an account"),
    _member_page("/reports/{id}", reports.reported, "Confirmation that your report was received"),
    # Relationships
    _member_form("/people/{id}/follow", people.follow, "Follow an account"),
    _member_form("/people/{id}/unfollow", people.unfollow, "Unfollow an account"),
    _member_form("/people/{id}/accept", people.accept, "Accept a follow request"),
    _member_form("/people/{id}/reject", people.reject, "Reject a follow request"),
    _member_form("/people/{id}/remove", people.remove_follower, "Remove a follower"),
    _member_form("/people/{id}/block", people.block, "Block an account"),
    _member_form("/people/{id}/unblock", people.unblock, "Unblock an account"),
    _member_form("/people/{id}/mute", people.mute, "Mute an account"),
    _member_form("/people/{id}/unmute", people.unmute, "Unmute an account"),
    _member_form("/people/{id}/hide_boosts", people.hide_boosts, "Hide the boosts of an account you follow"),
    _member_form("/people/{id}/show_boosts", people.show_boosts, "Show the boosts of an account again"),
    _member_page("/settings/muted", hidden_people.muted, "Accounts you muted"),
    _member_page("/settings/blocked", hidden_people.blocked, "Accounts you blocked"),
    _member_page(
        "/settings/hidden_boosts", hidden_people.hidden_boosts, "Accounts you follow without their boosts"
    ),
    _member_page("/settings/notifications", notification_policy.show, "Whose notifications you get"),
    _member_form("/settings/notifications", notification_policy.save, "Save whose notifications you get"),
    _member_form("/settings/notifications/{id}/accept", notification_policy.accept, "Accept a sender"),
    _member_form(
        "/settings/notifications/{id}/dismiss", notification_policy.dismiss, "Dismiss a sender's request"
    ),
    # Profile, lists and filters
    _member_page("/settings/naming", naming.show, "Reports that may name your account"),
    _member_form("/settings/naming/{id}", naming.answer, "Say whether a report may name your account"),
    _member_page("/settings", settings.first, "Redirect to the settings of your profile"),
    _member_page("/settings/profile", settings.edit_profile, "Form to edit your profile"),
    _member_form("/settings/profile", settings.save_profile, "Save your profile", body=BodySize.PICTURES),
    _member_page("/lists", lists.index, "Your lists and followed hashtags"),
    _member_form("/lists", lists.create, "Create a list"),
    _member_page("/lists/{id}", lists.show, "List: posts, members and settings"),
    _member_form("/lists/{id}", lists.change, "Change a list"),
    _member_form("/lists/{id}/delete", lists.delete, "Delete a list"),
    _member_form("/lists/{id}/add", lists.add, "Add an account to a list"),
    _member_form("/lists/{id}/remove", lists.remove, "Remove an account from a list"),
    _member_form("/followed_tags", lists.follow_tag, "Follow a hashtag"),
    _member_form("/followed_tags/end", lists.unfollow_tag, "Unfollow a hashtag"),
    _member_page("/settings/filters", filters.index, "Your filters"),
    _member_form("/settings/filters", filters.create, "Create a filter", body=BodySize.KEYWORDS),
    _member_page("/settings/filters/{id}", filters.show, "Form to edit a filter"),
    _member_form("/settings/filters/{id}", filters.change, "Save a filter", body=BodySize.KEYWORDS),
    _member_form("/settings/filters/{id}/delete", filters.delete, "Delete a filter"),
    # Files
    _hot("/assets/{name}", assets.asset, "Stylesheet, script or icon"),
    _visitor_page("/media/{key}", files.serve, "Uploaded media file"),
    _hot("/favicon.ico", assets.favicon, "Icon for browsers"),
    _hot("/robots.txt", assets.robots, "Rules for search engines"),
    _hot("/manifest.webmanifest", manifest.manifest, "Manifest for installing the web app"),
    # Signing in and up
    _visitor_page("/auth/sign_in", auth.show_sign_in, "Sign-in form"),
    _visitor_form("/auth/sign_in", auth.sign_in, "Sign in", kind=SIGN_IN),
    _visitor_form("/auth/sign_out", auth.sign_out, "Sign out"),
    _visitor_page("/auth/sign_up", auth.show_sign_up, "Sign-up form"),
    _visitor_form("/auth/sign_up", auth.sign_up, "Create an account", kind=SIGN_UP),
    _member_page("/auth/password", auth.show_password, "Form to change your password"),
    _member_form("/auth/password", auth.change_password, "Change your password"),
    _visitor_page("/auth/password/new", mails.show_new_password, "Form to request a password reset"),
    _visitor_form("/auth/password/new", mails.ask_new_password, "Request a mail with a password-reset link"),
    _visitor_form(
        "/auth/confirmation", mails.ask_confirmation, "Request the mail that confirms an address again"
    ),
    _visitor_page("/auth/mail_sent", mails.show_sent, "Notice that a mail is on its way"),
    _visitor_page(
        "/auth/confirm", mails.show_confirm, "Target of the link in a mail that confirms an address"
    ),
    _visitor_form("/auth/confirm", mails.confirm, "Confirm an address"),
    _visitor_page(
        "/auth/password/edit",
        mails.show_edit_password,
        "Target of the password-reset link in a mail",
    ),
    _visitor_page("/auth/sign_in/mail", mails.show_sign_in_mail, "Form to request a sign-in link"),
    _visitor_form("/auth/sign_in/mail", mails.ask_sign_in, "Request a mail with a sign-in link"),
    _visitor_page("/auth/sign_in/link", mails.show_sign_in_link, "Target of the sign-in link in a mail"),
    _visitor_form("/auth/sign_in/link", mails.sign_in_by_link, "Sign in by the link", kind=SIGN_IN),
    _visitor_page("/auth/sign_in/phone", phone_sign_in.show, "Form to sign in with your phone"),
    _visitor_form("/auth/sign_in/phone", phone_sign_in.ask, "Request a code by text message", kind=SIGN_IN),
    _visitor_page(
        "/auth/sign_in/phone/code", phone_sign_in.show_code, "Form for the code from a text message"
    ),
    _visitor_form("/auth/sign_in/phone/code", phone_sign_in.answer, "Sign in with the code", kind=SIGN_IN),
    _visitor_form("/auth/password/edit", mails.edit_password, "Set a new password"),
    _visitor_page("/auth/sign_in/second", second_step.show, "Form for the second factor"),
    _visitor_form("/auth/sign_in/second", second_step.answer, "Sign in with the second factor", kind=SIGN_IN),
    # Account and security
    _member_page("/settings/security", security.show, "Your second factors"),
    _member_form("/settings/security/app", security.begin_app, "Set up an authenticator app"),
    _member_form("/settings/security/app/confirm", security.confirm_app, "Confirm an authenticator app"),
    _member_form("/settings/security/app/remove", security.remove_app, "Remove the authenticator app"),
    _member_form("/settings/security/passkeys", security.begin_passkey, "Start adding a passkey"),
    _member_form("/settings/security/passkeys/confirm", security.confirm_passkey, "Add a passkey"),
    _member_form("/settings/security/passkeys/{id}/remove", security.remove_passkey, "Remove a passkey"),
    _member_form("/settings/security/recovery_codes", security.renew_codes, "Create new recovery codes"),
    _member_page("/settings/account", account.show, "Your e-mail address, signed-in browsers and apps"),
    _member_form("/settings/account/address", account.change_address, "Change your e-mail address"),
    _member_form("/settings/sessions/{id}/end", account.end_session, "Sign a browser out"),
    _member_form("/settings/apps/{id}/revoke", account.revoke_app, "Revoke an app's access"),
    _member_page("/settings/phone", phone.show, "Your phone for SMS"),
    _member_form("/settings/phone", phone.save, "Save how posts are texted to your phone"),
    _member_form("/settings/phone/code", phone.code, "Show a code that links the phone that texts it"),
    _member_form("/settings/phone/posting", phone.posting, "Turn posting by SMS on or off"),
    _member_form("/settings/phone/stop", phone.stop, "Stop texts to your phone and posts from it"),
    _member_form("/settings/phone/start", phone.start, "Start texts to your phone again"),
    _member_form("/settings/phone/pin", phone.pin, "Set, change or remove the PIN of your phone"),
    _member_form("/settings/phone/accounts/{id}/off", phone.text_no_more, "Stop texting an account's posts"),
    _member_form("/settings/phone/unlink", phone.unlink, "Unlink your phone"),
    _member_page("/settings/delete", account.ask_delete, "Confirmation before your account is deleted"),
    _member_form("/settings/delete", account.delete, "Delete your account"),
    # Apps; people read these pages, also when they are refused
    _visitor_page("/oauth/authorize", consent.ask, "Consent page for an app", own_family=Family.PAGE),
    _visitor_form("/oauth/authorize", consent.decide, "Allow or refuse an app", own_family=Family.PAGE),
    # The status page, and subscriptions to it
    _visitor_page("/status", status_subscriptions.show_status, "Redirect to the status page"),
    _visitor_page(
        "/status/subscribe", status_subscriptions.show_form, "Form to subscribe to the status page"
    ),
    _visitor_form(
        "/status/subscribe", status_subscriptions.subscribe, "Subscribe to the status page", kind=SIGN_UP
    ),
    _visitor_page(
        "/status/subscribed", status_subscriptions.show_subscribed, "Notice that a mail is on its way"
    ),
    _visitor_page("/status/subscription", status_subscriptions.show, "Target of the link in status mails"),
    _visitor_form("/status/subscription", status_subscriptions.save, "Confirm or change a subscription"),
    _visitor_form("/status/subscription/leave", status_subscriptions.leave, "End a subscription"),
    _visitor_page("/status/left", status_subscriptions.show_left, "Notice that a subscription has ended"),
    # Mail programs send its POST, so it has no token of a form
    _visitor_page(
        "/status/leave",
        status_subscriptions.show_leave,
        "Redirect to the page of a subscription",
        own_family=Family.API,
    ),
    _visitor_form(
        "/status/leave",
        status_subscriptions.leave_at_once,
        "End a subscription by one click",
        own_family=Family.API,
    ),
    # Moderation
    _member_page("/admin", admin.overview, "Moderation overview"),
    _member_page("/admin/sign_ups", admin.sign_ups, "Sign-ups that await approval"),
    _member_form("/admin/sign_ups/{id}/approve", admin.approve, "Approve a sign-up"),
    _member_form("/admin/sign_ups/{id}/reject", admin.reject, "Reject a sign-up and delete it"),
    _member_page("/admin/texts", admin_texts.texts, "Form for the server's texts"),
    _member_form(
        "/admin/texts/{what}",
        admin_texts.save,
        "Change a text, rule, announcement or blocked e-mail domain",
        body=BodySize.TEXTS,
    ),
    _member_form("/announcements/{id}/dismiss", admin_texts.dismiss, "Mark an announcement as read"),
    _member_page("/admin/sms", admin_sms.show, "SMS routes, queues and money"),
    _member_form("/admin/sms/routes/{name}/{verb}", admin_sms.change_route, "Pause or resume an SMS route"),
    _member_form("/admin/sms/texts/{id}/replay", admin_sms.replay, "Send a failed text again"),
    _member_form("/admin/sms/estimate", admin_sms.estimate, "Estimate the cost of a text"),
    _member_page("/admin/shield", admin_shield.show, "Control room of the shield"),
    _member_form("/admin/shield/rules", admin_shield.put_rule, "Allow or deny a client for a limited time"),
    _member_form("/admin/shield/rules/end", admin_shield.end_rule, "Remove a rule of the shield"),
    _member_form("/admin/shield/pause", admin_shield.pause, "Turn denies and demotions off or on"),
    _member_page("/admin/status", admin_status.show, "Incidents and maintenance of the status page"),
    _member_form(
        "/admin/status",
        admin_status.begin,
        "Open an incident or plan maintenance",
        body=BodySize.TEXTS,
    ),
    _member_form(
        "/admin/status/{id}", admin_status.change, "Change an incident or maintenance", body=BodySize.TEXTS
    ),
    _member_page("/admin/insight", admin_insight.show, "Insight reports about attacks"),
    _member_page("/admin/insight/{name}", admin_insight.document, "Insight report in one form"),
    _member_form("/admin/insight/{name}/{verb}", admin_insight.change, "Publish or withdraw a report"),
    _member_page("/admin/audience", audience.admin, "Unique visitors by day, week and month"),
    _member_page("/admin/reports", moderation.queue, "Open reports"),
    _member_page("/admin/reports/{id}", moderation.show_report, "Report with its actions"),
    _member_page("/admin/people/{id}", moderation.show_account, "Account as moderators see it"),
    _member_page("/admin/log", moderation.log, "Audit log of moderation"),
    _member_form("/admin/reports/{id}/{verb}", moderation.act_on_report, "Act on a report"),
    _member_form("/admin/people/{id}/{verb}", moderation.act_on_account, "Act on an account"),
    _member_form("/admin/posts/{id}/{verb}", moderation.act_on_post, "Act on a post"),
    # The demo alone has this page
    _visitor_page("/demo/phone", demo_phone.show, "Phone simulator of the demo"),
    _visitor_form("/demo/phone", demo_phone.send, "Send a text from a simulated phone"),
)
