"""The ad of a staged job: how it begins, a client's attributes stored into it with the job queue's own checks
(reference 3.6), and what it has when it is queued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from birdbath.classads import Ad, Attribute, Item, attribute_from_item, valid_name
from birdbath.classads.costs import TooCostly
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.pool.base import JobId, JobStatus
from birdbath.schedd.context import ScheddContext
from birdbath.schedd.ranges import covers
from birdbath.schedd.staging import StagedFile
from birdbath.store.sandbox import Sandbox

MD5HASH = 1
MAX_OWNER = 255
_HASH_CHUNK = 1 << 20
_LINE_BREAK = "a line break cannot stand in a job attribute"


class AttributeRefused(BirdbathError):
    """An attribute of the submitted ad was refused; those before it stay set in the transaction."""

    def __init__(self, job: JobId, name: str, why: str) -> None:
        super().__init__(f"Failed to set job {job}'s {name[:80]} attribute: {why}")


def new_ad(context: ScheddContext, job: JobId) -> Ad:
    """The ad of a job that was created just now."""
    now = int(context.queue.time())
    ad = Ad()
    ad.update({"MyType": "Job", "TargetType": "Machine", "ClusterId": job.cluster, "ProcId": job.proc})
    ad.set("GlobalJobId", f"{context.settings.name}#{job}#{now}")
    return ad


def completed(context: ScheddContext, job: JobId, ad: Ad) -> Ad:
    """The ad with what a queued job cannot be without; the original let such jobs in, to run never."""
    now = int(context.queue.time())
    if "Owner" not in ad and context.caller.account is not None:
        ad.set("Owner", context.caller.account)
    for name, value in (
        ("Iwd", context.sandbox(job).location),
        ("QDate", now),
        ("EnteredCurrentStatus", now),
        ("JobStatus", 1),
        ("JobPrio", 0),
    ):
        if name not in ad:
            ad.set(name, value)
    return ad


def apply_items(
    context: ScheddContext, job: JobId, ad: Ad, items: Sequence[Item], iwd: str, files: Iterable[str]
) -> None:
    """Set Iwd, TransferInput and then the client's items, in their order, on the staged `ad`.

    Nameless items and MyType, TargetType and ServerTime are skipped: the queue sets the first two itself, and
    the third always means now. Text that is no expression becomes undefined, as the original stored it.
    Raises AttributeRefused; what was set before the refused item stays in `ad`.
    """
    ad.set("Iwd", iwd)
    ad.set("TransferInput", _names(job, files))
    own_iwd = False
    for name, kind, text in items:
        if not name or name in ("MyType", "TargetType", "ServerTime"):
            continue
        try:
            _set(context, job, ad, _attribute(name, kind, text))
        except InvalidAd as error:
            raise AttributeRefused(job, name, str(error)) from None
        own_iwd = own_iwd or (name == "Iwd" and kind == "s")
    if not own_iwd:
        ad.set("Iwd", iwd)


def _has_line_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _names(job: JobId, files: Iterable[str]) -> str:
    names = ",".join(files)
    if _has_line_break(names):
        raise AttributeRefused(job, "TransferInput", _LINE_BREAK)
    return names


def _attribute(name: str, kind: str, text: str | None) -> Attribute:
    if text is not None and _has_line_break(text):
        raise InvalidAd(_LINE_BREAK)
    try:
        return attribute_from_item(name, kind, text)
    except InvalidAd as error:
        if kind == "s" or not valid_name(name) or isinstance(error, TooCostly):
            raise
        return name, "u", "undefined"


def _set(context: ScheddContext, job: JobId, ad: Ad, attribute: Attribute) -> None:
    name, kind, text = attribute
    check = _CHECKS.get(name.lower())
    if check is None:
        ad.put(name, kind, text)
    else:
        check(context, job, ad, attribute)


def _set_owner(context: ScheddContext, job: JobId, ad: Ad, attribute: Attribute) -> None:
    _, kind, text = attribute
    if kind not in "su" or (kind == "s" and not text):
        raise InvalidAd("an owner is a non-empty string or UNDEFINED")
    owner = text if kind == "s" else context.caller.account
    if owner is None:
        raise InvalidAd("it is UNDEFINED and the caller is not authenticated")
    if not context.may_submit_as(owner):
        own = context.caller.account
        raise InvalidAd("it is not the caller's own account" + (f", {own}" if own else ""))
    if len(owner) > MAX_OWNER:
        raise InvalidAd(f"it is longer than {MAX_OWNER} characters")
    if ad.string("Owner", owner) != owner and not context.settings.queue_all_users_trusted:
        raise InvalidAd("once set it cannot be changed")
    ad.set("Owner", owner)
    _set_user(context, ad)


def _set_user_attribute(context: ScheddContext, job: JobId, ad: Ad, attribute: Attribute) -> None:
    """User follows from Owner; a copied ad may name it, and is believed only where everybody is."""
    if context.settings.queue_all_users_trusted:
        ad.put(*attribute)


def _set_nice_user(context: ScheddContext, job: JobId, ad: Ad, attribute: Attribute) -> None:
    ad.put(*attribute)
    if "Owner" in ad:
        _set_user(context, ad)


def _set_user(context: ScheddContext, ad: Ad) -> None:
    prefix = "nice-user." if ad.get("NiceUser") is True else ""
    ad.set("User", f"{prefix}{ad.string('Owner')}@{context.settings.uid_domain}")


def _set_own_id(context: ScheddContext, job: JobId, ad: Ad, attribute: Attribute) -> None:
    name, kind, text = attribute
    own = job.cluster if name.lower() == "clusterid" else job.proc
    if kind != "n" or int(text) != own:
        raise InvalidAd(f"it must be {own}")


def _set_status(context: ScheddContext, job: JobId, ad: Ad, attribute: Attribute) -> None:
    if ad.get("JobStatus") == JobStatus.REMOVED and attribute[2] != str(int(JobStatus.REMOVED)):
        raise InvalidAd("a removed job stays removed")
    ad.put(*attribute)


_CHECKS = {
    "owner": _set_owner,
    "user": _set_user_attribute,
    "niceuser": _set_nice_user,
    "clusterid": _set_own_id,
    "procid": _set_own_id,
    "jobstatus": _set_status,
}


def incomplete_files(sandbox: Sandbox, files: Iterable[StagedFile]) -> list[str]:
    """The names of declared files that have not fully arrived or lack the declared size or MD5 hash."""
    return [file.name for file in files if not _is_complete(sandbox, file)]


def _is_complete(sandbox: Sandbox, file: StagedFile) -> bool:
    if not covers(file.ranges, file.size) or sandbox.size(file.name) != file.size:
        return False
    if file.hash_type != MD5HASH or not file.hash:
        return True
    digest = hashlib.md5(usedforsecurity=False)
    for offset in range(0, file.size, _HASH_CHUNK):
        digest.update(sandbox.read(file.name, offset, _HASH_CHUNK))
    return digest.hexdigest() == file.hash.strip().lower()
