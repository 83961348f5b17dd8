"""Ads of a real pool (tests/data/ads, HTCondor 25.14.1), in each of the three forms in which they were written."""

from pathlib import Path

import classad2
import pytest

from birdbath.classads import Ad, AdRecord, canonical_value
from birdbath.classads.expressions import EVALUATION_ERRORS

DATA = Path(__file__).parents[1] / "data" / "ads"
NAMES = sorted(path.stem for path in DATA.glob("*.ad"))
FORMS = {"ad": classad2.ParserType.New, "old": classad2.ParserType.Old}
_VOLATILE = ("time()", "random")


def read(name: str, form: str) -> classad2.ClassAd:
    text = (DATA / f"{name}.{form}").read_text()
    if form == "json":
        return classad2.ClassAd(_new_syntax_of_json(text))
    return classad2.parseOne(text, FORMS[form])


def _new_syntax_of_json(text: str) -> str:
    return str(classad2.parseOne(text, classad2.ParserType.Json))


def ad_of(parsed: classad2.ClassAd) -> Ad:
    ad = Ad()
    for line in parsed.printOld().splitlines():
        name, _, value = line.partition(" = ")
        ad.put(name, *canonical_value(value))
    return ad
