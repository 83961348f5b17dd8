"""The DAG language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.dagman import DagError, NodeKind, Variable
from tests.dagman.world import dag_of, run


def test_variables_priorities_categories_and_scripts() -> None:
    dag = dag_of(
        "# a comment\n"
        "job A a.sub DIR sub NOOP\n"
        'VARS A name="a \\"quoted\\" \\\\ word" other="$(JOB)-$(RETRY)" +Project="\\"x\\""\n'
        'VARS A APPEND last="1"\n'
        "SCRIPT DEFER 4 60 PRE A prepare.sh $JOB\n"
        "SCRIPT DEBUG out.txt ALL POST A check.sh\n"
        "CATEGORY A big\nMAXJOBS big 3\nPRIORITY A 10\n"
        'SET_JOB_ATTR Group = "x y"\nNODE_STATUS_FILE s.txt 30 ALWAYS-UPDATE\nDOT picture.dot UPDATE\n'
    )
    node = dag.nodes["A"]
    assert node.variables == (
        Variable("name", 'a "quoted" \\ word'),
        Variable("other", "$(JOB)-$(RETRY)"),
        Variable("+Project", '"x"'),
        Variable("last", "1", append=True),
    )
    assert (node.directory, node.noop, node.priority, node.category) == ("sub", True, 10, "big")
    assert [script.command for script in node.scripts] == ["prepare.sh $JOB", "check.sh"]
    assert dag.category_limits == {"big": 3}
    assert dag.attributes == (("Group", '"x y"'),)
    assert dag.status_file is not None
    assert (dag.status_file.name, dag.status_file.interval, dag.status_file.always) == ("s.txt", 30, True)
    assert dag.warnings == ("test.dag, line 12: DOT has no effect here",)


def test_inline_descriptions() -> None:
    dag = dag_of(
        "SUBMIT-DESCRIPTION sleepy {\nexecutable = /bin/sleep\narguments = 1\n}\n"
        "JOB A sleepy\nJOB B {\n  executable = /bin/true\n}\nJOB C @=END\nexecutable = /bin/false\n@END\n"
    )
    assert dag.nodes["A"].description == "executable = /bin/sleep\narguments = 1"
    assert dag.nodes["B"].description == "  executable = /bin/true"
    assert dag.nodes["C"].description == "executable = /bin/false"


def test_splices_and_included_files() -> None:
    inner = (
        "JOB X x.sub\nJOB Y y.sub\nPARENT X CHILD Y\nCATEGORY ALL_NODES c\nMAXJOBS c 1\nRETRY ALL_NODES 1\n"
    )
    dag = dag_of(
        "JOB A a.sub\nINCLUDE more.inc\nSPLICE S inner.dag DIR deep\nPARENT A CHILD S\nPARENT S CHILD Z\n",
        more_inc="JOB Z z.sub\nCATEGORY Z +global\n",
        deep_inner_dag=inner,
        **{"deep/inner_dag": inner},
    )
    assert list(dag.nodes) == ["A", "Z", "S+X", "S+Y"]
    assert dag.children == {"A": ("S+X",), "S+X": ("S+Y",), "S+Y": ("Z",), "Z": ()}
    assert dag.nodes["S+X"].directory == "deep"
    assert dag.nodes["S+X"].category == "S+c"
    assert dag.category_limits == {"S+c": 1}
    assert dag.nodes["Z"].category == "+global"
    assert (dag.nodes["S+Y"].retry.most, dag.nodes["A"].retry.most) == (1, 0)


def test_splices_are_connected_by_their_pins() -> None:
    inner = "JOB X x\nJOB Y y\nPIN_IN X 1\nPIN_OUT Y 1\n"
    dag = dag_of("SPLICE P s.dag\nSPLICE Q s.dag\nCONNECT P Q\n", s_dag=inner)
    assert dag.children["P+Y"] == ("Q+X",)


def test_several_files_are_one_dag() -> None:
    from birdbath.dagman import read_dag

    dag = read_dag(["a.dag", "b.dag"], {"a.dag": "JOB A a\n", "b.dag": "JOB A a\n"}.__getitem__)
    assert list(dag.nodes) == ["0.A", "1.A"]


def test_subdags_and_final_nodes() -> None:
    dag = dag_of("SUBDAG EXTERNAL S inner.dag DIR d\nJOB A a\nPARENT S CHILD A\nFINAL F f.sub\n")
    assert (dag.nodes["S"].kind, dag.nodes["S"].submit) == (NodeKind.SUBDAG, "inner.dag")
    assert dag.final is dag.nodes["F"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PROVISIONER P p.sub", "line 1: PROVISIONER: provisioner nodes are not supported"),
        ("SERVICE S s.sub", "SERVICE"),
        ("JOB A a\nREJECT", "not to be run"),
        ("JOB A a\nJOB A b", "there is a node or splice A already"),
        ("JOB A", "expected JOB node file"),
        ("JOB A a\nPARENT A CHILD B", "there is no node B"),
        ("JOB A a\nPARENT A", "expected PARENT nodes CHILD nodes"),
        ("JOB A a\nJOB B b\nPARENT A CHILD B\nPARENT B CHILD A", "cycle: "),
        ("JOB A a\nPARENT A CHILD A", "cycle: "),
        ("JOB A a\nVARS A x=1", 'expected name="value"'),
        ('JOB A a\nVARS A queue1="1"', "no name for a macro"),
        ("JOB A a\nRETRY A many", "not a whole number: many"),
        ("JOB A a\nMAXJOBS c 0", "would never run"),
        ("JOB A a\nWHATEVER A", "not a statement of the DAG language"),
        ("JOB A a\nFINAL F f\nPARENT A CHILD F", "neither parents nor children"),
        ("JOB A a\nFINAL F f\nFINAL G g", "there is a FINAL node already"),
        ("JOB A {\nexecutable = x", "not closed"),
        ("JOB A+B a", "cannot be the name of a node"),
        ("SPLICE S missing.dag", "missing.dag is not there"),
        ("SPLICE S test.dag", "does one splice itself"),
        ("INCLUDE test.dag", "includes itself"),
        ("# nothing", "there is no node in it"),
    ],
)
def test_errors_say_where_and_why(text: str, why: str) -> None:
    with pytest.raises(DagError) as raised:
        dag_of(text)
    assert why in str(raised.value)


@given(
    st.text(alphabet=st.sampled_from(list('JOB PARENTCHILDVARSFINALSPLICE A B"={}\\\n\t+-1')), max_size=200)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        dag = dag_of(text)
    except DagError:
        return
    assert dag.nodes


def test_nested_splices_of_a_thousand_nodes() -> None:
    leaf = "".join(f"JOB N{number} x\n" for number in range(10)) + "".join(
        f"PARENT N{number} CHILD N{number + 1}\n" for number in range(9)
    )
    middle = "".join(f"SPLICE M{number} leaf.dag\n" for number in range(10)) + "PARENT M0 CHILD M1\n"
    top = "".join(f"SPLICE T{number} middle.dag\n" for number in range(10)) + "PARENT T0 CHILD T9\n"
    world = run(top, leaf_dag=leaf, middle_dag=middle)
    assert len(world.started) == 1000
    assert world.exit_code == 0
    position = {name: place for place, name in enumerate(world.started)}
    assert position["T0+M0+N9"] < position["T0+M1+N0"]
    assert max(position[f"T0+M{number}+N9"] for number in range(10)) < position["T9+M0+N0"]
