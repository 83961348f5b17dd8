"""What every kind of attack needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.victim import Canary


@pytest.fixture
def canary() -> Iterator[Canary]:
    bird = Canary()
    yield bird
    bird.close()
