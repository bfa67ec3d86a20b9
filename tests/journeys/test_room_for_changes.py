"""Room for requests that wait for the writer or a password check: each lane of strangers has its own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from stormpetrel.errors import Busy
from stormpetrel.http.application import MAX_STRANGERS_CHANGING, WebApplication
from stormpetrel.http.response import Response
from stormpetrel.http.routing import Router
from stormpetrel.shield.classify import K1, K3_FAR, K3_NEAR, K4


def test_changes_of_strangers_from_anywhere_take_no_room_from_those_out_of_networks_of_members() -> None:
    async def story() -> None:
        site = SimpleNamespace(https=False, config=SimpleNamespace(media_origin=""))
        application = WebApplication(
            site,  # type: ignore[arg-type]  # the parts that are asked for here
            Router([]),
            error_page=lambda request, refusal: Response(refusal.status, b""),
        )
        checked = asyncio.Event()

        async def handler(request: object) -> Response:
            await checked.wait()
            return Response(200, b"")

        route = SimpleNamespace(handler=handler)

        def change(lane: int) -> asyncio.Task[Response]:
            request = SimpleNamespace(scope={"lane": lane, "release_slot": lambda: None})
            return asyncio.create_task(application._change(request, route))  # type: ignore[arg-type]

        flood = [change(lane) for lane in (K3_FAR, K4) for _ in range(100)]
        await asyncio.sleep(0)
        near = [change(K3_NEAR) for _ in range(MAX_STRANGERS_CHANGING[K3_NEAR])]
        member = change(K1)
        await asyncio.sleep(0)
        checked.set()
        assert {response.status for response in await asyncio.gather(*near, member)} == {200}
        refused = sum(isinstance(one, Busy) for one in await asyncio.gather(*flood, return_exceptions=True))
        assert refused == 200 - MAX_STRANGERS_CHANGING[K3_FAR] - MAX_STRANGERS_CHANGING[K4]

    asyncio.run(story())
