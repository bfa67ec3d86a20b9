"""Counts the visitors of a worker's answers: those from memory, and those of the application."""

from __future__ import annotations

from stormpetrel.audience.visitor import VisitorReader
from stormpetrel.edge.asgi import Scope
from stormpetrel.edge.heads import UNREAD, Head
from stormpetrel.shield.identify import Identity, TokenTable, Visit, address_identity
from stormpetrel.shield.paths import PathTable


class EdgeAudience:
    """The audience of one worker. `paths` and `tokens` are the edge's tables."""

    __slots__ = ("_paths", "_reader", "_tokens")

    def __init__(self, reader: VisitorReader, *, paths: PathTable, tokens: TokenTable) -> None:
        self._reader = reader
        self._paths = paths
        self._tokens = tokens

    def see_head(self, head: Head, stranger: Identity, *, epoch_s: float) -> bool:
        """Count the visitor of a request that was answered from memory; return True if it is a person's.

        The visitor is read once from the headers, which the head then drops.
        """
        if head.visitor is UNREAD:
            headers, head.headers = head.headers or (), None
            head.visitor = self._reader.read(headers, head.path, self._paths[head.path], epoch_s=epoch_s)
        visitor = head.visitor
        if visitor is None:
            return False
        self._reader.see(visitor, str(stranger.value))
        return not visitor.apart

    def see_answered(self, scope: Scope, *, epoch_s: float) -> None:
        """Count the visitor of a request that the application has answered, unless it is the watch's own."""
        if scope["is_canary"]:
            return
        visit: Visit = scope["visit"]
        path, token_hash = scope["raw_path"], visit.token_hash
        entry = visit.entry
        if entry is None and token_hash is not None:
            # The application has looked it up meanwhile.
            entry = self._tokens.get(token_hash, 0.0)
        account_id = None if entry is None else entry.account_id
        signed_in_at_s = 0.0
        if token_hash is None and visit.session is not None:
            account_id, signed_in_at_s = visit.session.account_id, visit.session.issued_at_s
        visitor = self._reader.read(
            scope["headers"],
            path,
            self._paths[path],
            epoch_s=epoch_s,
            account_id=account_id,
            has_token=entry is not None,
            signed_in_at_s=signed_in_at_s,
        )
        if visitor is not None:
            self._reader.see(visitor, str(address_identity(visit.address).value))
