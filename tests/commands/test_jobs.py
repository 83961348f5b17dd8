"""From the commands of a job to its attributes and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.client import AdValue, Expression, Universe
from birdbath.description import DescriptionError, PlannedJob, Planner


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dat").write_bytes(bytes(3000))
    (tmp_path / "b.dat").write_bytes(b"b")
    return tmp_path


def plan(**commands: str) -> PlannedJob:
    return Planner("alice", {"HOME": "/data/alice"}).plan({"executable": "/bin/true"} | commands)


def attributes(**commands: str) -> dict[str, AdValue]:
    return plan(**commands).attributes


def test_a_plain_job() -> None:
    job = plan()

    assert job.universe is Universe.VANILLA
    assert job.uploads == {}
    assert job.attributes == {
        "Owner": "alice",
        "JobUniverse": 5,
        "Cmd": "/bin/true",
        "TransferExecutable": False,
        "SUBMIT_Iwd": str(Path.cwd()),
        "Arguments": "",
        "Requirements": True,
    }


@pytest.mark.parametrize(
    ("command", "value", "attribute", "expected"),
    [
        ("priority", "7", "JobPrio", 7),
        ("prio", "-7", "JobPrio", -7),
        ("priority", "3 * 2 + 0.5", "JobPrio", 6),
        ("max_retries", "1 + 2", "JobMaxRetries", 3),
        ("max_idle", "2 * 3", "JobMaterializeMaxIdle", 6),
        ("should_transfer_files", "true", "ShouldTransferFiles", "YES"),
        ("should_transfer_files", "False", "ShouldTransferFiles", "NO"),
        ("should_transfer_files", "if_needed", "ShouldTransferFiles", "IF_NEEDED"),
        ("rank", "Memory + 1", "Rank", Expression("Memory + 1")),
        ("batch_name", '"my batch"', "JobBatchName", "my batch"),
        ("notification", "Complete", "JobNotification", 2),
        ("notify_user", "a@b.c", "NotifyUser", "a@b.c"),
        ("request_cpus", "4", "RequestCpus", 4),
        ("request_memory", "2GB", "RequestMemory", 2048),
        ("request_memory", "MemoryUsage * 2", "RequestMemory", Expression("MemoryUsage * 2")),
        ("request_disk", "1GB", "RequestDisk", 1048576),
        ("request_gpus", "1", "RequestGPUs", 1),
        ("max_materialize", "50", "JobMaterializeLimit", 50),
        ("max_idle", "5", "JobMaterializeMaxIdle", 5),
        ("request_widgets", "3", "RequestWidgets", 3),
        ("nice_user", "yes", "NiceUser", True),
        ("stream_output", "F", "StreamOut", False),
        ("periodic_remove", "JobStatus == 5", "PeriodicRemove", Expression("JobStatus == 5")),
        ("on_exit_hold_reason", '"bad " ', "OnExitHoldReason", "bad "),
        ("leave_in_queue", "True", "LeaveJobInQueue", True),
        ("concurrency_limits", "Matlab:2, DB", "ConcurrencyLimits", "matlab:2, db"),
        ("deferral_time", "1800000000", "DeferralTime", 1800000000),
        ("cron_minute", "*/5", "CronMinute", "*/5"),
        ("when_to_transfer_output", "on_exit_or_evict", "WhenToTransferOutput", "ON_EXIT_OR_EVICT"),
        ("when_to_transfer_output", "never", "WhenToTransferOutput", "ON_EXIT"),
        ("stream_output", "1 == 2", "StreamOut", False),
        ("machine_count", "3", "MaxHosts", 3),
        ("my.Project", '"demo"', "Project", "demo"),
        ("my.Answer", "6 * 7", "Answer", Expression("6 * 7")),
        ("my.Owner", '"bob"', "Owner", "bob"),
        ("my.Nothing", "undefined", "Nothing", None),
        ("environment", "A=1", "Environment", "A=1"),
        ("getenv", "HOME", "Environment", "HOME=/data/alice"),
        ("arguments", "\"a 'b c'\"", "Arguments", "a 'b c'"),
    ],
)
def test_a_command_sets_its_attribute(command: str, value: str, attribute: str, expected: AdValue) -> None:
    found = attributes(**{command: value})[attribute]

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ({"executable": ""}, "no executable"),
        ({"universe": "chess"}, "no such universe"),
        ({"universe": "6"}, "no such universe"),
        ({"universe": "grid"}, "needs grid_resource"),
        ({"universe": "docker"}, "needs docker_image"),
        ({"rank": "Memory +"}, "rank = Memory +.*not a ClassAd expression"),
        ({"requirements": "Memory >"}, "requirements: not a ClassAd expression"),
        ({"requirements": "true) || (false"}, "requirements: not a ClassAd expression"),
        ({"request_memory": "2 lumps"}, "request_memory = 2 lumps"),
        ({"notification": "Sometimes"}, "none of Never"),
        ({"priority": "high"}, "priority = high.*not a number"),
        ({"max_materialize": "true"}, "not a number"),
        ({"should_transfer_files": "maybe"}, "none of YES, NO, IF_NEEDED"),
        ({"max_retries": "often"}, "max_retries = often: that is not a number"),
        ({"executable": "missing.sh"}, r"executable: .*missing\.sh does not exist"),
        ({"transfer_input_files": "b.dat, in"}, "in is a folder"),
        ({"transfer_input_files": "b.dat, in/../b.dat"}, "the same name"),
        ({"input": "nothing.txt"}, r"input: .*nothing\.txt does not exist"),
        ({"output": "results/"}, "that is a folder"),
        ({"arguments": 'a "b" c'}, "a double quote without a backslash"),
        ({"hold": "maybe"}, "hold = maybe: 'maybe' is neither true nor false"),
        ({"transfer_executable": "undefined"}, "transfer_executable = undefined: .* neither true nor false"),
        ({"stream_output": "perhaps"}, "stream_output = perhaps: .* neither true nor false"),
        ({"skip_filechecks": "x"}, "skip_filechecks = x: .* neither true nor false"),
        ({"skip_filechecks": "warn", "input": "nothing.txt"}, r"nothing\.txt does not exist"),
        ({"when_to_transfer_output": "sometimes"}, "none of ON_EXIT, ON_EXIT_OR_EVICT, ON_SUCCESS"),
        ({"initialdir": "nowhere"}, "initialdir: .*nowhere is no folder"),
        ({"should_transfer_files": "no", "transfer_output_files": "x"}, "transfer_output_files does not go"),
    ],
)
def test_what_cannot_be_is_said(commands: dict[str, str], said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        Planner("alice", {}).plan({k: v for k, v in ({"executable": "/bin/true"} | commands).items() if v})


@pytest.mark.parametrize(
    ("commands", "kind"),
    [
        ({"docker_image": "debian"}, "WantDockerImage"),
        ({"container_image": "docker://debian"}, "WantDockerImage"),
        ({"container_image": "img.sif"}, "WantSIF"),
        ({"container_image": "/cvmfs/img"}, "WantSandboxImage"),
        ({"container_image": "/cvmfs/img", "universe": "container"}, "WantSandboxImage"),
    ],
)
def test_an_image_makes_a_container_without_a_universe(commands: dict[str, str], kind: str) -> None:
    found = attributes(**commands)

    assert found["WantContainer"] is True
    assert [name for name in ("WantDockerImage", "WantSIF", "WantSandboxImage") if name in found] == [kind]
    assert "WantDocker" not in found


def test_universes() -> None:
    docker = plan(universe="docker", docker_image="debian").attributes

    assert plan(universe="Scheduler").universe is Universe.SCHEDULER
    assert plan(universe="12").attributes["JobUniverse"] == 12
    assert (docker["JobUniverse"], docker["WantDocker"], docker["DockerImage"]) == (5, True, "debian")
    assert plan(universe="grid", grid_resource="batch slurm").attributes["GridResource"] == "batch slurm"


def test_a_program_of_ones_own_is_uploaded() -> None:
    job = plan(executable="run.sh")

    assert job.uploads == {"run.sh": Path.cwd() / "run.sh"}
    assert job.attributes["Cmd"] == "run.sh"
    assert "TransferExecutable" not in job.attributes


def test_a_program_that_is_there_already_is_not_uploaded() -> None:
    said = plan(executable="/opt/tool/run", transfer_executable="false")
    forced = plan(executable="/bin/sh", transfer_executable="true")

    assert (said.uploads, said.attributes["Cmd"]) == ({}, "/opt/tool/run")
    assert (list(forced.uploads), forced.attributes["Cmd"]) == (["sh"], "sh")


def test_a_java_program_is_a_class_file_that_java_runs() -> None:
    job = plan(executable="b.dat", universe="java", arguments="Main", jar_files="in/a.dat")

    assert sorted(job.uploads) == ["a.dat", "b.dat"]
    assert (job.attributes["Cmd"], job.attributes["JarFiles"]) == ("java", "a.dat")


def test_files_are_known_by_their_last_name() -> None:
    job = plan(
        initialdir="in",
        input="a.dat",
        transfer_input_files="../b.dat",
        output="out/job.out",
        error="job.err",
        log="/var/log/job.log",
    )

    assert sorted(job.uploads) == ["a.dat", "b.dat"]
    assert job.attributes["In"] == "a.dat"
    assert (job.attributes["Out"], job.attributes["Err"]) == ("job.out", "job.err")
    assert job.attributes["UserLog"] == "job.log"
    assert job.attributes["SUBMIT_TransferOutputRemaps"] == "job.out=out/job.out;job.log=/var/log/job.log"
    assert job.attributes["DiskUsage"] == 3
    assert job.upload_size() == 3001
    assert "TransferInput" not in job.attributes


def test_what_is_at_a_url_is_listed_but_not_uploaded() -> None:
    job = plan(transfer_input_files="b.dat, http://example.org/x.dat")

    assert list(job.uploads) == ["b.dat"]
    assert job.attributes["TransferInput"] == "b.dat,http://example.org/x.dat"


def test_on_a_shared_file_system_nothing_moves() -> None:
    job = plan(executable="run.sh", should_transfer_files="no", output="job.out", initialdir="in")

    assert job.uploads == {}
    assert job.attributes["Iwd"] == str(Path.cwd() / "in")
    assert job.attributes["Cmd"] == str(Path.cwd() / "run.sh")
    assert job.attributes["Out"] == "job.out"
    assert job.attributes["ShouldTransferFiles"] == "NO"


def test_missing_files_may_be_overlooked() -> None:
    job = plan(executable="later.sh", skip_filechecks="true")

    assert list(job.uploads) == ["later.sh"]


def test_a_machine_must_have_what_is_asked_for() -> None:
    def requirements(**commands: str) -> AdValue:
        return attributes(**commands)["Requirements"]

    assert requirements(request_cpus="2") == "(TARGET.Cpus >= RequestCpus)"
    assert requirements(request_memory="1", requirements="memory > 5") == "(memory > 5)"
    assert requirements(request_disk="1", requirements="a || b") == "(a || b) && (TARGET.Disk >= RequestDisk)"
    assert requirements(request_gpus="1") == "(TARGET.GPUs >= RequestGPUs)"
    assert requirements(request_widgets="2") == "(TARGET.Widgets >= RequestWidgets)"
    assert requirements(request_gpus="1", requirements="GPUs > 1") == "(GPUs > 1)"


def test_a_deferred_job_takes_a_slot_only_shortly_before_its_time() -> None:
    plain = attributes(deferral_time="1800000000")
    chosen = attributes(deferral_time="1800000000", deferral_window="60", deferral_prep_time="5")

    assert (plain["DeferralWindow"], plain["DeferralPrepTime"], plain["ScheddInterval"]) == (0, 300, 300)
    assert (chosen["DeferralWindow"], chosen["DeferralPrepTime"]) == (60, 5)
    assert plain["Requirements"] == "(time() + ScheddInterval >= DeferralTime - DeferralPrepTime)"


def test_blanks_around_the_sign_of_a_remap_mean_nothing() -> None:
    remaps = attributes(transfer_output_remaps='" a.txt = out/a ; b=c "')["SUBMIT_TransferOutputRemaps"]

    assert remaps == "a.txt=out/a;b=c"


def test_retries_make_a_condition_to_leave_the_queue() -> None:
    plain = attributes(max_retries="3")
    all_of_it = attributes(retry_until="Size > 5", success_exit_code="2", on_exit_remove="false")

    assert plain["JobMaxRetries"] == 3
    assert plain["OnExitRemove"] == "NumJobCompletions > JobMaxRetries || ExitCode =?= 0"
    assert all_of_it["JobSuccessExitCode"] == 2
    assert all_of_it["OnExitRemove"] == (
        "NumJobCompletions > JobMaxRetries || ExitCode =?= 2 || (Size > 5) || (false)"
    )
    assert "ExitCode =?= 4" in str(attributes(retry_until="4")["OnExitRemove"])


def test_a_job_may_begin_on_hold() -> None:
    held = attributes(hold="true")

    assert (held["JobStatus"], held["HoldReasonCode"]) == (5, 15)
    assert "JobStatus" not in attributes(hold="false")


def test_an_accounting_group() -> None:
    group = attributes(accounting_group="physics")

    assert (group["AcctGroup"], group["AcctGroupUser"]) == ("physics", "alice")
    assert group["AccountingGroup"] == "physics.alice"
    other = attributes(accounting_group="physics", accounting_group_user="bob")
    assert other["AccountingGroup"] == "physics.bob"
    alone = attributes(accounting_group_user="bob")
    assert (alone["AccountingGroup"], alone["AcctGroupUser"]) == ("bob", "bob")
    assert "AcctGroup" not in alone


@pytest.mark.parametrize(("hold", "held"), [("1 == 1", True), ("2", True), ("no", False), ("1 > 2", False)])
def test_whether_a_job_is_held_may_be_reckoned(hold: str, held: bool) -> None:
    assert ("HoldReason" in attributes(hold=hold)) is held


def test_whether_the_program_is_sent_may_be_reckoned() -> None:
    assert plan(executable="run.sh", transfer_executable="1 == 2").attributes["TransferExecutable"] is False
