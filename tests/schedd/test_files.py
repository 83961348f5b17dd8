"""Files of staged and committed jobs (reference sections 3.7 to 3.9 and 3.16 to 3.18)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from birdbath.classads import Item
from birdbath.errors import AlreadyExists, BirdbathError, UnknownJob
from birdbath.pool.base import JobId
from birdbath.schedd import Elsewhere, FileInfo, Schedd, ScheddContext, Transaction, files, staging
from birdbath.schedd.files import SMALL_READ
from birdbath.store import UnitOfWork
from birdbath.store.tables import transactions
from tests.schedd.fakes import House

NOT_PLAIN_NAMES = [
    None, "", ".", "..", "/etc/passwd", "../x", "a/b", "a/../../b", "x/", "nul\0", "\ud800", "a" * 256
]  # fmt: skip

STAGED_BYTES = select(transactions.c.staged_bytes)


@pytest.fixture
def upload(house: House) -> Upload:
    return Upload(house)


class Upload:
    """A staged job and calls on its files."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.txn, self.cluster = house.staged_job()

    @property
    def path(self) -> Path:
        return self.house.queue.sandbox(JobId(self.cluster, 0)).path

    def declare(self, name: str | None, size: int = 0) -> None:
        self.house.do(lambda s: s.declare_file(self.txn, self.cluster, 0, name, size, 0, None))

    def send(self, name: str | None, offset: int, data: bytes | None) -> None:
        self.house.do(lambda s: s.send_file(self.txn, self.cluster, 0, name, offset, data))

    def get(self, name: str | None, offset: int = 0, length: int = 100) -> bytes:
        return self.house.read(lambda s: s.get_file(None, self.cluster, 0, name, offset, length))

    def ranges(self, name: str) -> list[tuple[int, int]]:
        files = self.house.writer.write_now(lambda unit: staging.files(unit, JobId(self.cluster, 0)))
        (ranges,) = [file.ranges for file in files if file.name == name]
        return ranges

    def staged_bytes(self) -> int:
        ((count,),) = self.house.writer.write_now(lambda unit: unit.execute(STAGED_BYTES))
        return int(count)

    def list(self) -> list[FileInfo]:
        return self.house.read(lambda s: s.list_spool(None, self.cluster, 0))


# ---------------------------------------------------------------- declareFile


def test_declaring_makes_the_file(upload: Upload) -> None:
    upload.declare("input", 1000)
    assert upload.list() == [FileInfo("input", 0)]


def test_declaring_does_not_truncate(upload: Upload) -> None:
    """Mere presence of the file on disk is not an error."""
    (upload.path / "input").write_bytes(b"old")
    upload.declare("input")
    assert upload.get("input") == b"old"


def test_declaring_twice(upload: Upload) -> None:
    upload.declare("input")
    with pytest.raises(AlreadyExists):
        upload.declare("input")
    upload.declare("Input")


def test_declaring_for_a_job_of_nobody(upload: Upload) -> None:
    for cluster, proc in ((upload.cluster, 1), (upload.cluster + 1, 0), (0, 0)):
        with pytest.raises(UnknownJob):
            upload.house.do(partial(_declare, upload.txn, cluster, proc))


def test_removed_jobs_take_no_more_files(upload: Upload) -> None:
    upload.declare("input")
    upload.house.do(lambda s: s.remove_job(upload.txn, upload.cluster, 0, None, False))
    with pytest.raises(UnknownJob):
        upload.declare("other")
    with pytest.raises(UnknownJob):
        upload.send("input", 0, b"x")


def _declare(txn: Transaction, cluster: int, proc: int, schedd: Schedd) -> None:
    schedd.declare_file(txn, cluster, proc, "input", 0, 0, None)


@pytest.mark.parametrize("name", NOT_PLAIN_NAMES, ids=repr)
def test_names_that_are_none(upload: Upload, name: str | None) -> None:
    with pytest.raises(BirdbathError) as refused:
        upload.declare(name)
    assert refused.value.code.name == "FAIL"
    assert upload.list() == []


@pytest.mark.parametrize("name", ["a b", "...", "-rf", "\u00e9\u20ac", "a\\b", "COM1", "x" * 255])
def test_names_that_only_look_odd(upload: Upload, name: str) -> None:
    upload.declare(name)
    upload.send(name, 0, b"data")
    assert upload.list() == [FileInfo(name, 4)]
    assert upload.get(name) == b"data"


def test_links_and_folders_are_no_files(upload: Upload, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    (upload.path / "soft").symlink_to(outside)
    (upload.path / "hard").hardlink_to(outside)
    (upload.path / "folder").mkdir()
    for name in ("soft", "hard", "folder"):
        with pytest.raises(BirdbathError, match="Not a regular file"):
            upload.declare(name)
        with pytest.raises(BirdbathError, match="Not a regular file"):
            upload.get(name)
    assert outside.read_bytes() == b"secret"


def test_a_sandbox_that_is_no_folder(upload: Upload) -> None:
    upload.path.rmdir()
    upload.path.write_text("no folder")
    calls: list[Callable[[], object]] = [
        lambda: upload.declare("input"),
        upload.list,
        lambda: upload.get("input"),
    ]
    for call in calls:
        with pytest.raises(BirdbathError) as refused:
            call()
        assert refused.value.code.name == "FAIL"
    assert upload.path.read_text() == "no folder"


def test_what_the_system_refuses(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("os.open", refuse)
        with pytest.raises(BirdbathError, match=r"^Too many open files$"):
            upload.list()
        with pytest.raises(BirdbathError, match=r"^Too many open files$"):
            upload.get("input")


# ---------------------------------------------------------------- sendFile


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        pytest.param([(0, b"abc"), (3, b"def")], b"abcdef", id="in order"),
        pytest.param([(3, b"def"), (0, b"abc")], b"abcdef", id="backwards"),
        pytest.param([(0, b"abcd"), (2, b"CDE")], b"abCDE", id="overlap"),
        pytest.param([(0, b"abc"), (0, b"abc")], b"abc", id="re-send"),
        pytest.param([(0, b"abc"), (0, b"x")], b"xbc", id="shorter re-send"),
        pytest.param([(4, b"x")], b"\0\0\0\0x", id="gap"),
        pytest.param([(0, b"")], b"", id="empty"),
        pytest.param([(0, None)], b"", id="nil"),
        pytest.param([(9, b"")], b"", id="empty beyond the end"),
    ],
)
def test_chunks(upload: Upload, chunks: list[tuple[int, bytes | None]], content: bytes) -> None:
    upload.declare("input", 3)
    for offset, data in chunks:
        upload.send("input", offset, data)
    assert upload.get("input") == content


def test_what_arrived_is_recorded(upload: Upload) -> None:
    upload.declare("input", 9)
    assert upload.ranges("input") == []
    for offset, data in ((6, b"ghi"), (0, b"abc"), (0, b"ab")):
        upload.send("input", offset, data)
    assert upload.ranges("input") == [(0, 3), (6, 9)]


def test_too_many_gaps_are_not_recorded(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    """But written all the same: only strict checks need to know."""
    monkeypatch.setattr(files, "MAX_RANGES", 2)
    upload.declare("input")
    for offset in (0, 2, 4):
        upload.send("input", offset, b"x")
    assert upload.ranges("input") == [(0, 1), (2, 3)]
    assert upload.get("input") == b"x\0x\0x"


def test_an_undeclared_file(upload: Upload) -> None:
    (upload.path / "input").write_bytes(b"")
    for name in ("input", None, "../input"):
        with pytest.raises(BirdbathError, match="has not been declared") as refused:
            upload.send(name, 0, b"x")
        assert refused.value.code.name == "FAIL"


def test_a_negative_offset(upload: Upload) -> None:
    upload.declare("input")
    with pytest.raises(BirdbathError, match="negative") as refused:
        upload.send("input", -1, b"x")
    assert refused.value.code.name == "FAIL"


def test_sending_to_a_job_of_nobody(upload: Upload) -> None:
    with pytest.raises(UnknownJob):
        upload.house.do(lambda s: s.send_file(upload.txn, upload.cluster, 7, "input", 0, b"x"))


def test_a_full_disk(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is a FAIL with the system's text, and nothing is recorded as received."""
    upload.declare("input")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", full)
        with pytest.raises(BirdbathError, match="No space left on device"):
            upload.send("input", 0, b"x")
    assert upload.ranges("input") == []
    assert upload.staged_bytes() == 0
    upload.send("input", 0, b"x")
    assert upload.staged_bytes() == 1


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63 - 2, 2**62])
def test_an_offset_beyond_any_file(upload: Upload, offset: int) -> None:
    """Nobody takes the first of these; file systems in memory take the others."""
    refusals: list[BirdbathError] = []
    upload.declare("input")
    try:
        upload.send("input", offset, b"x")
    except BirdbathError as error:
        refusals.append(error)
    assert refusals or offset < 2**63 - 1
    for refused in refusals:
        assert re.search(r"File too large|Invalid argument", str(refused))
        assert refused.code.name == "FAIL"
    assert upload.staged_bytes() == (0 if refusals else offset + 1)


# ---------------------------------------------------------------- getFile and listSpool


@pytest.mark.parametrize(
    ("offset", "length", "data"),
    [
        (0, 6, b"abcdef"),
        (2, 3, b"cde"),
        (4, 100, b"ef"),
        (6, 1, b""),
        (99, 1, b""),
        (0, 2147483647, b"abcdef"),
    ],
)
def test_getting(upload: Upload, offset: int, length: int, data: bytes) -> None:
    """3.18, recommended: only existing bytes, none past the end."""
    upload.declare("input")
    upload.send("input", 0, b"abcdef")
    assert upload.get("input", offset, length) == data


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, -1), (-1, 5), (-1, 0)])
def test_lengths_and_offsets_that_are_none(upload: Upload, offset: int, length: int) -> None:
    upload.declare("input")
    with pytest.raises(BirdbathError) as refused:
        upload.get("input", offset, length)
    assert refused.value.code.name == "FAIL"


@pytest.mark.parametrize("name", ["missing", *NOT_PLAIN_NAMES], ids=repr)
def test_getting_what_is_not_there(upload: Upload, name: str | None) -> None:
    with pytest.raises(BirdbathError) as refused:
        upload.get(name)
    assert refused.value.code.name == "FAIL"


def test_getting_from_a_job_that_is_not_there(house: House) -> None:
    with pytest.raises(BirdbathError, match=r"^No such file: x$"):
        house.read(lambda s: s.get_file(None, 99, 0, "x", 0, 1))


@pytest.mark.parametrize(
    ("name", "offset", "code"),
    [("missing", 0, "UNKNOWNFILE"), ("input", -1, "INVALIDOFFSET"), ("input", 7, "INVALIDOFFSET")],
)
def test_strict_codes_of_reading(upload: Upload, name: str, offset: int, code: str) -> None:
    upload.declare("input")
    upload.send("input", 0, b"abcdef")
    upload.house.configure(strict=True)
    with pytest.raises(BirdbathError) as refused:
        upload.get(name, offset)
    assert refused.value.code.name == code
    assert upload.get("input", 6) == b""


@pytest.mark.parametrize(
    ("name", "offset", "code"), [("x", 0, "UNKNOWNFILE"), ("input", -1, "INVALIDOFFSET")]
)
def test_strict_codes_of_sending(upload: Upload, name: str, offset: int, code: str) -> None:
    upload.declare("input")
    upload.house.configure(strict=True)
    with pytest.raises(BirdbathError) as refused:
        upload.send(name, offset, b"x")
    assert refused.value.code.name == code


def test_more_than_may_be_fetched_at_once(upload: Upload) -> None:
    upload.house.configure(max_file_reply=3)
    upload.declare("input")
    upload.send("input", 0, b"abcdef")
    with pytest.raises(BirdbathError, match="At most 3 bytes"):
        upload.get("input", 0, 4)
    assert upload.get("input", 3, 100) == b"def"


def test_a_long_read_is_sent_off_the_event_loop(upload: Upload) -> None:
    upload.declare("input")
    upload.send("input", SMALL_READ, b"x")
    context = upload.house.context(None)
    hasty = ScheddContext(context.settings, context.queue, context.caller, None, patient=False)

    def get(offset: int) -> bytes:
        return Schedd(hasty).get_file(None, upload.cluster, 0, "input", offset, SMALL_READ + 1)

    with pytest.raises(Elsewhere):
        get(0)
    assert len(get(1)) == SMALL_READ


def test_listing(upload: Upload) -> None:
    for name in ("b", "a"):
        upload.declare(name)
    upload.send("b", 0, b"12345")
    (upload.path / "folder").mkdir()
    (upload.path / "folder" / "inner").write_text("not shown")
    names = [info.name for info in upload.list()]
    assert names == ["a", "b", "folder"]
    assert upload.list()[:2] == [FileInfo("a", 0), FileInfo("b", 5)]


def test_listing_an_unknown_job_makes_nothing(house: House) -> None:
    """3.16, better to fix: the original created the directory."""
    assert house.read(lambda s: s.list_spool(None, 99, 0)) == []
    assert not house.queue.sandbox(JobId(99, 0)).exists()


# ---------------------------------------------------------------- submissions that need every byte


def test_strict_checks_are_sent_off_the_event_loop(upload: Upload) -> None:
    upload.house.configure(strict=True)
    upload.declare("input")

    def submit(unit: UnitOfWork) -> None:
        context = upload.house.context(unit)
        hasty = ScheddContext(context.settings, context.queue, context.caller, unit, patient=False)
        Schedd(hasty).submit(upload.txn, upload.cluster, 0, [])

    with pytest.raises(Elsewhere):
        upload.house.writer.write_now(submit)


# ---------------------------------------------------------------- discoverJobRequirements


def s(name: str, text: str) -> Item:
    return name, "s", text


@pytest.mark.parametrize(
    ("ad", "names"),
    [
        (None, []),
        ([], []),
        ([s("Cmd", "run")], ["run"]),
        ([s("Cmd", "run"), ("TransferExecutable", "x", "FALSE")], []),
        ([s("Cmd", "run"), ("TransferExecutable", "b", "TRUE")], ["run"]),
        ([s("In", "/dev/null")], []),
        ([s("In", "data.in")], ["data.in"]),
        ([s("x509userproxy", "proxy")], ["proxy"]),
        ([s("TransferInput", "a,b , c,,")], ["a", "b", "c"]),
        (
            [s("Cmd", "run"), s("x509userproxy", "p"), s("In", "i"), s("TransferInput", "b,a")],
            ["b", "a", "i", "p", "run"],
        ),
        ([s("Cmd", "a"), s("In", "a"), s("TransferInput", "a,b,a")], ["a", "b"]),
        ([s("cmd", "run"), ("TransferInput", "x", '"q,r"'), ("Junk", "x", "1 +")], ["q", "r", "run"]),
        ([("Cmd", "x", 'strcat("a","b")'), (None, "s", "x")], []),
    ],
    ids=repr,
)
def test_discovering_requirements(house: House, ad: list[Item] | None, names: list[str]) -> None:
    """3.9: TransferInput, In, x509userproxy, Cmd; each once."""
    assert house.read(lambda schedd: schedd.discover_job_requirements(ad)) == names
