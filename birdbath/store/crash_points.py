"""Named points at which a test can make the server die as if the kernel had killed it.

`BIRDBATH_CRASH_AT=point` or `point:n` kills the process with SIGKILL when the point is passed for the n-th time. Without
the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

CRASH_POINTS = (
    "commit:checked",
    "commit:jobs-written",
    "commit:transaction-ended",
    "batch:written",
    "batch:files-synced",
    "batch:committed",
)
"""Every point, in the order in which a commitTransaction passes them; `batch:*` are passed by every change."""


class _Armed:
    def __init__(self, specification: str) -> None:
        self.point, _, count = specification.rpartition(":") if specification[-1:].isdigit() else (specification, "", "1")
        self.remaining = int(count)


_armed = _Armed(os.environ.get("BIRDBATH_CRASH_AT", ""))


def arm(specification: str) -> None:
    """Set, for this process, what the variable would set."""
    global _armed
    _armed = _Armed(specification)


def crash_point(name: str) -> None:
    """Die here if this point was asked for."""
    if name == _armed.point:
        _armed.remaining -= 1
        if _armed.remaining <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
