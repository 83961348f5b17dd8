"""A warmed-up server in a process of its own, and what an attack costs it.

CPU is that of the whole process, threads that have ended included, in nanoseconds from the kernel's clock of
the process; memory is the peak of the resident set since just before the attack, from /proc.

A core that others use too is slower while it works for the process: two hyperthreads share what one would
have alone, and caches are lost. So a fixed piece of work is measured beside every attempt, in CPU time as
well, and the budget is one of an undisturbed core: what the attempt took counts by as much less as that piece
took more than it does alone. Memory does not depend on what else the machine does.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.server_process import ServerProcess, running_server
from tests.soap.wire import SOAP_11, SOAP_12, call

MAX_CPU_SECONDS = 0.050
MAX_MEMORY_BYTES = 16 * 1024 * 1024
MAX_LOG_LINE_BYTES = 4096
MOST_TRIES = 12
"""How often an attack that is beyond the budget is repeated: its CPU time is the least seen, as what the
server does by itself, and what others do, can only add to it."""
ALONE_SECONDS = 0.001
"""What `_piece_of_work` takes on an undisturbed core of the machine on which the budget was set."""

PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back on a connection before it ended or the reply was complete: nothing, or HTTP."""

    raw: bytes

    @property
    def status(self) -> int:
        """The HTTP status; 0 when the connection was closed without a word."""
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def element(self) -> etree._Element:
        """The content of the SOAP Body; fails when the reply is not a well-formed envelope of one."""
        root = etree.fromstring(self.body, etree.XMLParser(resolve_entities=False))
        namespace = etree.QName(root).namespace
        assert namespace in (SOAP_11, SOAP_12)
        body = root.find(f"{{{namespace}}}Body")
        assert body is not None
        (content,) = body
        return content

    @property
    def fault_code(self) -> str:
        """The local name of the fault's code; fails when the reply is no fault with a code and a text."""
        fault = self.element
        assert etree.QName(fault).localname == "Fault", etree.tostring(fault)[:500]
        if etree.QName(fault).namespace == SOAP_12:
            code, text = fault.findtext(f"{{{SOAP_12}}}Code//*"), fault.findtext(f"{{{SOAP_12}}}Reason//*")
        else:
            code, text = fault.findtext("faultcode"), fault.findtext("faultstring")
        assert code is not None
        assert text, "a fault without a text"
        return code.rpartition(":")[2]

    @property
    def code(self) -> str:
        """The status code of an operation's reply; empty for those that have none."""
        return next((str(found.text) for found in self.element.iter("code")), "")


@dataclass(frozen=True)
class Toll:
    """What an attack took from the server, and what it got."""

    answer: Answer
    cpu: float
    memory: int
    log: list[bytes]

    def check(self) -> None:
        """Fail when a budget is exceeded."""
        assert self.cpu < MAX_CPU_SECONDS, f"{self.cpu * 1000:.0f} ms of CPU"
        assert self.memory < MAX_MEMORY_BYTES, f"{self.memory / 2**20:.1f} MB of memory"
        longest = max(map(len, self.log), default=0)
        assert longest < MAX_LOG_LINE_BYTES, f"a log line of {longest} bytes"


_TEXT = "attribute = 17 + Name; " * 400
_WORD = re.compile(r"[A-Za-z]+|[0-9]+|.")


def _piece_of_work() -> int:
    """A millisecond of what a request is made of: text cut into pieces, objects made and counted."""
    counts: dict[str, int] = {}
    for match in _WORD.finditer(_TEXT):
        word = match.group().lower()
        counts[word] = counts.get(word, 0) + 1
    return sum(counts.values())


def _slowness() -> float:
    """How much longer work takes at the moment than on an undisturbed core; never less than 1."""
    begun = time.thread_time()
    _piece_of_work()
    return max(1.0, (time.thread_time() - begun) / ALONE_SECONDS)


class Victim:
    """A server that is attacked."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._pid = server.process.pid
        self.port = int(server.url.rpartition(":")[2])

    def warm_up(self) -> None:
        """Let it load what it loads late, in both ways of reading a request, and settle."""
        for padding in (0, 1024, 600_000):
            request = post(call("getJobAds", f"<constraint>FALSE</constraint><x>{'y' * padding}</x>"))
            for _ in range(5):
                assert self.exchange(request).status == 200
        for constraint in ('Owner == "nobody"', "((", f'Name == "{"a" * 30_000}'):
            for operation in ("getJobAds", "queryAnyAds"):
                asked = call(operation, f"<constraint>{constraint}</constraint>")
                assert self.exchange(post(asked)).status == 200

    def attack(self, attempt: Callable[[], Answer]) -> Toll:
        """Make the attempt, several times if it seems to be beyond the budget: the least CPU time, the most
        memory, all that was logged.
        """
        tolls = [self._measure(attempt)]
        while min(toll.cpu for toll in tolls) >= MAX_CPU_SECONDS and len(tolls) < MOST_TRIES:
            tolls.append(self._measure(attempt))
        log = [line for toll in tolls for line in toll.log]
        return Toll(tolls[0].answer, min(t.cpu for t in tolls), max(t.memory for t in tolls), log)

    def _measure(self, attempt: Callable[[], Answer]) -> Toll:
        log_size = self._server.log.stat().st_size
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # the peak is counted anew
        slow = _slowness()
        before, cpu = self._memory("VmRSS"), self.cpu()
        answer = attempt()
        cpu, memory = self.cpu() - cpu, self._memory("VmHWM") - before
        cpu /= min(slow, _slowness())
        with self._server.log.open("rb") as log:
            log.seek(log_size)
            return Toll(answer, cpu, memory, log.read().splitlines())

    def cpu(self) -> float:
        """Seconds of CPU that the process has had."""
        return time.clock_gettime_ns(~self._pid << 3 | 2) / 1e9  # CPUCLOCK_SCHED of the process

    def descriptors(self) -> int:
        """How many files and connections the process has open."""
        return len(list(Path(f"/proc/{self._pid}/fd").iterdir()))

    def wait_for_descriptors(self, most: int) -> None:
        """Return when it has no more than so many open again; asking it gives it the time to notice."""
        deadline = time.monotonic() + PATIENCE
        while self.descriptors() > most:
            assert time.monotonic() < deadline, f"{self.descriptors()} descriptors, {most} before"
            self.exchange(post(call("getVersionString")))

    def _memory(self, field: str) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text()
        match = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024

    def exchange(self, request: bytes) -> Answer:
        """Send these bytes, on a connection of their own, and read until the reply is complete."""
        with self.connect() as connection:
            # Who is refused before all was read may find the connection closed; the answer is there anyhow.
            with contextlib.suppress(ConnectionError):
                connection.sendall(request)
            return read(connection)

    @contextlib.contextmanager
    def connect(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            yield connection


def read(connection: socket.socket) -> Answer:
    """One reply, or what there was of it when the other side hung up."""
    raw = b""
    with contextlib.suppress(ConnectionError):
        while not _is_complete(raw) and (piece := connection.recv(1 << 16)):
            raw += piece
    return Answer(raw)


def _is_complete(raw: bytes) -> bool:
    head, end, body = raw.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def post(body: bytes, *headers: bytes, content_type: bytes = b"text/xml; charset=utf-8") -> bytes:
    """An HTTP request of a SOAP call."""
    lines = [
        b"POST / HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Content-Type: " + content_type,
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Canary:
    """A port that nobody has a reason to connect to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def check(self) -> None:
        """Fail when somebody connected."""
        with contextlib.suppress(BlockingIOError):
            self._listener.accept()[0].close()
            raise AssertionError("the server connected to where the attack wanted it to")

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def victim(home: Path, *options: str) -> Iterator[Victim]:
    """A server that has answered before, so that nothing of its start is counted."""
    with running_server(home, *options) as server:
        found = Victim(server)
        found.warm_up()
        yield found
