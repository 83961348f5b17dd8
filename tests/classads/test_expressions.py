"""Values and expressions: canonical text, and what is kept away from the ClassAd library."""

import subprocess
import sys

import classad2
import pytest

from birdbath.classads import (
    canonical_value,
    check_text,
    evaluate,
    is_true,
    matches,
    python_value,
    valid_name,
)
from birdbath.classads.expressions import compile_ad, literal, real_literal
from birdbath.errors import InvalidAd


@pytest.mark.parametrize(
    ("text", "kind", "canonical"),
    [
        # integers
        ("7", "n", "7"),
        (" -7 ", "n", "-7"),
        ("+7", "n", "7"),
        ("- 7", "n", "-7"),
        ("007", "n", "7"),
        ("9223372036854775807", "n", "9223372036854775807"),
        ("-9223372036854775808", "n", "-9223372036854775808"),
        ("- 9223372036854775808", "n", "-9223372036854775808"),
        ("7 // seven", "n", "7"),
        # reals
        ("3.5", "f", "3.500000"),
        ("+3.5", "f", "3.500000"),
        ("- 3.5", "f", "-3.500000"),
        ("-0.0", "f", "-0.000000"),
        (".5", "f", "0.500000"),
        ("1e5", "f", "100000.000000"),
        ("0.1", "f", "0.100000"),
        ("1e-7", "f", "1e-07"),
        ("1e20", "f", "1e+20"),
        ("5e-324", "f", "5e-324"),
        ("1.7976931348623157e308", "f", "1.7976931348623157e+308"),
        ("123456789.123456789", "f", "123456789.12345679"),
        ("1e400", "x", 'real("INF")'),
        ("-1e400", "x", 'real("-INF")'),
        ('real("NAN")', "x", 'real("NAN")'),
        # booleans, undefined, error
        ("true", "b", "TRUE"),
        ("False", "b", "FALSE"),
        ("UNDEFINED", "u", "undefined"),
        ("Error", "e", "error"),
        # strings, by the old rules for backslashes
        ('"text"', "s", "text"),
        ('""', "s", ""),
        (r'"C:\dir"', "s", r"C:\dir"),
        ('"C:\\dir\\"', "s", "C:\\dir\\"),
        ('"C:\\dir\\" ', "s", "C:\\dir\\"),
        (r'"say \"hi\""', "s", 'say "hi"'),
        (r'"\n stays \t as \101 it is"', "s", r"\n stays \t as \101 it is"),
        ('"two\nlines\r\n\ttab \x01\x7f"', "s", "two\nlines\r\n\ttab \x01\x7f"),
        ('"é 😀 \u2028"', "s", "é 😀 \u2028"),
        ('"con" "cat"', "s", "concat"),
        ('"// no comment /* here */"', "s", "// no comment /* here */"),
        # expressions, re-printed
        ("a+b", "x", "a + b"),
        ("f( a , b )", "x", "f(a,b)"),
        ("{1,2}", "x", "{ 1,2 }"),
        ("(1)", "x", "(1)"),
        ("-a", "x", " -a"),
        ("!a", "x", " !a"),
        ("a is b", "x", "a =?= b"),
        ("a isnt UNDEFINED", "x", "a =!= undefined"),
        ("FilesRetrieved=?=FALSE", "x", "FilesRetrieved =?= false"),
        ("a ?: b", "x", "a ?: b"),
        ("a?b:c", "x", "a ? b : c"),
        ("[a=1;b=[c=2]]", "x", "[ a = 1; b = [ c = 2 ] ]"),
        ("[]", "x", "[  ]"),
        ("a // what\n", "x", "a"),
        ("a /* && */ + b", "x", "a + b"),
        ("'two words' + 1", "x", "'two words' + 1"),
        ('absTime("2020-01-01T00:00:00+02:00")', "x", 'absTime("2020-01-01T00:00:00+02:00")'),
        ('relTime("1+00:00:00")', "x", 'relTime("1+00:00:00")'),
        ('a == "C:\\"', "x", 'a == "C:\\"'),
        ('strcat("x\ny", "\\n")', "x", 'strcat("x\ny","\\n")'),
        ('Owner == "é"', "x", 'Owner == "é"'),
        ("9223372036854775807 - 1", "x", "9223372036854775807 - 1"),
        ("a == -9223372036854775808", "x", "a == -9223372036854775808"),
        # reals in expressions stay exact; the library prints 16 digits
        ("a > 0.12345678901234567", "x", "a > 0.12345678901234566"),
        ("a + 1.7976931348623157e308", "x", "a + 1.7976931348623157e+308"),
        ("0.1 + 0.12345678901234567", "x", "0.1 + 0.12345678901234566"),
        ('"0.5" + 0.12345678901234567 + x5', "x", '"0.5" + 0.12345678901234566 + x5'),
        ("0.5 + 1234567890123456", "x", "0.5 + 1234567890123456"),
        # attributes of nested ads are printed in another order
        (
            "[bb = 1234567890123456789; ccc = 0.12345678901234567; a = 0.1234567890123456]",
            "x",
            "[ a = 0.1234567890123456; bb = 1234567890123456789; ccc = 0.12345678901234566 ]",
        ),
        ("{0.12345678901234567, 0.12345678901234565}", "x", "{ 0.12345678901234566,0.12345678901234565 }"),
    ],
)
def test_canonical_value(text: str, kind: str, canonical: str) -> None:
    assert canonical_value(text) == (kind, canonical)
    if kind == "x":
        assert canonical_value(canonical) == (kind, canonical)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "// nothing",
        "a b",
        "a +",
        '"open',
        '"a" b"',
        # more than one expression, or an end that comes early
        "a; b = 3",
        "a]",
        "a]; c = [d = 1",
        "a) + (b",
        "a)] trailing",
        "a //]\n]",
        "1 /* open",
        "a = b",
        # integers that the library would take for 0
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999999",
        "1" * 5000,
        "1 + 99999999999999999999",
        "5 -9223372036854775808",
        "0 * -9223372036854775808 - 9223372036854775808",
        "0x10",
        "010 + 1",
        # what it prints but cannot read again
        "a.'b c'",
        "a.'b + c'",
        "a + 1e400",
        "MY.'true'",
        # what cannot be in a string
        '"nul \0"',
        "a\0",
        '"\udc80"',
        "\ud800",
    ],
)
def test_what_is_no_single_expression_is_refused(text: str) -> None:
    with pytest.raises(InvalidAd):
        canonical_value(text)


def test_check_text_passes_everything_else() -> None:
    check_text("plain, é, 😀, \x01, \uffff, \n")
    for text in ("\0", "é\udfff"):
        with pytest.raises(InvalidAd):
            check_text(text)


@pytest.mark.parametrize("name", ["a", "_", "Attr_1", "TRUE", "isnt", "Parent"])
def test_valid_names(name: str) -> None:
    assert valid_name(name)
    ad = compile_ad([(name, "n", "7"), ("Sum", "x", f"'{name}' + 1")])
    assert ad.eval("Sum") == 8
    assert ad.eval(name) == 7


@pytest.mark.parametrize("name", ["", "1a", "a b", "a.b", "a\n", "é", "a=1", "a'", "\ud800"])
def test_invalid_names(name: str) -> None:
    assert not valid_name(name)


# ---------------------------------------------------------------- depth


def _value(text: str, **attributes: str) -> object:
    kind, canonical = canonical_value(text)
    values = [(name, *canonical_value(value)) for name, value in attributes.items()]
    return compile_ad([*values, ("x", kind, canonical)]).eval("x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("||".join(["no"] * 5000) + "|| yes", True),
        ("||".join(["no"] * 5000), False),
        ("&&".join(["yes"] * 5000), True),
        ("&&".join(["yes"] * 5000) + "&& no", False),
        ("||".join(f"five == {n}" for n in range(3000)), True),
        ("||".join(f"(five == {n} && yes)" for n in range(1500)), True),
        ("yes && (" + "||".join(f"five == {n}" for n in range(1000)) + ")", True),
        ("&&".join(["(no || yes)"] * 2000), True),
        ("no ? 1 : " + "||".join(["no"] * 500) + " ? 2 : 3", 3),
        ("yes ? " + "&&".join(["yes"] * 500) + " : 3", True),
        ("missing ?: " + "&&".join(["yes"] * 500), True),
        ("ifThenElse(" + "||".join(["no"] * 500) + ", 1, " + "||".join(["no"] * 500) + ")", False),
        ("[a = " + "||".join(["no"] * 500) + "; b = " + "||".join(["yes"] * 500) + "].b", True),
        ("member(5, {" + ",".join(["1"] * 5000) + ",5})", True),
        ("||".join(["no"] * 200) + "|| five == (1 + " + "+".join(["1"] * 150) + ")", False),
        ("||".join(["no // maybe || yes\n"] * 500), False),
        ("||".join(['s == "a || b"'] * 500), True),
        # undefined and error come out as in a short chain, whatever the brackets
        ("||".join(["no", "missing", *["no"] * 500]), classad2.Value.Undefined),
        ("||".join(["no", "1/0", *["no"] * 500, "yes"]), classad2.Value.Error),
        ("||".join(["yes", "1/0", *["no"] * 500]), True),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_long_chains_of_alternatives_and_conjunctions_work(text: str, value: object) -> None:
    result = _value(text, yes="true", no="false", five="5", s='"a || b"')
    assert result is value if isinstance(value, classad2.Value) else result == value


DEEP = [
    "+".join(["1"] * 400),
    "=?=".join(["1"] * 400),
    " is ".join(["1"] * 400),
    "a" + ".a" * 30_000,
    "a" + "[0]" * 400,
    "!" * 400 + "a",
    "- " * 400 + "a",
    "a ? 1 : " * 400 + "2",
    "a ? " * 400 + "1" + " : 2" * 400,
    "a ?: " * 400 + "2",
    "(" * 170 + "a" + ")" * 170,
    "{" * 170 + "a" + "}" * 170,
    "[a=" * 170 + "1" + "]" * 170,
    "f(" * 170 + "1" + ")" * 170,
    "(" * 30_000,
    "(1 + " * 150 + "+".join(["1"] * 200) + ")" * 150,
    "+".join(["1"] * 200) + " || (" + "+".join(["1"] * 200) + " + a[" + "1 -" * 100 + "1])",
    "/* x */ a" + ".a" * 30_000,
    "a" * 70_000,
    "||".join(["a"] * 30_000),
    "(" + "||".join(["a"] * 500),
    "a" + ")" * 400 + "||".join(["a"] * 500),
]


@pytest.mark.parametrize("text", DEEP, ids=lambda text: text[:20])
def test_what_is_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(InvalidAd):
        canonical_value(text)


def test_what_is_just_not_too_deep_evaluates() -> None:
    assert _value("+".join(["1"] * 300)) == 300
    assert _value("(" * 150 + "1" + ")" * 150) == 1
    assert _value("!" * 298 + "true") is True


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "given",
    [
        "classad2.ClassAd({'a': '\\udc80'})",
        "str(classad2.ClassAd('[x=a' + '.a' * 30000 + ']'))",
    ],
)
def test_the_library_alone_crashes(given: str) -> None:
    """If this fails, the library was mended and a guard may go."""
    assert _python(f"import classad2; {given}").returncode < 0


def test_where_the_library_crashes_birdbath_refuses() -> None:
    done = _python(
        "from birdbath.classads import Ad, Constraint, attribute_from_item, canonical_value\n"
        "from birdbath.errors import InvalidAd\n"
        "deep = 'a' + '.a' * 30000\n"
        "ad = Ad(); ad.put('a', 's', '\\udc80')\n"
        "for given in (\n"
        "    lambda: canonical_value(deep), lambda: Constraint(deep),\n"
        "    lambda: attribute_from_item('a', 's', '\\udc80'),\n"
        "    lambda: Constraint('a == \"\\udc80\"'), lambda: Ad().set('a', '\\udc80'), ad.to_json,\n"
        "):\n"
        "    try: given()\n"
        "    except InvalidAd: print('refused')\n"
        "print(repr(ad.compiled()))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["refused"] * 6 + ["[ a = error ]"]


# ---------------------------------------------------------------- Python values


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (True, ("b", "TRUE")),
        (False, ("b", "FALSE")),
        (-(2**63), ("n", "-9223372036854775808")),
        (2**63 - 1, ("n", "9223372036854775807")),
        (0.1, ("f", "0.100000")),
        (1 / 3, ("f", "0.3333333333333333")),
        (-0.0, ("f", "-0.000000")),
        (1e300, ("f", "1e+300")),
        (float("inf"), ("x", 'real("INF")')),
        (float("-inf"), ("x", 'real("-INF")')),
        (float("nan"), ("x", 'real("NAN")')),
        ('a "quoted"\\ text\n', ("s", 'a "quoted"\\ text\n')),
    ],
)
def test_literals_of_python_values(value: bool | int | float | str, attribute: tuple[str, str]) -> None:
    assert literal(value) == attribute
    evaluated = compile_ad([("x", *attribute)]).eval("x")
    assert evaluated == value or value != value
    assert str(evaluated) == str(value)  # -0.0 and nan too


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, 10**5000, "\0", "\udc80", None, b"x", [1]],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_literal(value: object) -> None:
    with pytest.raises(InvalidAd):
        literal(value)  # type: ignore[arg-type]


def test_reals_keep_six_decimals_where_that_is_exact() -> None:
    assert real_literal(0.0) == ("f", "0.000000")
    assert real_literal(1e15) == ("f", "1000000000000000.0")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ('"a"', "a"),
        ("undefined", None),
        ("error", None),
        ("{1}", None),
        ("[a=1]", None),
        ('absTime("1970-01-01T01:00:00+00:00")', 3600),
        ('relTime("1:00")', 60.0),
        ("missing", None),
        ('substr("é", 0, 1)', None),  # half a character
        ("y", None),
        ("x", None),
    ],
)
def test_evaluate(text: str, value: object) -> None:
    kind, canonical = canonical_value(text)
    assert evaluate(compile_ad([("x", kind, canonical)]), "x") == value


def test_evaluate_survives_attributes_that_refer_to_each_other_without_end() -> None:
    chain = compile_ad([(f"A{n}", "x", f"A{n + 1} + 1") for n in range(600)])
    assert evaluate(chain, "A0") is None
    assert evaluate(chain, "NoSuch") is None


def test_python_value_of_undefined_is_none_although_the_library_makes_it_an_int() -> None:
    assert isinstance(classad2.Value.Undefined, int)
    assert python_value(classad2.Value.Undefined) is None
    assert python_value(classad2.Value.Error) is None


@pytest.mark.parametrize("value", [True, 1, -1, 0.5])
def test_true(value: object) -> None:
    assert is_true(value)


@pytest.mark.parametrize(
    "value", [False, 0, 0.0, "true", classad2.Value.Undefined, classad2.Value.Error, None, [1]]
)
def test_not_true(value: object) -> None:
    assert not is_true(value)


def test_matches_needs_both_requirements() -> None:
    job = compile_ad([("Requirements", "x", "TARGET.Memory > 5"), ("Size", "n", "3")])
    slot = compile_ad([("Requirements", "x", "TARGET.Size == 3 && MY.Memory > 0"), ("Memory", "n", "8")])
    small = compile_ad([("Requirements", "b", "TRUE"), ("Memory", "n", "5")])
    picky = compile_ad([("Requirements", "b", "FALSE"), ("Memory", "n", "8")])
    assert matches(job, slot)
    assert not matches(job, small)
    assert not matches(job, picky)
    assert not matches(job, compile_ad([("Memory", "n", "8")]))
    deep = compile_ad([("Requirements", "x", "A0"), *((f"A{n}", "x", f"A{n + 1} + 1") for n in range(600))])
    assert not matches(job, deep)
    assert not matches(deep, slot)


# ---------------------------------------------------------------- compiling


def test_one_bad_attribute_of_a_stored_ad_does_not_spoil_the_others() -> None:
    ad = compile_ad([("a", "n", "1"), ("b", "x", "2 +"), ("c", "s", "\0"), ("d", "s", "x")])
    assert ad.eval("a") == 1
    assert ad.eval("b") is classad2.Value.Error
    assert ad.eval("c") is classad2.Value.Error
    assert ad.eval("d") == "x"


def test_an_empty_ad() -> None:
    assert len(compile_ad([])) == 0
