"""Every follower gets every event, first in order per job, whoever is killed or away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import rabbitmq
from tests.following import campaign
from tests.following.hook import Taken
from tests.toolkit import require

pytestmark = pytest.mark.slow


def test_nothing_is_lost(tmp_path: Path) -> None:
    report = campaign.run(tmp_path, "1", events=1500, kills=3, away=3.0)
    assert report.violations == [], report.summary()
    assert report.events >= 1500
    assert report.kills["server"] == 3
    assert report.repeated["webhook"] > 0, "nothing that was hung up on came again"


@pytest.mark.toolkit
def test_nothing_is_lost_over_a_broker(tmp_path: Path) -> None:
    require("RabbitMQ (Debian's rabbitmq-server)", rabbitmq.program() is not None)
    with rabbitmq.running() as broker:
        report = campaign.run(tmp_path, "3", events=1500, kills=4, away=12.0, broker=broker)
    assert report.violations == [], report.summary()
    assert report.events >= 1500
    assert min(report.kills[who] for who in ("server", "broker", "amqp consumer", "partition")) > 0
    assert report.repeated["amqp"] > 0, "nothing that was not confirmed came again"


LOG: list[Taken] = [(1, "a", "1.0"), (2, "b", "2.0"), (3, "c", "1.0")]


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ([LOG[0], LOG[2]], "1 of 3 missing"),
        ([LOG[0], LOG[1], (3, "x", "1.0")], "1 of 3 missing"),
        ([LOG[1], LOG[2], LOG[0]], "event 1 of job 1.0 came after 3"),
        ([*LOG, (2, "x", "2.0")], "event 2 came as"),
    ],
)
def test_the_audit_finds_what_went_wrong(taken: list[Taken], said: str) -> None:
    report = campaign.Report()
    campaign._audit(report, "stream", LOG, taken)
    assert any(said in violation for violation in report.violations), report.violations


def test_the_audit_takes_repetitions() -> None:
    report = campaign.Report()
    campaign._audit(report, "stream", LOG, [LOG[1], *LOG, LOG[0]])
    assert (report.violations, report.repeated["stream"]) == ([], 2)
