"""What a client writes is a value in the submit language and nothing else; only uploaded files leave."""

from __future__ import annotations

import pytest

from birdbath.classads import Ad, Constraint, Expression, Scalar
from birdbath.pool.base import JobId, NewJob
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.reading import Reader
from birdbath.pool.htcondor.requests import Submission
from birdbath.pool.htcondor.submission import CannotSubmit, StagedFiles, submission, text_of

GATEWAY = "birdbath-test"
FIRST = JobId(1_000_000_001, 0)


def described(*procs: dict[str, Scalar | Expression], files: tuple[str, ...] = ()) -> Submission:
    jobs = []
    for proc, attributes in enumerate(procs):
        ad = Ad()
        ad.update({"Owner": "alice", "Cmd": "/bin/true", "JobUniverse": 5, **attributes})
        jobs.append(NewJob(JobId(FIRST.cluster, proc), ad))
    staged = {new.id: StagedFiles(f"/spool/{new.id.proc}", frozenset(files)) for new in jobs}
    return submission(jobs, staged, GATEWAY, "run-1")


@pytest.mark.parametrize(
    "text",
    ["a\nqueue 100", "a\rOwner = root", "a\ninclude : /bin/sh -c evil |", "a\0b", "a\x1fb", "\udc80"],
)
def test_text_that_could_add_a_command_or_crash_is_refused(text: str) -> None:
    with pytest.raises(CannotSubmit):
        text_of(("Name", "s", text))


@pytest.mark.parametrize("name", ["a b", "a=b", "1a", "", "a\nqueue", "+Owner", "MY.Owner"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(CannotSubmit):
        text_of((name, "s", "x"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", '"plain"'),
        ('say "yes"', '"say \\"yes\\""'),
        ("C:\\dir\\", '"C:\\dir\\"'),
        ("$ENV(HOME)", '"$(DOLLAR)ENV(HOME)"'),
        ("$(Cluster)", '"$(DOLLAR)(Cluster)"'),
        ("$$(Arch)", '"$$(Arch)"'),
        ("5$", '"5$"'),
    ],
)
def test_strings_are_quoted_as_the_job_queue_wants_it(text: str, written: str) -> None:
    assert text_of(("Name", "s", text)) == written


def test_what_the_submit_language_would_change_is_refused() -> None:
    for text in ("$$$(A)", "$(DOLLAR)"):
        with pytest.raises(CannotSubmit):
            text_of(("Name", "s", text))


def test_identity_and_state_are_not_the_clients_to_set() -> None:
    commands = described(
        {"User": "root@x", "OsUser": "root", "ClusterId": 7, "JobStatus": 2, "StageInFinish": 1},
    ).commands
    assert not {"MY.User", "MY.OsUser", "MY.ClusterId", "MY.JobStatus", "MY.StageInFinish"} & commands.keys()
    assert commands["MY.Owner"] == '"alice"'
    marked = described({names.GATEWAY: "another", names.COMMITTED: True}).commands
    assert marked[f"MY.{names.GATEWAY}"] == f'"{GATEWAY}"'
    assert f"MY.{names.COMMITTED}" not in marked


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ("true", "(true)"),
        ("A == 1 || B // ) || (true", "(A == 1 || B)"),
        (Expression('strcat("A == ",1)'), "(A == 1)"),
        ('Name == "x"', '(Name == \\"x\\")'),
    ],
)
def test_only_jobs_of_the_owner_are_removed_with_a_job(given: str | Expression, bound: str) -> None:
    commands = described({"otherJobRemoveRequirements": given}).commands
    found = {name: text for name, text in commands.items() if "remove" in name.lower()}
    assert found == {"MY.OtherJobRemoveRequirements": f'"{bound} && Owner =?= \\"alice\\""'}


@pytest.mark.parametrize("given", ["true) || (true", "", "A ==", Expression("A == 1"), True])
def test_what_is_no_constraint_is_not_given_to_the_schedd(given: Scalar | Expression) -> None:
    commands = described({"OtherJobRemoveRequirements": given}).commands
    assert not [name for name in commands if "remove" in name.lower()]


def test_a_constraint_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(CannotSubmit):
        described({"OtherJobRemoveRequirements": 'Name == "a\\"b"'})


def test_no_job_can_match_before_its_commit_is_decided() -> None:
    commands = described({"Requirements": Expression('Arch == "X86_64"')}).commands
    assert commands["MY.Requirements"] == '(BirdbathCommitted =?= true) && (Arch == "X86_64")'
    assert names.unguarded(commands["MY.Requirements"]) == 'Arch == "X86_64"'


@pytest.mark.parametrize(
    "attributes",
    [
        {"TransferInput": "/etc/passwd"},
        {"TransferInput": "../other"},
        {"In": "/etc/shadow"},
        {"Cmd": "../../bin/x"},
        {"x509userproxy": "/tmp/proxy"},
        {"Out": "/var/lib/someone/"},
        {"Err": ".."},
        {"TransferOutputRemaps": "out=/etc/cron.d/x"},
        {"TransferOutputRemaps": Expression('strcat("out=", "/etc/cron.d/x")')},
        {"JobUniverse": 99},
    ],
)
def test_files_of_the_gateways_machine_are_neither_sent_nor_written(
    attributes: dict[str, Scalar | Expression],
) -> None:
    with pytest.raises(CannotSubmit):
        described(attributes)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/var/lib/someone/.profile", '".profile"'),
        ("../err", '"err"'),
        ("/dev/null", '"/dev/null"'),
        (Expression('strcat("/etc/", "x")'), '""'),
    ],
)
def test_standard_streams_are_files_of_the_jobs_own(path: Scalar | Expression, kept: str) -> None:
    assert described({"Err": path}).commands["MY.Err"] == kept


def test_a_program_that_was_not_uploaded_is_looked_for_beside_the_job() -> None:
    commands = described({"Cmd": "not-uploaded.sh"}).commands
    assert (commands["MY.Cmd"], commands["MY.TransferExecutable"]) == ('"not-uploaded.sh"', "false")


def test_a_job_without_a_program_has_none() -> None:
    assert described({"Cmd": Expression("undefined")}).commands["MY.Cmd"] == '""'


def test_uploaded_files_are_sent() -> None:
    commands = described({"Cmd": "run.sh", "TransferInput": "a, b"}, files=("run.sh", "a", "b")).commands
    assert (commands["MY.Cmd"], commands["MY.TransferExecutable"]) == ('"run.sh"', "true")
    assert commands["MY.TransferInput"] == '"a,b"'


def test_procs_differ_by_their_variables_only() -> None:
    found = described({"Number": 1, "Same": "x"}, {"Number": 2, "Same": "x", "More": True})
    assert (found.procs, found.commands["MY.Same"], found.commands["MY.Number"]) == (2, '"x"', "$(v_Number)")
    assert [row["v_Number"] for row in found.rows] == ["1", "2"]
    assert [row["v_More"] for row in found.rows] == ["undefined", "TRUE"]
    assert [row["v_initialdir"] for row in found.rows] == ["/spool/0", "/spool/1"]


def test_a_constraint_of_six_hundred_terms_stays_evaluable() -> None:
    text = " || ".join(f"ClusterId == {number}" for number in range(600))
    asked = names.View(GATEWAY).constraint(Constraint(text), 0.0)
    ad = Ad()
    ad.update({"ClusterId": 599, "ProcId": 0})
    other = Ad()
    other.update({"ClusterId": 1000, "ProcId": 0})
    wanted = Constraint(asked).evaluator()
    assert wanted(ad.compiled()) is True
    assert wanted(other.compiled()) is False


def test_a_constraint_is_asked_in_the_clients_terms() -> None:
    view = names.View(GATEWAY)
    own = Ad()
    own.update({"ClusterId": 12, "ProcId": 0, names.GATEWAY: GATEWAY, names.CLUSTER: FIRST.cluster})
    own.update({names.COMMITTED: True, "JobStatus": 5, "HoldReasonCode": 16})

    def selects(text: str) -> bool:
        return Constraint(view.constraint(Constraint(text), 100.0)).evaluator()(own.compiled()) is True

    assert selects(f"ClusterId == {FIRST.cluster}")
    assert selects("JobStatus == 1 && HoldReasonCode =?= undefined")
    assert selects("ServerTime == 100")
    assert not selects("ClusterId == 12")
    own.set(names.COMMITTED, False)
    assert not selects("true")


def test_an_ad_is_read_in_the_clients_terms() -> None:
    text = "\n".join(
        [
            "ClusterId = 12",
            f'{names.GATEWAY} = "{GATEWAY}"',
            f"{names.CLUSTER} = {FIRST.cluster}",
            f"{names.COMMITTED} = true",
            "JobStatus = 5",
            "HoldReasonCode = 16",
            'HoldReason = "Spooling input data files"',
            "Requirements = (BirdbathCommitted =?= true) && (Memory > 5)",
            'ReleaseReason = "go on (by user condor)"',
            "Real = 2.5",
            'Text = "a \\"b\\" C:\\dir"',
            "Gone = undefined",
        ]
    )
    ad = Ad.from_json(Reader(GATEWAY).job(text))
    assert ad.get("ClusterId") == FIRST.cluster
    assert ad.get("JobStatus") == 1
    assert "HoldReason" not in ad
    assert "Gone" not in ad
    assert ad.attribute("Requirements") == ("Requirements", "x", "Memory > 5")
    assert (ad.string("ReleaseReason"), ad.get("Real")) == ("go on", 2.5)
    assert ad.string("Text") == 'a "b" C:\\dir'
    assert not [name for name, _, _ in ad if name.startswith("Birdbath")]
    foreign = Ad.from_json(Reader("another").job(text))
    assert (foreign.get("ClusterId"), foreign.get("JobStatus")) == (12, 5)
