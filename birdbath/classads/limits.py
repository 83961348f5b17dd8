"""How long an expression may be, and what evaluating it may cost, in the whole process."""

from __future__ import annotations

from typing import Final, NamedTuple


class ExpressionLimits(NamedTuple):
    """length: characters of one expression. cost: operands and operators, as `costs` counts them, that
    evaluating it may take with all that it refers to; one takes about 100 ns.
    """

    length: int = 64 * 1024
    cost: int = 200_000

    @property
    def operators(self) -> int:
        """How many operators, brackets and commas one expression may have: what people and programs write
        has fewer in the longest; reading as many as there are characters would take a quarter of a second.
        """
        return self.length // 8


USUAL: Final = ExpressionLimits()
_in_force = USUAL


def limits() -> ExpressionLimits:
    """Those in force: the usual ones, or what `set_limits` was given last."""
    return _in_force


def set_limits(new: ExpressionLimits) -> None:
    """Let `new` hold from now on. `expressions.limit_expressions` also forgets what it let through before."""
    global _in_force
    _in_force = new
