"""A mixed load in laps: each lap does the same, and leaves nothing open when it ends."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

from tests.crash.wire import Refused, Value, Wire, job_element, transaction_element

CLIENTS = 4
LEASE = 600
PATIENCE = 120.0
STEADY: dict[str, Value] = {
    "Owner": ("STRING-ATTR", "soak"),
    "JobUniverse": ("INTEGER-ATTR", "5"),
    "Cmd": ("STRING-ATTR", "/bin/sleep"),
    "Arguments": ("STRING-ATTR", "30"),
    "Out": ("STRING-ATTR", "job.out"),
    "Requirements": ("BOOLEAN-ATTR", "TRUE"),
}
KEPT: dict[str, Value] = {
    "FilesRetrieved": ("BOOLEAN-ATTR", "FALSE"),
    "LeaveJobInQueue": ("EXPRESSION-ATTR", "FilesRetrieved =?= false"),
}
UNFIT: dict[str, Value] = {"Requirements": ("BOOLEAN-ATTR", "FALSE")}


class Load:
    """Clients of a server on this port of the machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.submitted = 0

    def lap(self, rounds: int) -> None:
        """Let every client make so many rounds; return when the queue is empty."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            for ended in [clients.submit(self._client, number, rounds) for number in range(CLIENTS)]:
                ended.result()
        self.submitted += CLIENTS * rounds * 3
        with closing(Wire(self._port)) as wire:
            self._wait_for_end(wire, "TRUE")

    def _client(self, number: int, rounds: int) -> None:
        chance = random.Random(number)  # every lap is the same
        with closing(Wire(self._port)) as wire:
            for _ in range(rounds):
                self._run_and_fetch(wire, chance)
                self._hold_release_remove(wire)
                self._give_up(wire, chance)
                self._ask(wire, number)

    def _submit(self, wire: Wire, attributes: dict[str, Value], content: bytes) -> tuple[int, str, str]:
        """A job with a file; its cluster, its ids and its open transaction."""
        transaction = transaction_element(wire.begin(LEASE), LEASE)
        cluster = wire.new_cluster(transaction)
        job = job_element(cluster, wire.new_job(transaction, cluster))
        wire.declare(transaction, job, "input", len(content))
        wire.send(transaction, job, "input", 0, content)
        wire.submit(transaction, job, attributes)
        return cluster, job, transaction

    def _run_and_fetch(self, wire: Wire, chance: random.Random) -> None:
        content = chance.randbytes(chance.choice((10, 1_000, 100_000)))
        cluster, job, transaction = self._submit(wire, STEADY | KEPT, content)
        wire.commit(transaction)
        self._wait_for_end(wire, f"ClusterId == {cluster} && JobStatus =!= 4")
        assert wire.get_file(job, "input", 0, len(content) + 1) == content
        wire.call("listSpool", job)
        wire.call("closeSpool", job)

    def _hold_release_remove(self, wire: Wire) -> None:
        _, job, transaction = self._submit(wire, STEADY | UNFIT, b"x")
        wire.commit(transaction)
        for operation in ("holdJob", "releaseJob", "removeJob"):
            wire.act(operation, "", job)

    def _give_up(self, wire: Wire, chance: random.Random) -> None:
        _, job, transaction = self._submit(wire, STEADY, b"y" * 10_000)
        wire.act("removeJob", transaction, job)
        if chance.random() < 0.5:
            wire.abort(transaction)
        else:
            wire.commit(transaction)

    def _ask(self, wire: Wire, number: int) -> None:
        ad = {"Name": ("STRING-ATTR", f"soak{number}"), "MyAddress": ("STRING-ATTR", "<127.0.0.1:9>")}
        wire.insert_ad("LICENSE-AD-TYPE", ad)
        assert len(wire.query_license_ads(f'Name == "soak{number}"')) == 1
        for operation in ("queryStartdAds", "queryScheddAds", "querySubmittorAds", "getVersionString"):
            wire.call(operation, "<constraint>TRUE</constraint>")
        wire.call("createJobTemplate", "<owner>soak</owner><type>VANILLA</type><cmd>/bin/true</cmd>")
        with suppress(Refused):
            wire.commit(transaction_element(1, LEASE))  # of nobody

    @staticmethod
    def _wait_for_end(wire: Wire, constraint: str) -> None:
        """Ask until no job is like this."""
        deadline = time.monotonic() + PATIENCE
        while wire.job_ads(constraint):
            assert time.monotonic() < deadline, f"still there: {constraint}"
