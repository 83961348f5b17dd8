"""Named points at which a test can make the server die as if the kernel had killed it.

`BIRDBATH_CRASH_AT=point` or `point:n` kills the process with SIGKILL when the point is passed for the
n-th time. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import re
import signal

_SPECIFICATION = re.compile(r"(?P<point>.*?)(:(?P<count>[0-9]+))?")

CRASH_POINTS = (
    "commit:checked",
    "commit:jobs-written",
    "commit:transaction-ended",
    "batch:written",
    "batch:files-synced",
    "batch:committed",
)
"""Every point, in the order in which a commitTransaction passes them; `batch:*` are passed by every
change.
"""

FEDERATION_CRASH_POINTS = ("federation:prepared", "federation:decided", "federation:committed")
"""The points that a commitTransaction at the federation passes around that of its pool."""

POOL_CRASH_POINTS = (
    "htcondor:journaled",
    "htcondor:parted",
    "htcondor:prepared",
    "htcondor:decided",
    "htcondor:released",
    "htcondor:given-up",
)
"""The points that a commitTransaction passes besides when the pool is a real one; the last one when the pool
refuses it, `parted` when it refused it together with others.
"""


_POINTS = ("", *CRASH_POINTS, *POOL_CRASH_POINTS, *FEDERATION_CRASH_POINTS)


class _Armed:
    """A point, and how often it is yet to be passed; the empty specification arms none."""

    def __init__(self, specification: str) -> None:
        match = _SPECIFICATION.fullmatch(specification)
        if match is None or match["point"] not in _POINTS:
            raise ValueError(f"no crash point: {specification!r}")
        self.point = match["point"]
        self.remaining = int(match["count"] or 1)


_armed = _Armed(os.environ.get("BIRDBATH_CRASH_AT", ""))


def arm(specification: str) -> None:
    """Set, for this process, what the variable would set. Raises ValueError when there is no such point."""
    global _armed
    _armed = _Armed(specification)


def crash_point(name: str) -> None:
    """Die here if this point was asked for."""
    if name == _armed.point:
        _armed.remaining -= 1
        if _armed.remaining <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
