"""Reading a DAG: its file with all that it includes and splices in, checked, as one graph. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from birdbath.dagman import language
from birdbath.dagman.errors import DagError
from birdbath.dagman.graph import AbortOn, Dag, Node, NodeKind, Retry, StatusFile
from birdbath.dagman.language import Statement, statements

Reader = Callable[[str], str]
"""The text of a file by the name the DAG has for it; raises DagError when there is none."""

_ALL_NODES = "ALL_NODES"
_RESERVED = frozenset({"PARENT", "CHILD", _ALL_NODES})
_DEEPEST = 100
_WITHOUT_EFFECT = frozenset({"DOT", "JOBSTATE_LOG", "ENV", "SAVE_POINT_FILE", "PRE_SKIP"})
_REFUSED = {
    "PROVISIONER": "provisioner nodes are not supported: nothing here can be provisioned",
    "SERVICE": "service nodes are not supported",
    "DATA": "data placement nodes are not supported",
    "STORK": "data placement nodes are not supported",
    "REJECT": "the DAG says itself that it is not to be run",
}


def read_dag(names: Sequence[str], read: Reader, rescue: str | None = None) -> Dag:
    """The DAG in the files `names`, as one; `rescue` is the name of a rescue DAG that is laid over it.

    With several files the nodes of each are called `0.name`, `1.name` and so on. Raises DagError.
    """
    whole = _Whole(read)
    for index, name in enumerate(names):
        prefix = f"{index}." if len(names) > 1 else ""
        _Scope(whole, prefix, "", 0).read(name)
    if rescue is not None:
        _lay_over(whole, rescue)
    if not whole.nodes:
        raise DagError(f"{names[0]}: there is no node in it")
    dag = Dag(
        tuple(names),
        whole.nodes,
        {name: tuple(children) for name, children in whole.children.items()},
        whole.limits,
        whole.status_file,
        whole.config,
        tuple(whole.attributes),
        tuple(dict.fromkeys(whole.warnings)),
    )
    dag.check_cycles()
    return dag


@dataclass
class _Whole:
    """The graph as far as it is read, shared by all scopes; nodes by their full names."""

    read: Reader
    nodes: dict[str, Node] = field(default_factory=dict)
    children: dict[str, dict[str, None]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    status_file: StatusFile | None = None

    def change(self, name: str, **what: Any) -> None:
        self.nodes[name] = replace(self.nodes[name], **what)


@dataclass
class _Splice:
    """What the scope around a splice may use of it."""

    nodes: list[str]
    first: list[str]
    last: list[str]
    inputs: dict[int, list[str]]
    outputs: dict[int, list[str]]


class _Scope:
    """One DAG file with its included ones; the names in it are its own, told apart outside by `prefix`."""

    def __init__(self, whole: _Whole, prefix: str, directory: str, depth: int) -> None:
        self._whole = whole
        self._prefix = prefix
        self._directory = directory
        self._depth = depth
        self._own: list[str] = []
        self._splices: dict[str, _Splice] = {}
        self._descriptions: dict[str, str] = {}
        self._inputs: dict[int, list[str]] = {}
        self._outputs: dict[int, list[str]] = {}

    def read(self, name: str) -> _Splice:
        """Read the file; what it is good for as a splice."""
        if self._depth > _DEEPEST:
            raise DagError(f"{name}: splices are nested deeper than {_DEEPEST}: does one splice itself?")
        every = list(self._statements(self._located(name), ()))
        for statement in every:
            if statement.keyword == "SUBMIT_DESCRIPTION":
                self._describe(statement)
        # Nodes first: every other statement may stand before those that it speaks of.
        for statement in every:
            if (define := _DEFINITIONS.get(statement.keyword)) is not None:
                define(self, statement)
        for statement in every:
            self._apply(statement)
        return self._as_splice()

    def _statements(self, file: str, above: tuple[str, ...]) -> Iterator[Statement]:
        if file in above:
            raise DagError(f"{file} includes itself: {' -> '.join((*above, file))}")
        for statement in statements(self._whole.read(file), file):
            if statement.keyword == "INCLUDE":
                included = statement.need(1, "file")[0]
                yield from self._statements(self._located(included), (*above, file))
            else:
                yield statement

    def _located(self, file: str) -> str:
        return f"{self._directory}/{file}" if self._directory and not file.startswith("/") else file

    def _apply(self, statement: Statement) -> None:
        keyword = statement.keyword
        if keyword in _REFUSED:
            raise statement.error(_REFUSED[keyword])
        if keyword in _WITHOUT_EFFECT:
            self._whole.warnings.append(
                f"{statement.file}, line {statement.line}: {keyword} has no effect here"
            )
        elif keyword in _STATEMENTS:
            _STATEMENTS[keyword](self, statement)
        elif keyword not in _DEFINITIONS and keyword != "SUBMIT_DESCRIPTION":
            raise statement.error("this is not a statement of the DAG language")

    def _as_splice(self) -> _Splice:
        nodes = [name for name in self._own if self._whole.nodes[name].kind is not NodeKind.FINAL]
        inside = set(nodes)
        with_parents = {child for name in nodes for child in self._whole.children[name]}
        first = [name for name in nodes if name not in with_parents]
        last = [name for name in nodes if not inside.intersection(self._whole.children[name])]
        return _Splice(nodes, first, last, self._inputs, self._outputs)

    # ------------------------------------------------------------ nodes

    def _describe(self, statement: Statement) -> None:
        name = statement.need(1, "name { commands }")[0]
        if statement.block is None:
            raise statement.error("the submit description must follow in { }")
        self._descriptions[name] = statement.block

    def _job(self, statement: Statement) -> None:
        self._define(statement, NodeKind.JOB)

    def _final(self, statement: Statement) -> None:
        if self._depth:
            raise statement.error("a splice cannot have a FINAL node")
        if any(node.kind is NodeKind.FINAL for node in self._whole.nodes.values()):
            raise statement.error("there is a FINAL node already")
        self._define(statement, NodeKind.FINAL)

    def _subdag(self, statement: Statement) -> None:
        words = statement.need(3, "EXTERNAL node file")
        if words[0].upper() != "EXTERNAL":
            raise statement.error("expected SUBDAG EXTERNAL node file")
        self._define(replace(statement, operands=" ".join(words[1:])), NodeKind.SUBDAG)

    def _define(self, statement: Statement, kind: NodeKind) -> None:
        block = statement.block
        words = statement.need(1 if block is not None else 2, "node file [DIR directory] [NOOP] [DONE]")
        name = self._new_name(statement, words[0])
        options = words[1:] if block is not None else words[2:]
        submit = "" if block is not None else words[1]
        if kind is not NodeKind.SUBDAG and submit in self._descriptions:
            block = self._descriptions[submit]
        directory, flags = self._options(statement, options)
        if kind is NodeKind.FINAL and "DONE" in flags:
            raise statement.error("a FINAL node cannot be DONE")
        self._own.append(name)
        self._whole.children[name] = {}
        self._whole.nodes[name] = Node(
            name, kind, submit, block, directory, noop="NOOP" in flags, done="DONE" in flags
        )

    def _options(self, statement: Statement, words: list[str]) -> tuple[str, set[str]]:
        directory, flags = self._directory, set()
        rest = iter(words)
        for word in rest:
            if word.upper() == "DIR":
                directory = self._located(next(rest, ""))
            elif word.upper() in ("NOOP", "DONE"):
                flags.add(word.upper())
            else:
                raise statement.error(f"{word} is none of DIR, NOOP, DONE")
        return directory, flags

    def _splice(self, statement: Statement) -> None:
        words = statement.need(2, "name file [DIR directory]")
        prefix = self._new_name(statement, words[0]) + "+"
        directory, _ = self._options(statement, words[2:])
        splice = _Scope(self._whole, prefix, directory, self._depth + 1).read(words[1])
        self._splices[words[0]] = splice
        self._own.extend(splice.nodes)

    def _new_name(self, statement: Statement, name: str) -> str:
        full = self._prefix + name
        if name.upper() in _RESERVED or "+" in name:
            raise statement.error(f"{name} cannot be the name of a node")
        if full in self._whole.nodes or name in self._splices:
            raise statement.error(f"there is a node or splice {name} already")
        return full

    # ------------------------------------------------------------ what is said of nodes

    def _node(self, statement: Statement, name: str) -> str:
        full = self._prefix + name
        if full not in self._whole.nodes:
            raise statement.error(f"there is no node {name}")
        return full

    def _each(self, statement: Statement, name: str) -> list[str]:
        """The nodes that a statement speaks of: one, or all of this scope but the FINAL one."""
        return self._as_splice().nodes if name.upper() == _ALL_NODES else [self._node(statement, name)]

    def _edge(self, statement: Statement) -> None:
        words = statement.words
        middle = next((i for i, word in enumerate(words) if word.upper() == "CHILD"), len(words))
        parents, children = words[:middle], words[middle + 1 :]
        if not parents or not children:
            raise statement.error("expected PARENT nodes CHILD nodes")
        self._link(
            [node for name in parents for node in self._ends(statement, name, outgoing=True)],
            [node for name in children for node in self._ends(statement, name, outgoing=False)],
        )

    def _ends(self, statement: Statement, name: str, outgoing: bool) -> list[str]:
        if name in self._splices:
            splice = self._splices[name]
            return splice.last if outgoing else splice.first
        full = self._node(statement, name)
        if self._whole.nodes[full].kind is NodeKind.FINAL:
            raise statement.error("the FINAL node has neither parents nor children")
        return [full]

    def _link(self, parents: Iterable[str], children: Sequence[str]) -> None:
        for parent in parents:
            self._whole.children[parent].update(dict.fromkeys(children))

    def _connect(self, statement: Statement) -> None:
        words = statement.need(2, "splice splice")
        for name in words[:2]:
            if name not in self._splices:
                raise statement.error(f"there is no splice {name}")
        outputs, inputs = self._splices[words[0]].outputs, self._splices[words[1]].inputs
        if not outputs or outputs.keys() != inputs.keys():
            raise statement.error("the pins of the two splices do not fit")
        for number, parents in outputs.items():
            self._link(parents, inputs[number])

    def _pin(self, statement: Statement) -> None:
        words = statement.need(2, "node number")
        pins = self._inputs if statement.keyword == "PIN_IN" else self._outputs
        number = statement.integer(words[1], "the pin")
        pins.setdefault(number, []).append(self._node(statement, words[0]))

    def _variables(self, statement: Statement) -> None:
        name = statement.need(2, 'node name="value"')[0]
        found = tuple(language.variables(statement, statement.operands[len(name) :]))
        for node in self._each(statement, name):
            self._whole.change(node, variables=self._whole.nodes[node].variables + found)

    def _script(self, statement: Statement) -> None:
        name, script = language.script(statement)
        for node in self._each(statement, name):
            self._whole.change(node, scripts=(*self._whole.nodes[node].scripts, script))

    def _retry(self, statement: Statement) -> None:
        words = statement.need(2, "node times [UNLESS-EXIT value]")
        most = statement.integer(words[1], "the number of retries")
        if most < 0:
            raise statement.error("the number of retries is below 0")
        unless = None
        if len(words) > 2:
            if words[2].upper().replace("-", "_") != "UNLESS_EXIT" or len(words) != 4:
                raise statement.error("expected UNLESS-EXIT value")
            unless = statement.integer(words[3], "the exit value")
        for node in self._each(statement, words[0]):
            self._whole.change(node, retry=Retry(most, unless))

    def _abort_on(self, statement: Statement) -> None:
        words = statement.need(2, "node value [RETURN code]")
        value = code = statement.integer(words[1], "the exit value")
        if len(words) > 2:
            if words[2].upper() != "RETURN" or len(words) != 4:
                raise statement.error("expected RETURN code")
            code = statement.integer(words[3], "the return code")
            if not 0 <= code <= 255:
                raise statement.error("the return code is not from 0 to 255")
        for node in self._each(statement, words[0]):
            self._whole.change(node, abort_on=AbortOn(value, code))

    def _priority(self, statement: Statement) -> None:
        words = statement.need(2, "node number")
        for node in self._each(statement, words[0]):
            self._whole.change(node, priority=statement.integer(words[1], "the priority"))

    def _category(self, statement: Statement) -> None:
        words = statement.need(2, "node category")
        for node in self._each(statement, words[0]):
            self._whole.change(node, category=self._category_name(words[1]))

    def _max_jobs(self, statement: Statement) -> None:
        words = statement.need(2, "category number")
        limit = statement.integer(words[1], "the limit")
        if limit < 1:
            raise statement.error("the limit is below 1: its nodes would never run")
        self._whole.limits[self._category_name(words[0])] = limit

    def _category_name(self, name: str) -> str:
        """Categories belong to their splice, unless the name begins with a plus sign."""
        return name if name.startswith("+") else self._prefix + name

    def _done(self, statement: Statement) -> None:
        self._whole.change(self._node(statement, statement.need(1, "node")[0]), done=True)

    # ------------------------------------------------------------ what is said of the whole

    def _status_file(self, statement: Statement) -> None:
        words = statement.need(1, "file [seconds] [ALWAYS-UPDATE]")
        always = words[-1].upper().replace("_", "-") == "ALWAYS-UPDATE"
        numbers = words[1:-1] if always else words[1:]
        interval = statement.integer(numbers[0], "the interval") if numbers else 60
        if self._whole.status_file is None:
            self._whole.status_file = StatusFile(words[0], interval, always)

    def _config(self, statement: Statement) -> None:
        file = self._located(statement.need(1, "file")[0])
        for line in self._whole.read(file).splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.lstrip().startswith("#"):
                self._whole.config[name.strip().upper()] = value.strip()

    def _attribute(self, statement: Statement) -> None:
        name, equals, value = statement.operands.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise statement.error("expected name = value")
        self._whole.attributes.append((name.strip(), value.strip()))


def _lay_over(whole: _Whole, file: str) -> None:
    """Apply a rescue DAG: what it says is done is done, and it may set retries anew."""
    for statement in statements(whole.read(file), file):
        words = statement.need(1, "node")
        name = words[0]
        if name not in whole.nodes:
            raise statement.error(f"there is no node {name}")
        if statement.keyword == "DONE":
            whole.change(name, done=True)
        elif statement.keyword == "RETRY" and len(words) in (2, 4):
            unless = statement.integer(words[3], "the exit value") if len(words) == 4 else None
            whole.change(name, retry=Retry(statement.integer(words[1], "the number of retries"), unless))
        else:
            raise statement.error("a rescue DAG has only DONE and RETRY")


_DEFINITIONS: dict[str, Callable[[_Scope, Statement], None]] = {
    "JOB": _Scope._job,
    "NODE": _Scope._job,
    "SUBDAG": _Scope._subdag,
    "SPLICE": _Scope._splice,
    "FINAL": _Scope._final,
}
_STATEMENTS: dict[str, Callable[[_Scope, Statement], None]] = {
    "PARENT": _Scope._edge,
    "CONNECT": _Scope._connect,
    "PIN_IN": _Scope._pin,
    "PIN_OUT": _Scope._pin,
    "VARS": _Scope._variables,
    "SCRIPT": _Scope._script,
    "RETRY": _Scope._retry,
    "ABORT_DAG_ON": _Scope._abort_on,
    "PRIORITY": _Scope._priority,
    "CATEGORY": _Scope._category,
    "MAXJOBS": _Scope._max_jobs,
    "DONE": _Scope._done,
    "NODE_STATUS_FILE": _Scope._status_file,
    "CONFIG": _Scope._config,
    "SET_JOB_ATTR": _Scope._attribute,
}
