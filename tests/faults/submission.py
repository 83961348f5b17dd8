"""One submission, call by call, and what is known of it when calls fail in the middle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tests.crash.wire import Refused, Wire, job_element, transaction_element

T = TypeVar("T")

LEASE = 600
CONTENT = {"input": bytes(range(256)) * 300}


@dataclass
class Submission:
    """A cluster of one job with two files. `heal` is called when a call has failed; then it is made again,
    as clients do.

    `failures` are the texts of the failed calls; `cluster` is 0 until there is one; `committed` is None when
    the commit failed and the next attempt found no transaction: the queue tells what became of it.
    """

    wire: Wire
    heal: Callable[[], None]
    failures: list[str] = field(default_factory=list)
    cluster: int = 0
    committed: bool | None = False

    def run(self) -> None:
        """Make all of its calls."""
        identifier = self._surely(lambda: self.wire.begin(LEASE))
        transaction = transaction_element(identifier, LEASE)
        self.cluster = self._surely(lambda: self.wire.new_cluster(transaction))
        proc = self._surely(lambda: self.wire.new_job(transaction, self.cluster))
        job = job_element(self.cluster, proc)
        for name, data in CONTENT.items():
            self._declare(transaction, job, name, len(data))
            middle = len(data) // 2
            for offset, chunk in ((0, data[:middle]), (middle, data[middle:])):
                self._send(transaction, job, name, offset, chunk)
        attributes = {"Owner": ("STRING-ATTR", "alice"), "Requirements": ("EXPRESSION-ATTR", "FALSE")}
        self._surely(lambda: self.wire.submit(transaction, job, attributes))
        self._commit(transaction)

    def _declare(self, transaction: str, job: str, name: str, size: int) -> None:
        self._surely(lambda: self.wire.declare(transaction, job, name, size))

    def _send(self, transaction: str, job: str, name: str, offset: int, chunk: bytes) -> None:
        self._surely(lambda: self.wire.send(transaction, job, name, offset, chunk))

    def _commit(self, transaction: str) -> None:
        before = len(self.failures)
        try:
            self._surely(lambda: self.wire.commit(transaction))
            self.committed = True
        except Refused as error:
            if error.code != "INVALIDTRANSACTION" or len(self.failures) == before:
                raise
            self.committed = None

    def _surely(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Refused as error:
            self.failures.append(str(error))
            self.heal()
            return call()

    def check(self, wire: Wire) -> None:
        """Fail when the job is there though it was never committed, is not though it was, or lacks a byte."""
        ads = wire.job_ads(f"ClusterId == {self.cluster}") if self.cluster else []
        if self.committed is not None:
            assert len(ads) == int(self.committed), (self.cluster, self.committed, self.failures)
        if ads:
            assert ads[0]["Owner"] == ("STRING-ATTR", "alice")
            for name, data in CONTENT.items():
                assert wire.get_file(job_element(self.cluster, 0), name, 0, len(data) + 1) == data
