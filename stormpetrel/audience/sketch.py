"""HyperLogLog: an estimate of how many different hashes were added, from 2^16 registers.

The standard error is 1.04 / sqrt(2^16) = 0.41 %. The union of two sketches is the greater value of each register, so
the counts of several processes merge without a further error.

Source of the estimator: Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
algorithm 6, which needs no table of corrections and no other formula for small counts.
"""

from __future__ import annotations

import math
import random

INDEX_BITS = 16
REGISTERS = 1 << INDEX_BITS
HASH_BITS = 64
RANK_BITS = HASH_BITS - INDEX_BITS
"""A register holds at most RANK_BITS + 1 = 49, which fits into six bits."""
PACKED_BYTES = REGISTERS * 6 // 8
RANK_MASK = (1 << RANK_BITS) - 1
_LANES = REGISTERS // 4
_LOW_SIX = int.from_bytes(b"\x3f\0\0\0" * _LANES, "little")


def place(hashed: int) -> tuple[int, int]:
    """Return the register of a 64-bit hash, and the value that it must have at least."""
    return hashed >> RANK_BITS, RANK_BITS + 1 - (hashed & RANK_MASK).bit_length()


def estimate(registers: bytes | bytearray) -> float:
    """Return how many different hashes the registers hold, about."""
    counts = [registers.count(value) for value in range(RANK_BITS + 2)]
    total = REGISTERS * _tau(1.0 - counts[RANK_BITS + 1] / REGISTERS)
    for value in range(RANK_BITS, 0, -1):
        total = 0.5 * (total + counts[value])
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    if math.isinf(total):
        return 0.0
    return REGISTERS * REGISTERS / (2.0 * math.log(2.0) * total)


def union(one: bytes | bytearray, other: bytes | bytearray) -> bytearray:
    """Return the registers of all hashes that are in either sketch."""
    return bytearray(map(max, one, other))


def fill(registers: bytearray, count: int, rng: random.Random) -> None:
    """Add `count` hashes of nothing: a register that is set then proves no visit."""
    for _ in range(count):
        index, rank = place(rng.getrandbits(HASH_BITS))
        if registers[index] < rank:
            registers[index] = rank


def packed(registers: bytes | bytearray) -> bytes:
    """Return the registers in six bits each: PACKED_BYTES instead of 65,536."""
    lanes = int.from_bytes(registers, "little")
    # Four values of eight bits in each lane of 32 become one of 24 bits.
    joined = sum((lanes >> 2 * step) & (_LOW_SIX << 6 * step) for step in range(4)).to_bytes(
        REGISTERS, "little"
    )
    found = bytearray(PACKED_BYTES)
    for step in range(3):
        found[step::3] = joined[step::4]
    return bytes(found)


def unpacked(data: bytes) -> bytearray:
    """Return the registers that `packed` has packed. Raise ValueError for data of another size."""
    if len(data) != PACKED_BYTES:
        raise ValueError(f"a packed sketch has {PACKED_BYTES} bytes, not {len(data)}")
    joined = bytearray(REGISTERS)
    for step in range(3):
        joined[step::4] = data[step::3]
    lanes = int.from_bytes(joined, "little")
    return bytearray(
        sum((lanes & (_LOW_SIX << 6 * step)) << 2 * step for step in range(4)).to_bytes(REGISTERS, "little")
    )


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
    return z / 3.0
