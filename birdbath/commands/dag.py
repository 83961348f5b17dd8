"""A DAG file as one job: DAGMan, with every file that the DAG's nodes need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from birdbath.classads.arguments import join
from birdbath.dagman import PROGRAM, Dag, DagError, Node, NodeKind, read_dag
from birdbath.dagman.files import rescue_numbers
from birdbath.description import Description, DescriptionError, PlannedJob, vocabulary
from birdbath.description.confined import confined, macros
from birdbath.description.sandbox import local_files
from birdbath.values import AdValue, Universe

_DEEPEST = 20

Reader = Callable[[Path], str]


@dataclass
class PlannedDag:
    """DAGMan's job, and what the user should know of it."""

    job: PlannedJob
    warnings: list[str]


def plan_dag(file: Path, owner: str, max_jobs: int | None = None, max_idle: int | None = None) -> PlannedDag:
    """DAGMan's job for a DAG file, read as DAGMan will read it: names in it are relative to this folder.

    On the server all files lie in one folder, by the last part of their paths. Raises DagError and
    DescriptionError for what DAGMan could not run, and for two files of one name.
    """
    files = _Files()
    dag = files.add_dag(str(file), Path(), 0)
    name = file.name
    words = ["-p", "0", "-f", "-l", ".", "-Lockfile", f"{name}.lock", "-AutoRescue", "1"]
    words += ["-DoRescueFrom", "0", "-Dag", name, "-Suppress_notification", "-Dagman", PROGRAM]
    for option, bound in (("-MaxJobs", max_jobs), ("-MaxIdle", max_idle)):
        words += [option, str(bound)] if bound is not None else []
    attributes: dict[str, AdValue] = {
        "Owner": owner,
        "JobUniverse": int(Universe.SCHEDULER),
        "Cmd": PROGRAM,
        "TransferExecutable": False,
        "Arguments": join(words),
        "Environment": f"_CONDOR_DAGMAN_LOG={name}.dagman.out _CONDOR_MAX_DAGMAN_LOG=0",
        "UserLog": f"{name}.dagman.log",
        "RemoveKillSig": "SIGUSR1",
        "JobBatchName": name,
    }
    job = PlannedJob(PROGRAM, Universe.SCHEDULER, attributes, files.uploads)
    return PlannedDag(job, [*dag.warnings, *files.warnings()])


class _Files:
    """The files to upload, by name, and what the nodes make."""

    def __init__(self) -> None:
        self.uploads: dict[str, Path] = {}
        self._missing: dict[str, str] = {}
        self._made: set[str] = set()

    def warnings(self) -> list[str]:
        """Inputs that are not here and that no node is known to make."""
        return [
            f"{node} needs {name}, which is not here, and no node names it as its output"
            for name, node in self._missing.items()
            if name not in self._made
        ]

    def add_dag(self, name: str, folder: Path, depth: int) -> Dag:
        """A DAG with all that it includes, its rescue DAGs, and the files of its nodes."""
        if depth > _DEEPEST:
            raise DagError(f"{name}: DAGs are nested deeper than {_DEEPEST}: does one run itself?")
        dag = read_dag([name], lambda other: self._text(folder / other))
        path = folder / name
        siblings = [entry.name for entry in path.parent.iterdir()]
        for number in rescue_numbers([path.name], siblings):
            self._add(path.with_name(f"{path.name}.rescue{number:03}"))
        for node in dag.nodes.values():
            if node.kind is NodeKind.SUBDAG:
                self.add_dag(node.submit, folder / node.directory, depth + 1)
            else:
                self._add_node(node, folder / node.directory)
        return dag

    def _text(self, path: Path) -> str:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise DagError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise DagError(f"{path} is not text in UTF-8") from None
        self._add(path)
        return text

    def _add(self, path: Path) -> None:
        path = path.resolve()
        known = self.uploads.setdefault(path.name, path)
        if known != path:
            raise DescriptionError(f"{path} and {known} have the same name; rename one")

    def _add_node(self, node: Node, folder: Path) -> None:
        try:
            for commands in _commands(node, folder, self._text):
                self._add_job(node, commands, folder)
        except DescriptionError as error:
            raise DescriptionError(f"node {node.name}: {error}") from None

    def _add_job(self, node: Node, commands: dict[str, str], folder: Path) -> None:
        if "executable" not in commands:
            raise DescriptionError("there is no executable")
        executable = (folder / commands["executable"]).name
        for name, path in local_files(commands, folder).items():
            if path.is_file():
                self._add(path)
            elif path.exists() or name == executable:
                raise DescriptionError(f"{path} does not exist or is not a file")
            else:
                self._missing.setdefault(name, node.name)
        for command in ("output", "error", "transfer_output_files"):
            for listed in commands.get(command, "").split(","):
                self._made.add(listed.strip().rpartition("/")[2])


def _commands(node: Node, folder: Path, read: Reader) -> Iterator[dict[str, str]]:
    """The commands of the node's jobs, by canonical name, read as the server will."""
    text = node.description if node.description is not None else read(folder / node.submit)
    standard = {"JOB": node.name, "RETRY": "0", "DAG_STATUS": "0", "FAILED_COUNT": "0"}
    prepended = {v.name: v.value for v in node.variables if not v.append}
    appended = {v.name: v.value for v in node.variables if v.append}
    before, after = macros(standard | prepended), macros(appended)
    description = Description(confined(text, lambda name: read(folder / name), before, after))
    for statement in description.statements:
        for proc, row in enumerate(statement.rows()):
            expanded = statement.expand(1, proc, row)
            yield {vocabulary.canonical(command): value for command, value in expanded.items()}
