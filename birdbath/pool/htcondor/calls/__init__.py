"""What worker processes do with HTCondor's bindings: one method for each thing the gateway asks for.

Runs in a worker only. Arguments and results are plain values that can be pickled; ads are texts.
"""

from __future__ import annotations

import ctypes
import os

from birdbath.pool.htcondor.calls.commits import CommitCalls
from birdbath.pool.htcondor.calls.daemons import DaemonCalls
from birdbath.pool.htcondor.calls.jobs import JobCalls


class Session(CommitCalls, JobCalls, DaemonCalls):
    """All calls of one pool."""


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it ends, however that comes."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != parent:
        os._exit(1)
