"""The sketches: their error, their union, and their packed form."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from stormpetrel.audience.sketch import (
    PACKED_BYTES,
    REGISTERS,
    estimate,
    fill,
    packed,
    place,
    union,
    unpacked,
)

STANDARD_ERROR = 1.04 / math.sqrt(REGISTERS)


def sketch_of(count, seed):
    registers = bytearray(REGISTERS)
    fill(registers, count, random.Random(seed))
    return registers


@pytest.mark.parametrize("count", [0, 1, 10, 300, 5_000, 60_000, 200_000])
def test_the_estimate_is_within_its_standard_error(count):
    errors = [estimate(sketch_of(count, seed)) / max(count, 1) - bool(count) for seed in range(12)]
    assert abs(statistics.mean(errors)) < STANDARD_ERROR
    assert max(map(abs, errors)) < 3 * STANDARD_ERROR


def test_a_hash_with_more_leading_zeros_raises_its_register_higher():
    assert place(1 << 47) == (0, 1)
    assert place(1) == (0, 48)
    assert place(0) == (0, 49)
    assert place((7 << 48) | 1 << 46) == (7, 2)


def test_the_union_counts_what_is_in_both_once():
    one, other = sketch_of(20_000, 1), sketch_of(20_000, 2)
    assert union(one, one) == one
    assert estimate(union(one, other)) == pytest.approx(40_000, rel=3 * STANDARD_ERROR)


def test_packing_keeps_every_register():
    registers = bytearray(random.Random(3).randrange(50) for _ in range(REGISTERS))
    data = packed(registers)
    assert len(data) == PACKED_BYTES == 49_152
    assert unpacked(data) == registers
    with pytest.raises(ValueError, match="49152"):
        unpacked(data[1:])
