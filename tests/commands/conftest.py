"""Servers for the commands, and a way to run a command as the user `alice` does, in an empty folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest
import typer
from typer.testing import CliRunner

from birdbath.commands import register
from tests.client.conftest import fake
from tests.clients.conftest import simulated as server

__all__ = ["fake", "server"]


class Outcome(Protocol):
    """What a command printed, and its exit code."""

    @property
    def exit_code(self) -> int: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...


class Run(Protocol):
    def __call__(self, *words: str, url: str = "") -> Outcome: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    app = typer.Typer(pretty_exceptions_enable=False)
    register(app)
    monkeypatch.chdir(tmp_path)

    def run_command(*words: str, url: str = "") -> Outcome:
        environment = {"LOGNAME": "alice", "COLUMNS": "200", "BIRDBATH_URL": url or None}
        outcome: Outcome = CliRunner().invoke(app, words, env=environment, catch_exceptions=False)
        return outcome

    return run_command
