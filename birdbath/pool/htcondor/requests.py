"""What the gateway asks its workers to submit. Loaded by both, so it stands on nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Submission:
    """One cluster: the commands of its description, and the variables of each proc."""

    cluster: int
    owner: str
    procs: int
    commands: Mapping[str, str]
    rows: Sequence[Mapping[str, str]]
    pool_program: str = ""
    """A program of the schedd's own that the jobs run, wherever the schedd has it: its name."""
