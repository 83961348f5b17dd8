"""Ads from the pool, in the text form that the bindings print, as Birdbath keeps ads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from birdbath.classads import Attribute, real_literal
from birdbath.pool.htcondor import names

_LINES_KEPT = 100_000
_INTEGER = re.compile(r"-?[0-9]{1,19}\Z")
_REAL = re.compile(r"-?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?\Z")
_REASONS = frozenset({"HoldReason", "ReleaseReason", "RemoveReason", "LastHoldReason", "LastReleaseReason"})
_BY_GATEWAY = re.compile(r' \(by user [^()"]*\)"\Z')
"""What the schedd adds to a reason: the account of the gateway, which acted for its client."""
_KEPT = f"{names.KEPT}SUBMIT_".lower()
_WORDS = {
    "true": ("b", "TRUE"),
    "false": ("b", "FALSE"),
    "undefined": ("u", "undefined"),
    "error": ("e", "error"),
}


def value(text: str) -> tuple[str, str]:
    """(kind, text) of a value that the library printed in old syntax, and which is canonical therefore."""
    if text.startswith('"') and text.endswith('"') and '"' not in text[1:-1].replace('\\"', ""):
        return "s", text[1:-1].replace('\\"', '"')
    if _INTEGER.match(text):
        return "n", text
    if _REAL.match(text):
        return real_literal(float(text))
    return _WORDS.get(text.lower(), ("x", text))


def attribute(line: str) -> Attribute:
    """The attribute in one line of an ad's text."""
    name, _, text = line.partition(" = ")
    return name, *value(text)


class Reader:
    """Turns the printed text of ads into the JSON that `classads.Ad` keeps.

    Most lines of a queue's ads are the same in many of them, so they are converted once.
    """

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._mark = f'\n{names.GATEWAY} = "{gateway}"\n'
        self._known: dict[str, str] = {}

    def job(self, text: str) -> str:
        """The ad of a job, one of the gateway's own in the terms of its client."""
        return self._json(
            (f"\n{text}" if self._mark not in f"\n{text}" else _as_seen(f"\n{text}")).split("\n")
        )

    def job_id(self, ad: Mapping[str, Any]) -> tuple[int, int]:
        """The ids of a job as clients know it."""
        own = ad.get(names.GATEWAY) == self._gateway
        return int(ad[names.CLUSTER if own else "ClusterId"]), int(ad["ProcId"])

    def daemon(self, text: str) -> str:
        """The ad of a daemon."""
        return self._json(text.split("\n"))

    def _json(self, lines: Iterable[str]) -> str:
        known = self._known
        if len(known) > _LINES_KEPT:
            known.clear()
        found = []
        for line in lines:
            item = known.get(line)
            if item is None:
                item = known[line] = _item(line)
            if item:
                found.append(item)
        return f"[{','.join(found)}]"


def _item(line: str) -> str:
    if not line or line.startswith("ServerTime = "):
        return ""
    found = attribute(line)
    # An attribute that a job has not, though its cluster has it, is undefined in the schedd's terms.
    return "" if found[1] == "u" or found[0].lower() in names.OWN else orjson.dumps(found).decode()


def _as_seen(text: str) -> str:
    """A job of the gateway's own as its client knows it."""
    own = {}
    kept = []
    for line in text.split("\n"):
        name, _, rest = line.partition(" = ")
        if name in _REASONS:
            rest = _BY_GATEWAY.sub('"', rest)
        if name.lower() in names.OWN:
            own[name] = rest
        elif name.lower().startswith(_KEPT):
            kept.append((name[len(names.KEPT) :], rest))
        elif not name.lower().startswith("submit_"):
            kept.append((name, rest))
    present = dict(kept)
    spooling = present.get("JobStatus") == "5" and present.get("HoldReasonCode") == str(names.SPOOLING)
    changed: dict[str, str | None] = {
        "ClusterId": own.get(names.CLUSTER),
        "GlobalJobId": own.get(names.GLOBAL_ID, present.get("GlobalJobId")),
    }
    if "Requirements" in present:
        changed["Requirements"] = names.unguarded(present["Requirements"])
    if spooling:
        changed |= {"JobStatus": "1", "HoldReason": None, "HoldReasonCode": None}
    lines = [(name, changed.get(name, rest)) for name, rest in kept if name]
    return "\n".join(f"{name} = {rest}" for name, rest in lines if rest is not None)
