"""ClassAd expressions that would take long to evaluate, or to read."""

from __future__ import annotations

from xml.sax.saxutils import escape

from tests.attack.corpus.cases import case
from tests.soap.wire import call

DOUBLING = [(f"b{n}", f"b{n + 1} + b{n + 1}") for n in range(60)]
NESTED = "[" + "; ".join(f"{name} = {value}" for name, value in DOUBLING) + "; b60 = 1].b0 > 0"

CONSTRAINTS = {
    "attributes that double each other": NESTED,
    "behind an operator": f"undefined isnt {NESTED}",
    "a catastrophic pattern": 'regexp("^(a+)+$", Name)',
    "a pattern of optional letters": 'regexp("' + "a?" * 40 + "a" * 40 + '", Name)',
    "a pattern of branches": 'regexp("' + "(a|aa)" * 40 + 'b", Name)',
    "a pattern that calls itself": 'regexp("(a(?1)?)+b", Name)',
    "a pattern with a reference back": r'regexp("(a*)*\\1b", Name)',
    "a pattern that is put together": 'regexp(strcat("(a+", ")+b"), Name)',
    "a pattern that repeats on a long text": 'regexp("a*a*b", "' + "a" * 20_000 + '")',
    "an expression from a text": 'eval(strcat("b", "0"))',
    "texts that grow": "[s0 = strcat(s1, s1); "
    + "; ".join(f"s{n} = strcat(s{n + 1}, s{n + 1})" for n in range(1, 40))
    + '; s40 = "aaaaaaaa"].s0 == ""',
    "replacements that grow": 'replaceall("a", "' + "a" * 20_000 + '", "' + "b" * 20_000 + '") == ""',
    "lists compared with each other": 'stringListsIntersect("'
    + "a," * 15_000
    + '", "'
    + "b," * 15_000
    + '")',
    "brackets": "(" * 20_000 + "1" + ")" * 20_000,
    "a chain of operators": "1" + "+1" * 30_000,
    "too long": "TRUE || " * 10_000 + "TRUE",
    "operators of one operand": "!" * 30_000 + "TRUE",
    "a text without an end": 'Name == "' + "a" * 60_000,
    "lists in lists": "{" * 20_000 + "}" * 20_000,
    "quotation marks that no text ends": '"\\' * 30_000,
    "pairs of backslashes before quotation marks": '"\\\\' * 20_000,
    "texts that begin within a comment without an end": "(" + '/*"' * 20_000,
    "comments": "/**/" * 15_000 + "TRUE",
    "a comment without an end": "TRUE " + "/*" * 30_000,
    "digits": "9" * 60_000,
    "numbers that are too long": "9999999999999999999999 + " * 2_600 + "1",
    "blanks": "a" + " " * 60_000 + "b",
    "a chain that is bracketed as a tree": "a||" * 20_000 + "a",
    "as many operators as there may be": "a||" * 8_000 + "a",
    "conditions in each other": "a ? b : " * 8_000 + "c",
    "arguments in a hundred brackets": "(" * 150 + "f(" + "a," * 5_000 + "a)" + ")" * 150,
    "names in a hundred brackets": "(" * 150
    + "f("
    + ",".join(f"a{n}" for n in range(5_000))
    + ")"
    + ")" * 150,
    "conjunctions in a hundred brackets": "(" * 150 + "a" + " && a" * 5_000 + ")" * 150,
    "ads in ads, in a text": 'eval("' + "[a=" * 20_000,
    "quotation marks in a text": 'eval("' + '\\"' * 20_000,
    "subscripts": "a" + "[1]" * 20_000,
    "dots": "a" + ".a" * 30_000,
    "controls": "\t\n" * 30_000,
}
for name, text in CONSTRAINTS.items():
    constraint = f"<constraint>{escape(text)}</constraint>"
    case(f"constraint on jobs: {name}", call("getJobAds", constraint), "SUCCESS")  # it selects nothing
    case(f"constraint on machines: {name}", call("queryStartdAds", constraint), "")


def item(name: str, value: str, kind: str = "EXPRESSION-ATTR") -> str:
    return f"<item><name>{name}</name><type>{kind}</type><value>{escape(value)}</value></item>"


DAEMON = item("Name", "evil", "STRING-ATTR") + item("MyAddress", "<127.0.0.1:9>", "STRING-ATTR")
for name, attributes in {
    "attributes that double each other": DOUBLING,
    "attributes that refer to all of each other": [
        (f"a{n}", " + ".join(f"a{m}" for m in range(30))) for n in range(30)
    ],
    **{name: [("Evil", text)] for name, text in CONSTRAINTS.items()},
}.items():
    ad = DAEMON + "".join(item(*attribute) for attribute in attributes)
    insert = call("insertAd", f"<type>GENERIC-AD-TYPE</type><ad>{ad}</ad>")
    case(f"a daemon's ad: {name}", insert, "SUCCESS")  # without what cannot be accepted
    last = attributes[0][0]
    evaluated = f"<constraint>{last} &gt; 0 || {last} =?= 1</constraint>"
    case(f"a query of it: {name}", call("queryAnyAds", evaluated), "")
