"""Which jobs and files are meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from birdbath.classads import Constraint
from birdbath.client import Ad, AdValue, TransferFailed
from birdbath.commands.fetch import targets
from birdbath.commands.queue import run_time
from birdbath.commands.selection import Selection, both, single_job
from birdbath.commands.terminal import duration, safe


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ([], None),
        (["12"], "ClusterId == 12"),
        (["12.3"], "ClusterId == 12 && ProcId == 3"),
        (["12", "13"], "member(ClusterId, {12, 13})"),
        (["12.0", "12.4"], "ClusterId == 12 && member(ProcId, {0, 4})"),
        (["alice"], 'Owner == "alice"'),
        (['a"b'], 'Owner == "a\\"b"'),
        (["1", "2.0", "bob"], '(ClusterId == 1) || (ClusterId == 2 && ProcId == 0) || (Owner == "bob")'),
    ],
)
def test_words_become_an_expression(words: list[str], expression: str | None) -> None:
    found = Selection.of(words).expression()

    assert found == expression
    Constraint(found)  # the server takes it


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [(None, None, None), ("a", None, "a"), (None, "b", "b"), ("a || c", "b", "(a || c) && (b)")],
)
def test_both(left: str | None, right: str | None, result: str | None) -> None:
    assert both(left, right) == result


def test_a_single_job() -> None:
    assert single_job("12.3") == (12, 3)
    assert single_job("12") == (12, 0)
    with pytest.raises(typer.BadParameter, match=r"expected CLUSTER\.PROC"):
        single_job("alice")


def test_outputs_go_where_their_submitter_wanted_them_below_the_folder() -> None:
    ad = Ad({"SUBMIT_TransferOutputRemaps": "a=out/a; b=/etc/b;c=../c ;d=x/../../d"})

    found = targets(ad, ["a", "b", "c", "d", "e"], Path("here"))

    assert found == {
        "a": Path("here/out/a"),
        "b": Path("here/b"),
        "c": Path("here/c"),
        "d": Path("here/d"),
        "e": Path("here/e"),
    }


@pytest.mark.parametrize("name", ["", "..", ".", "/etc/passwd", "../x", "a/b", "a\0b"])
def test_a_server_cannot_choose_where_to_write(name: str) -> None:
    with pytest.raises(TransferFailed, match="not the name of a file"):
        targets(Ad(), [name], Path("here"))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0+00:00:00"), (65, "0+00:01:05"), (90061.9, "1+01:01:01"), (-5, "0+00:00:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ({"JobStatus": 4, "RemoteWallClockTime": 7.5, "JobCurrentStartDate": 1000}, 7.5),
        ({"JobStatus": 2, "RemoteWallClockTime": 7.5, "JobCurrentStartDate": 1000, "ServerTime": 1010}, 17.5),
        ({"JobStatus": 2}, 0),
    ],
)
def test_the_time_a_job_has_run(attributes: dict[str, AdValue], seconds: float) -> None:
    assert run_time(Ad(attributes)) == seconds


def test_text_of_others_cannot_steer_the_terminal() -> None:
    assert safe("zoë €") == "zoë €"
    assert safe("a\x1b[31mb\tc\x07") == "a\\x1b[31mb\\tc\\x07"
