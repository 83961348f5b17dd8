"""Our decisions of matchmaking against `classad2`'s symmetric match, on random pairs of job and machine ads.

`python -m tests.pool.simulated.differential --pairs 100000` compares so many and prints the number of
differences.
"""

from __future__ import annotations

import argparse
import random

import classad2

from birdbath.classads import Ad, Expression
from birdbath.pool.simulated.autoclusters import Autoclusters
from birdbath.pool.simulated.evaluation import compiled_at
from birdbath.pool.simulated.verdicts import decide

_COMPARED = ("Memory", "Disk", "Cpus", "Nothing", "Name", "Flag", "Size")
_OPERATORS = ("<", "<=", "==", "!=", ">=", ">", "=?=", "=!=")
_VALUES = ("1", "2", "2.5", '"abc"', '"ABC"', "true", "false", "undefined", "error", '"C:\\dir"')


def _random_expression(chance: random.Random, depth: int = 2) -> str:
    if depth == 0 or chance.random() < 0.3:
        scope = chance.choice(("", "MY.", "TARGET."))
        left, operator = f"{scope}{chance.choice(_COMPARED)}", chance.choice(_OPERATORS)
        return f"{left} {operator} {chance.choice((*_VALUES, f'TARGET.{chance.choice(_COMPARED)}'))}"
    if chance.random() < 0.15:
        return (
            f"({_random_expression(chance, depth - 1)} ? {chance.choice(_VALUES)} : {chance.choice(_VALUES)})"
        )
    inner = [_random_expression(chance, depth - 1) for _ in range(2)]
    return f"({inner[0]} {chance.choice(('&&', '||'))} {inner[1]})"


def _random_items(chance: random.Random) -> dict[str, str]:
    items = {name: chance.choice(_VALUES) for name in _COMPARED if chance.random() < 0.6}
    if chance.random() < 0.95:
        items["Requirements"] = (
            _random_expression(chance) if chance.random() < 0.8 else chance.choice(_VALUES)
        )
    return items


def _ad(items: dict[str, str]) -> Ad:
    ad = Ad()
    for name, text in items.items():
        ad.set(name, Expression(text))
    return ad


def _reference(items: dict[str, str]) -> classad2.ClassAd:
    """The same ad, made by HTCondor's library alone, from old syntax."""
    return classad2.parseOne("".join(f"{name} = {text}\n" for name, text in items.items()))


def compare(pairs: int, seed: int) -> tuple[int, list[tuple[dict[str, str], dict[str, str]]]]:
    """How many of so many random pairs match, and those about which we differ."""
    chance = random.Random(seed)
    matched, different = 0, []
    for _ in range(pairs):
        job, slot = _random_items(chance), _random_items(chance)
        autoclusters = Autoclusters([_ad(slot)])
        expected = bool(_reference(job).symmetricMatch(_reference(slot)))
        decided = decide(compiled_at(autoclusters.significant(_ad(job)), 1e9), compiled_at(_ad(slot), 1e9))
        matched += expected
        if (decided is not None) != expected:
            different.append((job, slot))
    return matched, different


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    matched, different = compare(given.pairs, given.seed)
    print(f"{given.pairs} pairs, {matched} match, {len(different)} differences")
    for job, slot in different[:5]:
        print(job, slot)
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
