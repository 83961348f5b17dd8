"""Which files of the submitting machine go into a job's sandbox, and what they are called there.

A sandbox is one flat folder: every file is known in it by the last part of its path. Folders cannot be
carried over the SOAP interface, and say so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from birdbath.description import vocabulary, words
from birdbath.description.errors import DescriptionError
from birdbath.description.vocabulary import decision
from birdbath.values import AdValue

SYSTEM_FOLDERS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin")
NULL_DEVICE = "/dev/null"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass
class Sandbox:
    """The files to upload, by their names there, and the attributes that go with them."""

    check: bool
    uploads: dict[str, Path] = field(default_factory=dict)
    attributes: dict[str, AdValue] = field(default_factory=dict)

    def add(self, command: str, path: Path) -> str:
        """Have a file uploaded, and return its name in the sandbox."""
        if self.check:
            _check_file(command, path)
        if self.uploads.setdefault(path.name, path) != path:
            raise DescriptionError(
                f"{command}: {path} and {self.uploads[path.name]} have the same name; rename one"
            )
        return path.name


def plan(commands: Mapping[str, str]) -> Sandbox:
    """The sandbox of a job with these commands (expanded, by canonical name).

    With `should_transfer_files = NO` nothing is uploaded: both sides see the same file system, and paths stay
    as given. Raises `DescriptionError` for files that are missing, unless `skip_filechecks` is true.
    """
    warns = commands.get("skip_filechecks", "").lower() == "warn"  # it is said all the same
    sandbox = Sandbox(check=warns or not decision(commands, "skip_filechecks", False))
    folder = Path.cwd() / commands.get("initialdir", "")
    if sandbox.check and not folder.is_dir():
        raise DescriptionError(f"initialdir: {folder} is no folder")
    transfer = vocabulary.attribute("should_transfer_files", commands.get("should_transfer_files", "YES"))
    if transfer == ("ShouldTransferFiles", "NO"):
        _share(sandbox, commands, folder)
    else:
        _executable(sandbox, commands, Path.cwd())
        _inputs(sandbox, commands, folder)
        _outputs(sandbox, commands)
    sandbox.attributes["SUBMIT_Iwd"] = str(folder)
    return sandbox


def plan_in_place(commands: Mapping[str, str]) -> Sandbox:
    """The sandbox of a job whose files lie in it already, as those of a DAG's node do: nothing is uploaded.

    Nothing of this machine is looked at; every path means the file of that name in the sandbox.
    """
    sandbox = _plan_all(commands, Path())
    if sandbox.uploads:
        sandbox.attributes.setdefault("TransferInput", ",".join(sandbox.uploads))
    sandbox.uploads.clear()
    return sandbox


def local_files(commands: Mapping[str, str], folder: Path) -> dict[str, Path]:
    """The files that a job submitted from `folder` would be sent, by name; they need not exist."""
    return _plan_all(commands, folder).uploads


def _plan_all(commands: Mapping[str, str], folder: Path) -> Sandbox:
    sandbox = Sandbox(check=False)
    _executable(sandbox, commands, folder)
    _inputs(sandbox, commands, folder / commands.get("initialdir", ""))
    _outputs(sandbox, commands)
    return sandbox


def _share(sandbox: Sandbox, commands: Mapping[str, str], folder: Path) -> None:
    """Nothing moves: the job runs in the folder it was submitted from."""
    for command in ("transfer_input_files", "transfer_output_files", "when_to_transfer_output"):
        if command in commands:
            raise DescriptionError(f"{command} does not go with should_transfer_files = NO")
    executable = commands["executable"]
    sandbox.attributes |= {
        "Iwd": str(folder),
        "Cmd": str(Path.cwd() / executable),
        "TransferExecutable": False,
    }
    for command, attribute in (("input", "In"), ("output", "Out"), ("error", "Err"), ("log", "UserLog")):
        if command in commands:
            sandbox.attributes[attribute] = commands[command]


def _executable(sandbox: Sandbox, commands: Mapping[str, str], folder: Path) -> None:
    """Uploaded, unless it is said to be on the machines already, or lies in a folder of the system's own
    programs.
    """
    executable = commands["executable"]
    if commands.get("universe", "vanilla").lower() == "java":
        sandbox.add("executable", folder / executable)
        sandbox.attributes["Cmd"] = "java"
        sandbox.attributes["TransferExecutable"] = False
        return
    there_already = os.path.dirname(executable) in SYSTEM_FOLDERS
    if not decision(commands, "transfer_executable", not there_already):
        sandbox.attributes |= {"Cmd": executable, "TransferExecutable": False}
    else:
        sandbox.attributes["Cmd"] = sandbox.add("executable", folder / executable)


def _inputs(sandbox: Sandbox, commands: Mapping[str, str], folder: Path) -> None:
    standard_input = commands.get("input", NULL_DEVICE)
    if standard_input != NULL_DEVICE:
        sandbox.attributes["In"] = sandbox.add("input", folder / standard_input)
    listed = words.names(commands.get("transfer_input_files", ""))
    for name in listed:
        if not _URL.match(name):
            sandbox.add("transfer_input_files", folder / name)
    jars = [sandbox.add("jar_files", folder / name) for name in words.names(commands.get("jar_files", ""))]
    if jars:
        sandbox.attributes["JarFiles"] = ",".join(jars)
    if urls := [name for name in listed if _URL.match(name)]:
        # Otherwise the server makes this list by itself, of the uploaded files.
        sandbox.attributes["TransferInput"] = ",".join([*sandbox.uploads, *urls])


def _outputs(sandbox: Sandbox, commands: Mapping[str, str]) -> None:
    """Outputs are plain names in the sandbox; where they go stands in SUBMIT_TransferOutputRemaps."""
    remaps = [f"{name}={path}" for name, path in words.remaps(commands.get("transfer_output_remaps", ""))]
    for command, attribute in (("output", "Out"), ("error", "Err"), ("log", "UserLog")):
        path = commands.get(command, NULL_DEVICE)
        if path == NULL_DEVICE:
            continue
        name = os.path.basename(path)
        if not name:
            raise DescriptionError(f"{command} = {path}: that is a folder")
        sandbox.attributes[attribute] = name
        if name != path:
            remaps.append(f"{name}={path}")
    if remaps:
        sandbox.attributes["SUBMIT_TransferOutputRemaps"] = ";".join(dict.fromkeys(remaps))


def _check_file(command: str, path: Path) -> None:
    if path.is_dir():
        raise DescriptionError(
            f"{command}: {path} is a folder; only files can be sent. List its files instead"
        )
    if not path.is_file():
        raise DescriptionError(f"{command}: {path} does not exist or is not a file")
    if not os.access(path, os.R_OK):
        raise DescriptionError(f"{command}: {path} cannot be read")
