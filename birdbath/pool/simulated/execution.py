"""Running a job's program in its sandbox, as far as a simulation does: checked at the start, written at the
end.

Names in the ad mean entries of the sandbox, by their last component; absolute paths elsewhere are names on an
execute machine that does not exist. Nothing outside of the sandbox is read or written, and no process is
started.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from birdbath.classads import Ad
from birdbath.classads.arguments import UnbalancedQuotes
from birdbath.errors import UnknownFile
from birdbath.pool.simulated.command_line import arguments, environment
from birdbath.pool.simulated.lifecycle import Hold
from birdbath.pool.simulated.live_output import LiveOutput, live_output
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
MAX_OPEN_FILES = 256
"""A step ends early when its unit holds more files open than this; the limit is often 1024 a process."""
OLD_SIZES = "SimOldSizes"
"""The ad's attribute that says, while a run writes, how long the files it appends to were before."""
_SIZE = re.compile(r"-1|[0-9]{1,18}")
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
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

    Output that begins with a range of the very file stays behind that range. `appended` has the old sizes of
    the files that the program appends to, -1 for one that was not there. A `lasting` run comes to the same
    whenever it is asked for, as long as there is no sandbox: nothing is known of its program. `live` is what
    of the outputs can be seen before the end.
    """

    duration: float
    exit_code: int
    cpu: float
    received: int
    outputs: Mapping[str, Sequence[Piece]]
    appended: Mapping[str, int]
    lasting: bool = False
    live: LiveOutput | None = None

    @property
    def sent(self) -> int:
        """Bytes written."""
        return sum(piece_length(piece) for pieces in self.outputs.values() for piece in pieces)


def out_of_descriptors(error: Exception) -> bool:
    """Whether too many files are open at the moment, in this process or on this machine."""
    return isinstance(error, OSError) and error.errno in _NO_DESCRIPTORS


def note_old_sizes(ad: Ad, appended: Mapping[str, int]) -> bool:
    """Put the sizes of files that are about to be appended to into the ad; False when they are there."""
    text = "/".join(f"{size} {name}" for name, size in appended.items())
    if not text or ad.string(OLD_SIZES) == text:
        return False
    ad.set(OLD_SIZES, text)
    return True


def _old_sizes(ad: Ad) -> dict[str, int]:
    entries = [entry.partition(" ") for entry in ad.string(OLD_SIZES).split("/")]
    return {name: int(size) for size, _, name in entries if _SIZE.fullmatch(size)}


def piece_length(piece: Piece) -> int:
    """Bytes in a piece of output."""
    return piece.length if isinstance(piece, FileRange) else len(piece)


class _SandboxFiles:
    """The sandbox as a program sees it from inside: as it was before the run wrote any of its output."""

    def __init__(self, sandbox: Sandbox, old_sizes: Mapping[str, int]) -> None:
        self._sandbox = sandbox
        self._old_sizes = old_sizes
        self._inside = f"{sandbox.location}/"
        self.nothing = not sandbox.exists()

    def find(self, path: str) -> FileRange | None:
        if self.nothing:
            return None
        name = path.removeprefix(self._inside).removeprefix("./")
        try:
            size = self._sandbox.size(name)
            size = min(size, self._old_sizes.get(name, size))
            return FileRange(name, size) if size >= 0 else None
        except (UnknownFile, InvalidFileName):
            return None

    def submitted(self, path: str) -> FileRange | None:
        """The file that a path in the job's ad means: the entry with its last component."""
        return self.find(path.rpartition("/")[2])

    def head(self, file: FileRange) -> bytes:
        return self._sandbox.read(file.name, 0, min(MAX_SCRIPT, file.length))


def plan_run(ad: Ad, sandbox: Sandbox, slot: str, now: float, default_runtime: float) -> Run:
    """What a run of the job on `slot` comes to, seen at pool time `now`. Raises CannotRun."""
    files = _SandboxFiles(sandbox, _old_sizes(ad))
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
        directory=sandbox.location,
        now=now,
    )
    exit_code, known = _execute(process, ad.string("Cmd"), words, files)
    duration = _runtime(ad)
    if duration is None:
        duration = process.slept if process.slept > 0 else default_runtime
    if not known:
        process.say(_generic_output(ad.string("Cmd"), words, slot, duration))
    received = sum({file.name: file.length for file in (*transferred, *stdin)}.values())
    cpu = 0.0 if known else duration
    outputs, appended = _outputs(ad, process), _appended(process)
    lasting = not known and files.nothing and not ad.is_expression("SimRuntime")
    live = live_output(process, _fresh_streams(ad, process, files, outputs), duration)
    if live is not None:
        # Whoever looks again at this run must not take for old what it has written itself.
        appended |= dict.fromkeys(live.files, -1)
    return Run(duration, exit_code, cpu, received, outputs, appended, lasting, live)


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
    if uploaded is not None and (text := script_text(files.head(uploaded))) is not None:
        return text
    if name not in _SHELLS or not words:
        return None
    if words[0] == "-c":
        return words[1] if len(words) > 1 else None
    file = files.find(words[0])
    return None if file is None else script_text(b"#!/bin/sh\n" + files.head(file))


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
    """The files that the run writes. A file that is also read loses its old content, as in a shell, unless it
    is appended to.
    """
    outputs: dict[str, list[Piece]] = {}
    for path, pieces in process.written.items():
        outputs.setdefault(_output_name(path), []).extend(pieces)
    for attribute, pieces in (("Out", process.stdout), ("Err", process.stderr)):
        path = ad.string(attribute)
        if path not in _NULL_DEVICES:
            outputs.setdefault(_output_name(path), []).extend(pieces)
    lost = {
        name for name, pieces in outputs.items() if name not in process.appended or not _kept(name, pieces)
    }
    for name, pieces in outputs.items():
        outputs[name] = [p for p in pieces if p and not (isinstance(p, FileRange) and p.name in lost)]
    return outputs


def _fresh_streams(
    ad: Ad, process: Process, files: _SandboxFiles, outputs: Mapping[str, Sequence[Piece]]
) -> dict[str, Sequence[Piece]]:
    """Standard output and error that go into files of their own, which were not there before."""
    found: dict[str, Sequence[Piece]] = {}
    others = {_output_name(path) for path in process.written}
    for attribute, pieces in (("Out", process.stdout), ("Err", process.stderr)):
        path = ad.string(attribute)
        name = "" if path in _NULL_DEVICES else _output_name(path)
        if name not in outputs or name in others or files.find(name) is not None:
            return found
        if name not in found:
            found[name] = pieces
    return found


def _appended(process: Process) -> dict[str, int]:
    return {
        name: -1 if found is None else found.length
        for name, found in process.appended.items()
        if "/" not in name
    }


def _kept(name: str, pieces: Sequence[Piece]) -> int:
    """How many bytes of the old content of an output file stay before what is written."""
    first = pieces[0] if pieces else b""
    return first.length if isinstance(first, FileRange) and first.name == name else 0


def _output_name(path: str) -> str:
    try:
        return check_file_name(path.rpartition("/")[2])
    except InvalidFileName as error:
        reason = f"Failed to open '{path}' as standard output or error: {error}"
        raise CannotRun(UNABLE_TO_OPEN_OUTPUT, _EINVAL, reason) from None


def write_outputs(
    unit: UnitOfWork, sandbox: Sandbox, outputs: Mapping[str, Sequence[Piece]], progress: int, most: int
) -> int | None:
    """Write the next part of a run's files, from `progress`, which counts their bytes, and one for each file.

    A part is `most` bytes or so, and ends early when the unit has too many files open. Returns the new
    progress, or None when everything is written: durable when the unit is. Raises OSError.
    """
    position, begun, stop = 0, progress, progress + most
    for name, pieces in outputs.items():
        output = _Output(unit, sandbox, name, pieces)
        end = position + output.cost
        if progress < end:
            if progress > begun and unit.open_files > MAX_OPEN_FILES:
                return progress
            try:
                progress = position + output.write(progress - position, stop - position)
            except OSError as error:
                if progress > begun and out_of_descriptors(error):
                    return progress
                raise
            if progress < end or progress >= stop:
                return progress
        position = end
    return None


class _Output:
    """One file of a run's output, and how far it is written: 0 for not at all, then 1 and a byte each."""

    def __init__(self, unit: UnitOfWork, sandbox: Sandbox, name: str, pieces: Sequence[Piece]) -> None:
        self._unit = unit
        self._sandbox = sandbox
        self._name = name
        self._kept = _kept(name, pieces)
        self._pieces = pieces[1:] if self._kept else pieces
        self.cost = 1 + sum(map(piece_length, self._pieces))

    def write(self, progress: int, stop: int) -> int:
        """Write from `progress` as far as `stop` allows; where that ended."""
        if progress == 0:
            ready = _leading_bytes(self._pieces, stop - 1)
            self._begin(ready)
            progress = 1 + len(ready)
        position = 1
        for piece in self._pieces:
            end = position + piece_length(piece)
            if progress < min(end, stop):
                length = min(end, stop) - progress
                self._write(piece, progress - position, self._kept + progress - 1, length)
                progress += length
            position = end
        return progress

    def _begin(self, data: bytes) -> None:
        if not self._kept:
            _create(self._unit, self._sandbox, self._name, data)
            return
        if self._sandbox.size(self._name) > self._kept:
            # Away with what an earlier attempt at this very run appended.
            self._sandbox.cut(self._unit, self._name, self._kept)
        self._sandbox.write(self._unit, self._name, self._kept, data)

    def _write(self, piece: Piece, start: int, offset: int, length: int) -> None:
        if isinstance(piece, FileRange):
            self._sandbox.copy(self._unit, piece.name, self._name, start, offset, length)
        else:
            self._sandbox.write(self._unit, self._name, offset, piece[start : start + length])


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
