"""Tests of job sandboxes."""

from birdbath.store import UnitOfWork, Writer
from birdbath.store.sandbox import Sandbox


def put(writer: Writer, box: Sandbox, name: str, data: bytes, offset: int = 0) -> None:
    def work(unit: UnitOfWork) -> None:
        box.declare(unit, name)
        box.write(unit, name, offset, data)

    writer.write_now(work)
