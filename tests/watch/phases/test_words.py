"""A phase in one line."""

from __future__ import annotations

from stormpetrel.model.attack import AttackPhase, NamedVector
from stormpetrel.watch.phases.words import sentence


def phase(verdict, *vectors, networks=0):
    return AttackPhase(1, 1, 0, 0, verdict, 0.9, vectors=vectors, networks=networks)


def test_a_phase_is_told_with_its_means_and_its_sources() -> None:
    attack = phase("attack", NamedVector("expensive_reads", 0.8), networks=912)
    assert sentence(attack) == "attack: expensive reads (80 %), from about 900 networks"
    assert sentence(phase("crowd", networks=40)) == "many people at once, from about 40 networks"
    assert sentence(phase("calm", networks=40)) == "usual traffic"


def test_what_was_not_recognised_is_called_so() -> None:
    assert sentence(phase("attack", NamedVector("unknown", 0.97))) == "attack: unknown means (97 %)"
