"""Properties of values and ads, over generated texts, expressions and ads."""

import json
import math

import classad2
from hypothesis import given
from hypothesis import strategies as st

from birdbath.classads import Ad, AdMemory, AdRecord, Attribute, Constraint, canonical_value, is_true
from birdbath.classads.expressions import EVALUATION_ERRORS, compile_ad, literal
from birdbath.classads.syntax import quote, to_new_syntax
from birdbath.errors import InvalidAd

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
reals = st.floats(allow_nan=False)
scalars = st.one_of(st.booleans(), integers, reals, texts)


def old_string(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = [
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "=?=",
        "=!=",
        "&&",
        "||",
        "|",
        "&",
        "^",
        "<<",
        ">>>",
    ]
    words = [" is ", " isnt ", " ?: ", " // note\n + ", " /* note */ - "]
    return st.one_of(
        st.tuples(inner, st.sampled_from(operators + words), inner).map("".join),
        st.tuples(inner, inner, inner).map("{0[0]} ? {0[1]} : {0[2]}".format),
        inner.map("({})".format),
        st.tuples(st.sampled_from("-+!~"), inner).map("".join),
        st.lists(inner, max_size=3).map(lambda items: "{" + ",".join(items) + "}"),
        st.lists(st.tuples(names, inner).map("=".join), max_size=3).map(
            lambda items: "[" + ";".join(items) + "]"
        ),
        st.tuples(inner, names).map("({0[0]}).{0[1]}".format),
        st.tuples(inner, inner).map("({0[0]})[{0[1]}]".format),
        st.tuples(st.sampled_from(["strcat", "int", "ifThenElse", "member", "size", "toUpper"]), inner).map(
            "{0[0]}({0[1]})".format
        ),
    )


leaves = st.one_of(
    names,
    names.map("MY.{}".format),
    st.tuples(st.sampled_from(["true", "FALSE", "undefined", "error", "1", "-1", "0.5", "'a b'", '"x"'])).map(
        "".join
    ),
    integers.map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    texts.map(old_string),
)
expressions = st.recursive(leaves, _combined, max_leaves=8)
anything = st.one_of(
    expressions,
    st.text("ab1.5\"'\\()[]{},;=?:&|!-+/* \n\0\udc80", max_size=30),
    st.text(max_size=30),
)


@given(anything)
def test_canonical_value_is_idempotent_and_never_fails_otherwise(text: str) -> None:
    try:
        kind, canonical = canonical_value(text)
    except InvalidAd:
        return
    if kind != "s":
        assert canonical_value(canonical) == (kind, canonical)
    elif not canonical.endswith("\\"):
        assert canonical_value(old_string(canonical)) == (kind, canonical)
    assert len(compile_ad([("x", kind, canonical)])) == 1


@given(expressions)
def test_canonical_text_has_the_value_of_the_text(text: str) -> None:
    try:
        kind, canonical = canonical_value(text)
    except InvalidAd:
        return
    original = classad2.ClassAd(f"[x={to_new_syntax(text)}\n]")
    assert _shown(original) == _shown(compile_ad([("x", kind, canonical)]))


def _shown(ad: classad2.ClassAd) -> str:
    try:
        value = ad.eval("x")
    except EVALUATION_ERRORS:
        return "error"
    return repr(value) if _is_plain(value) else "compound"


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_reals_in_expressions_are_exact(left: float, right: float) -> None:
    kind, text = canonical_value(f"{{{left!r}, x5, {right!r}}}")
    values = compile_ad([("x", kind, text)]).eval("x")
    assert (values[0], values[2]) == (left, right)


@given(scalars)
def test_a_python_value_comes_back(value: bool | int | float | str) -> None:
    ad = Ad()
    ad.set("a", value)
    assert ad.evaluate("a") == value
    assert type(ad.evaluate("a")) is type(value)
    back = Ad.from_json(ad.to_json()).compiled().eval("A")
    assert back == value
    assert type(back) is type(value)


@given(texts.filter(lambda text: not text.endswith("\\")))
def test_strings_survive_being_stored_parsed_evaluated_and_printed(text: str) -> None:
    assert classad2.ClassAd(f"[x={quote(text)}]").eval("x") == text
    printed = classad2.ClassAd({"x": text}).printOld()[len("x = ") : -1]
    kind, canonical = canonical_value(printed)
    assert (kind, canonical) == ("s", text)
    assert literal(text) == ("s", text)
    kind, canonical = canonical_value(f"{old_string(text)} == y")
    assert compile_ad([("x", kind, canonical), ("y", "s", text)]).eval("x") is True


@st.composite
def attributes(draw: st.DrawFn) -> Attribute:
    name = draw(names)
    if draw(st.booleans()):
        return name, *literal(draw(scalars))
    try:
        return name, *canonical_value(draw(expressions))
    except InvalidAd:
        return name, "e", "error"


ads = st.lists(attributes(), max_size=8).map(Ad)


@given(ads)
def test_ads_survive_being_stored(ad: Ad) -> None:
    text = ad.to_json()
    assert json.loads(text) == [list(attribute) for attribute in ad]
    again = Ad.from_json(text)
    assert list(again) == list(ad)
    assert again.to_json() == text
    assert len(ad.compiled()) == len(ad)
    record = AdRecord.of(ad)
    assert list(record.ad()) == list(ad)
    assert len(record.parsed) == len(ad)


pins = st.one_of(
    st.sampled_from(
        ["ClusterId", "clusterid", "MY.ClusterId", "TARGET.ProcId", "ProcId", "Owner", "owner", "Other"]
    ).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.sampled_from([" == ", "=?=", " != ", "<", "="]),
            st.sampled_from(["1", "2", '"ann"', '"BOB"']),
        ).map("".join)
    ),
    st.sampled_from(["true", "false", "undefined", "Other", "1", "0.0", '"&& ProcId == 1"', "'ProcId' == 1"]),
)


def _conditions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joints = ["&&", " && ", "||", " // && ProcId == 1\n && ", " /* || */ && ", " ?: ", " == ", " is "]
    return st.one_of(
        st.tuples(inner, st.sampled_from(joints), inner).map("".join),
        inner.map("({})".format),
        inner.map("!{}".format),
        st.tuples(inner, inner, inner).map("{0[0]} ? {0[1]} : {0[2]}".format),
    )


@given(st.recursive(pins, _conditions, max_leaves=6))
def test_pinned_values_narrow_the_candidates_without_losing_any(text: str) -> None:
    try:
        constraint = Constraint(text)
    except InvalidAd:
        return
    records = [
        AdRecord.of(_job(cluster, proc, owner), _memory)
        for cluster in (1, 2)
        for proc in (1, 2)
        for owner in ("ann", "Bob", "carl")
    ]
    pinned = constraint.pinned("clusterid", "procid", "owner")
    candidates = [record for record in records if _has(record.ad(), pinned)]
    assert constraint.select(candidates, 0) == constraint.select(records, 0)
    evaluate = constraint.evaluator()
    assert constraint.select(records, 0) == [r for r in records if is_true(evaluate(r.parsed))]


_memory = AdMemory()


def _job(cluster: int, proc: int, owner: str) -> Ad:
    ad = Ad()
    ad.update({"ClusterId": cluster, "ProcId": proc, "Owner": owner})
    return ad


def _has(ad: Ad, pinned: dict[str, int | str]) -> bool:
    return all(str(ad.get(name)).lower() == str(value).lower() for name, value in pinned.items())


@given(reals)
def test_reals_are_exact(value: float) -> None:
    kind, text = literal(value)
    if math.isfinite(value):
        assert (kind, float(text)) == ("f", value)
        assert canonical_value(text) == (kind, text)
    else:
        assert canonical_value(text) == (kind, text)
