"""What the daemons say of their version and platform."""

from __future__ import annotations


def of_both(own: str, pools: str, between: str) -> str:
    """`own`, `$Name: ... $`, and `between` that and its end the string of the same form that the pool
    behind it has, if there is one.
    """
    inner = pools.strip("$ ").partition(": ")[2]
    return f"{own.rstrip('$ ')}{between}{inner} $" if inner else own
