"""The operator's rules on every machine: what one watch is ordered, the others hear over the bus.

The bus may lose a message and a watch may be down, so each says all its rules again every REPEAT_S seconds; of two
words about the same thing the later one counts. What was taken back is said as long as the rule would have held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stormpetrel.bus import Bus
from stormpetrel.model.event import Event, ShieldPaused, ShieldRuled
from stormpetrel.shield.reports import Entry
from stormpetrel.watch.orders import Orders

REPEAT_S = 30.0
RULES_AT_ONCE = 50
"""In one message: it must fit into a datagram."""


class Fleet:
    """Passes the rules in `orders` on, and takes over those of other machines. `changed` is called for each taken."""

    def __init__(
        self, bus: Bus, orders: Orders, changed: Callable[[ShieldRuled | ShieldPaused], None]
    ) -> None:
        self._bus = bus
        self._orders = orders
        self._changed = changed
        bus.on_events = self.hear

    def say(self, said: ShieldRuled | ShieldPaused) -> None:
        """Tell the other machines what was just ordered here."""
        self._bus.publish([said])

    def hear(self, events: list[Event]) -> None:
        """Take over what another machine's watch was ordered, where that is later than what is known."""
        for event in events:
            match event:
                case ShieldRuled():
                    entry = Entry(event.kind, event.value, event.expires_epoch_s, event.reason)
                    taken = self._orders.merge(event.verdict, entry, set_at_epoch_s=event.set_at_epoch_s)
                case ShieldPaused(until_epoch_s=until_s, set_at_epoch_s=set_at_s):
                    taken = self._orders.merge_pause(until_s, set_at_epoch_s=set_at_s)
                case _:
                    continue
            if taken:
                self._changed(event)

    async def repeat(self, stop: asyncio.Event, *, now_epoch_s: Callable[[], float]) -> None:
        """Say everything again, now and then, until `stop` is set."""
        while not stop.is_set():
            orders = self._orders
            orders.forget_expired(now_epoch_s=now_epoch_s())
            said: list[Event] = [
                ShieldRuled(verdict, entry.kind, entry.value, entry.expires_epoch_s, entry.reason, set_at_s)
                for verdict, entry, set_at_s in orders.known()
            ]
            if orders.paused_at_epoch_s:
                said.append(ShieldPaused(orders.paused_until_epoch_s, orders.paused_at_epoch_s))
            for at in range(0, len(said), RULES_AT_ONCE):
                self._bus.publish(said[at : at + RULES_AT_ONCE])
            try:
                await asyncio.wait_for(stop.wait(), REPEAT_S)
            except TimeoutError:
                continue
