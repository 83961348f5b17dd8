"""Ads of a real pool, in each of the three forms in which HTCondor writes them."""

from pathlib import Path

import classad2
import pytest

from birdbath.classads import Ad, AdRecord, Attribute, canonical_value
from birdbath.classads.expressions import EVALUATION_ERRORS

DATA = Path(__file__).with_name("data")
NAMES = sorted(path.stem for path in DATA.glob("*.ad"))
FORMS = {"ad": classad2.ParserType.New, "old": classad2.ParserType.Old, "json": classad2.ParserType.JSON}


def read(name: str, form: str) -> classad2.ClassAd:
    return classad2.parseOne((DATA / f"{name}.{form}").read_text(), FORMS[form])


def ad_of(parsed: classad2.ClassAd) -> Ad:
    """The attributes of an ad that the library read, as Birdbath holds them."""
    lines = (classad2.ClassAd({name: parsed.lookup(name)}).printOld()[:-1] for name in parsed)
    values = (line.partition(" = ") for line in lines)
    return Ad((name.strip("'"), *canonical_value(text)) for name, _, text in values)


def values(ad: classad2.ClassAd) -> dict[str, str]:
    return {name.lower(): value(ad, name) for name in ad}


def value(ad: classad2.ClassAd, name: str) -> str:
    try:
        return repr(ad.eval(name))
    except EVALUATION_ERRORS as error:
        return type(error).__name__


def test_the_ads_are_there() -> None:
    assert len(NAMES) == 20


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_real_ad_has_the_values_that_the_library_gives_it(name: str, form: str) -> None:
    parsed = read(name, form)
    ad = ad_of(parsed)
    compiled = ad.compiled()
    assert len(ad) == len(parsed) == len(compiled) > 5
    # A second look, because time() may step between the two.
    assert values(compiled) == values(parsed) or values(compiled) == values(parsed)


@pytest.mark.parametrize("name", NAMES)
def test_its_three_forms_are_one_ad(name: str) -> None:
    new, old, json = ({n.lower(): (k, t) for n, k, t in ad_of(read(name, form))} for form in FORMS)
    assert new == old == json


@pytest.mark.parametrize("name", NAMES)
def test_a_real_ad_survives_being_stored_and_read_back(name: str) -> None:
    ad = ad_of(read(name, "old"))
    assert list(Ad.from_json(ad.to_json())) == list(ad)
    stored = list(zip(*AdRecord.of(ad).columns()[:3], strict=True))
    assert [_reread(attribute) for attribute in stored] == stored


def _reread(attribute: Attribute) -> Attribute:
    name, kind, text = attribute
    return (name, "s", text) if kind == "s" else (name, *canonical_value(text))
