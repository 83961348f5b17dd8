"""The file of the trail: rotated by its size, and not the end of a call when it cannot be written."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from birdbath.access import Caller
from birdbath.http.audit import KEPT_FILES, Audit

NOBODY = Caller("127.0.0.1", None)


def write(audit: Audit, count: int) -> None:
    for number in range(count):
        audit.call("newCluster", NOBODY, {"cluster": number}, "SUCCESS", 0.001, "1a2b3c4d")


def clusters(path: Path) -> list[int]:
    return [json.loads(line)["cluster"] for line in path.read_text().splitlines()]


def test_it_is_rotated_before_it_grows_too_large(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit = Audit(path, max_bytes=1000)
    write(audit, 15)
    audit.close()
    old = sorted(tmp_path.glob("audit.log.*"), reverse=True)
    found = [cluster for file in (*old, path) for cluster in clusters(file)]
    assert found == list(range(15))
    assert all(0 < file.stat().st_size <= 1000 for file in (*old, path))
    assert len(old) >= 2

    again = Audit(path, max_bytes=1000)  # what is there already counts
    write(again, 100)
    again.close()
    assert len(list(tmp_path.iterdir())) == 1 + KEPT_FILES
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())


def test_a_server_follows_when_another_one_has_rotated_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    one, other = Audit(path, max_bytes=1000), Audit(path, max_bytes=1000)
    write(other, 1)
    write(one, 10 * KEPT_FILES)
    write(other, 1)
    assert clusters(path)[-1] == 0
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    one.close()
    other.close()


def test_of_two_servers_that_find_the_file_full_at_once_one_rotates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.log"
    first = Audit(path)
    write(first, 3)
    first.close()
    full = path.stat().st_size + 50
    one, other = Audit(path, max_bytes=full), Audit(path, max_bytes=full)
    before = clusters(path)
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        """Another one comes before, all the way."""
        monkeypatch.setattr(fcntl, "flock", lock)
        write(one, 1)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write(other, 2)
    assert clusters(tmp_path / "audit.log.1") == before
    assert clusters(path) == [0, 0, 1]
    one.close()
    other.close()


def test_a_line_that_cannot_be_written_is_told_to_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(tmp_path / "audit.log", max_bytes=500)
    write(audit, 2)

    def refuse(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        write(audit, 3)
    assert "No space left on device" in caplog.text
    write(audit, 1)
    audit.close()
    assert clusters(tmp_path / "audit.log") == [0]
