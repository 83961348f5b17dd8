"""Constraints as clients send them."""

from __future__ import annotations

import logging

import pytest

from birdbath.errors import RequestFault
from birdbath.pool.queries import client_constraint


def test_what_is_none_selects_nothing_and_adds_one_line_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    text = "((\r\n2026-11-30 03:07:59,652 CRITICAL birdbath: all is lost\x9b1A"
    assert client_constraint(text, strict=False) is None
    (told,) = caplog.messages
    assert told.isprintable()
    with pytest.raises(RequestFault, match="not a ClassAd expression"):
        client_constraint(text, strict=True)
