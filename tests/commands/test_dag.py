"""`birdbath submit` with a DAG: to the rescue run and the files that come back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from birdbath.client import Schedd
from tests.commands.conftest import Run
from tests.commands.test_commands import finished

DAG = """
JOB A a.sub
JOB B b.sub DIR deep
PARENT A CHILD B
INCLUDE more.inc
"""


@pytest.fixture
def workflow(tmp_path: Path) -> None:
    files = {
        "flow.dag": DAG,
        "more.inc": 'RETRY B 1\nVARS A text="one two"\n',
        "a.sub": "executable = /bin/echo\narguments = $(text)\noutput = a.out\nqueue\n",
        "deep/b.sub": "executable=tool.sh\ninput = ../a.out\noutput=b.out\ntransfer_input_files = b.dat\n",
        "deep/tool.sh": "#!/bin/sh\ncat\ncat b.dat\n",
        "deep/b.dat": "three\n",
    }
    (tmp_path / "deep").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)


def submitted(run: Run, server: str, *options: str) -> str:
    outcome = run("submit", "flow.dag", "--json", *options, url=server)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr == ""
    [sent] = json.loads(outcome.stdout)
    return str(sent["cluster"])


@pytest.mark.usefixtures("workflow")
def test_from_a_dag_to_its_output(run: Run, server: str, tmp_path: Path) -> None:
    cluster = submitted(run, server, "--maxjobs", "5")
    finished(server, cluster)
    with Schedd(server) as schedd:
        ad = schedd.job_ad(int(cluster), 0)
    assert (ad["JobUniverse"], ad["ExitCode"], ad["DAG_NodesDone"]) == (7, 0, 2)
    assert "-MaxJobs 5" in str(ad["Arguments"])
    fetched = run("fetch", cluster, "-d", "back", url=server)
    assert fetched.exit_code == 0, fetched.stderr
    [out] = (tmp_path / "back").rglob("b.out")
    assert out.read_text() == "one two\nthree\n"
    [log] = (tmp_path / "back").rglob("flow.dag.dagman.out")
    assert "All jobs Completed!" in log.read_text()


@pytest.mark.usefixtures("workflow")
def test_a_rescue_dag_beside_the_dag_is_run(run: Run, server: str, tmp_path: Path) -> None:
    (tmp_path / "flow.dag.rescue001").write_text("DONE A\n")
    (tmp_path / "a.out").write_text("kept\n")
    cluster = submitted(run, server)
    finished(server, cluster)
    run("fetch", cluster, "-d", "back", url=server)
    [out] = (tmp_path / "back").rglob("b.out")
    assert out.read_text() == "kept\nthree\n"


@pytest.mark.usefixtures("workflow")
def test_a_dry_run_shows_dagman(run: Run) -> None:
    shown = run("submit", "flow.dag", "--dry-run")
    assert 'Cmd = "condor_dagman"' in shown.stdout
    assert "JobUniverse = 7" in shown.stdout


@pytest.mark.usefixtures("workflow")
@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("flow.dag", "JOB A missing.sub\n", "missing.sub: No such file"),
        ("flow.dag", "PROVISIONER P a.sub\n", "provisioner nodes are not supported"),
        ("flow.dag", "JOB A a.sub\nJOB B other/a.sub\n", "have the same name; rename one"),
        ("a.sub", "executable = no-such-tool\nqueue\n", "node A: "),
        ("a.sub", "include : id |\nqueue\n", "node A: include is not allowed"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_sent(
    run: Run, tmp_path: Path, file: str, text: str, why: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.sub").write_text("executable = /bin/true\nqueue\n")
    (tmp_path / file).write_text(text)
    outcome = run("submit", "flow.dag", url="http://127.0.0.1:1")
    assert outcome.exit_code == 1
    assert why in outcome.stderr


@pytest.mark.usefixtures("workflow")
def test_inputs_that_nobody_makes_are_a_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "flow.dag").write_text("JOB A a.sub\n")
    (tmp_path / "a.sub").write_text("executable = /bin/cat\ninput = nowhere.txt\nqueue\n")
    outcome = run("submit", "flow.dag", "--dry-run")
    assert "A needs nowhere.txt, which is not here, and no node names it as its output" in outcome.stderr
