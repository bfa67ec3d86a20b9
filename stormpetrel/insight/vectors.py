"""What a report says about each means of attack: its name, its description, and what an operator can do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VectorWords:
    """`title`: in a sentence, in lower case. `advice`: for operators, with `command` to run or look at."""

    title: str
    about: str
    advice: str
    command: str


WORDS = {
    "page_flood": VectorWords(
        "page flood",
        "many clients request the same few pages",
        "Pages of people without an account come from memory and cost little. Put a proxy or a second machine in "
        "front if the link itself is full.",
        "stormpetrel check",
    ),
    "few_sources": VectorWords(
        "flood from few sources",
        "a few addresses send most requests",
        "Deny the addresses for some hours if the shield's limits are not enough.",
        "stormpetrel shield deny ADDRESS --for 2h --reason TEXT",
    ),
    "expensive_reads": VectorWords(
        "expensive reads",
        "requests for pages that cost much CPU time, such as deep pages and rare tags",
        "Unknown clients share a budget for these requests. Check that it fits your machine.",
        "stormpetrel shield status",
    ),
    "sign_in_flood": VectorWords(
        "sign-in flood",
        "many attempts to sign in, which cost CPU time for passwords",
        "Members who are signed in are not affected. Tell people to stay signed in.",
        "stormpetrel shield status",
    ),
    "account_guessing": VectorWords(
        "guessing of passwords",
        "attempts to sign in to the same few accounts",
        "Ask the owners of these accounts to set up a second factor.",
        "stormpetrel shield journal --kind offender",
    ),
    "shared_addresses": VectorWords(
        "flood from shared addresses",
        "the requests come from addresses that many people share, such as carriers and schools",
        "Do not deny these addresses: members use them too. Remove such a rule.",
        "stormpetrel shield deny ADDRESS --undo",
    ),
    "stolen_credentials": VectorWords(
        "stolen credentials",
        "accounts or tokens of members send far more than people do",
        "Ask the owners to revoke the app and to change their password.",
        "stormpetrel shield journal --kind offender",
    ),
    "forged_credentials": VectorWords(
        "forged credentials",
        "requests with tokens or cookies that this server never issued",
        "Forged credentials are refused without a query. Nothing needs to be done.",
        "stormpetrel shield status",
    ),
    "sms_pumping": VectorWords(
        "SMS pumping",
        "texts or codes are requested for many numbers, to cost money",
        "Check the money spent, and pause a route if its budget is at risk.",
        "stormpetrel sms status",
    ),
    "slow_connections": VectorWords(
        "slow connections",
        "connections are held open by sending or reading slowly",
        "Deadlines end these connections. Raise edge.max_connections if members were refused connections.",
        "stormpetrel config",
    ),
    "streams": VectorWords(
        "stream exhaustion",
        "very many live streams are opened",
        "Streams are limited per client. Check the limit on connections if members lost theirs.",
        "stormpetrel config",
    ),
    "write_flood": VectorWords(
        "write flood",
        "very many posts, follows or other writes",
        "Suspend the accounts, and close sign-ups or require approval for some days.",
        "stormpetrel shield journal --kind offender",
    ),
    "connection_churn": VectorWords(
        "connection churn",
        "connections are opened and closed at a high rate",
        "Put a proxy in front that keeps connections open, and check the limits of the kernel.",
        "stormpetrel config",
    ),
    "provocation": VectorWords(
        "provocation of the defence",
        "requests that look made to get other people blocked",
        "Remove rules that affect people, and keep the shield's own limits.",
        "stormpetrel shield status",
    ),
    "expensive_bodies": VectorWords(
        "expensive bodies",
        "requests with bodies that cost much to read",
        "Lower edge.max_body_bytes if your apps do not need large bodies.",
        "stormpetrel config",
    ),
    "store_filling": VectorWords(
        "filling of the store",
        "accounts or uploads are created to fill the disk",
        "Require approval for sign-ups for some days, and check the quotas.",
        "stormpetrel check",
    ),
    "feeds_and_search": VectorWords(
        "flood of feeds and search",
        "feeds, notifications and search are requested from many networks",
        "Feeds come from memory. Check that the budget for searches fits your machine.",
        "stormpetrel shield status",
    ),
    "unknown": VectorWords(
        "unknown means",
        "the evidence fits none of the known means",
        "Read the measures below. Keep the record and report it, so that the means can be named.",
        "stormpetrel insight --json",
    ),
}
"""By the names in model.attack.VECTORS, and UNKNOWN_VECTOR."""


def words_of(vector: str) -> VectorWords:
    """Return the words for a vector; those for "unknown" if there are none."""
    return WORDS.get(vector, WORDS["unknown"])
