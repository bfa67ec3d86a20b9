"""A connection of the attackers: what it was opened for, how far it is, and the counts that it belongs to."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from stormpetrel.drill.answer_reader import AnswerReader
from stormpetrel.drill.vectors.attack_requests import AttackRequest


@dataclass(slots=True)
class Tally:
    """Counts of one vector since they were last written; `connections`: open now.

    `sent`: requests, or connections that send no request. `ok`: answered, or held open for the wanted time.
    `refused`: 403, 408, 429, 503, or a held connection that the server ended. `failed`: no answer, or a 5xx.
    `skipped`: not sent: too late, too many sockets open, or no handshake left.
    """

    sent: int = 0
    ok: int = 0
    refused: int = 0
    failed: int = 0
    skipped: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Fire:
    """A vector's attack request at a time of the run. `until_s`: end of phase. `most`: socket limit; 0: no limit."""

    at_s: float
    until_s: float
    vector: str
    attack_request: AttackRequest
    most: int


class AttackConnection:
    """A socket and how far it is.

    `position`: index of the current request, or of the next byte to drip. `serial`: timers set under an older serial
    are void. `is_asking`: it waits for an answer.
    """

    __slots__ = (
        "answer",
        "fd",
        "fire",
        "is_asking",
        "is_shaking",
        "pending",
        "position",
        "serial",
        "sock",
        "tally",
    )

    def __init__(self, sock: socket.socket, fire: Fire, tally: Tally) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.fire = fire
        self.tally = tally
        self.answer = AnswerReader()
        self.position = 0
        self.serial = 0
        self.pending = b""
        self.is_asking = False
        self.is_shaking = False
