"""Submit descriptions of others: nothing in them may reach out of their folder."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from birdbath.description import Description, DescriptionError, Planner
from birdbath.description.confined import confined, macros
from birdbath.description.sandbox import plan_in_place


def read(name: str) -> str:
    files = {"items.txt": "one\n# comment\ntwo, 2\n", "bad.txt": ")\ninclude : id |\n"}
    if name not in files:
        raise DescriptionError(f"{name} is not there")
    return files[name]


def jobs(text: str, before: str = "", after: str = "") -> list[dict[str, str]]:
    description = Description(confined(text, read, before, after))
    return [
        statement.expand(7, number, row)
        for statement in description.statements
        for number, row in enumerate(statement.rows())
    ]


def test_an_ordinary_description_is_as_it_was() -> None:
    text = (
        "# a comment \\\nexecutable = /bin/echo\narguments = a \\\n  b $(Process) $$(Name)\n"
        "output = $Fn(input).out\ninput = x.txt\n\nqueue 2\narguments = c\nqueue\n"
    )
    assert [(job["arguments"], job["output"]) for job in jobs(text)] == [
        ("a b 0 $$(Name)", "x.out"),
        ("a b 1 $$(Name)", "x.out"),
        ("c", "x.out"),
    ]


def test_macros_before_and_after() -> None:
    text = (
        "executable = /bin/echo\nfirst = mine\nsecond = mine\narguments = $(first) $(second) $(JOB)\nqueue\n"
    )
    before = macros({"JOB": "A", "first": "theirs"})
    assert jobs(text, before, macros({"second": "theirs"}))[0]["arguments"] == "mine theirs A"


def test_a_queue_statement_is_added_and_counts_may_be_macros() -> None:
    assert len(jobs("executable = /bin/true\n")) == 1
    assert len(jobs("executable = /bin/true\nqueue $(count)\n", before="count = 3\n")) == 3


@pytest.mark.parametrize(
    "queue", ["queue a, b from items.txt", "queue a, b from (\n one\n two, 2\n)", "queue a in (one, two)"]
)
def test_items(queue: str) -> None:
    found = jobs(f"executable = /bin/echo\narguments = $(a)\n{queue}\n")
    assert [job["arguments"] for job in found] == ["one", "two"]


ATTACKS = [
    "include : /etc/passwd\nqueue",
    "  INCLUDE command into /tmp/x : id\nqueue",
    "inc\\\nlude : id |\nqueue",
    "inc\\\n   lude : id |\nqueue",
    "use feature : x\nqueue",
    "x = $ENV(SECRET)\nqueue",
    "x = $env(SECRET)\nqueue",
    "d = $\nx = $(d)ENV(SECRET)\nqueue",
    "x = $(y:$ENV(SECRET))\nqueue",
    "x = $SUBSTR(y,0,1)ENV(SECRET)\ny = $(DOLLAR)\nqueue",
    "x = $CHOICE(0,y)ENV(SECRET)\ny = $(DOLLAR)\nqueue",
    'x = $STRING(y)\ny = strcat("a","b")\nqueue',
    "x = $RANDOM_INTEGER(1,9)\nqueue",
    "l = a,$(m)\nm = $choice(0, l )\narguments = $(m)\nqueue",
    "n = arguments\narguments = $($(n))\nqueue",
    "a = $(argum\nb = ents)\narguments = $(a)$(b)\nqueue",
    "arguments = $(a)$(b)\nqueue a, b from (\n$(argum, ents)\n)",
    "queue a from id |",
    "queue a from /etc/passwd",
    "queue a from ../../etc/passwd",
    "queue a matching files *",
    "que\\\nue a from id |",
    "n = a from id |\nqueue $(n)",
    "queue $(DOLLAR)",
    "x = 1\x0cqueue a from id |",
    "x = 1\u2028include : id |\nqueue",
    "x = 1\rinclude : id |\nqueue",
    "x @=end\nqueue a from (\n@end\ninclude : id |\n)\nqueue",
    "queue a from (\ninclude : id |\n)",
    "queue a from (\nqueue b from id |\n)",
    "queue a) from (\nqueue b from id |\n)",
    "queue a from (\n$ENV(SECRET)\n)",
    "a = $ENV\nx = $(a)(SECRET)\nqueue",
    "a = $ENV\nb = (SECRET)\nx = $(a)$(b)\nqueue",
    "a = $\nb = NV(SECRET)\nx = $(a)E$(b)\nqueue",
    "b = V(SECRET)\nx = $EN$(b)\nqueue",
    "x = $(y:$)ENV(SECRET)\nqueue",
    "v = (SECRET)/x/$ENV\nx = $Fn(v)$Fd(v)\nqueue",
    "x = 1\nqueue\nd = $\nqueue\nx = $(d)ENV(SECRET)\nqueue",
    "x = $(a)ENV(SECRET)\nqueue a from (\n$\n)",
    "x = $(a)$(b)\nqueue a, b from (\n$ENV, (SECRET)\n)",
    "queue a from bad.txt",
    "queue a from (\nx",
    "\n".join([f"a{n} = $(a{n + 1})$(a{n + 1})" for n in range(60)] + ["a60 = x", "queue"]),
    "x = " + "y" * 1_000_001 + "\nqueue",
]


def test_dollar_signs_of_the_shell_are_let_through() -> None:
    text = "executable = /bin/sh\narguments = \"-c 'echo $$ $HOME $1 > $(Process).out'\"\nqueue\n"
    assert jobs(text)[0]["arguments"] == "\"-c 'echo $$ $HOME $1 > 0.out'\""


@pytest.mark.parametrize("text", ATTACKS)
def test_what_reaches_out_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "leaked")
    with pytest.raises(DescriptionError):
        confined("executable = /bin/echo\n" + text + "\n", read)


PIECES = (
    *("include", " : id |", "queue", " a", " from ", "(", ")", "\n", "\\\n", "@=e\n", "@e\n", "$(d)", "$"),
    *("ENV(SECRET)", "$F", "$CHOICE(0,", "$(DOLLAR)", "x = ", "d = ", " in ", "matching files *", "#"),
    *("$(x)", "NV(SECRET)", "$E", "(SECRET)", "$ENV", "\nx = $(d)", "\nd = "),
    *("items.txt", "\x0c", ",", "1"),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@example("x = $Fn(d)\nd = $(e)\nqueue")
def test_no_text_reads_the_environment_or_runs_anything(text: str) -> None:
    patch = pytest.MonkeyPatch()
    patch.setenv("SECRET", "leaked")
    try:
        found = jobs("executable = /bin/echo\nx = 1\n" + text)
    except DescriptionError:
        return
    finally:
        patch.undo()
    everything = str(found)
    assert "leaked" not in everything
    assert "uid=" not in everything


def test_a_job_whose_files_lie_there_already() -> None:
    commands = {"executable": "bin/tool", "input": "in/x.txt", "transfer_input_files": "a.dat, sub/b.dat"}
    commands |= {"output": "out/y.txt", "log": "/tmp/z.log", "arguments": "1"}
    planned = Planner("alice", {}, plan_in_place).plan(commands)
    assert planned.uploads == {}
    assert {name: planned.attributes[name] for name in ("Cmd", "In", "Out", "UserLog", "TransferInput")} == {
        "Cmd": "tool",
        "In": "x.txt",
        "Out": "y.txt",
        "UserLog": "z.log",
        "TransferInput": "tool,x.txt,a.dat,b.dat",
    }
