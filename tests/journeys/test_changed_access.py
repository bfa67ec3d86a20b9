"""A request whose token is being looked up, or was looked up already, while the access of its account changes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from stormpetrel.edge.cache import HotCache
from stormpetrel.edge.finished import FinishedAnswers
from stormpetrel.errors import NotSignedIn
from stormpetrel.freshness import Freshness
from stormpetrel.http.application import WebApplication
from stormpetrel.http.response import Response
from stormpetrel.http.routing import Router
from stormpetrel.model.access import secret_hash
from stormpetrel.model.account import Role
from stormpetrel.model.event import AccessChanged
from stormpetrel.model.moderation import COMMAND_LINE
from stormpetrel.roles.web import Memory
from stormpetrel.rules import access, moderation
from stormpetrel.shield.identify import Identity, TokenTable, Visit
from stormpetrel.shield.paths import Family
from tests.readers.watched import Counting
from tests.store import Store


def application_on(database: Counting) -> tuple[WebApplication, Memory]:
    """Return an application with the parts that a look-up of tokens needs, and the caches that events change."""
    events = SimpleNamespace(apply=lambda event, **_: None)
    site = SimpleNamespace(
        **dict.fromkeys(("home", "flags", "filters", "api", "pages", "streaming"), events),
        https=False,
        config=SimpleNamespace(media_origin=""),
        cache=HotCache(capacity_bytes=0, ttl_s=1.0, grace_s=1.0),
        finished=FinishedAnswers(),
        database=database,
        tokens=TokenTable(),
        access_freshness=Freshness(),
    )
    memory = Memory()
    memory.site = site  # type: ignore[assignment]  # the parts that a look-up needs
    application = WebApplication(
        site,  # type: ignore[arg-type]  # the same
        Router([]),
        error_page=lambda request, refusal: Response(refusal.status, b""),
    )
    return application, memory


@pytest.mark.parametrize("changed", [False, True])
def test_a_token_whose_account_changed_during_its_look_up_is_looked_up_again(
    store: Store, changed: bool
) -> None:
    async def story() -> None:
        database = Counting(store.url)
        await database.open()
        application, memory = application_on(database)
        tokens = memory.site.tokens
        gate = asyncio.Event()
        database.gates = [gate]
        looking = asyncio.create_task(application._token(SimpleNamespace(at_s=0.0), b"hash"))  # type: ignore[arg-type]
        while database.gates:
            await asyncio.sleep(0)
        if changed:
            # An approval: tokens of the account are valid from now on.
            memory.apply([AccessChanged(1)])
        gate.set()
        assert await looking is None
        assert tokens.is_unknown(b"hash", 0.0) is not changed
        await database.close()

    asyncio.run(story())


@pytest.mark.parametrize("revoked", [False, True])
def test_a_request_read_before_its_accounts_access_changed_has_the_changed_access(
    store: Store, revoked: bool
) -> None:
    async def story() -> None:
        account_id, token_hash = store.person(), secret_hash("token")
        store.do(
            access.create_token,
            account_id=account_id,
            application_id=None,
            scopes=("read",),
            token_hash=token_hash,
            now_ms=store.now_ms,
        )
        database = Counting(store.url)
        await database.open()
        application, memory = application_on(database)
        request = SimpleNamespace(
            facts=SimpleNamespace(family=Family.API),
            at_s=0.0,
            scope={"visit": Visit(Identity("account", account_id), "", token_hash)},
        )
        await application._identify(request, None)  # type: ignore[arg-type]  # the parts that it needs
        assert request.access.role == Role.MEMBER
        # The edge reads the head of the next request, and its events come before the application begins.
        entry = memory.site.tokens.get(token_hash, 0.0)
        request.scope["visit"] = Visit(Identity("account", account_id), "", token_hash, token=entry)
        if revoked:
            store.do(access.revoke_all, account_id=account_id)
        else:
            store.do(
                moderation.set_role,
                COMMAND_LINE,
                account_id=account_id,
                role=Role.MODERATOR,
                reason="a test",
                now_ms=store.now_ms,
            )
        memory.apply(store.events)
        if revoked:
            with pytest.raises(NotSignedIn):
                await application._identify(request, None)  # type: ignore[arg-type]
        else:
            await application._identify(request, None)  # type: ignore[arg-type]
            assert request.access.role == Role.MODERATOR
        await database.close()

    asyncio.run(story())
