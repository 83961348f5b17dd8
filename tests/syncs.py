"""Syncs that a test does itself."""

import os
from collections.abc import Callable

import pytest

from birdbath.store import syncing


def sync_by(monkeypatch: pytest.MonkeyPatch, sync: Callable[[int], object]) -> None:
    """Let every sync of a descriptor in this process be a call of `sync`."""
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(syncing, "_kernel", lambda: None)
