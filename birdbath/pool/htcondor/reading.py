"""Ads from the pool, printed by the bindings, as Birdbath keeps them and as clients get them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from birdbath.classads import HIDDEN, Attribute, elements, real_literal
from birdbath.pool.htcondor import names

MARK = "\x1f"
"""Stands around the id of another job, or cluster, that may be one of the gateway's own; no element has this
character otherwise.
"""
BREAK = "\0"
"""Stands in a line for a line break of the value, which the old syntax does not escape; no ad has it."""
_LINES_KEPT = 100_000
_INTEGER = re.compile(r"-?[0-9]{1,19}\Z")
_REAL = re.compile(r"-?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?\Z")
_REASONS = frozenset({"HoldReason", "ReleaseReason", "RemoveReason", "LastHoldReason", "LastReleaseReason"})
_BY_GATEWAY = re.compile(r' \(by user [^()"]*\)"\Z')
"""What the schedd adds to a reason: the account of the gateway, which acted for its client."""
_KEPT = f"{names.KEPT}SUBMIT_".lower()
_OWN = {
    "ClusterId": names.CLUSTER,
    "ProcId": names.PROC,
    "TotalSubmitProcs": names.PROCS,
    "GlobalJobId": names.GLOBAL_ID,
}
"""What the schedd tells of a job, and where the same is that the job's client knows."""
_IDS = re.compile(rf"\n({'|'.join(_OWN)}) = .*")
_OWN_IDS = re.compile(rf"\n({'|'.join(_OWN.values())}) = (.*)")
_HAS_CODE = re.compile(r"\nHoldReasonCode = [0-9]")
_TIME_LITERALS = ('absTime("', 'relTime("')
_OTHERS = re.compile(r'DAGManJobId = ([0-9]+)\Z|JobId = "([0-9]+\.[0-9]+)"\Z')
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
    """The attribute in one line of an ad's text, which quotes names that are words of the language."""
    name, _, text = line.partition(" = ")
    kind, text = value(text)
    if BREAK in text:  # an expression shows it escaped
        text = text.replace(BREAK, "\n" if kind == "s" else "\\n")
    return name.strip("'"), kind, text


class _Lines(dict[str, str]):
    """What lines become: most lines of a queue's ads are the same in many of them, and converted once."""

    def __init__(self, convert: Callable[[str], str]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, line: str) -> str:
        if len(self) > _LINES_KEPT:
            self.clear()
        found = self[line] = self._convert(line)
        return found


class Reader:
    """Turns the printed text of ads into the JSON that `classads.Ad` keeps, or into elements of a reply.

    `schedd` is the name of the gateway's schedd, None for any; `address`, `<host:port>`, is where the gateway
    is, which the ad of that schedd tells.
    """

    def __init__(self, gateway: str, schedd: str | None = None, address: str = "") -> None:
        self._gateway = gateway
        self._mark = f'\n{names.GATEWAY} = "{gateway}"\n'
        self._schedd = schedd
        self._has_interface = f'\nHasSOAPInterface = true\nScheddIpAddr = "{address}"\n'
        self._json = {own: _Lines(_converter(own, _json)) for own in (False, True)}
        self._elements = {own: _Lines(_converter(own, _element)) for own in (False, True)}
        self._openings: dict[tuple[str, str, int], str] = {}

    def job(self, text: str) -> str:
        """The ad of a job as JSON, one of the gateway's own in the terms of its client."""
        text, own = self._job(text)
        return _array(map(self._json[own].__getitem__, text.split("\n")))

    def job_element(self, text: str, server_time: int) -> str:
        """The ad of a job as an `item`, likewise; ids of others in it have their MARK."""
        text, own = self._job(text)
        return self._item(text, self._elements[own], server_time)

    def job_id(self, ad: Mapping[str, Any]) -> tuple[int, int]:
        """The ids of a job as clients know it."""
        if ad.get(names.GATEWAY) != self._gateway:
            return int(ad["ClusterId"]), int(ad["ProcId"])
        return int(ad[names.CLUSTER]), int(ad.get(names.PROC, ad["ProcId"]))

    def daemon(self, text: str) -> str:
        """The ad of a daemon as JSON."""
        return _array(map(self._json[False].__getitem__, self._daemon(text).split("\n")))

    def daemon_element(self, text: str, server_time: int) -> str:
        """The ad of a daemon as an `item`, likewise."""
        text = self._daemon(text)
        item = self._item(text, self._elements[False], server_time)
        if MARK in item and self._schedd not in (None, _string(text, "GlobalJobId").partition("#")[0]):
            return item.replace(MARK, "")  # a job of another schedd has no id here
        return item

    def _job(self, text: str) -> tuple[str, bool]:
        text = f"\n{text}\n"
        return (_with_own_ids(text), True) if self._mark in text else (text, False)

    def _daemon(self, text: str) -> str:
        text = f"\n{text}\n"
        if '\nMyType = "Scheduler"\n' in text and self._schedd in (None, _string(text, "Name")):
            text = re.sub(r"\n(?:HasSOAPInterface|ScheddIpAddr) = .*", "", text) + self._has_interface
        return text

    def _item(self, text: str, known: _Lines, server_time: int) -> str:
        key = _string(text, "MyType"), _string(text, "TargetType"), server_time
        opening = self._openings.get(key)
        if opening is None:
            self._openings.clear()
            opening = self._openings[key] = f"<item>{elements.specials(*key)}"
        return f"{opening}{''.join(map(known.__getitem__, text.split(chr(10))))}</value></item></item>"


def _array(items: Iterable[str]) -> str:
    return f"[{','.join(filter(None, items))}]"


def _converter(own: bool, form: Callable[[str, Attribute], str]) -> Callable[[str], str]:
    def convert(line: str) -> str:
        if not line or line.startswith("ServerTime = "):
            return ""
        if own and not (line := _as_seen(line)):
            return ""
        found = attribute(line)
        return "" if found[0].lower() in names.OWN else form(line, found)

    return convert


def _json(line: str, found: Attribute) -> str:
    # An attribute that a job has not, though its cluster has it, is undefined in the schedd's terms.
    return "" if found[1] == "u" else orjson.dumps(found).decode()


def _element(line: str, found: Attribute) -> str:
    name, kind, text = found
    if kind not in elements.SHOWN_KINDS or name.lower() in HIDDEN:
        return ""
    if kind == "x" and text.startswith(_TIME_LITERALS) and text.find('"', 9) == len(text) - 2:
        return ""
    text = elements.escape(text)
    if _OTHERS.match(line):
        text = f"{MARK}{text}{MARK}"
    return f"{elements.opening(name, kind)}{text}"


def _string(text: str, name: str) -> str:
    """The value of a string attribute of an ad's text, empty where there is none."""
    start = text.find(f'\n{name} = "')
    if start < 0:
        return ""
    start += len(name) + 5
    return text[start : text.index("\n", start) - 1].replace('\\"', '"').replace(BREAK, "\n")


def _as_seen(line: str) -> str:
    """A line of the gateway's own job as the job's client knows it; empty for one that it does not."""
    name, _, rest = line.partition(" = ")
    if name == "Requirements":
        return f"{name} = {names.unguarded(rest)}"
    if name in _REASONS:
        return f"{name} = {_BY_GATEWAY.sub(chr(34), rest)}"
    if name.lower().startswith(_KEPT):
        return line[len(names.KEPT) :]
    return "" if name.lower().startswith("submit_") else line


def _with_own_ids(text: str) -> str:
    """The text of the gateway's own job with the ids, and the state, that its client knows."""
    own = dict(_OWN_IDS.findall(text))
    text = _IDS.sub(lambda m: m[0] if (told := own.get(_OWN[m[1]])) is None else f"\n{m[1]} = {told}", text)
    spools = f"\nHoldReasonCode = {names.SPOOLING}\n" in text
    waits = f"\n{names.WAITS} = true\n" in text and not _HAS_CODE.search(text)
    if (spools or waits) and "\nJobStatus = 5\n" in text:
        text = text.replace("\nJobStatus = 5\n", "\nJobStatus = 1\n")
        text = re.sub(r"\n(?:HoldReason|HoldReasonCode) = .*", "", text)
    return text
