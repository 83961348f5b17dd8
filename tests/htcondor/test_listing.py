"""Long answers: written by the workers, in portions, to a client as it takes them."""

from __future__ import annotations

import socket
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress

import httpx
import pytest
from lxml import etree

from birdbath.classads import Ad, AdMemory, AdRecord, Constraint
from birdbath.client import Collector, Schedd
from birdbath.client import JobId as JobIds
from birdbath.client.errors import UnknownJob
from birdbath.errors import Unavailable
from birdbath.pool.base import JobId
from birdbath.pool.htcondor import names
from birdbath.pool.htcondor.listing import Portions, by_ids, by_names, joined
from birdbath.pool.htcondor.reading import MARK, Reader
from birdbath.soap.writing import render, specials
from tests.htcondor.test_gateway import in_schedd, waiting_job
from tests.htcondor.waiting import until
from tests.htcondor_pool import HTCondorPool
from tests.server_process import ServerProcess
from tests.soap.wire import call, envelope

GATEWAY = "birdbath-one"
OWN = [
    'MyType = "Job"',
    'TargetType = "Machine"',
    "ServerTime = 5",
    "ClusterId = 12",
    f'{names.GATEWAY} = "{GATEWAY}"',
    f"{names.CLUSTER} = 1000000007",
    f'{names.GLOBAL_ID} = "here#7"',
    'GlobalJobId = "there#12"',
    f"{names.COMMITTED} = true",
    "JobStatus = 5",
    "HoldReasonCode = 16",
    'HoldReason = "Spooling input data files"',
    "Requirements = (BirdbathCommitted =?= true) && (Memory > 5 && Disk < 9)",
    'ReleaseReason = "go <on> (by user condor)"',
    'BirdbathSUBMIT_Iwd = "mine"',
    'SUBMIT_Iwd = "the schedd\'s"',
    "Real = 2.5",
    'Since = absTime("2026-01-01T00:00:00+00:00")',
    'Text = "a \\"b\\" C:\\dir & \x01"',
    "Gone = undefined",
    "Wrong = error",
    'ClaimId = "secret"',
]
FOREIGN = [line for line in OWN if not line.startswith(names.GATEWAY)]
MACHINE = ['MyType = "Machine"', 'Name = "slot1@here"', 'State = "Claimed"', "Memory = 4096"]
SCHEDD = ['MyType = "Scheduler"', 'Name = "here"', 'ScheddIpAddr = "<10.0.0.1:9618>"']


@pytest.mark.parametrize("lines", [OWN, FOREIGN, MACHINE, SCHEDD, ["A = 1"]])
def test_an_element_of_a_worker_is_what_the_server_would_write(lines: list[str]) -> None:
    reader = Reader(GATEWAY, "here", "<127.0.0.1:80>")
    text = "\n".join(lines)
    for json, element in (
        (reader.job(text), reader.job_element(text, 77)),
        (reader.daemon(text), reader.daemon_element(text, 77)),
    ):
        rendering = render(AdRecord(json, AdMemory()))
        expected = b"<item>" + specials(rendering, 77) + rendering + b"</item>"
        assert element.encode() == expected


def test_ids_of_others_are_told_as_clients_know_them() -> None:
    reader = Reader(GATEWAY, "here", "<127.0.0.1:80>")
    job = reader.job_element("\n".join([*OWN, "DAGManJobId = 5"]), 1)
    claimed = [*MACHINE, 'JobId = "5.3"', 'GlobalJobId = "here#5.3#9"']
    ours = reader.daemon_element("\n".join(claimed), 1)
    theirs = reader.daemon_element("\n".join([*claimed[:-1], 'GlobalJobId = "there#5.3#9"']), 1)
    own = {JobId(5, 0): JobId(1_000_000_001, 0), JobId(5, 3): JobId(1_000_000_001, 2)}
    portions = Portions(own.get)
    shown = portions.whole((3, f"{job}{ours}{theirs}".encode())).first.decode()
    assert "<name>DAGManJobId</name><type>INTEGER-ATTR</type><value>1000000001<" in shown
    assert shown.count("<value>1000000001.2<") == 1
    assert shown.count("<value>5.3<") == 1
    assert MARK not in shown


def test_portions_by_ids_select_each_job_once() -> None:
    ids = [(1, 0), *((2, proc) for proc in range(7)), (4, 0), (4, 9), (5, 0), (9, 1)]
    records = [AdRecord.of(job_ad(cluster, proc)) for cluster, proc in ids]
    found = Counter(
        record.ad().to_json() for text in by_ids(ids, 3) for record in Constraint(text).select(records, 0.0)
    )
    assert found == Counter(record.ad().to_json() for record in records)


def test_portions_by_names_select_each_ad_once() -> None:
    known = ["b@x", "B@y", "a", "slot1@z", "slot10@z", "slot1@z"]
    records = [AdRecord.of(named(name)) for name in [*known, None]]
    parts = by_names([*known, None], 2)
    assert parts is not None
    found = Counter(id(record) for text in parts for record in Constraint(text).select(records, 0.0))
    assert found == Counter(map(id, records))
    assert by_names(['a"b'], 2) is None


def test_a_portion_that_cannot_be_had_is_told_where_it_is_missing() -> None:
    def ask(constraint: str) -> Future[tuple[int, bytes]]:
        future: Future[tuple[int, bytes]] = Future()
        if constraint == "bad":
            future.set_exception(Unavailable("gone"))
        else:
            future.set_result((1, constraint.encode()))
        return future

    steps = Portions(lambda cluster: None).in_parts(ask, ["a", "b", "bad"], 3)
    first = next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(first.result())
    written = joined([end.value.value])
    assert (written.first, written.size) == (b"a", 3)
    later = list(written.later)
    assert later[0].result() == b"b"
    with pytest.raises(Unavailable):
        later[1].result()


def job_ad(cluster: int, proc: int) -> Ad:
    ad = Ad()
    ad.update({"ClusterId": cluster, "ProcId": proc})
    return ad


def named(name: str | None) -> Ad:
    ad = Ad()
    ad.update({"Memory": 5} if name is None else {"Name": name})
    return ad


pool_only = pytest.mark.toolkit


@pytest.fixture(scope="module")
def many(htcondor_pool: HTCondorPool) -> int:
    """A cluster of jobs that nobody submitted through the gateway: more than one portion."""
    return htcondor_pool.submit_many(1300, executable="/bin/true", transfer_executable="false", hold="true")


def is_shown(schedd: Schedd, job: JobIds) -> bool:
    with suppress(UnknownJob):
        schedd.job_ad(*job)
        return True
    return False


@pool_only
def test_a_long_listing_comes_in_pieces_each_job_once(
    gateway: ServerProcess, schedd: Schedd, htcondor_pool: HTCondorPool, many: int
) -> None:
    with schedd.transaction() as transaction:
        own = waiting_job(transaction, "listed").id
    until(lambda: is_shown(schedd, own))  # a schedd that is busy may show it later than it was committed
    with httpx.stream("POST", gateway.url, content=call("getJobAds"), timeout=120) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        tree = etree.fromstring(response.read())
    assert tree.findtext(".//code") == "SUCCESS"
    shown = Counter(
        tuple(int(value(item, name)) for name in ("ClusterId", "ProcId")) for item in listed(tree)
    )
    assert set(shown.values()) == {1}
    assert {(many, proc) for proc in range(1300)} < set(shown)
    assert own in shown
    assert in_schedd(htcondor_pool, "listed")[0] not in {cluster for cluster, _ in shown}
    assert len(list(schedd.job_ads(f"ClusterId == {many} && ProcId % 100 == 7"))) == 13


@pool_only
def test_a_client_of_http_1_0_gets_a_long_listing_whole(gateway: ServerProcess, many: int) -> None:
    request = call("getJobAds", f"<constraint>ClusterId == {many}</constraint>")
    head = f"POST / HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(request)}\r\n\r\n"
    where = "127.0.0.1", int(gateway.url.rpartition(":")[2])
    with socket.create_connection(where, timeout=120) as connection:
        connection.sendall(head.encode() + request)
        with connection.makefile("rb") as file:
            answer = file.read()
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in headers.lower()
    assert len(listed(etree.fromstring(body))) == 1300


@pool_only
def test_pages_go_through_all_jobs_in_order_with_what_is_asked_for(
    gateway: ServerProcess, schedd: Schedd, many: int
) -> None:
    with schedd.transaction() as transaction:
        ids = [waiting_job(transaction, "paged").id for _ in range(3)]
    constraint = f'TestMark == "paged" || (ClusterId == {many} && ProcId >= 1000)'
    seen: list[tuple[int, int]] = []
    after = ""
    while True:
        tree = query(gateway, "queryJobs", constraint, after, 100, ["ProcId", "ClusterId", "TestMark"])
        items = listed(tree)
        seen += [(int(value(item, "ClusterId")), int(value(item, "ProcId"))) for item in items]
        assert {len(item) for item in items} <= {5, 6}  # with MyType, TargetType and ServerTime
        after = tree.findtext(".//next") or ""
        if not after:
            break
    assert seen == [*((many, proc) for proc in range(1000, 1300)), *ids]


@pool_only
def test_many_machines_are_listed_each_once(
    gateway: ServerProcess, collector: Collector, htcondor_pool: HTCondorPool
) -> None:
    count = 2500
    htcondor_pool.advertise_machines(count, "listed")

    def marked() -> list[str]:
        return [str(ad["Name"]) for ad in collector.startd_ads('TestMark == "listed"')]

    try:
        until(lambda: len(marked()) >= count)  # the collector takes them in after it was told
        found = Counter(marked())
        assert found == Counter(f"slot1@listed{number}" for number in range(count))
        tree = query(gateway, "queryAds", 'TestMark == "listed"', "", 5, ["Memory"], "<type>startd</type>")
        assert {value(item, "Memory") for item in listed(tree)} == {"1024"}
    finally:
        htcondor_pool.withdraw_machines("listed")
    until(lambda: not marked())


def listed(tree: etree._Element) -> list[etree._Element]:
    return list(tree.findall(".//classAdArray/item"))


def value(item: etree._Element, name: str) -> str:
    return str(next(child.findtext("value") for child in item if child.findtext("name") == name))


def query(
    gateway: ServerProcess,
    operation: str,
    constraint: str,
    after: str,
    most: int,
    projection: list[str],
    first: str = "",
) -> etree._Element:
    names = "".join(f"<item>{name}</item>" for name in projection)
    wanted = constraint.replace("&", "&amp;")
    body = (
        f'<q:{operation} xmlns:q="urn:birdbath:queries">{first}<constraint>{wanted}</constraint>'
        f"<after>{after}</after><max>{most}</max><projection>{names}</projection></q:{operation}>"
    )
    response = httpx.post(gateway.url, content=envelope(body), timeout=120)
    return etree.fromstring(response.content)
