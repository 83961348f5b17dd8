"""Which submit command sets which job attribute, for those where that is all there is to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite

from birdbath.classads import Ad, canonical_value
from birdbath.description import words
from birdbath.description.errors import DescriptionError
from birdbath.errors import InvalidAd
from birdbath.values import AdValue, Expression

Reader = Callable[[str], AdValue]


def text(value: str) -> AdValue:
    """The characters as they are; quotes around them, which people write and HTCondor takes off, go."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def lower(value: str) -> AdValue:
    return str(text(value)).lower()


def expression(value: str) -> AdValue:
    """A ClassAd expression; a literal becomes a plain value. Raises `InvalidAd` when it does not parse."""
    kind, canonical = canonical_value(value)
    match kind:
        case "s":
            return canonical
        case "n":
            return int(canonical)
        case "f":
            return float(canonical)
        case "b":
            return canonical == "TRUE"
        case "u":
            return None
        case _:
            return Expression(canonical)


def integer(value: str) -> int:
    """A number, or an expression that stands for one here and now, such as `1 * 2`: what looks at it later
    evaluates nothing. Raises `InvalidAd` for any other.
    """
    found = expression(value)
    if isinstance(found, Expression):
        found = Ad([("Value", *canonical_value(value))]).evaluate("Value")
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        raise InvalidAd(f"{value!r} is not a number")
    return int(found)


def transfer(value: str) -> str:
    """YES, NO or IF_NEEDED, of which the first two may be spelled as a truth value."""
    spelled = {"TRUE": "YES", "FALSE": "NO"}.get(value.upper(), value.upper())
    if spelled not in ("YES", "NO", "IF_NEEDED"):
        raise InvalidAd(f"{value!r} is none of YES, NO, IF_NEEDED")
    return spelled


def flag(value: str) -> AdValue:
    """A truth value in one of the spellings that `condor_submit` takes, or an expression."""
    spelled = value.lower()
    if spelled in ("true", "yes", "t", "y", "1"):
        return True
    if spelled in ("false", "no", "f", "n", "0"):
        return False
    return expression(value)


def decided(value: str) -> bool:
    """A truth value, or an expression that has one here and now, such as `1 == 1`: what is asked for at
    submission. Raises `InvalidAd` for any other.
    """
    found = flag(value)
    if isinstance(found, Expression):
        found = Ad([("Value", *canonical_value(value))]).evaluate("Value")
    if not isinstance(found, bool | int | float):
        raise InvalidAd(f"{value!r} is neither true nor false")
    return bool(found)


def decision(commands: Mapping[str, str], command: str, otherwise: bool) -> bool:
    """What a command decides at submission; `otherwise` when it is not given. Raises `DescriptionError`."""
    try:
        return decided(commands[command]) if command in commands else otherwise
    except InvalidAd as error:
        raise DescriptionError(f"{command} = {commands[command]}: {error}") from None


def output_transfer(value: str) -> str:
    """When output is transferred, with what condor_submit makes of ALWAYS and NEVER."""
    meant = {"ALWAYS": "ON_EXIT_OR_EVICT", "NEVER": "ON_EXIT"}.get(value.upper(), value.upper())
    if meant not in ("ON_EXIT", "ON_EXIT_OR_EVICT", "ON_SUCCESS"):
        raise InvalidAd(f"{value!r} is none of ON_EXIT, ON_EXIT_OR_EVICT, ON_SUCCESS")
    return meant


def memory(value: str) -> AdValue:
    return _checked(words.quantity(value, "M"))


def disk(value: str) -> AdValue:
    return _checked(words.quantity(value, "K"))


def notification(value: str) -> AdValue:
    levels = {"never": 0, "always": 1, "complete": 2, "error": 3}
    if value.lower() not in levels:
        raise InvalidAd(f"{value!r} is none of Never, Always, Complete, Error")
    return levels[value.lower()]


def _checked(value: AdValue) -> AdValue:
    return expression(value) if isinstance(value, Expression) else value


_TABLE: dict[str, tuple[str, Reader]] = {
    "accounting_group": ("AcctGroup", text),
    "accounting_group_user": ("AcctGroupUser", text),
    "allowed_execute_duration": ("AllowedExecuteDuration", expression),
    "allowed_job_duration": ("AllowedJobDuration", expression),
    "batch_name": ("JobBatchName", text),
    "concurrency_limits": ("ConcurrencyLimits", lower),
    "concurrency_limits_expr": ("ConcurrencyLimits", expression),
    "container_image": ("ContainerImage", text),
    "coresize": ("CoreSize", expression),
    "cron_day_of_month": ("CronDayOfMonth", text),
    "cron_day_of_week": ("CronDayOfWeek", text),
    "cron_hour": ("CronHour", text),
    "cron_minute": ("CronMinute", text),
    "cron_month": ("CronMonth", text),
    "cron_prep_time": ("CronPrepTime", expression),
    "cron_window": ("CronWindow", expression),
    "cuda_version": ("CUDAVersion", text),
    "deferral_prep_time": ("DeferralPrepTime", expression),
    "deferral_time": ("DeferralTime", expression),
    "deferral_window": ("DeferralWindow", expression),
    "description": ("JobDescription", text),
    "docker_image": ("DockerImage", text),
    "email_attributes": ("EmailAttributes", text),
    "grid_resource": ("GridResource", text),
    "hold_kill_sig": ("HoldKillSig", text),
    "image_size": ("ImageSize", disk),
    "java_vm_args": ("JavaVMArgs", text),
    "job_ad_information_attrs": ("JobAdInformationAttrs", text),
    "job_lease_duration": ("JobLeaseDuration", expression),
    "job_max_vacate_time": ("JobMaxVacateTime", expression),
    "keep_claim_idle": ("KeepClaimIdle", expression),
    "kill_sig": ("KillSig", text),
    "kill_sig_timeout": ("KillSigTimeout", expression),
    "leave_in_queue": ("LeaveJobInQueue", flag),
    "log_xml": ("UserLogUseXML", decided),
    "machine_count": ("MinHosts", integer),
    "max_idle": ("JobMaterializeMaxIdle", integer),
    "max_materialize": ("JobMaterializeLimit", integer),
    "max_job_retirement_time": ("MaxJobRetirementTime", expression),
    "next_job_start_delay": ("NextJobStartDelay", expression),
    "nice_user": ("NiceUser", decided),
    "noop_job": ("IsNoopJob", flag),
    "noop_job_exit_code": ("NoopJobExitCode", expression),
    "noop_job_exit_signal": ("NoopJobExitSignal", expression),
    "notification": ("JobNotification", notification),
    "notify_user": ("NotifyUser", text),
    "on_exit_hold": ("OnExitHold", flag),
    "on_exit_hold_reason": ("OnExitHoldReason", expression),
    "on_exit_hold_subcode": ("OnExitHoldSubCode", expression),
    "on_exit_remove": ("OnExitRemove", flag),
    "periodic_hold": ("PeriodicHold", flag),
    "periodic_hold_reason": ("PeriodicHoldReason", expression),
    "periodic_hold_subcode": ("PeriodicHoldSubCode", expression),
    "periodic_release": ("PeriodicRelease", flag),
    "periodic_remove": ("PeriodicRemove", flag),
    "periodic_vacate": ("PeriodicVacate", flag),
    "priority": ("JobPrio", integer),
    "rank": ("Rank", expression),
    "remove_kill_sig": ("RemoveKillSig", text),
    "request_cpus": ("RequestCpus", expression),
    "request_disk": ("RequestDisk", disk),
    "request_gpus": ("RequestGPUs", expression),
    "request_memory": ("RequestMemory", memory),
    "run_as_owner": ("RunAsOwner", decided),
    "should_transfer_files": ("ShouldTransferFiles", transfer),
    "stream_error": ("StreamErr", decided),
    "stream_input": ("StreamIn", decided),
    "stream_output": ("StreamOut", decided),
    "submit_event_notes": ("SubmitEventNotes", text),
    "submit_event_user_notes": ("SubmitEventUserNotes", text),
    "transfer_error": ("TransferErr", decided),
    "transfer_input": ("TransferIn", decided),
    "transfer_output": ("TransferOut", decided),
    "transfer_output_files": ("TransferOutput", text),
    "want_graceful_removal": ("WantGracefulRemoval", flag),
    "when_to_transfer_output": ("WhenToTransferOutput", output_transfer),
}

_ALIASES = {
    "args": "arguments",
    "cronhour": "cron_hour",
    "cronminute": "cron_minute",
    "env": "environment",
    "initial_dir": "initialdir",
    "iwd": "initialdir",
    "job_batch_name": "batch_name",
    "preferences": "rank",
    "prio": "priority",
    "request_cpu": "request_cpus",
    "request_gpu": "request_gpus",
    "stderr": "error",
    "stdin": "input",
    "stdout": "output",
    "transfer_exec": "transfer_executable",
    "userlog": "log",
}

_ELSEWHERE = frozenset(
    {
        "arguments",
        "environment",
        "error",
        "executable",
        "getenv",
        "hold",
        "initialdir",
        "input",
        "jar_files",
        "log",
        "max_retries",
        "output",
        "requirements",
        "retry_until",
        "skip_filechecks",
        "success_exit_code",
        "transfer_executable",
        "transfer_input_files",
        "transfer_output_remaps",
        "universe",
    }
)
"""Commands that need more than a table; see `jobs`, `sandbox`."""

KNOWN = frozenset(_TABLE) | frozenset(_ALIASES) | _ELSEWHERE

_RESOURCE = re.compile(r"request_([a-z]\w*)\Z")


def canonical(command: str) -> str:
    """The one name of a command that has several."""
    return _ALIASES.get(command, command)


def attribute(command: str, value: str) -> tuple[str, AdValue] | None:
    """The attribute that a command sets by itself; None for those that need more, and for unknown ones.

    `my.Attr` sets `Attr`, `request_thing` sets `RequestThing`. Raises `DescriptionError` for a value that
    does not fit.
    """
    name, reader = _TABLE.get(command) or _by_pattern(command) or (None, None)
    if name is None or reader is None:
        return None
    try:
        return name, reader(value)
    except InvalidAd as error:
        raise DescriptionError(f"{command} = {value}: {error}") from None


def _by_pattern(command: str) -> tuple[str, Reader] | None:
    if command.startswith("my."):
        return command[3:], expression
    if resource := _RESOURCE.match(command):
        return "Request" + resource[1].capitalize(), expression
    return None
