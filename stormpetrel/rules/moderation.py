"""Acts of moderators: who may act on which account, and what follows. Web, API and command line call these.

Every act and its line in the audit log are one transaction. An account that an act concerns is notified, with
the reason. Moderators may act on members, admins on all accounts; no one on themselves.
"""

from __future__ import annotations

from stormpetrel.errors import BLANK, Forbidden, Invalid, NotFound, too_long
from stormpetrel.model import text as texts
from stormpetrel.model.account import Account, AccountState, Role
from stormpetrel.model.characters import is_too_long
from stormpetrel.model.event import (
    AccessChanged,
    AccountChanged,
    Notified,
    PostChanged,
    PostDeleted,
    RelationshipChanged,
)
from stormpetrel.model.mail import Letter, Notice
from stormpetrel.model.moderation import (
    MAX_REASON,
    WARNED,
    Act,
    AuditEntry,
    Moderator,
    Report,
    Warning,
    outranks,
)
from stormpetrel.model.notification import Kind
from stormpetrel.model.page import Page
from stormpetrel.model.post import Post
from stormpetrel.rules import accounts as account_rules
from stormpetrel.rules import conversations, mail
from stormpetrel.rules import posts as post_rules
from stormpetrel.storage import accounts, notifications, posts
from stormpetrel.storage import moderation as stored
from stormpetrel.storage.engine.connection import Connection

OPEN_COUNTED = 1000
"""Limit of the count in the overview: "1000" means at least that many."""
HISTORY = 20

# Permissions


def moderator(connection: Connection, *, account_id: int) -> Moderator:
    """Return the account as a moderator or admin. Raise Forbidden for any other."""
    found = accounts.user(connection, account_id=account_id)
    if found is None or found.role is Role.MEMBER or found.state is not AccountState.ACTIVE:
        raise Forbidden("Only moderators can see this page")
    return Moderator(found.account_id, found.username, found.role)


def require_admin(actor: Moderator) -> None:
    """Raise Forbidden for moderators who are not admins."""
    if actor.role is not Role.ADMIN:
        raise Forbidden("Only admins can do this")


def _target(connection: Connection, actor: Moderator, account_id: int) -> Account:
    """Return the account to act on. Raise NotFound, and Forbidden where the actor may not act on it."""
    found = any_account(connection, account_id=account_id)
    if not outranks(actor, target_id=account_id, target_role=role_of(connection, account_id=account_id)):
        raise Forbidden("You cannot do this to yourself, or to an account with your role or a higher one")
    return found


def _post_target(connection: Connection, actor: Moderator, post_id: int) -> tuple[Post, Account]:
    found = posts.posts(connection, post_ids=[post_id]).get(post_id)
    if found is None or found.boost_of_id is not None:
        raise NotFound("Post not found")
    return found, _target(connection, actor, found.author_id)


def _keep_an_admin(connection: Connection, account_id: int) -> None:
    admins = [user.account_id for user in accounts.team(connection) if user.role is Role.ADMIN]
    if admins == [account_id]:
        raise Forbidden("This is the last admin; appoint another one first")


def any_account(connection: Connection, *, account_id: int) -> Account:
    """Return the account in any state, for moderators. Raise NotFound."""
    found = accounts.account(connection, account_id=account_id)
    if found is None:
        raise NotFound("Account not found")
    return found


def role_of(connection: Connection, *, account_id: int) -> Role:
    """Return the account's role."""
    user = accounts.user(connection, account_id=account_id)
    return Role.MEMBER if user is None else user.role


# Audit log and notifications


def _reason(reason: str) -> str:
    said = texts.clean(reason)
    if not said:
        raise Invalid("Validation failed: Reason can't be blank", fields={"reason": BLANK})
    if is_too_long(said, MAX_REASON):
        problem = too_long(MAX_REASON)
        raise Invalid(f"Validation failed: Reason {problem}", fields={"reason": problem})
    return said


def note(
    connection: Connection,
    actor: Moderator,
    act: Act,
    *,
    reason: str,
    now_ms: int,
    account: Account | None = None,
    post_id: int = 0,
    report_id: int = 0,
) -> None:
    """Add a line to the audit log; if the act is one of WARNED, notify the account."""
    said = _reason(reason)
    stored.insert_entry(
        connection,
        AuditEntry(
            id=connection.new_id(now_ms),
            actor_id=actor.account_id,
            actor_name=actor.name,
            act=act,
            account_id=0 if account is None else account.id,
            account_name="" if account is None else account.username,
            post_id=post_id,
            report_id=report_id,
            reason=said,
            created_at_ms=now_ms,
        ),
    )
    if account is None or act not in WARNED:
        return
    warning_id = connection.new_id(now_ms)
    stored.insert_warning(
        connection, id=warning_id, account_id=account.id, act=act, reason=said, post_id=post_id
    )
    notifications.insert(
        connection,
        id=warning_id,
        account_id=account.id,
        kind=Kind.WARNING,
        # Do not name the moderator: they would be attacked for the act.
        from_account_id=account.id,
        post_id=None,
    )
    connection.tell(Notified(account.id, warning_id))


# Reports


def open_reports(connection: Connection, *, after_id: int, limit: int) -> list[Report]:
    """Return open reports after `after_id`, oldest first."""
    return stored.open_reports(connection, after_id=after_id, count=limit)


def resolved_reports(connection: Connection, *, page: Page) -> list[Report]:
    """Return resolved reports, newest first."""
    return stored.resolved_reports(connection, page=page)


def count_open_reports(connection: Connection) -> int:
    """Return how many reports are open, at most OPEN_COUNTED."""
    return stored.count_open(connection, most=OPEN_COUNTED)


def report(connection: Connection, *, report_id: int) -> Report:
    """Return the report. Raise NotFound."""
    found = stored.report(connection, report_id=report_id)
    if found is None:
        raise NotFound("Report not found")
    return found


def history(connection: Connection, *, account_id: int) -> tuple[list[Report], list[AuditEntry]]:
    """Return the newest reports about the account and the newest acts on it."""
    page = Page(limit=HISTORY)
    return (
        stored.reports_of(connection, account_id=account_id, count=HISTORY),
        stored.log(connection, page=page, account_id=account_id),
    )


def log(connection: Connection, *, page: Page, account_id: int | None = None) -> list[AuditEntry]:
    """Return the audit log, newest first; only acts on `account_id` if given."""
    return stored.log(connection, page=page, account_id=account_id)


def warnings(connection: Connection, *, warning_ids: list[int]) -> dict[int, Warning]:
    """Return warnings by id."""
    return stored.warnings(connection, warning_ids=warning_ids)


def reports(connection: Connection, *, report_ids: list[int]) -> dict[int, Report]:
    """Return those of the reports that exist, by id; one query per report."""
    found = (stored.report(connection, report_id=report_id) for report_id in dict.fromkeys(report_ids))
    return {one.id: one for one in found if one is not None}


def _about(connection: Connection, actor: Moderator, report_id: int) -> tuple[Report, Account]:
    """Return an open report with its account. Raise Forbidden where the actor may not act on that account."""
    found = report(connection, report_id=report_id)
    if found.resolved_at_ms:
        raise Invalid("This report is already resolved")
    return found, _target(connection, actor, found.account_id)


def resolve(connection: Connection, actor: Moderator, *, report_id: int, reason: str, now_ms: int) -> None:
    """Close a report. Raise Invalid when it is closed."""
    _, account = _about(connection, actor, report_id)
    stored.resolve(connection, report_id=report_id, now_ms=now_ms)
    note(connection, actor, Act.RESOLVE, reason=reason, account=account, report_id=report_id, now_ms=now_ms)


def assign(connection: Connection, actor: Moderator, *, report_id: int, reason: str, now_ms: int) -> None:
    """Assign the report to the actor."""
    _, account = _about(connection, actor, report_id)
    stored.assign(connection, report_id=report_id, assigned_id=actor.account_id)
    note(connection, actor, Act.ASSIGN, reason=reason, account=account, report_id=report_id, now_ms=now_ms)


# Acts on posts


def hide(connection: Connection, actor: Moderator, *, post_id: int, reason: str, now_ms: int) -> None:
    """Hide the post and its boosts from all but its author and moderators. Raise Invalid if it is hidden."""
    post, account = _post_target(connection, actor, post_id)
    if post.hidden:
        raise Invalid("This post is already hidden")
    posts.set_hidden(connection, post_id=post_id, hidden=True)
    connection.tell(
        PostDeleted(
            post_id=post_id,
            author_id=account.id,
            tags=post.tags,
            in_reply_to_id=post.in_reply_to_id or 0,
            boosts=tuple(posts.boosts(connection, post_id=post_id)),
            visibility=int(post.visibility),
            mentioned_ids=tuple(mention.account_id for mention in post.mentions),
            hidden=True,
        )
    )
    conversations.tell_of_post(connection, post_id=post_id)
    # For other readers the post is as good as deleted. Its author still sees it, so the author's home list
    # must be reloaded.
    connection.tell(RelationshipChanged(account.id, account.id))
    note(connection, actor, Act.HIDE, reason=reason, account=account, post_id=post_id, now_ms=now_ms)


def unhide(connection: Connection, actor: Moderator, *, post_id: int, reason: str, now_ms: int) -> None:
    """Show the post to its audience again. Raise Invalid when it is not hidden."""
    post, account = _post_target(connection, actor, post_id)
    if not post.hidden:
        raise Invalid("This post is not hidden")
    posts.set_hidden(connection, post_id=post_id, hidden=False)
    connection.tell(PostChanged(post_id, account.id))
    conversations.tell_of_post(connection, post_id=post_id)
    # The post or a boost of it may be missing from any list or page.
    connection.tell(AccountChanged(account.id, hidden=True))
    note(connection, actor, Act.UNHIDE, reason=reason, account=account, post_id=post_id, now_ms=now_ms)


def mark_sensitive(
    connection: Connection, actor: Moderator, *, post_id: int, reason: str, now_ms: int
) -> None:
    """Mark the post as sensitive: its media are covered until the reader uncovers them."""
    post, account = _post_target(connection, actor, post_id)
    if post.sensitive:
        raise Invalid("This post is already marked as sensitive")
    posts.mark_sensitive(connection, post_id=post_id)
    connection.tell(PostChanged(post_id, account.id))
    note(
        connection, actor, Act.MARK_SENSITIVE, reason=reason, account=account, post_id=post_id, now_ms=now_ms
    )


def delete_post(connection: Connection, actor: Moderator, *, post_id: int, reason: str, now_ms: int) -> None:
    """Delete the post with its boosts, for good."""
    _, account = _post_target(connection, actor, post_id)
    post_rules.delete_post(connection, author_id=account.id, post_id=post_id, now_ms=now_ms)
    note(connection, actor, Act.DELETE_POST, reason=reason, account=account, post_id=post_id, now_ms=now_ms)


# Acts on accounts


ON_ACCOUNTS = ("warn", "silence", "unsilence", "suspend", "unsuspend")
ON_POSTS = ("hide", "unhide", "mark_sensitive", "delete_post")


def act_on_account(
    connection: Connection, actor: Moderator, *, verb: str, account_id: int, reason: str, now_ms: int
) -> None:
    """Carry out the act of ON_ACCOUNTS with this name. Raise NotFound for other names."""
    rules = {"warn": warn, "silence": silence, "unsilence": unsilence}
    rules |= {"suspend": suspend, "unsuspend": unsuspend}
    if verb not in rules:
        raise NotFound
    rules[verb](connection, actor, account_id=account_id, reason=reason, now_ms=now_ms)


def act_on_post(
    connection: Connection, actor: Moderator, *, verb: str, post_id: int, reason: str, now_ms: int
) -> None:
    """Carry out the act of ON_POSTS with this name. Raise NotFound for other names."""
    rules = {"hide": hide, "unhide": unhide, "mark_sensitive": mark_sensitive, "delete_post": delete_post}
    if verb not in rules:
        raise NotFound
    rules[verb](connection, actor, post_id=post_id, reason=reason, now_ms=now_ms)


def _is_done(verb: str, post: Post) -> bool:
    match verb:
        case "hide":
            return post.hidden
        case "unhide":
            return not post.hidden
        case "mark_sensitive":
            return post.sensitive
        case _:
            return False


def act_on_report(
    connection: Connection, actor: Moderator, *, verb: str, report_id: int, reason: str, now_ms: int
) -> None:
    """Resolve or assign a report, or act on its account or on all its posts.

    Skip posts that are deleted or already in the wanted state. The report stays open until it is resolved.
    """
    if verb in ("resolve", "assign"):
        rule = resolve if verb == "resolve" else assign
        rule(connection, actor, report_id=report_id, reason=reason, now_ms=now_ms)
        return
    found, _ = _about(connection, actor, report_id)
    if verb in ON_ACCOUNTS:
        act_on_account(
            connection, actor, verb=verb, account_id=found.account_id, reason=reason, now_ms=now_ms
        )
        return
    if verb not in ON_POSTS:
        raise NotFound
    for post in posts.posts(connection, post_ids=found.post_ids).values():
        if post.boost_of_id is None and not _is_done(verb, post):
            act_on_post(connection, actor, verb=verb, post_id=post.id, reason=reason, now_ms=now_ms)


def warn(connection: Connection, actor: Moderator, *, account_id: int, reason: str, now_ms: int) -> None:
    """Warn the account and do nothing else."""
    account = _target(connection, actor, account_id)
    note(connection, actor, Act.WARN, reason=reason, account=account, now_ms=now_ms)


def silence(connection: Connection, actor: Moderator, *, account_id: int, reason: str, now_ms: int) -> None:
    """Show the account's posts and notifications only to its followers.

    Raise Invalid if it is silenced already.
    """
    _silence(connection, actor, account_id=account_id, reason=reason, now_ms=now_ms, wanted=True)


def unsilence(connection: Connection, actor: Moderator, *, account_id: int, reason: str, now_ms: int) -> None:
    """End `silence`. Raise Invalid when the account is not silenced."""
    _silence(connection, actor, account_id=account_id, reason=reason, now_ms=now_ms, wanted=False)


def _silence(
    connection: Connection, actor: Moderator, *, account_id: int, reason: str, now_ms: int, wanted: bool
) -> None:
    account = _target(connection, actor, account_id)
    if account.silenced is wanted:
        raise Invalid(f"@{account.username} is {'already silenced' if wanted else 'not silenced'}")
    accounts.set_silenced(connection, account_id=account_id, silenced=wanted)
    # Posts of the account may be on any page.
    connection.tell(AccountChanged(account_id, hidden=True))
    act = Act.SILENCE if wanted else Act.UNSILENCE
    note(connection, actor, act, reason=reason, account=account, now_ms=now_ms)


def suspend(connection: Connection, actor: Moderator, *, account_id: int, reason: str, now_ms: int) -> None:
    """Hide the account everywhere and end all its access at once. Raise Forbidden for the last admin."""
    account = _target(connection, actor, account_id)
    _keep_an_admin(connection, account_id)
    account_rules.suspend(connection, account_id=account_id)
    # The retention period of suspended accounts ([retention] in the configuration) begins now.
    accounts.set_state(
        connection, account_id=account_id, state=AccountState.SUSPENDED, suspended_at_ms=now_ms
    )
    note(connection, actor, Act.SUSPEND, reason=reason, account=account, now_ms=now_ms)


def unsuspend(connection: Connection, actor: Moderator, *, account_id: int, reason: str, now_ms: int) -> None:
    """Restore the account; its owner has to sign in again. Raise Invalid when it is not suspended."""
    account = _target(connection, actor, account_id)
    account_rules.unsuspend(connection, account_id=account_id)
    note(connection, actor, Act.UNSUSPEND, reason=reason, account=account, now_ms=now_ms)


def set_role(
    connection: Connection, actor: Moderator, *, account_id: int, role: Role, reason: str, now_ms: int
) -> None:
    """Make the account a moderator, an admin or a member. For admins. Raise Forbidden for the last admin."""
    require_admin(actor)
    account = _target(connection, actor, account_id)
    user = account_rules.user(connection, account_id=account_id)
    if user.role is role:
        raise Invalid(f"@{account.username} is already {role.value}")
    if user.role is Role.ADMIN:
        _keep_an_admin(connection, account_id)
    # The role in front must not make a reason of a blank one.
    said = f"{role.value}: {_reason(reason)}"
    accounts.set_role(connection, account_id=account_id, role=role)
    connection.tell(AccessChanged(account_id))
    note(connection, actor, Act.SET_ROLE, reason=said, account=account, now_ms=now_ms)


def approve(connection: Connection, actor: Moderator, *, account_id: int, now_ms: int) -> None:
    """Approve an account that waits, and have the courier notify its owner by mail. For admins."""
    require_admin(actor)
    account = accounts.account(connection, account_id=account_id)
    account_rules.approve(connection, account_id=account_id)
    user = account_rules.user(connection, account_id=account_id)
    mail.post(connection, Letter(Notice.APPROVED.value, user.email, user.username), now_ms=now_ms)
    note(connection, actor, Act.APPROVE, reason="sign-up", account=account, now_ms=now_ms)


def reject(connection: Connection, actor: Moderator, *, account_id: int, now_ms: int) -> None:
    """Reject and delete an account that waits for approval. For admins."""
    require_admin(actor)
    account = accounts.account(connection, account_id=account_id)
    account_rules.reject(connection, account_id=account_id)
    note(connection, actor, Act.REJECT, reason="sign-up", account=account, now_ms=now_ms)
