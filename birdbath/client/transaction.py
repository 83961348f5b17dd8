"""Putting jobs into the queue: a transaction, its clusters, their jobs (reference sections 3.2 to 3.8)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from birdbath.client.errors import InvalidValue
from birdbath.client.transfer import DEFAULT_CHUNK, FileSource, JobFile, Progress, upload
from birdbath.client.values import Ad, Item, to_items
from birdbath.client.wire import Endpoint, Reply
from birdbath.values import AdValue, Universe


class JobId(NamedTuple):
    """A job's number: written `cluster.proc`."""

    cluster: int
    proc: int

    def __str__(self) -> str:
        return f"{self.cluster}.{self.proc}"


class Lease(NamedTuple):
    """The transaction as it goes over the wire: every call that carries it restarts the timer with `duration`
    s.
    """

    id: int
    duration: int

    @classmethod
    def of(cls, reply: Reply) -> Lease:
        transaction = reply.child("transaction")
        return cls(transaction.integer("id"), transaction.integer("duration"))

    def wire(self) -> dict[str, int]:
        return self._asdict()


class Transaction:
    """An open transaction. `Schedd.transaction()` makes one that is committed or aborted by itself.

    The server ends it when `lease.duration` seconds pass between two calls; every call here renews it. What
    is done in it becomes visible and durable with `commit`, all at once.
    """

    def __init__(self, endpoint: Endpoint, lease: Lease) -> None:
        self.endpoint = endpoint
        self.lease = lease

    def extend(self, duration: int | None = None) -> None:
        """Renew the lease, for `duration` seconds from now on (by default as long as before).

        For pauses in which nothing else is called. The server may grant less; `lease.duration` says what it
        granted.
        """
        reply = self.endpoint.call(
            "extendTransaction",
            transaction=self.lease.wire(),
            duration=self.lease.duration if duration is None else duration,
        )
        self.lease = Lease.of(reply)

    def commit(self) -> None:
        """Put everything into the queue, or nothing. The jobs are safe on the server's disk when this
        returns.

        After `ConnectionFailed` it is not known which of the two happened: look for the clusters in the
        queue.
        """
        self.endpoint.call("commitTransaction", transaction=self.lease.wire())

    def abort(self) -> None:
        """Drop everything."""
        self.endpoint.call("abortTransaction", transaction=self.lease.wire())

    def new_cluster(self) -> Cluster:
        """A new cluster; its number is never used again, even if the transaction is aborted.

        Only the newest cluster of a transaction takes new jobs.
        """
        return Cluster(self, self.call("newCluster").integer("integer"))

    def call(self, operation: str, /, *, repeatable: bool = False, **arguments: object) -> Reply:
        """Any operation inside this transaction; see `Endpoint.call`."""
        return self.endpoint.call(
            operation, repeatable=repeatable, transaction=self.lease.wire(), **arguments
        )


class Cluster:
    """A cluster of jobs that is being put together. `id` is its number."""

    def __init__(self, transaction: Transaction, cluster: int) -> None:
        self._transaction = transaction
        self.id = cluster

    def new_job(self) -> Job:
        """The next job: proc 0, 1, 2, ..."""
        proc = self._transaction.call("newJob", clusterId=self.id).integer("integer")
        return Job(self._transaction, JobId(self.id, proc))


class Job:
    """A job that is being put together. `id` is its number."""

    def __init__(self, transaction: Transaction, job: JobId) -> None:
        self._transaction = transaction
        self.id = job

    def template(
        self,
        cmd: str,
        arguments: str = "",
        *,
        owner: str | None = None,
        universe: Universe = Universe.VANILLA,
        requirements: str | None = None,
    ) -> Ad:
        """The server's default ad for such a job, to be changed at will and handed to `submit`.

        `arguments` are in HTCondor's V2 syntax: separated by blanks, grouped by single quotes. Without
        `owner` the ad has none, and the server must know by itself who we are. `requirements` is an
        expression; the default is TRUE.
        """
        reply = self._transaction.endpoint.call(
            "createJobTemplate",
            repeatable=True,
            clusterId=self.id.cluster,
            jobId=self.id.proc,
            owner=owner,
            type=universe.name,
            cmd=cmd,
            args=arguments,
            requirements=requirements,
        )
        return read_ad(reply.child("classAd"))

    def upload(
        self,
        source: FileSource,
        name: str | None = None,
        *,
        chunk_size: int = DEFAULT_CHUNK,
        progress: Progress | None = None,
        checksum: bool = False,
    ) -> None:
        """Put a file into the job's sandbox: a path, bytes, or an open binary file from where it stands to
        its end.

        Without `name` it is called like the path's last part. Before `submit`, so that it becomes an input
        file of the job. Memory does not grow with the file; every chunk renews the transaction's lease;
        `progress` is called with (bytes done, bytes in all). With `checksum` the MD5 goes along, for servers
        that verify it. Raises `AlreadyExists` for a second file of that name, `OSError` for a source that
        cannot be read, `TransferFailed`.
        """
        file = JobFile(self._transaction.call, *self.id, name or _basename(source))
        upload(
            file,
            source,
            chunk_size=chunk_size,
            lease=self._transaction.lease.duration,
            progress=progress,
            checksum=checksum,
        )

    def submit(self, attributes: Mapping[str, AdValue]) -> None:
        """Give the job its attributes. May be repeated before the commit; later values count.

        `attributes` is all that the server gets to know of the job: start from `template`. Raises
        `InvalidValue` before anything is sent, `Incomplete` from a strict server when declared files have not
        arrived.
        """
        self._transaction.call(
            "submit", clusterId=self.id.cluster, jobId=self.id.proc, jobAd=wire_ad(to_items(attributes))
        )


def wire_ad(items: list[Item]) -> dict[str, list[dict[str, str]]]:
    """Items as zeep takes an ad."""
    return {"item": [item._asdict() for item in items]}


def read_ad(ad: Reply) -> Ad:
    """The ad in a reply that holds a single one."""
    return Ad.from_wire(
        (item.text("name") or "", item.text("type"), item.text("value") or "") for item in ad.items()
    )


def _basename(source: FileSource) -> str:
    if isinstance(source, str | os.PathLike):
        return os.path.basename(source)
    if isinstance(source, bytes):
        raise InvalidValue("bytes need a name to be uploaded")
    name = getattr(source, "name", None)
    if not isinstance(name, str):
        raise InvalidValue("this file has no name of its own; say one to upload it")
    return os.path.basename(name)
