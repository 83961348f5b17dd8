"""Every follower gets every event, first in order per job, whoever is killed or away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import rabbitmq
from tests.following import campaign
from tests.following.audit import Report, Taken
from tests.toolkit import require

pytestmark = pytest.mark.slow


def test_nothing_is_lost(tmp_path: Path) -> None:
    report = campaign.run(tmp_path, "1", events=1500, kills=4, away=0.0)
    assert report.violations == [], report.summary()
    assert report.events >= 1500
    assert report.kills["server"] == 4
    assert min(report.kills[who] for who in ("receiver", "stream of desk", "stream of cluster")) > 0
    assert min(report.severed[way] for way in ("stream", "webhook")) > 0, report.summary()
    assert report.repeated["webhook"] > 0, "nothing that was hung up on came again"


@pytest.mark.toolkit
def test_nothing_is_lost_over_a_broker(tmp_path: Path) -> None:
    require("RabbitMQ (Debian's rabbitmq-server)", rabbitmq.program() is not None)
    with rabbitmq.running() as broker:
        report = campaign.run(tmp_path, "3", events=1500, kills=4, away=0.0, broker=broker)
    assert report.violations == [], report.summary()
    assert report.events >= 1500
    assert min(report.kills[who] for who in ("server", "broker", "listener")) > 0
    assert min(report.severed[way] for way in ("stream", "webhook", "relay", "listener")) > 0
    assert report.repeated["listener"] > 0, "nothing that was not confirmed came again"


LOG = [Taken("p", 1, "a", "1.0"), Taken("p", 2, "b", "2.0"), Taken("p", 3, "c", "1.0")]
OTHER = Taken("q", 1, "d", "1.0")


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ([LOG[0], LOG[2]], "1 of 3 missing"),
        ([LOG[0], LOG[1], LOG[2]._replace(id="x")], "1 of 3 missing"),
        ([LOG[0], LOG[1], LOG[2]._replace(source="q")], "1 of 3 missing"),
        ([LOG[1], LOG[2], LOG[0]], "event 1 of job 1.0 came after 3"),
        ([*LOG, LOG[1]._replace(id="x")], "event 2 came as"),
    ],
)
def test_the_audit_finds_what_went_wrong(taken: list[Taken], said: str) -> None:
    report = Report()
    report.audit("stream", LOG, taken)
    assert any(said in violation for violation in report.violations), report.violations


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ([LOG[0], LOG[2], OTHER], ["the log of p has gaps"]),
        ([*LOG, OTHER._replace(id="a")], ["two events have the same id"]),
        ([*LOG, OTHER], []),
    ],
)
def test_the_audit_of_logs(log: list[Taken], said: list[str]) -> None:
    report = Report()
    report.audit_log(log)
    assert report.violations == said


def test_the_audit_takes_repetitions_and_pools_apart() -> None:
    report = Report()
    report.audit("stream", [*LOG, OTHER], [LOG[1], *LOG, OTHER, LOG[0]])
    assert (report.violations, report.repeated["stream"]) == ([], 2)
