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
