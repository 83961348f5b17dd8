"""The repository itself: what is committed, what the wheel carries, and that the checks of it bite."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import birdbath
from birdbath.settings import load_settings

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent

# One pattern per thing that ties the repository to a machine or to the place where it was written. Each is
# spelled so that it does not find itself.
FOREIGN = {
    "a person's home folder": r"/(?:root|home/[a-z]\w*|Users/\w+)/",
    "a folder of one machine": r"/[w]ork/|/[o]pt/(?:pypi|wheels)|/[t]mp/(?:v/|plan|infra)",
    "a registry's host": r"pypi\.(?:org|python)|pythonhosted\.org|(?:deb|security)\.debian\.org"
    r"|registry\.(?:npmjs|yarnpkg)",
    "a number in a tracker": r"\b[i]ssue\s*#?\s*\d|\bGH-\d",
    "how the work was done": r"\b[C]EO\b|\bsub-?[a]gents?\b|\b[w]orkplace\b",
}


def committed_files() -> list[Path]:
    """Every file that is committed, or would be by adding all."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def foreign_in(text: str) -> list[str]:
    return [
        f"{name}: {found.group()!r}"
        for name, pattern in FOREIGN.items()
        for found in re.finditer(pattern, text)
    ]


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def project() -> dict[str, object]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isinstance(table, dict)
    return table


in_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")


@in_git
def test_no_committed_file_names_a_machine_a_registry_or_how_it_was_written() -> None:
    found = []
    for path in committed_files():
        if path.name == "LICENSE":
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {what}" for what in foreign_in(text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "see /ho" + "me/ann/notes",
        "cd /wo" + "rk/main",
        "https://py" + "pi.org/simple",
        '"resolved": "https://regis' + 'try.npmjs.org/soap/"',
        "fixes is" + "sue #12",
        "ask the CE" + "O",
    ],
)
def test_the_search_for_foreign_words_finds_them(text: str) -> None:
    assert foreign_in(text) != []


@pytest.mark.parametrize(
    "text", ["/home", "the issue of an id", "/workers/1", "a session of HTTP", "see pypi"]
)
def test_the_search_for_foreign_words_leaves_ordinary_ones(text: str) -> None:
    assert foreign_in(text) == []


@in_git
def test_commands_are_executable_and_say_what_runs_them() -> None:
    commands = [
        path for path in committed_files() if path.parent.name in ("scripts", ".ci") and not path.suffix
    ]
    assert {"test", "environment", "run"} <= {path.name for path in commands}
    for path in commands:
        assert os.access(path, os.X_OK), path
        assert path.read_text().startswith("#!/usr/bin/env "), path


@in_git
def test_the_shell_scripts_lint() -> None:
    scripts = [
        str(path) for path in committed_files() if path.read_bytes()[:64].startswith(b"#!/usr/bin/env bash")
    ]
    assert scripts
    result = run(str(PROGRAMS / "shellcheck"), "--severity=warning", *scripts)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_dockerfile_lints() -> None:
    result = run(str(PROGRAMS / "hadolint"), "Dockerfile")
    assert (result.returncode, result.stdout) == (0, "")


def test_the_image_runs_as_a_user_of_its_own_and_is_checked() -> None:
    final_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    instructions = dict(re.findall(r"^([A-Z]+) (.*)$", final_stage, re.MULTILINE))
    assert instructions["USER"] not in ("root", "0")
    assert "/var/lib/birdbath" in instructions["VOLUME"]
    assert instructions["EXPOSE"] == "8080"
    assert {"HEALTHCHECK", "CMD"} <= instructions.keys()


def test_what_the_image_needs_holds_for_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments of `docker run` replace CMD: home and address must not go with it."""
    final_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert 'ENTRYPOINT ["birdbath"]\nCMD ["serve"]\n' in final_stage
    for name, value in re.findall(r"^(?:ENV| ) +(BIRDBATH_\w+)=(\S+)", final_stage, re.MULTILINE):
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.home, settings.host, settings.port) == (Path("/var/lib/birdbath"), "0.0.0.0", 8080)
    assert settings.without_authentication


@in_git
def test_the_wheel_carries_every_file_of_the_package(tmp_path: Path) -> None:
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    committed = {str(path.relative_to(ROOT)) for path in committed_files()}
    assert carried == {name for name in committed if name.startswith("birdbath/")}


def test_the_version_is_said_in_one_place() -> None:
    assert metadata.version("birdbath") == birdbath.__version__


@pytest.mark.parametrize("lock", ["use", "dev"])
def test_the_lock_holds_what_the_project_asks_for(lock: str) -> None:
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))
    table = project()
    wanted = table["dependencies"]
    assert isinstance(wanted, list)
    if lock == "dev":
        optional = table["optional-dependencies"]
        assert isinstance(optional, dict)
        wanted = wanted + optional["dev"] + optional["postgresql"]
    for requirement in map(Requirement, wanted):
        if requirement.name != "birdbath":
            name = requirement.name.replace("_", "-").lower()
            assert name in locked, f"{requirement}: run scripts/lock"
            assert requirement.specifier.contains(locked[name]), f"{requirement}: run scripts/lock"


def test_every_locked_release_has_a_hash() -> None:
    for lock in ("build", "use", "dev"):
        releases = re.split(r"\n(?=\w)", (ROOT / "locks" / f"{lock}.txt").read_text())[1:]
        assert releases
        assert [release for release in releases if "--hash=sha256:" not in release] == []


# What each import contract forbids, in their order: the module that sins, and what it imports.
SINS = [
    ("errors.py", "birdbath.classads"),
    ("pool/base.py", "birdbath.pool.simulated"),
    ("client/sin.py", "birdbath.store"),
    ("store/sin.py", "classad2"),
]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and its contracts, to do harm to."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "birdbath", tmp_path / "birdbath", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def verdicts(house: Path) -> list[str]:
    """KEPT or BROKEN for each import contract."""
    checked = run(str(PROGRAMS / "lint-imports"), "--no-logo", "--no-cache", cwd=house, PYTHONPATH=str(house))
    found = re.findall(r"^.+ (KEPT|BROKEN)\b", checked.stdout, re.MULTILINE)
    assert found, checked.stdout + checked.stderr
    assert (checked.returncode == 0) == ("BROKEN" not in found)
    return found


def test_the_import_contracts_are_kept(house: Path) -> None:
    assert verdicts(house) == ["KEPT"] * len(SINS)


@pytest.mark.parametrize("sin", range(len(SINS)))
def test_an_import_that_a_contract_forbids_breaks_it(house: Path, sin: int) -> None:
    module, imported = SINS[sin]
    with (house / "birdbath" / module).open("a") as source:
        source.write(f"\nimport {imported}\n")
    assert verdicts(house)[sin] == "BROKEN"


def test_a_new_part_of_the_package_must_be_given_a_floor(house: Path) -> None:
    (house / "birdbath" / "attic.py").touch()
    assert verdicts(house)[0] == "BROKEN"
