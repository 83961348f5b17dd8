"""`birdbath replay`: traces in, figures and a picture out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run

SMALL = Path(__file__).parent.parent / "traces" / "data" / "small.swf"


def test_a_trace_replays_with_the_totals_computed_by_hand(run: Run) -> None:
    """Job 4 (one processor) fits beside job 1 when job 2 ends at 70; all others are as in the recorded run.

    Starts: 0, 10, 100, 70, 150, 200; ends: 100, 70, 150, 90, 250, 210.
    """
    outcome = run("replay", str(SMALL), "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    simulated, recorded = found["simulated"], found["recorded"]
    assert (simulated["jobs"], simulated["processors"]) == (6, 4)
    assert (simulated["makespan"], simulated["work"], simulated["utilisation"]) == (250, 850, 0.85)
    assert simulated["mean_wait"] == pytest.approx((0 + 0 + 80 + 40 + 110 + 0) / 6)
    assert (simulated["median_wait"], simulated["max_wait"]) == (20, 110)
    assert simulated["mean_response"] == pytest.approx((100 + 60 + 130 + 60 + 210 + 10) / 6)
    assert simulated["mean_slowdown"] == pytest.approx((1 + 1 + 2.6 + 3 + 2.1 + 1) / 6)
    assert simulated["mean_bounded_slowdown"] == pytest.approx((1 + 1 + 2.6 + 3 + 2.1 + 1) / 6)
    assert recorded["mean_wait"] == pytest.approx((0 + 0 + 80 + 120 + 110 + 0) / 6)
    assert "left out: 1 line(s): cancelled before they started" in outcome.stderr


def test_a_table_and_a_picture(run: Run, tmp_path: Path) -> None:
    (tmp_path / "small.swf.gz").write_bytes(gzip.compress(SMALL.read_bytes()))
    outcome = run("replay", "small.swf.gz", "--picture", "run.svg", "--limit", "2", "--processors", "8")
    assert outcome.exit_code == 0, outcome.stderr
    rows = {line[:24].strip(): line[24:].split() for line in outcome.stdout.splitlines()}
    assert rows[""] == ["simulated", "recorded"]
    assert rows["jobs"] == ["2", "2"]
    assert rows["processors"] == ["8", "8"]
    assert (tmp_path / "run.svg").read_text().startswith("<?xml")


def test_on_a_pool(run: Run, tmp_path: Path) -> None:
    outcome = run("replay", str(SMALL), "--pool", "laptop", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["simulated"]["processors"] == 36
    assert (
        "--processors is for the one machine"
        in run("replay", str(SMALL), "--pool", "laptop", "--processors", "4").stderr
    )


def test_a_job_that_fits_nowhere_is_told_of(run: Run) -> None:
    outcome = run("replay", str(SMALL), "--processors", "3")
    assert outcome.exit_code == 0
    assert "warning: 1 job(s) did not run to their end" in outcome.stderr


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("x.swf", "1 2 3\n", "x.swf, line 1: 3 fields instead of 18"),
        ("x.swf", "; nothing\n", "x.swf: no job to replay"),
        ("x.swf.gz", "not gzip", "x.swf.gz: Not a gzipped file"),
        ("x.log", "what is this\n", "x.log: "),
    ],
)
def test_what_is_no_trace_is_refused(run: Run, tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)
    outcome = run("replay", name)
    assert outcome.exit_code == 1
    assert why in outcome.stderr


def test_a_file_that_is_not_there(run: Run) -> None:
    for name in ("missing.swf", "missing.log"):
        outcome = run("replay", name)
        assert outcome.exit_code == 1
        assert name in outcome.stderr
