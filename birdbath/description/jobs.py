"""One job of a submit description: its attributes and files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from birdbath.description import sandbox, vocabulary, words
from birdbath.description.errors import DescriptionError
from birdbath.description.vocabulary import expression
from birdbath.errors import InvalidAd
from birdbath.values import AdValue, Universe, literal

_HELD: dict[str, AdValue] = {
    "JobStatus": 5,
    "HoldReason": "submitted on hold at user's request",
    "HoldReasonCode": 15,
    "HoldReasonSubCode": 0,
}
_CONTAINERS = {"docker": ("docker_image", "WantDocker"), "container": ("container_image", "WantContainer")}


@dataclass(frozen=True)
class PlannedJob:
    """A job ready to be sent: the attributes that are laid over the server's template, and the files to
    upload.
    """

    executable: str
    universe: Universe
    attributes: dict[str, AdValue]
    uploads: dict[str, Path]

    def upload_size(self) -> int:
        """Bytes to upload."""
        return sum(path.stat().st_size for path in self.uploads.values())


@dataclass(frozen=True)
class Planner:
    """Turns the expanded commands of a job into a `PlannedJob`; `owner` and `environment` are the
    submitter's, `files` says what becomes of the job's files.
    """

    owner: str
    environment: Mapping[str, str]
    files: Callable[[Mapping[str, str]], sandbox.Sandbox] = sandbox.plan

    def plan(self, expanded: Mapping[str, str]) -> PlannedJob:
        """Raises `DescriptionError` for commands that cannot be carried out as they are."""
        commands = {vocabulary.canonical(name): value for name, value in expanded.items()}
        if "executable" not in commands:
            raise DescriptionError("there is no executable")
        universe, extra = _universe(commands)
        files = self.files(commands)
        attributes: dict[str, AdValue] = {"Owner": self.owner, "JobUniverse": int(universe)}
        attributes |= extra | files.attributes | _sizes(files) | self._words(commands)
        attributes |= _by_table(commands)
        attributes |= _accounting(commands, self.owner) | _retries(commands, attributes) | _hold(commands)
        attributes |= _deferral(attributes)
        attributes["Requirements"] = _requirements(commands, attributes)
        attributes |= _own(commands)
        return PlannedJob(commands["executable"], universe, attributes, files.uploads)

    def _words(self, commands: Mapping[str, str]) -> dict[str, AdValue]:
        taken = words.inherited(commands.get("getenv", ""), self.environment)
        settings = words.environment(commands.get("environment", ""), taken)
        found: dict[str, AdValue] = {"Arguments": words.arguments(commands.get("arguments", ""))}
        return found | {"Environment": settings} if settings else found


def _universe(commands: Mapping[str, str]) -> tuple[Universe, dict[str, AdValue]]:
    name = commands.get("universe", "vanilla").lower()
    if name in _CONTAINERS:
        command, attribute = _CONTAINERS[name]
        if command not in commands:
            raise DescriptionError(f"universe = {name} needs {command}")
        return Universe.VANILLA, {attribute: True} | (_image(commands) if name == "container" else {})
    if name == "vanilla" and {"container_image", "docker_image"} & commands.keys():
        return Universe.VANILLA, {"WantContainer": True} | _image(commands)
    if name.upper() not in Universe.__members__ and not name.isdecimal():
        raise DescriptionError(f"universe = {name}: there is no such universe")
    try:
        universe = Universe(int(name)) if name.isdecimal() else Universe[name.upper()]
    except ValueError:
        raise DescriptionError(f"universe = {name}: there is no such universe") from None
    if universe is Universe.GRID and "grid_resource" not in commands:
        raise DescriptionError("universe = grid needs grid_resource")
    return universe, {}


def _image(commands: Mapping[str, str]) -> dict[str, AdValue]:
    """What kind of image the container of a job is made from, as `condor_submit` tells it from the name."""
    image = str(vocabulary.text(commands.get("container_image", "")))
    if not image:
        return {"WantDockerImage": True}
    if image.startswith("docker:"):
        return {"WantDockerImage": True, "ContainerImageSource": "docker"}
    return {"WantSIF": True} if image.endswith(".sif") else {"WantSandboxImage": True}


def _by_table(commands: Mapping[str, str]) -> dict[str, AdValue]:
    found = (
        vocabulary.attribute(name, value) for name, value in commands.items() if not name.startswith("my.")
    )
    attributes = dict(pair for pair in found if pair is not None)
    if "MinHosts" in attributes:
        attributes["MaxHosts"] = attributes["MinHosts"]
    return attributes


def _own(commands: Mapping[str, str]) -> dict[str, AdValue]:
    """`+Attr` and `MY.Attr`: they come last, and win."""
    found = (vocabulary.attribute(name, value) for name, value in commands.items() if name.startswith("my."))
    return dict(pair for pair in found if pair is not None)


def _sizes(files: sandbox.Sandbox) -> dict[str, AdValue]:
    """What the upload needs on disk, in KiB."""
    known = [path.stat().st_size for path in files.uploads.values() if path.exists()]
    return {"DiskUsage": max(1, -(-sum(known) // 1024))} if known else {}


def _accounting(commands: Mapping[str, str], owner: str) -> dict[str, AdValue]:
    if not {"accounting_group", "accounting_group_user"} & commands.keys():
        return {}
    user = str(vocabulary.text(commands.get("accounting_group_user", owner)))
    group = str(vocabulary.text(commands.get("accounting_group", "")))
    return {"AcctGroupUser": user, "AccountingGroup": f"{group}.{user}" if group else user}


def _hold(commands: Mapping[str, str]) -> dict[str, AdValue]:
    return dict(_HELD) if vocabulary.decision(commands, "hold", False) else {}


def _retries(commands: Mapping[str, str], attributes: Mapping[str, AdValue]) -> dict[str, AdValue]:
    """`max_retries` and its like make an OnExitRemove, as with `condor_submit`."""
    if not {"max_retries", "retry_until", "success_exit_code"} & commands.keys():
        return {}
    success = _number("success_exit_code", commands.get("success_exit_code", "0"))
    reasons = ["NumJobCompletions > JobMaxRetries", f"ExitCode =?= {success}"]
    if until := commands.get("retry_until"):
        reasons.append(f"ExitCode =?= {until}" if until.lstrip("-").isdecimal() else f"( {until} )")
    if "on_exit_remove" in commands:
        reasons.append(f"( {literal(attributes['OnExitRemove'])} )")
    found: dict[str, AdValue] = {"JobMaxRetries": _number("max_retries", commands.get("max_retries", "2"))}
    if "success_exit_code" in commands:
        found["JobSuccessExitCode"] = success
    return found | {"OnExitRemove": _parsed("retry_until", " || ".join(reasons))}


def _number(command: str, text: str) -> int:
    try:
        return vocabulary.integer(text)
    except InvalidAd:
        raise DescriptionError(f"{command} = {text}: that is not a number") from None


def _deferral(attributes: Mapping[str, AdValue]) -> dict[str, AdValue]:
    """What `condor_submit` adds to a DeferralTime; by it a job takes a slot only shortly before that."""
    if "DeferralTime" not in attributes:
        return {}
    usual: dict[str, AdValue] = {"DeferralWindow": 0, "DeferralPrepTime": 300, "ScheddInterval": 300}
    return {name: value for name, value in usual.items() if name not in attributes}


def _requirements(commands: Mapping[str, str], attributes: Mapping[str, AdValue]) -> AdValue:
    """The job's own requirements, and that a machine has what the job asks for, unless they speak of it
    already, and that it is nearly time for a deferred job.

    Unlike `condor_submit` this says nothing of Arch and OpSys: who submits over the web may sit at another
    kind of machine than those of the pool.
    """
    own = commands.get("requirements", "").strip()
    clauses = [f"( {literal(_parsed('requirements', own))} )"] if own else []
    requests = dict.fromkeys(("RequestDisk", "RequestMemory", "RequestCpus"))
    requests |= dict.fromkeys(name for name in attributes if name.startswith("Request"))
    for request in requests:
        resource = request.removeprefix("Request")
        if request in attributes and not re.search(rf"(?i)\b(?:{resource}|{request})\b", own):
            clauses.append(f"( TARGET.{resource} >= {request} )")
    if "DeferralTime" in attributes:
        clauses.append("( time() + ScheddInterval >= DeferralTime - DeferralPrepTime )")
    return _parsed("requirements", " && ".join(clauses)) if clauses else True


def _parsed(command: str, text: str) -> AdValue:
    try:
        return expression(text)
    except InvalidAd as error:
        raise DescriptionError(f"{command}: {error}") from None
