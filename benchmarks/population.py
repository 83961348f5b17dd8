"""Home folders with many jobs in the queue, made through the Pool contract as a commit makes them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from benchmarks.messages import job_attributes
from birdbath.classads import Ad
from birdbath.pool.base import JobId, NewJob
from birdbath.server import Parts, build
from birdbath.settings import load_settings
from birdbath.store import UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")

_BATCH = 1000


def in_own_process(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a new process: no figure inherits another one's memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def populate(home: Path, count: int) -> None:
    """Queue `count` jobs of 80 attributes, one a cluster, that match no machine."""
    in_own_process(_populate, home, count)


def _populate(home: Path, count: int) -> None:
    parts = parts_of(home)
    for start in range(0, count, _BATCH):

        def accept(unit: UnitOfWork, size: int = min(_BATCH, count - start)) -> None:
            clusters = [parts.pool.queue.reserve_cluster(unit) for _ in range(size)]
            parts.pool.queue.accept(unit, [NewJob(JobId(c, 0), Ad(job_attributes(c, 0))) for c in clusters])

        parts.writer.write_now(accept)
    parts.close()


def parts_of(home: Path) -> Parts:
    """The parts of a server on a home folder, in this process."""
    return build(load_settings(home=home), "127.0.0.1:9618")
