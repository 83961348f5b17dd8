"""Running a job's program in its sandbox, as far as a simulation does: checked at the start, written at the
end.

Names in the ad mean entries of the sandbox, by their last component; absolute paths elsewhere are names on an
execute machine that does not exist. Nothing outside of the sandbox is read or written, and no process is
started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from birdbath.classads import Ad
from birdbath.errors import UnknownFile
from birdbath.pool.simulated.command_line import UnbalancedQuotes, arguments, environment
from birdbath.pool.simulated.lifecycle import Hold
from birdbath.pool.simulated.programs import LONGEST_RUN, PROGRAMS, FileRange, Piece, Process
from birdbath.pool.simulated.shell import MAX_SCRIPT, run_script, script_text
from birdbath.store.sandbox import InvalidFileName, Sandbox, check_file_name
from birdbath.store.unit_of_work import UnitOfWork

FAILED_TO_CREATE_PROCESS = 6
UNABLE_TO_OPEN_OUTPUT = 7
TRANSFER_INPUT_ERROR = 13
_ENOENT = 2
_EINVAL = 22
_JAVA = 10
_SHELLS = frozenset({"sh", "bash", "dash"})
_NULL_DEVICES = frozenset({"", "/dev/null", "NUL"})


class CannotRun(Exception):
    """The job cannot run as it is; `hold` says why."""

    def __init__(self, code: int, subcode: int, reason: str) -> None:
        super().__init__(reason)
        self.hold = Hold(reason, code, subcode)


@dataclass(frozen=True)
class Run:
    """What a run comes to: how long the program takes, its exit code, CPU seconds, input bytes, and files it
    writes.
    """

    duration: float
    exit_code: int
    cpu: float
    received: int
    outputs: Mapping[str, Sequence[Piece]]

    @property
    def sent(self) -> int:
        """Bytes written."""
        return sum(piece_length(piece) for pieces in self.outputs.values() for piece in pieces)


def piece_length(piece: Piece) -> int:
    """Bytes in a piece of output."""
    return piece.length if isinstance(piece, FileRange) else len(piece)


class _SandboxFiles:
    """The sandbox as a program sees it from inside."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._inside = f"{sandbox.path}/"

    def find(self, path: str) -> FileRange | None:
        name = path.removeprefix(self._inside).removeprefix("./")
        try:
            return FileRange(name, self._sandbox.size(name))
        except (UnknownFile, InvalidFileName):
            return None

    def submitted(self, path: str) -> FileRange | None:
        """The file that a path in the job's ad means: the entry with its last component."""
        return self.find(path.rpartition("/")[2])

    def head(self, name: str) -> bytes:
        return self._sandbox.read(name, 0, MAX_SCRIPT)


def plan_run(ad: Ad, sandbox: Sandbox, slot: str, now: float, default_runtime: float) -> Run:
    """What a run of the job on `slot` comes to, seen at pool time `now`. Raises CannotRun."""
    files = _SandboxFiles(sandbox)
    try:
        words, variables = arguments(ad), environment(ad)
    except UnbalancedQuotes as error:
        raise CannotRun(FAILED_TO_CREATE_PROCESS, _EINVAL, str(error)) from None
    transferred, stdin = _transferred_in(ad, files, slot), _stdin(ad, files, slot)
    process = Process(
        files=files,
        environment={**variables, **_added_variables(slot)},
        stdin=stdin,
        hostname=slot.rpartition("@")[2],
        directory=str(sandbox.path),
        now=now,
    )
    exit_code, known = _execute(process, ad.string("Cmd"), words, files)
    duration = _runtime(ad)
    if duration is None:
        duration = process.slept if process.slept > 0 else default_runtime
    if not known:
        process.say(_generic_output(ad.string("Cmd"), words, slot, duration))
    received = sum({file.name: file.length for file in (*transferred, *stdin)}.values())
    return Run(duration, exit_code, 0.0 if known else duration, received, _outputs(ad, process))


def _added_variables(slot: str) -> dict[str, str]:
    return {"BATCH_SYSTEM": "HTCondor", "_CONDOR_SLOT": slot.partition("@")[0]}


def _execute(process: Process, cmd: str, words: Sequence[str], files: _SandboxFiles) -> tuple[int, bool]:
    """(exit code, whether the program is one that is known)."""
    name = cmd.rpartition("/")[2]
    script = _script(cmd, name, words, files)
    if script is not None:
        status = run_script(process, script)
        return (0, False) if status is None else (status, True)
    if name in PROGRAMS:
        return PROGRAMS[name](process, words), True
    return 0, False


def _script(cmd: str, name: str, words: Sequence[str], files: _SandboxFiles) -> str | None:
    """The shell script that the job is, if it is one: uploaded, given with -c, or named as the shell's
    argument.
    """
    uploaded = files.submitted(cmd)
    if uploaded is not None and (text := script_text(files.head(uploaded.name))) is not None:
        return text
    if name not in _SHELLS or not words:
        return None
    if words[0] == "-c":
        return words[1] if len(words) > 1 else None
    file = files.find(words[0])
    return None if file is None else script_text(b"#!/bin/sh\n" + files.head(file.name))


def _generic_output(cmd: str, words: Sequence[str], slot: str, duration: float) -> str:
    line = " ".join([cmd, *words])
    return (
        f"Simulated run of {line} on {slot}: no process was started. It took {duration:g} s and returned 0.\n"
    )


def _runtime(ad: Ad) -> float | None:
    value = ad.evaluate("SimRuntime") if "SimRuntime" in ad else None
    return min(max(0.0, float(value)), LONGEST_RUN) if isinstance(value, int | float) else None


def _transferred_in(ad: Ad, files: _SandboxFiles, slot: str) -> list[FileRange]:
    """The files transferred before the start, without standard input. Raises CannotRun for a missing one."""
    cmd = ad.string("Cmd")
    executable = files.submitted(cmd)
    if executable is None and not _is_elsewhere(ad, cmd):
        reason = f"Error from {slot}: Failed to execute '{cmd}': (errno=2: 'No such file or directory')"
        raise CannotRun(FAILED_TO_CREATE_PROCESS, _ENOENT, reason)
    found = [executable] if executable else []
    for path in _input_names(ad):
        file = files.submitted(path)
        if file is None:
            raise _missing_input(slot, path)
        found.append(file)
    return found


def _is_elsewhere(ad: Ad, cmd: str) -> bool:
    """Whether the program is expected on the execute machine."""
    return cmd.startswith("/") or ad.get("TransferExecutable") is False or ad.integer("JobUniverse") == _JAVA


def _input_names(ad: Ad) -> list[str]:
    """The names in TransferInput that can only mean files of the sandbox: no URLs, no absolute paths."""
    if ad.string("ShouldTransferFiles").upper() == "NO":
        return []
    names = [name.strip() for name in ad.string("TransferInput").split(",")]
    return [name for name in names if name and not name.startswith("/") and "://" not in name]


def _missing_input(slot: str, path: str) -> CannotRun:
    reason = (
        f"Transfer input files failure while sending files to execution point {slot}. Details: "
        f"1 total failures: first failure: reading from file {path}: (errno 2) No such file or directory"
    )
    return CannotRun(TRANSFER_INPUT_ERROR, _ENOENT, reason)


def _stdin(ad: Ad, files: _SandboxFiles, slot: str) -> tuple[FileRange, ...]:
    path = ad.string("In")
    if path in _NULL_DEVICES:
        return ()
    file = files.submitted(path)
    if file is None:
        raise _missing_input(slot, path)
    return (file,)


def _outputs(ad: Ad, process: Process) -> dict[str, list[Piece]]:
    """The files that the run writes. A file that is also read loses its old content, as in a shell."""
    outputs: dict[str, list[Piece]] = {}
    for path, pieces in process.written.items():
        outputs.setdefault(_output_name(path), []).extend(pieces)
    for attribute, pieces in (("Out", process.stdout), ("Err", process.stderr)):
        path = ad.string(attribute)
        if path not in _NULL_DEVICES:
            outputs.setdefault(_output_name(path), []).extend(pieces)
    for name, pieces in outputs.items():
        outputs[name] = [p for p in pieces if p and not (isinstance(p, FileRange) and p.name in outputs)]
    return outputs


def _output_name(path: str) -> str:
    try:
        return check_file_name(path.rpartition("/")[2])
    except InvalidFileName as error:
        reason = f"Failed to open '{path}' as standard output or error: {error}"
        raise CannotRun(UNABLE_TO_OPEN_OUTPUT, _EINVAL, reason) from None


def write_outputs(
    unit: UnitOfWork, sandbox: Sandbox, outputs: Mapping[str, Sequence[Piece]], progress: int, most: int
) -> int | None:
    """Write the next `most` bytes or so of a run's files, from byte `progress` of all of them together.

    Returns the new progress, or None when everything is written: durable when the unit is. Raises OSError.
    """
    position, stop = 0, progress + most
    for name, pieces in outputs.items():
        offset = 0
        if position >= progress:
            ready = _leading_bytes(pieces, stop - position)
            _create(unit, sandbox, name, ready)
            progress = position + len(ready)
        for piece in pieces:
            length = piece_length(piece)
            done = max(0, progress - position)
            if done < length:
                part = min(length - done, max(0, stop - position - done))
                _write(unit, sandbox, name, offset + done, piece, done, part)
                progress = position + done + part
                if progress >= stop:
                    return progress
            position += length
            offset += length
    return None


def _leading_bytes(pieces: Sequence[Piece], most: int) -> bytes:
    """What a new file can be given at once: its pieces up to the first that is a range of another file."""
    ready = bytearray()
    for piece in pieces:
        if isinstance(piece, FileRange) or len(ready) >= most:
            break
        ready += piece[: most - len(ready)]
    return bytes(ready)


def _create(unit: UnitOfWork, sandbox: Sandbox, name: str, data: bytes) -> None:
    if not sandbox.exists():
        sandbox.declare(unit, name)
    sandbox.replace(unit, name, data)


def _write(
    unit: UnitOfWork, sandbox: Sandbox, name: str, offset: int, piece: Piece, start: int, length: int
) -> None:
    if isinstance(piece, FileRange):
        sandbox.copy(unit, piece.name, name, start, offset, length)
    else:
        sandbox.write(unit, name, offset, piece[start : start + length])
