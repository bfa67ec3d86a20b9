"""The codes that may be texted to numbers of one country in a day. Each costs the operator a text."""

from __future__ import annotations

from stormpetrel.gateway.outcome import PhoneContext
from stormpetrel.model.quota import CODE_OF_OWNER, is_young
from stormpetrel.rules.quotas import spend
from stormpetrel.storage.engine.connection import Connection


def spend_code(
    connection: Connection,
    context: PhoneContext,
    *,
    number: str,
    account_id: int,
    is_known: bool,
    now_ms: int,
) -> bool:
    """Take a code to a number from the budget of its country; return False if the budget is used up.

    Half of the budget is kept for owners: `is_known`, of an account that is not young. So strangers, who can request
    codes from many networks and for many numbers, keep no owner out. An owner gets some a day from this half, and
    further ones as a stranger: the codes of one account, texted from forged numbers, would use up all.
    """
    row = context.slot(f"prefix {context.prefix_of(number)}")
    is_owner = (
        is_known
        and not is_young(account_id, now_ms=now_ms)
        and not spend(connection, CODE_OF_OWNER, account_id, now_ms=now_ms)
    )
    quotas = (context.nonces,) if is_owner else (context.nonces_of_strangers, context.nonces)
    return not any(spend(connection, quota, row, now_ms=now_ms) for quota in quotas)
