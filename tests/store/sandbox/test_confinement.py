"""No name, and nothing that somebody plants, leads out of a sandbox."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.store import UnitOfWork, Writer, sandbox
from birdbath.store.sandbox import FileInfo, InvalidFileName, Sandbox, Spool, check_file_name
from tests.store.sandbox import put

# ---------------------------------------------------------------- names

BAD_NAMES = [
    None,
    "",
    ".",
    "..",
    "/etc/passwd",
    "../secret",
    "a/../../secret",
    "a/b",
    "/",
    "a\0b",
    "\0",
    "x" * 256,
    "é" * 128,
    "\udcff",
    "a\ud800",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name: str | None, writer: Writer, box: Sandbox) -> None:
    box.create()
    calls: list[Callable[[UnitOfWork], object]] = [
        lambda unit: box.declare(unit, name),  # type: ignore[arg-type]
        lambda unit: box.write(unit, name, 0, b"x"),  # type: ignore[arg-type]
        lambda unit: box.replace(unit, name, b"x"),  # type: ignore[arg-type]
        lambda unit: box.replace(unit, name, b"x", append=True),  # type: ignore[arg-type]
        lambda unit: box.copy(unit, name, "b", 0, 0, 1),  # type: ignore[arg-type]
        lambda unit: box.read(name),  # type: ignore[arg-type]
        lambda unit: box.size(name),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(InvalidFileName):
            writer.write_now(call)
    assert box.entries() == []


@given(st.one_of(st.text(max_size=300), st.text("./\0a~-", min_size=1, max_size=4)))
def test_a_name_that_passes_means_a_direct_entry(name: str) -> None:
    try:
        assert check_file_name(name) == name
    except InvalidFileName:
        return
    assert Path("/box", name).parent == Path("/box")
    assert os.path.normpath(f"/box/{name}") == f"/box/{name}"
    assert len(os.fsencode(name)) <= 255


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "...", "~", "-", "a\\b", "C:", " ", "\n", "con\x01"])
def test_odd_names_that_are_fine(name: str, writer: Writer, box: Sandbox) -> None:
    put(writer, box, name, b"data")
    assert box.read(name) == b"data"
    assert box.entries() == [FileInfo(name, 4)]


# ---------------------------------------------------------------- what somebody planted


def _touch_all(box: Sandbox, name: str) -> list[Callable[[UnitOfWork], object]]:
    return [
        lambda unit: box.declare(unit, name),
        lambda unit: box.write(unit, name, 0, b"x"),
        lambda unit: box.replace(unit, name, b"x"),
        lambda unit: box.replace(unit, name, b"x", append=True),
        lambda unit: box.copy(unit, name, name, 0, 0, 1),
        lambda unit: box.read(name),
        lambda unit: box.size(name),
    ]


def _plant_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "secret")


def _plant_dangling_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "new")


def _plant_relative_link(path: Path, outside: Path) -> None:
    path.symlink_to("../../../../outside/secret")


def _plant_hard_link(path: Path, outside: Path) -> None:
    path.hardlink_to(outside / "secret")


def _plant_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _plant_directory(path: Path, outside: Path) -> None:
    path.mkdir()


def _plant_socket(path: Path, outside: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(path.parent)  # an address has room for short paths only
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)


def _plant_device(path: Path, outside: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make devices")


PLANTED = [
    _plant_link,
    _plant_dangling_link,
    _plant_relative_link,
    _plant_hard_link,
    _plant_pipe,
    _plant_directory,
    _plant_socket,
    _plant_device,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__.removeprefix("_plant_"))
def test_only_regular_files_are_touched(
    plant: Callable[[Path, Path], None], writer: Writer, box: Sandbox, outside: Path
) -> None:
    box.create()
    plant(box.path / "a", outside)
    for call in _touch_all(box, "a"):
        with pytest.raises(InvalidFileName):
            writer.write_now(call)
    box.remove()
    assert not box.exists()


@pytest.mark.parametrize("plant", [_plant_link, _plant_hard_link, _plant_pipe])
def test_a_file_that_is_exchanged_after_it_was_declared(
    plant: Callable[[Path, Path], None], writer: Writer, box: Sandbox, outside: Path
) -> None:
    put(writer, box, "a", b"data")
    (box.path / "a").unlink()
    plant(box.path / "a", outside)
    for call in _touch_all(box, "a"):
        with pytest.raises(InvalidFileName):
            writer.write_now(call)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("used_before", [False, True])
def test_links_in_place_of_directories(
    level: int, used_before: bool, writer: Writer, spool: Spool, outside: Path
) -> None:
    box = spool.sandbox(7, 0)
    replaced = spool.root.joinpath(*box.path.relative_to(spool.root).parts[:level])
    if used_before:
        put(writer, box, "secret", b"data")
        replaced.rename(spool.root / "moved")
    replaced.parent.mkdir(parents=True, exist_ok=True)
    target = (outside, outside / "0", outside / "0" / "cluster7.proc0.subproc0")[level - 1]
    replaced.symlink_to(target)
    for call in _touch_all(box, "secret"):
        with pytest.raises(InvalidFileName):
            writer.write_now(call)
    for refused in (box.create, box.entries):
        with pytest.raises(InvalidFileName):
            refused()
    assert not box.exists()
    assert list(spool.jobs()) == []
    box.remove()


def test_a_directory_that_is_exchanged_while_the_sandbox_is_opened(
    writer: Writer, spool: Spool, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever swaps a directory for a link just before it is entered gains nothing."""
    box = spool.sandbox(7, 0)
    enter = sandbox._enter

    def exchanging(directory: int, step: str) -> int:
        if step == "7" and not (spool.root / "7").is_symlink():
            (spool.root / "7").rename(spool.root / "moved")
            (spool.root / "7").symlink_to(outside)
        return enter(directory, step)

    for call in _touch_all(box, "secret"):
        box.create()
        with monkeypatch.context() as patch:
            patch.setattr(sandbox, "_enter", exchanging)
            with pytest.raises(InvalidFileName):
                writer.write_now(call)
        (spool.root / "7").unlink()
        (spool.root / "moved").rename(spool.root / "7")


def test_removing_follows_no_links(writer: Writer, spool: Spool, outside: Path) -> None:
    box = spool.sandbox(7, 0)
    put(writer, box, "a", b"x")
    (box.path / "folder").symlink_to(outside)
    (box.path / "real").mkdir()
    (box.path / "real" / "link").symlink_to(outside)
    box.remove()
    assert list(spool.root.iterdir()) == []


def test_a_link_in_place_of_the_sandbox_is_removed_itself(spool: Spool, outside: Path) -> None:
    box = spool.sandbox(7, 0)
    box.path.parent.mkdir(parents=True)
    box.path.symlink_to(outside)
    box.remove()
    assert list(spool.root.iterdir()) == []
