"""Programs as processes of this machine, each shut into the directory of its job."""

from birdbath.execution.processes import Command, Ended, Limits, Processes, Unsupported

__all__ = ["Command", "Ended", "Limits", "Processes", "Unsupported"]
