"""Open transactions at a start, after a kill and after a loss of power."""

from __future__ import annotations

import os

import pytest

from birdbath.errors import InvalidTransaction
from birdbath.pool.base import JobId
from birdbath.schedd import Transaction, resume, settle_all
from birdbath.store import UnitOfWork
from birdbath.store.boots import Boots
from tests.schedd.fakes import House
from tests.syncs import sync_by


class Boot(Boots):
    """What a start finds."""

    def __init__(self, lost: bool) -> None:
        self._is_lost = lost

    def begin(self, unit: UnitOfWork, relaxed: bool) -> bool:
        return self._is_lost


def start(house: House, lost: bool, relaxed: bool = True) -> int:
    return house.writer.write_now(lambda unit: resume(house.context(unit), Boot(lost), relaxed))


def with_file(house: House) -> tuple[Transaction, int]:
    txn, cluster = house.staged_job()
    house.do(lambda schedd: schedd.declare_file(txn, cluster, 0, "in", 3, 0, None))
    house.do(lambda schedd: schedd.send_file(txn, cluster, 0, "in", 0, b"abc"))
    return txn, cluster


def test_after_a_kill_open_transactions_go_on(house: House) -> None:
    txn, cluster = with_file(house)
    house.now += 3600
    assert start(house, lost=False) == 0
    house.do(lambda schedd: schedd.commit_transaction(txn))
    assert house.read(lambda schedd: schedd.get_file(None, cluster, 0, "in", 0, 9)) == b"abc"


def test_after_a_loss_of_power_they_are_over_as_a_whole(house: House) -> None:
    kept = house.committed_job()
    txn, cluster = with_file(house)
    other = house.begin()
    assert start(house, lost=True) == 2
    for gone in (txn, other):
        with pytest.raises(InvalidTransaction):
            house.do(lambda schedd, gone=gone: schedd.commit_transaction(gone))  # type: ignore[misc]
    assert not house.queue.sandbox(JobId(cluster, 0)).exists()
    assert house.queue.sandbox(kept).exists()
    assert list(house.queue.jobs) == [kept]


@pytest.mark.parametrize("at_start", [False, True])
def test_a_stop_and_a_start_that_relaxes_nothing_sync_what_waits(
    at_start: bool, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cluster = with_file(house)
    other, _ = house.staged_job()
    synced: list[str] = []
    sync_by(monkeypatch, lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    if at_start:
        start(house, lost=False, relaxed=False)
    else:
        house.writer.write_now(lambda unit: settle_all(unit, house.queue))
    boxes = [house.queue.sandbox(JobId(number, 0)) for number in (cluster, cluster + 1)]
    assert {f"{boxes[0].path}/in", *(str(box.path) for box in boxes)} <= set(synced)
    house.do(lambda schedd: schedd.abort_transaction(other))


@pytest.mark.parametrize("another", [False, True])
def test_a_commit_syncs_what_another_server_lets_wait(
    another: bool, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    txn, cluster = with_file(house)
    if another:  # one that lets files wait has noted the boot that it works in
        house.writer.write_now(lambda unit: unit.advance("boot"))
    synced: list[str] = []
    sync_by(monkeypatch, lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    house.do(lambda schedd: schedd.commit_transaction(txn))
    assert (f"{house.queue.sandbox(JobId(cluster, 0)).path}/in" in synced) == another
