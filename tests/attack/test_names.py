"""File names that climb, on a server over a socket: none leads out of the job's sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tests.attack.victim import Victim, post, victim
from tests.crash.wire import Wire, job_element, transaction_element
from tests.soap.wire import call

NAMES = {
    "above": "../x",
    "far above": "../" * 40 + "etc/passwd",
    "absolute": "/etc/passwd",
    "the folder itself": ".",
    "the folder above": "..",
    "below": "a/b",
    "a URL": "file:///etc/passwd",
    "too long": "x" * 256,
    "too long in UTF-8": "\u20ac" * 100,
    "nothing": "",
    "a slash": "/",
    "the process": "/proc/self/mem",
    "a device": "/dev/zero",
}
PLAIN = {
    "Windows": "..\\..\\x",
    "encoded": "%2e%2e%2fx",
    "encoded twice": "%252e%252e%252fx",
    "full-width": "\uff0e\uff0e\uff0fx",
    "dots": "...",
    "a leading dash": "-rf",
    "a newline": "a\nb",
    "right to left": "\u202egnp.exe",
    "a shell's": "$(reboot);`id`|x",
}
"""Names that only look as if they climbed: entries of the sandbox like any other."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("victim")


@pytest.fixture(scope="module")
def target(home: Path) -> Iterator[Victim]:
    with victim(home) as found:
        yield found


@pytest.fixture(scope="module")
def place(target: Victim) -> tuple[str, str]:
    """A transaction and a job in it, as elements."""
    with closing(Wire(target.port)) as wire:
        transaction = transaction_element(wire.begin(600), 600)
        cluster = wire.new_cluster(transaction)
        return transaction, job_element(cluster, wire.new_job(transaction, cluster))


def requests(name: str, transaction: str, job: str) -> dict[str, bytes]:
    named = f"{transaction}{job}<name>{escape(name).replace(chr(10), '&#10;')}</name>"
    return {
        "declareFile": call("declareFile", named + "<size>3</size><hashType>NOHASH</hashType>"),
        "sendFile": call("sendFile", named + "<offset>0</offset><data>eHl6</data>"),
        "getFile": call("getFile", named + "<offset>0</offset><length>100</length>"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_climbs_is_refused(name: str, target: Victim, place: tuple[str, str], home: Path) -> None:
    before = files(home)
    for request in requests(NAMES[name], *place).values():
        toll = target.attack(lambda request=request: target.exchange(post(request)))  # type: ignore[misc]
        assert toll.answer.code in ("FAIL", "UNKNOWNFILE")
        assert b"root:" not in toll.answer.raw
        toll.check()
    assert files(home) == before


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_that_only_looks_so_is_a_file_of_the_sandbox(
    name: str, target: Victim, place: tuple[str, str], home: Path
) -> None:
    before = files(home)
    for request in requests(PLAIN[name], *place).values():
        assert target.exchange(post(request)).code == "SUCCESS"
    (made,) = files(home) - before
    assert made.name == PLAIN[name]
    assert made.read_bytes() == b"xyz"
    assert made.parent.name.endswith(".subproc0")


def test_a_link_in_the_sandbox_leads_nowhere(target: Victim, place: tuple[str, str], home: Path) -> None:
    """Planted by whoever can write there: neither read nor written through."""
    secret = home / "secret"
    secret.write_text("secret")
    for request in requests("planted", *place).values():
        assert target.exchange(post(request)).code == "SUCCESS"
    (planted,) = home.glob("spool/*/*/*/planted")
    planted.unlink()
    os.symlink(secret, planted)
    sent = requests("planted", *place)
    for operation in ("sendFile", "getFile"):
        answer = target.exchange(post(sent[operation]))
        assert answer.code in ("FAIL", "UNKNOWNFILE")
        assert b"c2VjcmV0" not in answer.raw
    assert secret.read_text() == "secret"


def files(home: Path) -> set[Path]:
    return {path for path in home.rglob("*") if path.is_file() and "spool" in path.parts}
