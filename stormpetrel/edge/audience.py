"""Counts the visitors of a worker's answers: those from memory, and those of the application."""

from __future__ import annotations

from stormpetrel.audience.visitor import NO_LOGIN, HeadFacts, VisitorLogin, VisitorReader
from stormpetrel.edge.heads import Head
from stormpetrel.shield.identify import Identity, TokenTable, Visit, address_identity


class EdgeAudience:
    """The audience of one worker. `tokens`: the edge's table."""

    __slots__ = ("_reader", "_tokens")

    def __init__(self, reader: VisitorReader, *, tokens: TokenTable) -> None:
        self._reader = reader
        self._tokens = tokens

    def see_head(self, head: Head, stranger: Identity, *, epoch_s: float) -> list[int] | None:
        """Count the visitor of a request that was answered from memory; return what VisitorReader.see returns."""
        if head.facts is None:
            return None
        return self._reader.see(head.facts, head.path, str(stranger.value), epoch_s=epoch_s)

    def see_answered(
        self, facts: HeadFacts, visit: Visit, path: bytes, *, epoch_s: float
    ) -> list[int] | None:
        """Count the visitor of a request that was admitted and answered; return what VisitorReader.see returns.

        The caller leaves out the watch's own requests.
        """
        return self._reader.see(
            facts,
            path,
            str(address_identity(visit.address).value),
            epoch_s=epoch_s,
            login=self._login(visit),
        )

    def _login(self, visit: Visit) -> VisitorLogin:
        token_hash, session = visit.token_hash, visit.session
        if token_hash is not None:
            # The application has looked up a token that was not known when the request came.
            entry = visit.entry or self._tokens.get(token_hash, 0.0)
            return NO_LOGIN if entry is None else VisitorLogin(entry.account_id, is_token=True, since_s=0.0)
        if session is None:
            return NO_LOGIN
        return VisitorLogin(session.account_id, is_token=False, since_s=session.issued_at_s)
