"""Submit descriptions, read by HTCondor's parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from birdbath.description import Description, DescriptionError, QueueStatement
from birdbath.description.vocabulary import KNOWN


def expanded(statement: QueueStatement, cluster: int = 7) -> list[dict[str, str]]:
    return [statement.expand(cluster, proc, row) for proc, row in enumerate(statement.rows())]


def arguments(text: str) -> list[list[str]]:
    """The `arguments` of every job, by queue statement."""
    statements = Description("executable = /bin/echo\n" + text).statements
    return [[job.get("arguments", "") for job in expanded(statement)] for statement in statements]


@pytest.mark.parametrize(
    ("queue", "values"),
    [
        ("queue", ["0 0 0"]),
        ("QUEUE 3", ["0 0 0", "1 1 0", "2 2 0"]),
        ("queue 2*2 - 1", ["0 0 0", "1 1 0", "2 2 0"]),
        ("n = 2\nqueue $(n)", ["0 0 0", "1 1 0"]),
        ("queue in (a, b)", ["0 0 0", "1 0 1"]),
        ("queue 2 in (a b)", ["0 0 0", "1 1 0", "2 0 1", "3 1 1"]),
        ("queue 0", []),
    ],
)
def test_a_queue_statement_counts(queue: str, values: list[str]) -> None:
    assert arguments(f"arguments = $(Process) $(Step) $(ItemIndex)\n{queue}\n") == [values]


@pytest.mark.parametrize(
    ("queue", "values"),
    [
        ("queue x in (a, b c)", ["a/", "b/", "c/"]),
        ("queue x, y from (\n  a, 1\n  # not an item\n  b, two words\n)", ["a/1", "b/two words"]),
        ("queue x y from (\na 1\n)", ["a/1"]),
        ("queue x in [1:] (a b c)", ["b/", "c/"]),
        ("queue x in [::2] (a b c)", ["a/", "c/"]),
        ("queue x in [:-1] (a b c)", ["a/", "b/"]),
        ("queue x from items", ["first line/", "second/"]),
        ("queue x matching files *.dat", ["one.dat/", "two.dat/"]),
        ("queue x from echo hello |", ["hello/"]),
    ],
)
def test_items_set_their_variables(
    queue: str, values: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "items").write_text("first line\nsecond\n")
    (tmp_path / "one.dat").touch()
    (tmp_path / "two.dat").touch()

    assert [sorted(found) for found in arguments(f"arguments = $(x)/$(y)\n{queue}\n")] == [values]


def test_an_item_may_be_a_command() -> None:
    assert arguments("queue arguments in (1 2)\n") == [["1", "2"]]


def test_every_queue_statement_has_the_commands_above_it() -> None:
    text = "arguments = 1\nqueue 2\narguments = 2\nqueue x in (\n  a\n  queue\n)\narguments = 3 $(x)\nqueue\n"

    assert arguments(text) == [["1", "1"], ["2", "2"], ["3"]]


def test_lines_that_belong_together_are_not_taken_apart() -> None:
    text = "x @=end\nqueue\n@end\narguments = a \\\nqueue b\n# a comment \\\nqueue\n"

    assert arguments(text) == [["a queue b"]]


def test_macros_conditions_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIRD", "duck")
    choice = "if defined missing\narguments = no\nelse\narguments = {}\nendif\nqueue\n"
    text = choice.format("$ENV(BIRD) $(Cluster) $(ClusterId) $(who:me) $$(Arch)")

    assert arguments(text) == [["duck 7 7 me $$(Arch)"]]


def test_names_of_commands_are_folded_and_those_of_attributes_are_kept() -> None:
    [statement] = Description("Executable = x\n+MyThing = 1\nmy.Other = 2\nempty =\nqueue\n").statements

    assert expanded(statement) == [{"executable": "x", "my.MyThing": "1", "my.Other": "2"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("executable = a\n", "no queue statement"),
        ("executable a\nqueue\n", "not the submit language: executable a"),
        (
            "executable = a\ninclude : /no/such/file\nqueue\n",
            "not the submit language: include : /no/such/file",
        ),
        ("include : false |\nexecutable a\nqueue\n", "not the submit language"),
        ("a = $(b)\nb = $(c)\nc = $(a)\nqueue\n", r"\$\(a\) stands for itself: a -> b -> c -> a"),
        ("l = a,$(m)\nm = $CHOICE(0,l)\nqueue", "stands for itself: l -> m -> l"),
        ("x = 1\nqueue many\n", "queue many: that is no number of jobs"),
        ("x = 1\nqueue 2 3\n", "queue 2 3: that is no number of jobs"),
        ("x = 1\nqueue -1\n", "queue -1: that is no number of jobs"),
        ("x = 1\nqueue x from /no/such/file\n", "/no/such/file"),
        ("x = 1\nqueue x in [1:2:3:4] (a b)\n", "Invalid"),
        ("x = 1\nqueue x in (\na\n", "brace"),
        ("x = 1\nqueue x from (\na\n\nb\n)\n", "take the blank lines out of the list"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(DescriptionError, match=said):
        [list(statement.rows()) for statement in Description(text).statements]


def test_an_item_that_names_its_own_variable_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "items").write_text("a$(x)\n")
    [statement] = Description(f"arguments = $(x)\nqueue x from {tmp_path}/items\n").statements

    with pytest.raises(DescriptionError, match="stands for itself"):
        expanded(statement)


@pytest.mark.parametrize(
    "text",
    [
        "x = arguments\narguments = $($(x))\n",
        "x = b\nb = $(arguments)\narguments = $($(x))\n",
        "x = b\nb = $F(arguments)\narguments = $(no:$($(x)))\n",
        "b = $(\narguments = $(b)arguments)\n",
        "arguments = $(b_$(Process))\nb_1 = $(arguments)\n",
    ],
)
def test_a_name_that_is_computed_does_not_hang(text: str) -> None:
    with pytest.raises(DescriptionError, match=r"stands for itself: (arguments|b|x|b_1) -> "):
        [expanded(statement) for statement in Description(f"{text}queue 2\n").statements]


def test_a_name_may_be_computed() -> None:
    text = "x = y\ny = a\nb_0 = $($(x))\nb_1 = b\narguments = $(b_$(Process))$F($(x))\nqueue 2\n"
    [statement] = Description(text).statements
    assert [commands["arguments"] for commands in expanded(statement)] == ["ay", "by"]


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.sub").write_text("executable = /bin/true\nqueue\n", encoding="utf-8-sig")
    (tmp_path / "latin.sub").write_bytes(b"arguments = \xe9\nqueue\n")

    assert len(Description.read(tmp_path / "a.sub").statements) == 1
    with pytest.raises(DescriptionError, match="No such file"):
        Description.read(tmp_path / "none.sub")
    with pytest.raises(DescriptionError, match="is a DAG"):
        Description.read(tmp_path / "some.dag")
    with pytest.raises(DescriptionError, match="not text in UTF-8"):
        Description.read(tmp_path / "latin.sub")


def test_commands_that_nobody_knows_are_found() -> None:
    text = (
        "executable = x\nlist = a,b\nenv = $CHOICE(Process,list)\n"
        "arguments = $(used) $Fn(path)\nused = 1\npath = a/b\nrequest_widgets = 1\n+Own = 1\n"
        "typo = 2\ncount = 1\nqueue $(count)\n"
    )
    [statement] = Description(text).statements

    assert statement.unused(KNOWN) == ["typo"]
