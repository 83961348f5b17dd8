"""createJobTemplate: what the operation adds to the template (reference section 3.5)."""

from __future__ import annotations

import pytest

from birdbath.errors import InvalidArguments
from tests.schedd.fakes import House


def test_the_operation_copies_ids_and_says_now(house: House) -> None:
    ads = house.read(lambda s: s.create_job_template(7, 3, "alice", 5, "/bin/cat", "a   b", None))
    assert ads.server_time == house.now
    (record,) = ads.records
    ad = record.ad()
    assert (ad.get("ClusterId"), ad.get("ProcId"), ad.get("QDate")) == (7, 3, int(house.now))
    assert ad.get("Arguments") == "a b"
    assert ad.get("CondorVersion") == house.settings.version_string


@pytest.mark.parametrize("args", [None, "", "  "])
def test_no_arguments_are_an_empty_string(house: House, args: str | None) -> None:
    ads = house.read(lambda s: s.create_job_template(1, 0, None, 5, None, args, None))
    assert ads.records[0].ad().get("Arguments") == ""


def test_unbalanced_arguments_still_give_the_ad(house: House) -> None:
    with pytest.raises(InvalidArguments, match=r"^Invalid arguments") as refused:
        house.read(lambda s: s.create_job_template(1, 0, "alice", 5, "/bin/cat", "it's", None))
    (record,) = refused.value.ads.records  # type: ignore[attr-defined]
    assert record.ad().get("Cmd") == "/bin/cat"
