"""The head of a response goes out with the beginning of its body."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class HeadWithBody:
    """What a cycle of Uvicorn's takes for its transport.

    Uvicorn writes the head as soon as it has it. That is one more system call, and it wakes a client that has
    to wait again at once. Here it is kept until the body comes, but not beyond this round of the event loop:
    of a stream the client is to see the head.
    """

    __slots__ = ("_begun", "_cycle", "_head", "_loop", "_transport")

    def __init__(
        self, transport: asyncio.Transport, cycle: RequestResponseCycle, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._transport = transport
        self._cycle = cycle
        self._loop = loop
        self._begun = False
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write `data`, after the head."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif self._begun or not self._cycle.response_started:  # "100 Continue" comes before the response
            self._transport.write(data)
        else:
            self._begun = True
            self._head = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Close the connection when all is written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
