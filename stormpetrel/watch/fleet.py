"""The operator's rules on every machine: each watch publishes its orders to the others over the bus.

The bus may lose a message and a watch may be down, so each watch repeats all its rules every REPEAT_S
seconds; of two orders about the same thing the later one counts. A withdrawn rule is repeated until it would
have expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stormpetrel.bus.local import Bus
from stormpetrel.model.event import Event, ShieldPaused, ShieldRuled
from stormpetrel.shield.reports import OperatorEntry
from stormpetrel.watch.orders import OperatorRules

REPEAT_S = 30.0
RULES_AT_ONCE = 50
"""Rules per message: it must fit into a datagram."""


class Fleet:
    """Publishes the rules in `orders` and adopts those of other machines, calling `changed` for each."""

    def __init__(
        self, bus: Bus, orders: OperatorRules, changed: Callable[[ShieldRuled | ShieldPaused], None]
    ) -> None:
        self._bus = bus
        self._orders = orders
        self._changed = changed
        bus.on_events = self.hear

    def say(self, said: ShieldRuled | ShieldPaused) -> None:
        """Publish an order that was just given here."""
        self._bus.publish([said])

    def hear(self, events: list[Event]) -> None:
        """Adopt other machines' orders that are later than the known ones."""
        for event in events:
            match event:
                case ShieldRuled():
                    entry = OperatorEntry(event.kind, event.value, event.expires_epoch_s, event.reason)
                    taken = self._orders.merge(event.verdict, entry, set_at_epoch_s=event.set_at_epoch_s)
                case ShieldPaused(until_epoch_s=until_s, set_at_epoch_s=set_at_s):
                    taken = self._orders.merge_pause(until_s, set_at_epoch_s=set_at_s)
                case _:
                    continue
            if taken:
                self._changed(event)

    async def repeat(self, stop: asyncio.Event, *, now_epoch_s: Callable[[], float]) -> None:
        """Publish all orders again every REPEAT_S, until `stop` is set."""
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
