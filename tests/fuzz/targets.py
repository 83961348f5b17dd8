"""What is fuzzed: from a request's bytes to its reply, and from a client's attributes to an ad and back.

A target takes any bytes and raises only when something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lxml import etree

from birdbath.classads import Ad, AdRecord, Constraint, ad_from_items
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.soap import SoapServer

Target = Callable[[bytes], None]

_KINDS = ("s", "n", "f", "b", "x", "")
_server: Final = SoapServer(understands_security=True)


class _Answers:
    """Daemons that refuse whatever they are asked."""

    @property
    def schedd(self) -> Any:
        return self

    collector = events = schedd

    def __getattr__(self, name: str) -> Any:
        def refuse(*arguments: object) -> None:
            raise BirdbathError(repr(arguments)[:100])

        return refuse


def request(data: bytes) -> None:
    """A request is answered with a well-formed envelope, whatever it is."""
    call = _server.receive(data, "text/xml")
    if call.is_refused:
        reply = call.reply()
    else:
        try:
            _ = call.security, call.ids
            reply = call.execute(_Answers())
        except BirdbathError as error:
            reply = call.refuse(error)
        except Exception as error:
            if type(error).__name__ != "ClientFault":
                raise
            reply = call.fault(error)  # type: ignore[arg-type]
    root = etree.fromstring(b"".join(reply.chunks))
    assert etree.QName(root).localname == "Envelope"


def ad(data: bytes) -> None:
    """Attributes become an ad or are refused; the ad is stored, read, compiled and shown as it was."""
    text = data.decode("utf-8", "replace")
    items = []
    for number, line in enumerate(text.split("\n")):
        name, _, value = line.partition("=")
        items.append((name, _KINDS[number % len(_KINDS)], value))
    try:
        made = ad_from_items(items, "drop")
        stored = made.to_json()
    except InvalidAd:
        return
    again = Ad.from_json(stored)
    assert list(again) == list(made)
    again.compiled()


def constraint(data: bytes) -> None:
    """A constraint is one, or is refused; it selects from an ad without a crash."""
    try:
        parsed = Constraint(data.decode("utf-8", "replace"))
    except InvalidAd:
        return
    made = Ad()
    made.update({"Owner": "ann", "ClusterId": 1, "ProcId": 0, "JobStatus": 1, "Rank": 1.5})
    parsed.select([AdRecord.of(made)], 1_800_000_000.0)
    parsed.pinned("owner", "clusterid")


TARGETS: Final[dict[str, Target]] = {"request": request, "ad": ad, "constraint": constraint}
