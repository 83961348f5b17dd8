"""The head of a response and the body go out together, as far as they come together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from birdbath.http.heads import HeadWithBody

HEAD, BODY, MORE = b"HTTP/1.1 200 OK\r\n\r\n", b"body", b"more"


class Transport:
    """What was written, each time."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        self.written.append(b"".join(lines))

    def close(self) -> None:
        self.written.append(b"closed")

    def is_closing(self) -> bool:
        return self.written[-1:] == [b"closed"]


class Cycle:
    response_started = False


def written(*steps: str) -> list[bytes]:
    """What is written when the cycle does these, one after the other; `round` is one of the loop."""

    async def scenario() -> list[bytes]:
        transport: Any = Transport()
        cycle: Any = Cycle()
        joined = HeadWithBody(transport, cycle, asyncio.get_running_loop())
        for step in steps:
            if step == "round":
                await asyncio.sleep(0)
            elif step == "close":
                joined.close()
                assert joined.is_closing()
            else:
                cycle.response_started = step != "continue"
                joined.write({"head": HEAD, "body": BODY, "more": MORE}.get(step, step.encode()))
        return list(transport.written)

    return asyncio.run(scenario())


def test_the_head_goes_out_with_the_body() -> None:
    assert written("head", "body", "round", "more") == [HEAD + BODY, MORE]


def test_the_head_of_a_stream_does_not_wait_for_its_body() -> None:
    assert written("head", "round", "body", "more") == [HEAD, BODY, MORE]


def test_a_response_without_a_body_goes_out() -> None:
    assert written("head", "round") == [HEAD]


def test_the_end_of_the_connection_comes_after_the_head() -> None:
    assert written("head", "close", "round") == [HEAD, b"closed"]


def test_the_client_is_told_to_continue_at_once() -> None:
    assert written("continue", "round", "head", "body") == [b"continue", HEAD + BODY]
