"""Simulated programs: what the programs that people try first would print, computed without starting any
process.

A program sees its arguments, environment, standard input and the files of its own sandbox, nothing else of
this machine. What it writes is a list of pieces, bytes or ranges of sandbox files, so that a program which
copies a large file costs no memory.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class FileRange:
    """The first `length` bytes of a file in the sandbox."""

    name: str
    length: int


Piece = bytes | FileRange


class Files(Protocol):
    """What a program can see of its sandbox."""

    def find(self, path: str) -> FileRange | None:
        """The file that `path` means to the job, or None."""


@dataclass
class Process:
    """One simulated process: what it was given, and what it has done so far. Times are pool time.

    `pauses` are the moments (in seconds it has `slept`) at which it stopped for a while, with how many pieces
    were on its own standard output and error by then.
    """

    files: Files
    environment: Mapping[str, str]
    stdin: Sequence[Piece]
    hostname: str
    directory: str
    now: float
    stdout: list[Piece] = field(default_factory=list)
    stderr: list[Piece] = field(default_factory=list)
    written: dict[str, list[Piece]] = field(default_factory=dict)
    appended: dict[str, FileRange | None] = field(default_factory=dict)
    slept: float = 0.0
    pauses: list[tuple[float, tuple[int, int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._own = self.stdout, self.stderr

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""
        if seconds > 0:
            out, error = self._own
            self.pauses.append((self.slept, (len(out), len(error))))
            self.slept = min(self.slept + seconds, LONGEST_RUN)

    def say(self, text: str) -> None:
        """Write to standard output."""
        self.stdout.append(_encoded(text))

    def complain(self, text: str) -> int:
        """Write a line to standard error; the exit code that goes with it."""
        self.stderr.append(_encoded(text + "\n"))
        return 1

    def read(self, path: str) -> Sequence[Piece] | None:
        """The content of a file, as this process may have written it itself; None when there is none."""
        own = self.written.get(self._key(path))
        if own is not None:
            return tuple(own)
        found = self.files.find(path)
        return None if found is None else (found,)

    def open_new(self, path: str) -> list[Piece]:
        """Where to write a file's whole content."""
        key = self._key(path)
        self.appended.pop(key, None)
        self.written[key] = []
        return self.written[key]

    def open_end(self, path: str) -> list[Piece]:
        """Where to write what comes after a file's old content; `appended` says what that is."""
        key = self._key(path)
        if key not in self.written:
            found = self.appended[key] = self.files.find(path)
            self.written[key] = [] if found is None else [found]
        return self.written[key]

    def _key(self, path: str) -> str:
        return path.removeprefix(f"{self.directory}/").removeprefix("./")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


Program = Callable[[Process, Sequence[str]], int]
"""Does what the program does with its arguments; returns the exit code."""

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)\Z")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_RUN = 10.0 * 365 * 86400
"""Ten years: no program takes longer."""


def _sleep(process: Process, arguments: Sequence[str]) -> int:
    matches = [_DURATION.match(argument) for argument in arguments]
    if not arguments:
        return process.complain("sleep: missing operand")
    for argument, match in zip(arguments, matches, strict=True):
        if match is None:
            return process.complain(f"sleep: invalid time interval '{argument}'")
    seconds = sum(float(match[1]) * _UNITS[match[2]] for match in matches if match is not None)
    process.sleep(seconds)
    return 0


def _echo(process: Process, arguments: Sequence[str]) -> int:
    bare = bool(arguments) and arguments[0] == "-n"
    process.say(" ".join(arguments[1:]) if bare else " ".join(arguments) + "\n")
    return 0


def _cat(process: Process, arguments: Sequence[str]) -> int:
    status = 0
    for path in [argument for argument in arguments if argument == "-" or not argument.startswith("-")] or [
        "-"
    ]:
        content = process.stdin if path == "-" else process.read(path)
        if content is None:
            status = process.complain(f"cat: {path}: No such file or directory")
        else:
            process.stdout.extend(content)
    return status


def _env(process: Process, arguments: Sequence[str]) -> int:
    process.say("".join(f"{name}={value}\n" for name, value in process.environment.items()))
    return 0


def _hostname(process: Process, arguments: Sequence[str]) -> int:
    short = any(argument in ("-s", "--short") for argument in arguments)
    process.say((process.hostname.partition(".")[0] if short else process.hostname) + "\n")
    return 0


def _date(process: Process, arguments: Sequence[str]) -> int:
    wanted = next(
        (argument[1:] for argument in arguments if argument.startswith("+")), "%a %b %e %H:%M:%S UTC %Y"
    )
    wanted = wanted.replace("%s", str(int(process.now)))
    process.say(time.strftime(wanted, time.gmtime(process.now)) + "\n")
    return 0


def _pwd(process: Process, arguments: Sequence[str]) -> int:
    process.say(process.directory + "\n")
    return 0


def _true(process: Process, arguments: Sequence[str]) -> int:
    return 0


def _false(process: Process, arguments: Sequence[str]) -> int:
    return 1


PROGRAMS: Mapping[str, Program] = {
    "cat": _cat,
    "date": _date,
    "echo": _echo,
    "env": _env,
    "false": _false,
    "hostname": _hostname,
    "printenv": _env,
    "pwd": _pwd,
    "sleep": _sleep,
    "true": _true,
    ":": _true,
}
"""By the last component of the path by which a job names them."""
