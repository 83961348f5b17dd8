"""Listings in pages: by zeep and the published WSDL on a real server, and their order without one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zeep

from birdbath.access import QUERY_OPERATIONS
from birdbath.classads import Ad, AdList, AdMemory, AdRecord
from birdbath.client import Queries, Schedd
from birdbath.errors import RequestFault
from birdbath.soap import paging, wsdl
from birdbath.soap.paging import daemon_page, job_page
from birdbath.soap.writing import TooMuch, ad_chunks
from tests.notify.jobs import submit
from tests.server_process import REPOSITORY, ServerProcess, running_server


def jobs(*ids: tuple[int, int], size: int = 10) -> AdList:
    memory = AdMemory()
    ad = Ad([("Cmd", "s", "x" * size), ("Owner", "s", "ann")]).to_json()
    return AdList([AdRecord(ad, memory, key) for key in ids], 7, most_bytes=100)


def daemons(*names: str) -> AdList:
    return AdList([AdRecord.of(Ad([("MyType", "s", "Machine"), ("Name", "s", name)])) for name in names], 7)


def names_of(ads: AdList) -> list[Any]:
    return [record.ad().get("Name") for record in ads.records]


def test_jobs_come_in_the_order_of_their_ids() -> None:
    ads = jobs((2, 10), (2, 9), (10, 0), (1, 0))
    page = job_page(ads, None, 2, ())
    assert ([record.key for record in page.ads.records], page.next) == ([(1, 0), (2, 9)], "2.9")
    page = job_page(ads, page.next, 2, ())
    assert ([record.key for record in page.ads.records], page.next) == ([(2, 10), (10, 0)], None)
    assert job_page(ads, "10.0", 2, ()).ads.records == []


def test_a_job_that_left_moves_no_other() -> None:
    page = job_page(jobs((1, 0), (2, 0), (3, 0)), None, 2, ())
    page = job_page(jobs((1, 0), (3, 0), (4, 0)), page.next, 2, ())
    assert [record.key for record in page.ads.records] == [(3, 0), (4, 0)]


def test_a_page_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES", 2500)
    page = job_page(jobs(*((n, 0) for n in range(10)), size=1000), None, 0, ())
    assert (len(page.ads.records), page.next) == (3, "2.0")
    ad_chunks(page.ads)  # the bound of whole listings is not for pages


def test_a_projection_leaves_the_rest_out() -> None:
    page = job_page(jobs((1, 0)), None, 0, ["OWNER", "NoSuch"])
    assert [name for name, _, _ in page.ads.records[0].ad()] == ["Owner"]


@pytest.mark.parametrize("after", ["x", "1", "1.2.3", "1.x", "1_0.2", f"{2**63}.0", f"1.{2**63}", "-1.0"])
def test_after_is_a_job(after: str) -> None:
    with pytest.raises(RequestFault, match="after is a job"):
        job_page(jobs((1, 0)), after, 0, ())


def test_daemons_come_in_the_order_of_their_names_and_none_is_lost_among_equals() -> None:
    ads = daemons("b", "a", "b", "b", "c")
    page = daemon_page(ads, None, 2, ())
    assert (names_of(page.ads), page.next) == (["a", "b", "b", "b"], "Machine b")
    page = daemon_page(ads, page.next, 2, ())
    assert (names_of(page.ads), page.next) == (["c"], None)


def test_a_whole_listing_that_is_too_long_is_a_fault() -> None:
    with pytest.raises(TooMuch, match="longer than 100 bytes"):
        ad_chunks(jobs((1, 0)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"BIRDBATH_MAX_REPLY_BYTES": "65536"}
    with running_server(tmp_path_factory.mktemp("pages"), environment=environment) as running:
        yield running


def test_a_client_gets_all_jobs_page_by_page(server: ServerProcess) -> None:
    clusters = [submit(server.url) for _ in range(5)]
    service = zeep.Client(f"{server.url}/birdbathQueries.wsdl").service
    seen, after = [], None
    while True:
        page = service.queryJobs('Owner == "ann"', after, 2, {"item": ["ClusterId"]})
        assert page.status.code == "SUCCESS"
        for ad in page.classAdArray.item:
            values = {attribute.name: attribute.value for attribute in ad.item}
            assert set(values) == {"MyType", "TargetType", "ServerTime", "ClusterId"}
            seen.append(int(values["ClusterId"]))
        if (after := page.next) is None:
            break
    assert seen == clusters


def test_the_history_in_pages(server: ServerProcess) -> None:
    clusters = [submit(server.url, owner="hal") for _ in range(3)]
    with Schedd(server.url) as schedd:
        for cluster in clusters:
            schedd.remove(cluster, 0, "not wanted", force=True)
    service = zeep.Client(f"{server.url}/birdbathQueries.wsdl").service
    seen, after = [], None
    while True:
        page = service.queryHistory('Owner == "hal"', after, 2, {"item": ["ClusterId", "RemoveReason"]})
        for ad in page.classAdArray.item:
            values = {attribute.name: attribute.value for attribute in ad.item}
            assert values["RemoveReason"].startswith("not wanted")
            seen.append(int(values["ClusterId"]))
        if (after := page.next) is None:
            break
    assert seen == clusters[::-1]
    with Queries(server.url) as queries:
        assert [ad["ClusterId"] for ad in queries.history('Owner == "hal"')] == clusters[::-1]
        assert [ad["ClusterId"] for ad in queries.history('Owner == "hal"', 2)] == clusters[:0:-1]
    unknown = service.queryHistory(None, "99999.0", 2, None)
    assert (unknown.status.code, unknown.classAdArray) == ("UNKNOWNJOB", None)
    with pytest.raises(zeep.exceptions.Fault, match="after is a job"):
        service.queryHistory(None, "nonsense", 5, None)


def test_machines_in_pages_and_types_that_there_are_not(server: ServerProcess) -> None:
    service = zeep.Client(f"{server.url}/birdbathQueries.wsdl").service
    found, after = [], None
    while True:
        page = service.queryAds("startd", None, after, 5, {"item": ["Name"]})
        found += [{a.name: a.value for a in ad.item}["Name"] for ad in page.classAdArray.item]
        if (after := page.next) is None:
            break
    assert len(set(found)) == len(found) == 16
    refused = service.queryAds("toaster", None, None, 5, None)
    assert (refused.status.code, refused.classAdArray) == ("FAIL", None)
    with pytest.raises(zeep.exceptions.Fault, match="after is a job"):
        service.queryJobs(None, "nonsense", 5, None)


def test_a_classic_listing_that_is_too_long_names_the_pages(server: ServerProcess) -> None:
    classic = zeep.Client(f"{server.url}/condorCollector.wsdl").service
    with pytest.raises(zeep.exceptions.Fault, match="urn:birdbath:queries"):
        classic.queryStartdAds("")
    assert len(classic.queryStartdAds('SlotID == 1 && regexp("^slot1@.*1", Name)')) >= 1


def test_the_wsdl_is_the_one_in_the_repository() -> None:
    assert (REPOSITORY / "wsdl/birdbathQueries.wsdl").read_bytes() == wsdl("birdbathQueries")
    assert all(f'<operation name="{name}">'.encode() in wsdl("birdbathQueries") for name in QUERY_OPERATIONS)
