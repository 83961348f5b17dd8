"""The life and death of servers, as seen by whoever kills them and by the clients that wait for the next."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.disk import switch_of
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0


@dataclass(frozen=True)
class Plan:
    """How a life ends: at a named point, at the n-th sync of the spool (`power_cut`), or by a signal: `after`
    so many seconds from `since`, its birth or its answer to `answers` calls. The first two end that way too
    when their moment does not come. Answers are counted, not seconds, so that a life is no shorter
    under load.
    """

    crash_at: str = ""
    power_cut: int = 0
    since: str = "answers"
    answers: int = 0
    after: float = 0.0
    spool_age: float = 3600.0


class Lives:
    """Starts lives on one home folder and one port and ends them with SIGKILL. Clients may wait from other
    threads.
    """

    def __init__(self, home: Path, durable_at: str = "call") -> None:
        self.home = home
        self.durable_at = durable_at
        self.port = free_port()
        self._changed = threading.Condition()
        self._serial = 0
        self.power_cuts = 0
        self._over = False
        self._pid: int | None = None
        self._messages: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery", str(home), str(self.port)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "BIRDBATH_DURABLE_AT": durable_at},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def serial(self) -> int:
        """How many lives have become ready so far."""
        return self._serial

    def wait_for_next(self, serial: int) -> bool:
        """Wait until a life after number `serial` is ready; False when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._serial > serial or self._over, _PATIENCE)
            return self._serial > serial

    def live(self, plan: Plan) -> str:
        """One life from start to death; returns what killed it: the named point, "power cut" or "time"."""
        self.start(plan)
        if plan.since == "born":
            ended = self._ended_within(plan.after)
        else:
            ended = self._ended_before(plan.answers) or self._ended_within(plan.after)
        if not ended:
            self.kill()
            return "time"
        if not (plan.crash_at or plan.power_cut):
            raise AssertionError("the server ended by itself")
        if plan.crash_at:
            return plan.crash_at.rpartition(":")[0]
        self.power_cuts += 1
        return "power cut"

    def note_answer(self) -> None:
        """A client got an answer. Thread-safe."""
        self._messages.put(["answered"])

    def start(self, plan: Plan) -> None:
        """Begin a life."""
        assert self._nursery.stdin is not None
        order = {
            "crash_at": plan.crash_at,
            "power_cut": plan.power_cut,
            "boot": 1 + self.power_cuts,
            "spool_age": plan.spool_age,
        }
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        self._pid = self._await("born")

    def start_for_good(self, plan: Plan | None = None) -> None:
        """Begin a life and wait until it is ready."""
        self.start(plan or Plan())
        self._await("ready")

    def kill(self) -> None:
        """End the life that is now."""
        assert self._pid is not None
        switch = os.open(switch_of(self.home), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(switch, fcntl.LOCK_EX)  # a disk that is losing power does so to its end
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        finally:
            os.close(switch)
        self._await("ended")

    def close(self) -> None:
        """No more lives: whoever waits for one is told so."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._pid is not None:
            with suppress(ProcessLookupError):  # it has ended already
                os.kill(self._pid, signal.SIGKILL)
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait(_PATIENCE)
        self._nursery.stdout.close()

    def _listen(self) -> None:
        assert self._nursery.stdout is not None
        for line in self._nursery.stdout:
            message = line.split()
            if message[0] == "ready":
                with self._changed:
                    self._serial += 1
                    self._changed.notify_all()
            self._messages.put(message)
        self._messages.put(["gone", "0"])

    def _await(self, wanted: str) -> int:
        while True:
            message = self._messages.get(timeout=_PATIENCE)
            if message[0] == wanted:
                if wanted == "ended":
                    self._check_end(message)
                return int(message[1])
            if message[0] in ("ended", "gone"):
                raise AssertionError(f"the server was expected to be {wanted}, but: {' '.join(message)}")

    def _ended_before(self, answers: int) -> bool:
        """Wait until the life is ready and has answered so many calls; True when it ended before."""
        ready = False
        while not ready or answers > 0:
            message = self._messages.get(timeout=_PATIENCE)
            if message[0] == "ended":
                self._check_end(message)
                return True
            if message[0] == "gone":
                raise AssertionError("the nursery ended")
            answers -= ready and message[0] == "answered"
            ready = ready or message[0] == "ready"
        return False

    def _ended_within(self, seconds: float) -> bool:
        try:
            while True:
                message = self._messages.get(timeout=max(seconds, 0.0001))
                if message[0] == "ended":
                    self._check_end(message)
                    return True
        except queue.Empty:
            return False

    def _check_end(self, message: list[str]) -> None:
        self._pid = None
        if int(message[2]) != -signal.SIGKILL:
            raise AssertionError(f"the server ended with status {message[2]}")
