"""A spool with a sandbox, something outside of it, and a look at what is synced and left open."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from birdbath.store import Writer, open_engine
from birdbath.store.sandbox import Sandbox, Spool
from tests.store.test_unit_of_work import open_files
from tests.syncs import sync_by


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Writer]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('database')}/a.sqlite")
    writer = Writer(engine)
    yield writer
    writer.close()
    engine.dispose()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def box(spool: Spool) -> Sandbox:
    return spool.sandbox(7, 0)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder next to the spool with a file that nobody may read, change or remove."""
    folder = tmp_path / "outside"
    (folder / "0" / "cluster7.proc0.subproc0").mkdir(parents=True)
    for secret in (folder / "secret", folder / "0" / "cluster7.proc0.subproc0" / "secret"):
        secret.write_text("secret")
    yield folder
    for secret in (folder / "secret", folder / "0" / "cluster7.proc0.subproc0" / "secret"):
        assert secret.read_text() == "secret"
    assert sum(1 for _ in folder.rglob("*")) == 4


@pytest.fixture(autouse=True)
def no_descriptor_leaks(writer: Writer, spool: Spool) -> Iterator[None]:
    writer.write_now(lambda unit: None)
    before = open_files()
    yield
    assert open_files() - before == set()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files and directories that were synced, those of a unit in any order."""
    paths: list[str] = []
    fsync = os.fsync

    def recording(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    sync_by(monkeypatch, recording)
    return paths
