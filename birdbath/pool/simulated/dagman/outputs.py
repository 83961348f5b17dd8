"""The files that DAGMan writes into its sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from birdbath.dagman import Engine, files
from birdbath.events import EventRecord, JobEvent, forms
from birdbath.pool.simulated.dagman.memory import Remembered
from birdbath.store.sandbox import InvalidFileName, Sandbox
from birdbath.store.unit_of_work import UnitOfWork

_UTC = forms.FormatOptions(utc=True)


class Outputs:
    """The files of one DAGMan, written in one unit of work at pool time `now`; on disk when the unit is.

    A file in whose place a job of the DAG put something else, such as a link, is not written.
    """

    def __init__(self, unit: UnitOfWork, sandbox: Sandbox, base: str, now: float) -> None:
        self._unit = unit
        self._sandbox = sandbox
        self._base = base
        self._now = now

    def say(self, remembered: Remembered, lines: Iterable[str], name: str = "") -> None:
        """Add lines to dagman.out, or to the file that the job's environment names instead."""
        name = name or f"{self._base}.dagman.out"
        text = files.out_lines(lines, self._now).encode()
        remembered.out_size = self._append(name, remembered.out_size, text)

    def log(self, remembered: Remembered, events: Iterable[JobEvent]) -> None:
        """Add events to the log of all nodes, in HTCondor's own form."""
        text = b"".join(map(_text, events))
        if text:
            remembered.log_size = self._append(f"{self._base}.nodes.log", remembered.log_size, text)

    def write_status(self, engine: Engine, name: str, interval: int) -> None:
        """Write the node status file anew."""
        text = files.status_text(engine, self._now, interval)
        self._replace(name.rpartition("/")[2], text)

    def write_rescue(self, engine: Engine, old_name: str | None) -> str:
        """Write a rescue DAG, under the next number or the name that an old DAGMan was given; its name."""
        dag_files = engine.dag.files
        if old_name is not None:
            name = old_name.rpartition("/")[2]
        else:
            numbers = files.rescue_numbers(dag_files, self._names())
            name = files.rescue_name(dag_files, min(numbers[-1] + 1 if numbers else 1, files.MAX_RESCUE))
        text = files.rescue_text(engine, self._now, whole=old_name is not None)
        self._replace(name, text)
        return name

    def choose_rescue(self, dag_files: Sequence[str], auto: bool, number: int) -> str | None:
        """The rescue DAG to begin with: number `number`, or the newest one if `auto`; None for none."""
        numbers = files.rescue_numbers(dag_files, self._names())
        if number:
            return files.rescue_name(dag_files, number)
        return files.rescue_name(dag_files, numbers[-1]) if auto and numbers else None

    def _names(self) -> list[str]:
        return [entry.name for entry in self._sandbox.entries()]

    def _replace(self, name: str, text: str) -> None:
        with suppress(InvalidFileName):
            self._sandbox.replace(self._unit, name, text.encode())

    def _append(self, name: str, valid: int | None, data: bytes) -> int | None:
        """Write behind the valid part of a file (None: all of it, or nothing yet); how long it then is."""
        try:
            self._sandbox.declare(self._unit, name)
            size = self._sandbox.size(name)
            valid = size if valid is None else min(valid, size)
            if size > valid:
                self._sandbox.cut(self._unit, name, valid)
            self._sandbox.write(self._unit, name, valid, data)
        except InvalidFileName:
            return valid
        return valid + len(data)


def _text(event: JobEvent) -> bytes:
    record = EventRecord(
        0, "", event.time, int(event.type), event.cluster, event.proc, event.owner, event.ad()
    )
    return forms.text(record, options=_UTC)
