"""Attacks on what is no SOAP: events, subscriptions, pools and the clock, within the same budgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.attack.corpus.expressions import CONSTRAINTS
from tests.attack.victim import Victim, victim

SUBSCRIBE = ("POST", "/events/subscriptions")
CLOCK = ("POST", "/pool/clock")
TEXTS = {
    "nothing but brackets": b"[" * 30_000,
    "objects in objects": b'{"a":' * 10_000,
    "a hundred thousand fields": b"{" + b",".join(b'"a%d":1' % n for n in range(4_000)) + b"}",
    "one field many times": b"{" + b",".join([b'"after":1'] * 4_000) + b"}",
    "a number of many digits": b'{"after":' + b"9" * 50_000 + b',"speed":' + b"9" * 50_000 + b"}",
    "a real beyond all": b'{"lease":1e999999,"speed":1e999999}',
    "no number": b'{"lease":NaN,"speed":NaN}',
    "below zero": b'{"lease":-1,"after":-1,"speed":-1}',
    "invalid UTF-8": b'{"constraint":"\xff\xfe","speed":"\xff"}',
    "UTF-16": '{"speed":1}'.encode("utf-16"),
    "half of a surrogate": b'{"constraint":"\\ud800","speed":"\\ud800"}',
    "NUL": b'{"constraint":"\\u0000","speed":"\\u0000"}',
    "what is no object": b'"text"',
    "Python's own": b'{"__class__":{"__init__":1}}',
    "XML": b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    "a text without an end": b'{"constraint":"' + b"a" * 50_000,
    "backslashes": b'{"constraint":"' + b"\\\\" * 25_000 + b'","speed":"' + b"\\\\" * 5_000 + b'"}',
}
TOPICS = {
    "what are no texts": [None] * 5_000,
    "too many words": ["job." + "*." * 20_000 + "#"],
    "too many in all": [f"job.held.user{n}.1.0" for n in range(200)],
    "a long one": ["job.held." + "a" * 40_000 + ".1.0"],
}
PATHS = {
    "climbing": "/events/subscriptions/../../../etc/passwd",
    "climbing, encoded": "/events/subscriptions/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a long name": "/events/subscriptions/" + "a" * 7_000,
    "NUL": "/events/subscriptions/%00",
    "no UTF-8": "/pools/%ff%fe",
    "a pool that climbs": "/pools/../birdbath.db",
    "many slashes": "/pools" + "/" * 7_000,
    "many parameters": "/events?" + "&".join(f"topic=job.held.a{n}.1.0" for n in range(300)),
    "parameters of nothing": "/events?" + "&" * 7_000,
    "a number of many digits": "/events?after=" + "9" * 7_000,
    "a topic of wildcards": "/events?wait=0&topic=" + quote("#." * 100 + "#"),
    "a form that is none": "/events?form=" + quote("../" * 1_000),
    "a subscription that is none": "/events?wait=0&subscription=" + quote("' OR 1=1 --"),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("victim")) as found:
        found.exchange(request(*SUBSCRIBE, b'{"constraint": "("}'))
        found.exchange(request(*CLOCK, b"{}"))
        yield found


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def attack(target: Victim, raw: bytes, *statuses: int) -> None:
    toll = target.attack(lambda: target.exchange(raw))
    assert toll.answer.status in statuses, toll.answer.raw[:300]
    if toll.answer.status >= 400:
        assert len(toll.answer.raw) < 16_384, "the refusal is longer than what anybody reads"
    if toll.answer.status >= 400 and b"application/" in toll.answer.raw:
        assert json.loads(toll.answer.body)["detail"]
    assert b"root:" not in toll.answer.raw
    toll.check()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("route", [SUBSCRIBE, CLOCK], ids=["subscriptions", "clock"])
def test_a_hostile_body(name: str, route: tuple[str, str], target: Victim) -> None:
    attack(target, request(*route, TEXTS[name]), 400, 413)


@pytest.mark.parametrize("name", TOPICS)
def test_hostile_topics(name: str, target: Victim) -> None:
    attack(target, request(*SUBSCRIBE, json.dumps({"topics": TOPICS[name]}).encode()), 400, 413)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_hostile_constraint(name: str, target: Victim) -> None:
    """Refused, or, where it may be true of something, kept within the bounds of all constraints."""
    body = json.dumps({"constraint": CONSTRAINTS[name], "lease": 60}).encode()
    attack(target, request(*SUBSCRIBE, body), 201, 400, 413)


@pytest.mark.parametrize("name", PATHS)
def test_a_hostile_path(name: str, target: Victim) -> None:
    attack(target, request("GET", PATHS[name]), 200, 400, 404, 414, 431)
