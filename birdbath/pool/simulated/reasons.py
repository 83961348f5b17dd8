"""The names of HTCondor's hold codes, and the counts by reason that a schedd keeps in a job's ad. No I/O."""

from __future__ import annotations

import re

from birdbath.classads import Ad, Expression

_NAMES = {
    1: "UserRequest",
    3: "JobPolicy",
    5: "JobPolicyUndefined",
    6: "FailedToCreateProcess",
    12: "TransferOutputError",
    13: "TransferInputError",
    14: "IwdError",
    15: "SubmittedOnHold",
    16: "SpoolingInput",
    18: "MissedDeferredExecutionTime",
    26: "SystemPolicy",
    34: "JobOutOfResources",
    46: "JobDurationExceeded",
    47: "JobExecuteExceeded",
}
_COUNT = re.compile(r"\b(\w+) = (\d{1,15})(?= ;| \]|;)")


def count_reason(ad: Ad, attribute: str, code: int) -> None:
    """Count one more hold (or vacation because of one) of that code in the nested ad `attribute`.

    Codes whose names are not known are not counted.
    """
    name = _NAMES.get(code)
    if name is None:
        return
    present = ad.attribute(attribute)
    counts = {found[0]: int(found[1]) for found in _COUNT.findall(present[2] if present else "")}
    counts[name] = counts.get(name, 0) + 1
    ad.set(attribute, Expression(f"[ {'; '.join(f'{key} = {value}' for key, value in counts.items())} ]"))
