"""What all calls of the bindings stand on: the way to the schedd and the collector, errors told apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import htcondor2

from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.connection import Connection, PoolRefused, PoolUnreachable
from birdbath.pool.htcondor.reading import Reader

T = TypeVar("T")

_OUT_OF_REACH = (
    "CEDAR:",
    "SECMAN:",
    "connect",
    "Communication",
    "communication",
    "not found",
    "locate",
    "timed out",
    "DCSchedd",
)
DONE_WITHIN = 10.0
"""Seconds within which a daemon does what it does after its answer; it is looked at every LOOK_AGAIN."""
LOOK_AGAIN = 0.02
FILES_AWAITED = "The schedd has not put the job's files in place yet"


class Link:
    """The schedd and the collector of one pool, looked up when first needed and after they failed.

    `transferring` is called by a call that carries files, as these go on their way.
    """

    def __init__(
        self, connection: Connection, gateway: str, transferring: Callable[[], None] = lambda: None
    ) -> None:
        _configure(connection)
        self._transferring = transferring
        self._connection = connection
        self.reader = Reader(gateway, connection.schedd, connection.address)
        self._schedd: Any = None
        self.address: Any = None
        """The schedd's ad, once `connected`."""

    def start_over(self) -> None:
        """Look the schedd up again when it is next needed."""
        self._schedd = None

    def collector(self) -> Any:
        """The collector."""
        return htcondor2.Collector(self._connection.collector)

    def connected(self) -> Any:
        """The schedd."""
        if self._schedd is None:
            self.address = _located(self.collector(), self._connection.schedd)
            self._schedd = htcondor2.Schedd(self.address)
        return self._schedd

    def asked(self, question: Callable[[Any], T]) -> T:
        """Ask something that may be asked twice: a schedd that was restarted has another address."""
        try:
            return told(question, self.connected())
        except PoolUnreachable:
            self._schedd = None
            return told(question, self.connected())

    def is_there(self, constraint: str) -> bool:
        """Whether a job in the queue meets the schedd's own constraint."""
        return bool(self.asked(lambda schedd: schedd.query(constraint, ["ProcId"], limit=1)))

    def wait_while_there_is(self, constraint: str, why: str) -> None:
        """Wait until no job meets the constraint. Raises PoolUnreachable, with `why`, if that takes long."""
        end = time.monotonic() + DONE_WITHIN
        while self.is_there(constraint):
            if time.monotonic() > end:
                raise PoolUnreachable(why)
            time.sleep(LOOK_AGAIN)


def by_id(job: str) -> str:
    """What to ask for a job, `cluster.proc`."""
    cluster, _, proc = job.partition(".")
    return f"ClusterId == {cluster} && ProcId == {proc}"


def _configure(connection: Connection) -> None:
    for name, text in connection.parameters.items():
        htcondor2.param[name] = text
    htcondor2.set_subsystem("TOOL", htcondor2.SubsystemType.Tool)


def _located(collector: Any, name: str | None) -> Any:
    """The ad of the schedd; not one that a client of a gateway inserted, to be asked in its place."""
    wanted = f"{names.KEY} =?= undefined"
    if name is not None:
        wanted += f" && Name == {quoted(name)}"
    found = told(collector.query, htcondor2.AdType.Schedd, wanted)
    if not found:
        raise PoolUnreachable(f"The collector knows no schedd{'' if name is None else f' {name}'}")
    return found[0]


def told(function: Callable[..., T], /, *arguments: Any, **named: Any) -> T:
    """Call into the bindings, their errors told apart: out of reach, or refused."""
    try:
        return function(*arguments, **named)
    except htcondor2.HTCondorException as error:
        text = one_line(str(error))
        if any(word in text for word in _OUT_OF_REACH) and "SCHEDD:" not in text:
            raise PoolUnreachable(text) from None
        raise PoolRefused(text) from None
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise PoolRefused(one_line(str(error))) from None


def one_line(text: str) -> str:
    """The text without line breaks, which the schedd cannot keep."""
    return " ".join(text.replace("\0", " ").split())


def escaped(text: str) -> str:
    """As it stands between quotes."""
    return one_line(text).replace('"', '\\"')


def quoted(text: str) -> str:
    """A string in the job queue's syntax."""
    return f'"{escaped(text)}"'
