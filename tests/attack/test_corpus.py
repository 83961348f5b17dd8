"""Each attack of the corpus over a socket: what it is answered, and that it costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.corpus import CASES, SECRET, Case, Place
from tests.attack.victim import Answer, Canary, Victim, post, victim


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("victim")) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_attack(case: Case, target: Victim, canary: Canary, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    place = Place(str(secret), canary.port)
    request = post(case.body(place), *case.headers, content_type=case.content_type)
    toll = target.attack(lambda: target.exchange(request))
    assert outcome(toll.answer) == case.outcome
    assert SECRET.encode() not in toll.answer.raw
    canary.check()
    toll.check()


def outcome(answer: Answer) -> str:
    """What the case calls it."""
    if answer.status == 400 and b"Envelope" not in answer.body:  # not understood even as HTTP
        return "HTTP 400"
    return answer.code if answer.status == 200 else answer.fault_code
