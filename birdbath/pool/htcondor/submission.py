"""From a client's job ads to one submission for the bindings.

`Submit` takes the submit language, which is text: whatever a client wrote has to be a value there and nothing
else (pool reference sections 3.6 and 5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from birdbath.classads import Ad, Attribute, Constraint, valid_name
from birdbath.classads.syntax import quote, replace_references
from birdbath.dagman.options import PROGRAM
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.pool.base import JobId, NewJob, incomplete
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.requests import Submission

_UNIVERSES = {
    5: "vanilla",
    7: "scheduler",
    9: "grid",
    10: "java",
    11: "parallel",
    12: "local",
    13: "vm",
}
_SET_BY_THE_SCHEDD = frozenset(
    {"clusterid", "procid", "jobstatus", "mytype", "targettype", "servertime", "globaljobid", "owner", "user"}
    | {"osuser", "ntdomain", "stageinstart", "stageinfinish", "iwd", "requirements", "jobuniverse"}
    | {"condorversion", "condorplatform", "holdreason", "holdreasoncode", "holdreasonsubcode"}
    | {"cmd", "transferexecutable", "transferinput", "leavejobinqueue", "cookies"}
    | {"otherjobremoverequirements"}
)
"""In lower case: what a client's ad may name but the schedd, or this module, sets."""
_MACRO = re.compile(r"(?<!\$)\$(?=[A-Za-z_]*\()")
_SCHEDULER = 7
_GRID = 9
_HELD = 5
_ANY_RESOURCE = "condor none none"
"""What the submit language wants to be told; the ad's own GridResource comes in its place."""
_ANY_CLASS = '"Main"'
"""The submit language wants the class of a java job; Arguments of the client's ad take its place."""
_NULL_DEVICE = "/dev/null"
_OTHERS = "OtherJobRemoveRequirements"
_FORBIDDEN = re.compile("[\n\r\0\x1f\ud800-\udfff]")


class CannotSubmit(BirdbathError):
    """The pool cannot be given such a job; nothing was submitted."""


@dataclass(frozen=True)
class StagedFiles:
    """Where a job's uploaded files are, and their names."""

    folder: str
    files: frozenset[str]


def submission(
    jobs: Sequence[NewJob],
    staged: Mapping[JobId, StagedFiles],
    gateway: str,
    marker: str,
    dagman_configuration: str | None = None,
    as_owner: bool = False,
) -> Submission:
    """The submission of one cluster, whose procs are all there, from 0. Raises CannotSubmit.

    `dagman_configuration` is CONDOR_CONFIG on the schedd's machine, which DAGMan asks for. Who submits
    `as_owner` leaves it to the schedd to say whose the jobs are.
    """
    is_dagman = all(_is_dagman(new.ad) for new in jobs)
    if is_dagman and dagman_configuration is not None:
        jobs = [NewJob(new.id, _configured(new.ad, dagman_configuration)) for new in jobs]
    ads = [_proc(new, staged[new.id], gateway, marker) | {names.PROCS: str(len(jobs))} for new in jobs]
    owners = {new.ad.string("Owner") for new in jobs}
    if len(owners) != 1:
        raise CannotSubmit("The jobs of a cluster have several owners")
    if as_owner:
        for ad in ads:
            ad.pop("Owner", None)
    universes = {new.ad.integer("JobUniverse", 5) for new in jobs}
    if len(universes) != 1 or not universes <= _UNIVERSES.keys():
        raise CannotSubmit(f"The pool has no jobs of universe {', '.join(map(str, sorted(universes)))}")
    spelling: dict[str, str] = {}
    ads = [{spelling.setdefault(n.lower(), n): text for n, text in ad.items()} for ad in ads]
    fixed = dict(ads[0].items() & set.intersection(*(set(ad.items()) for ad in ads)))
    varying = sorted({name for ad in ads for name in ad} - fixed.keys())
    commands = {
        "universe": _UNIVERSES[universes.pop()],
        "executable": "/bin/true",
        "transfer_executable": "false",
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "arguments": _ANY_CLASS,
        "initialdir": "$(v_initialdir)",
        **{f"MY.{name}": text for name, text in fixed.items()},
        **{f"MY.{name}": f"$(v_{name})" for name in varying},
    }
    rows = [
        {
            "v_initialdir": staged[new.id].folder,
            **{f"v_{name}": ad.get(name, "undefined") for name in varying},
        }
        for new, ad in zip(jobs, ads, strict=True)
    ]
    if _GRID in {new.ad.integer("JobUniverse", 5) for new in jobs}:
        commands["grid_resource"] = _ANY_RESOURCE
    program = PROGRAM if is_dagman else ""
    return Submission(jobs[0].id.cluster, owners.pop(), len(jobs), commands, rows, program)


def named_in_vain(ad: Ad, staged: StagedFiles) -> dict[str, str]:
    """TransferInput and In, in the job queue's syntax, of a job that names files which were not uploaded.

    The bindings would look for them here. The job is submitted without, and told of them afterwards: the
    pool holds it when it is to run, as it holds any job whose files are not there.
    """
    missing = _missing(ad, staged)
    found = {}
    if any(name in missing for name in _inputs(ad)):
        found["TransferInput"] = ",".join(_inputs(ad))
    if ad.string("In") in missing:
        found["In"] = ad.string("In")
    return {name: text_of((name, "s", text)).replace("$(DOLLAR)", "$") for name, text in found.items()}


def _inputs(ad: Ad) -> list[str]:
    return [name.strip() for name in ad.string("TransferInput").split(",") if name.strip()]


def _missing(ad: Ad, staged: StagedFiles) -> set[str]:
    wanted = {name for name in _inputs(ad) if "://" not in name}
    return (wanted | {ad.string("In", _NULL_DEVICE)}) - {"", _NULL_DEVICE} - staged.files


def _is_dagman(ad: Ad) -> bool:
    return ad.integer("JobUniverse") == _SCHEDULER and ad.string("Cmd").rpartition("/")[2] == PROGRAM


def _configured(ad: Ad, configuration: str) -> Ad:
    found = Ad(ad)
    found.set("Environment", f"{ad.string('Environment')} CONDOR_CONFIG={configuration}".strip())
    return found


def text_of(attribute: Attribute) -> str:
    """An attribute's value as the submit language takes it: a value, and nothing but that."""
    name, kind, text = attribute
    if not valid_name(name):
        raise CannotSubmit(f"Not an attribute name: {name[:80]!r}")
    if _FORBIDDEN.search(text):
        raise CannotSubmit(f"The attribute {name} has a character that the job queue cannot keep")
    if "$" in text and ("$$$(" in text or "$(DOLLAR)" in text):
        raise CannotSubmit(f"The attribute {name} has a text that the submit language would change")
    if kind == "s":
        text = '"' + text.replace('"', '\\"') + '"'
    return _MACRO.sub("$(DOLLAR)", text) if "$" in text else text


def _proc(new: NewJob, staged: StagedFiles, gateway: str, marker: str) -> dict[str, str]:
    ad = new.ad
    found = {
        names.kept_name(attribute[0]): text_of(attribute)
        for attribute in ad
        if attribute[0].lower() not in _SET_BY_THE_SCHEDD and attribute[0].lower() not in names.OWN
    }
    requirements = ad.attribute("Requirements")
    leave = ad.attribute("LeaveJobInQueue")
    found["Requirements"] = names.guarded("true" if requirements is None else text_of(requirements))
    found["LeaveJobInQueue"] = "false" if leave is None else _of_today(text_of(leave))
    found |= _files(ad, staged) | _other_removals(ad)
    own = {
        "Owner": ad.string("Owner"),
        names.GATEWAY: gateway,
        names.JOB: str(new.id),
        names.COMMIT: marker,
        names.GLOBAL_ID: ad.string("GlobalJobId"),
    }
    found |= {name: text_of((name, "s", text)) for name, text in own.items() if text}
    found |= {names.CLUSTER: str(new.id.cluster), names.PROC: str(new.id.proc)}
    if is_unmatched(ad):
        if not ad.string("GridResource"):
            raise CannotSubmit("A job of universe grid needs a GridResource")
        # Nothing has to match it, so it would start before the commit is decided.
        found["JobStatusOnRelease"] = str(_HELD)
        if not is_held(ad):
            found[names.WAITS] = "true"
    if ad.attribute("Arguments") is None:
        found["Arguments"] = '""'
    return found


def _other_removals(ad: Ad) -> dict[str, str]:
    """The constraint on the jobs that are removed when this one ends, for those of its owner alone: the
    schedd itself would remove anybody's.
    """
    text, owner = ad.evaluate(_OTHERS), ad.string("Owner")
    if not isinstance(text, str) or not text.strip():
        return {}
    try:
        wanted = Constraint(text).rewritten(lambda name: None)
    except InvalidAd:
        return {}  # it removes nothing
    bound = f"({wanted}) && Owner =?= {quote(owner)}"
    if "\\" in bound:
        raise CannotSubmit(f"{_OTHERS} has a text that the job queue cannot keep")
    return {_OTHERS: text_of((_OTHERS, "s", bound))}


def is_held(ad: Ad) -> bool:
    """Whether the job is to be on hold from the beginning: its client says so, or its ad is incomplete."""
    return ad.integer("JobStatus") == _HELD or bool(incomplete(ad))


def is_unmatched(ad: Ad) -> bool:
    """Whether the job runs without a machine to be matched with, so that no Requirements keep it back."""
    return ad.integer("JobUniverse") == _GRID


def _of_today(expression: str) -> str:
    """An expression as schedds of today evaluate it: they know no time but `time()`, and would let a job go
    whose LeaveJobInQueue is undefined.
    """
    return replace_references(
        expression, lambda scope, name: "time()" if name.lower() in ("servertime", "currenttime") else None
    )


def _files(ad: Ad, staged: StagedFiles) -> dict[str, str]:
    """What the job reads and writes: only what was uploaded leaves this machine, and only into the job's own
    folder does anything come back.
    """
    remaps = ad.attribute("TransferOutputRemaps")
    if remaps is not None and (remaps[1] != "s" or "/" in remaps[2]):
        raise CannotSubmit("TransferOutputRemaps names files that are not the job's own")
    streams = {name: _stream(name, ad.string(name)) for name in ("Out", "Err") if name in ad}
    wanted = _inputs(ad)
    missing = _missing(ad, staged)
    strange = [name for name in missing if "/" in name or name in (".", "..")]
    if strange:
        raise CannotSubmit(f"Input files that were not uploaded: {', '.join(strange)[:200]}")
    if ad.string("x509userproxy") not in ("", *staged.files):
        raise CannotSubmit("The file of x509userproxy was not uploaded")
    command = ad.string("Cmd")
    uploaded = command in staged.files
    if not uploaded and not _is_dagman(ad) and "/" in command and not command.startswith("/"):
        raise CannotSubmit(f"The program {command[:80]} was not uploaded")
    sent = ",".join(name for name in wanted if name not in missing)
    # Also an empty Cmd: the job would have the submission's own.
    found = {"Cmd": text_of(("Cmd", "s", command)), "TransferExecutable": "true" if uploaded else "false"}
    found |= {name: text_of((name, "s", path)) for name, path in streams.items()}
    if sent:
        found["TransferInput"] = text_of(("TransferInput", "s", sent))
    if ad.string("In") in missing:
        found["In"] = text_of(("In", "s", _NULL_DEVICE))
    return found


def _stream(name: str, path: str) -> str:
    """Where standard output or error goes: whatever folder the client thinks of, it is the job's own."""
    if path in ("", _NULL_DEVICE):
        return path
    plain = path.rpartition("/")[2]
    if plain in ("", ".", ".."):
        raise CannotSubmit(f"{name} names no file: {path[:80]}")
    return plain
