"""The Schedd of a pool: its queue, and the files of its jobs (reference section 3)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from birdbath.client.adstream import AdStream
from birdbath.client.errors import BirdbathError, UnknownFile
from birdbath.client.transaction import Lease, Transaction, read_ad, wire_ad
from birdbath.client.transfer import DEFAULT_CHUNK, JobFile, Progress, download, download_to_path
from birdbath.client.values import Ad, to_items
from birdbath.client.wire import Daemon, Reply
from birdbath.values import AdValue


class FileInfo(NamedTuple):
    """A file in a job's sandbox; `size` in bytes."""

    name: str
    size: int


class Schedd(Daemon):
    """A Schedd at `url`, for example `http://127.0.0.1:8080`.

    Nothing is sent before the first call. `timeout` in seconds: one number, or (to connect, without a byte of
    the answer). `session` is a `requests.Session` of your own, for credentials, certificates or proxies;
    otherwise one is made and used for all calls. `wsdl` says where the WSDL is, if not beside `url`. Not for
    several threads at once.

    Every method raises `ConnectionFailed`, `BadReply`, `ServerFault`, and for what the server refuses the
    error of its status code (`OperationFailed`, `InvalidTransaction`, `UnknownJob`, ...); all are
    `BirdbathError`. Methods with a `transaction` argument act inside of it when it is given: what they change
    counts from its commit on.
    """

    _service = "condorSchedd"

    # -- transactions --

    def begin(self, duration: int = 60) -> Transaction:
        """A new transaction, to be committed or aborted by hand; see `transaction`."""
        return Transaction(
            self._endpoint, Lease.of(self._endpoint.call("beginTransaction", duration=duration))
        )

    @contextmanager
    def transaction(self, duration: int = 60) -> Iterator[Transaction]:
        """A transaction for a `with`: committed when the block ends, aborted when it raises.

        The server drops it after `duration` seconds without a call. The error of the block is the one that is
        raised, also if the abort fails; the lease ends then.
        """
        transaction = self.begin(duration)
        try:
            yield transaction
        except BaseException:
            with suppress(BirdbathError):
                transaction.abort()
            raise
        transaction.commit()

    # -- the queue --

    def job_ads(self, constraint: str | None = None, *, transaction: Transaction | None = None) -> AdStream:
        """The ads of all jobs in the queue for which `constraint` is true, in no particular order.

        They are read while they arrive; to have them all at once make a list. Only what is committed is
        there. Servers answer a constraint they cannot parse with an empty list, unless they are strict.
        """
        lease = _lease(transaction)
        return AdStream(
            self._endpoint.stream("getJobAds", transaction=lease, constraint=constraint), self.url
        )

    def job_ad(self, cluster: int, proc: int, *, transaction: Transaction | None = None) -> Ad:
        """The ad of one committed job. Raises `UnknownJob`."""
        reply = self._call("getJobAd", transaction, repeatable=True, clusterId=cluster, jobId=proc)
        return read_ad(reply.child("classAd"))

    def hold(
        self,
        cluster: int,
        proc: int,
        reason: str = "",
        *,
        email_user: bool = False,
        email_admin: bool = False,
        system_hold: bool = False,
        transaction: Transaction | None = None,
    ) -> None:
        """Stop a job and keep it until it is released. Raises `OperationFailed` if held or not there."""
        flags = {"email-user": email_user, "email-admin": email_admin, "system-hold": system_hold}
        self._call("holdJob", transaction, clusterId=cluster, jobId=proc, reason=reason, **flags)

    def release(
        self,
        cluster: int,
        proc: int,
        reason: str = "",
        *,
        email_user: bool = False,
        email_admin: bool = False,
        transaction: Transaction | None = None,
    ) -> None:
        """Let a held job go on. Raises `OperationFailed` if it is not held or not there."""
        flags = {"email-user": email_user, "email-admin": email_admin}
        self._call("releaseJob", transaction, clusterId=cluster, jobId=proc, reason=reason, **flags)

    def remove(
        self,
        cluster: int,
        proc: int,
        reason: str = "",
        *,
        force: bool = False,
        transaction: Transaction | None = None,
    ) -> None:
        """Remove a job. It stays in the queue as Removed while LeaveJobInQueue is true, unless `force`."""
        flags = {"force-removal": force}
        self._call("removeJob", transaction, clusterId=cluster, jobId=proc, reason=reason, **flags)

    def remove_cluster(
        self, cluster: int, reason: str = "", *, transaction: Transaction | None = None
    ) -> None:
        """Remove all jobs of a cluster, or none."""
        self._call("removeCluster", transaction, clusterId=cluster, reason=reason)

    def request_reschedule(self) -> None:
        """Ask for a negotiation cycle soon."""
        self._endpoint.call("requestReschedule", repeatable=True)

    def discover_requirements(self, attributes: Mapping[str, AdValue]) -> list[str]:
        """The names of the files that a job with these attributes would need in its sandbox."""
        ad = wire_ad(to_items(attributes))
        reply = self._endpoint.call("discoverJobRequirements", repeatable=True, jobAd=ad)
        return reply.child("requirements").texts()

    # -- files --

    def list_spool(
        self, cluster: int, proc: int, *, transaction: Transaction | None = None
    ) -> list[FileInfo]:
        """The files in a job's sandbox: its input, and what it has written so far."""
        reply = self._call("listSpool", transaction, repeatable=True, clusterId=cluster, jobId=proc)
        return [
            FileInfo(item.text("name") or "", item.integer("size")) for item in reply.child("info").items()
        ]

    def download(
        self,
        cluster: int,
        proc: int,
        name: str,
        destination: str | os.PathLike[str] | BinaryIO,
        *,
        progress: Progress | None = None,
        chunk_size: int = DEFAULT_CHUNK,
        resume: bool = False,
        transaction: Transaction | None = None,
    ) -> int:
        """Fetch a file of a job's sandbox and return its size in bytes.

        A path appears (or is replaced) only when the file is complete; until then the bytes are in
        `<path>.part`, and with `resume` a part left behind by an earlier attempt is continued. A file object
        is written to from where it stands; with `resume` its position counts as the number of bytes that are
        there already. Memory does not grow with the file. Raises `UnknownFile`, `TransferFailed`, `OSError`.
        """
        size = self._size(cluster, proc, name, transaction)
        file = JobFile(transaction.call if transaction else self._endpoint.call, cluster, proc, name)
        if isinstance(destination, str | os.PathLike):
            path = Path(destination)
            download_to_path(file, size, path, resume=resume, chunk_size=chunk_size, progress=progress)
        else:
            start = min(destination.tell(), size) if resume else 0
            download(file, size, destination, start=start, chunk_size=chunk_size, progress=progress)
        return size

    def _size(self, cluster: int, proc: int, name: str, transaction: Transaction | None) -> int:
        for info in self.list_spool(cluster, proc, transaction=transaction):
            if info.name == name:
                return info.size
        raise UnknownFile(f"job {cluster}.{proc} has no file {name}")

    def close_spool(self, cluster: int, proc: int, *, transaction: Transaction | None = None) -> None:
        """Say that everything was fetched: a finished job leaves the queue, and its files are deleted."""
        self._call("closeSpool", transaction, clusterId=cluster, jobId=proc)

    # -- the server --

    def version(self) -> str:
        """For example `$CondorVersion: 8.4.12 ... $`."""
        return self._endpoint.call("getVersionString", repeatable=True).text("message") or ""

    def platform(self) -> str:
        """For example `$CondorPlatform: x86_64_... $`."""
        return self._endpoint.call("getPlatformString", repeatable=True).text("message") or ""

    def _call(
        self,
        operation: str,
        transaction: Transaction | None,
        *,
        repeatable: bool = False,
        **arguments: object,
    ) -> Reply:
        return self._endpoint.call(
            operation, repeatable=repeatable, transaction=_lease(transaction), **arguments
        )


def _lease(transaction: Transaction | None) -> dict[str, int] | None:
    return transaction.lease.wire() if transaction else None
