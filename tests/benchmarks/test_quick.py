"""Every benchmark runs in its quick mode and tells sane figures; no time is asserted."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as benchmarks
from benchmarks.figures import Figure, alternated, compared
from tests import htcondor_pool as pools
from tests import rabbitmq
from tests.toolkit import require

EXPECTED: dict[str, dict[str, float | None]] = {
    "small_calls": {"getVersionString, CPU": 12.0},
    "ad_lists": {"getJobAds, 100 ads, again": 3.0, "getJobAds, 100 ads, first: memory over the cache": 64.0},
    "submissions": {
        "whole submission (8 calls), durable at commit, 1 connection": 1.0,
        "whole submission (8 calls), durable at commit, 16 connections": 1.0,
        "whole submission (8 calls), durable at each call, 16 connections": None,
    },
    "transfers": {"sendFile, 1 MiB": None, "getFile, 64 KiB": None},
    "queries": {"1 % of 1,000 ads, in process": 1.5, "1 % of 1,000 ads, over HTTP": 1.5},
    "following": {"changes of jobs with their events, 1 in a commit": None},
    "relaying": {"events relayed to RabbitMQ, each confirmed": None},
    "guard": {
        "HTTP Basic, CPU": 1.2,
        "IDTOKEN, CPU": 1.2,
        "SciToken, CPU": 1.2,
        "OIDC access token, CPU": 1.2,
        "UsernameToken, digest, CPU": 1.2,
        "answered at twice the capacity": None,
        "time to a 503 while all places are taken": None,
    },
    "growth": {"getJobAd, 1,000 jobs": 1.5, "commitTransaction, 1,000 jobs": 1.5},
    "real_pool": {"getJobAds of 1 %": 1.0, "queryStartdAds of the pool's own machine": 1.2},
    "simulation": {"a day of a campus pool with 100 jobs, CPU time": 1.0, "CPU time per job, 200 jobs": 1.2},
}
"""Some figures of each group, and the most that their ratio may come to (None: the target is a least)."""


@pytest.mark.slow
@pytest.mark.parametrize("group", benchmarks.GROUPS)
def test_a_group_runs_and_its_figures_are_sane(group: str, tmp_path: Path) -> None:
    if group == "relaying":
        require("RabbitMQ (Debian's rabbitmq-server)", rabbitmq.program() is not None)
    if group == "real_pool":
        pools.require_htcondor()
    result = tmp_path / "result.json"
    benchmarks.main(quick=True, only=[group], json_file=result)
    told = json.loads(result.read_text())
    assert told["quick"] is True
    assert told["cores"] >= 1
    assert told["versions"]["spyne"] == "2.14.0"
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert len(figures) == len(told["figures"])
    for figure in figures.values():
        assert figure["value"] >= 0, figure
        assert math.isfinite(figure["value"]), figure
        if figure["reference"] is not None:
            assert figure["reference"] >= 0, figure
            assert figure["reference_name"], figure
        assert (figure["met"] is None) == (figure["at_most"] is None and figure["at_least"] is None), figure
    for name, target in EXPECTED[group].items():
        assert figures[name]["at_most"] == target, name


def test_a_group_that_is_none_is_refused() -> None:
    import typer

    application = typer.Typer()
    application.command()(benchmarks.main)
    done = CliRunner().invoke(application, ["--only", "nothing"])
    assert done.exit_code == 2
    assert "nothing" in done.output


def test_targets_are_compared_with_ratios() -> None:
    assert compared("g", "n", 10, "us", "r", 5, at_most=2).met is True
    assert compared("g", "n", 10, "us", "r", 4, at_most=2).met is False
    assert compared("g", "n", 10, "MB/s", "r", 30, at_least=1 / 3).met is True
    assert compared("g", "n", 9, "MB/s", "r", 30, at_least=1 / 3).met is False
    assert compared("g", "n", 9, "MB/s", "r", 30).met is None
    assert Figure("g", "n", 9, "MB").met is None


def test_measurements_alternate() -> None:
    order: list[str] = []

    def measure(name: str, values: list[float]) -> float:
        order.append(name)
        return values.pop()

    first, second = [1.0, 9.0, 2.0], [5.0, 6.0, 4.0]
    assert alternated([lambda: measure("a", first), lambda: measure("b", second)], 3) == [2.0, 5.0]
    assert order == ["a", "b"] * 3
