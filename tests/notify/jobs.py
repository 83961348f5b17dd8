"""Jobs of a real server, and its events by zeep."""

from __future__ import annotations

from typing import Any

import zeep

from birdbath.client import Schedd


def submit(url: str, jobs: int = 1, owner: str = "ann") -> int:
    """Queue one cluster of jobs that run for a moment; its number."""
    with Schedd(url).transaction() as transaction:
        cluster = transaction.new_cluster()
        for _ in range(jobs):
            job = cluster.new_job()
            job.submit(job.template("/bin/true", owner=owner))
        return int(cluster.id)


def events_service(url: str) -> Any:
    """The operations of birdbathEvents, as any WSDL client would have them."""
    return zeep.Client(f"{url}/birdbathEvents.wsdl").service


def topics(*patterns: str, constraint: str | None = None) -> dict[str, object]:
    """A filter as zeep wants it."""
    return {"topics": {"item": list(patterns)}, "constraint": constraint}
