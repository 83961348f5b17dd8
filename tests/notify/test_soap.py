"""The SOAP service of events, by zeep and its own WSDL, on a real server."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree

from birdbath.access import EVENT_OPERATIONS
from birdbath.notify.calls import EventCalls
from birdbath.soap import wsdl
from tests.notify.jobs import events_service, submit, topics
from tests.server_process import REPOSITORY, ServerProcess, running_server

LIFE = ["submit", "execute", "image_size", "terminated"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"BIRDBATH_NEGOTIATOR_INTERVAL": "0.1", "BIRDBATH_PROGRAM_DURATION": "0.2"}
    with running_server(tmp_path_factory.mktemp("soap"), environment=environment) as running:
        yield running


@pytest.fixture
def service(server: ServerProcess) -> Any:
    return events_service(server.url)


def names(page: Any) -> list[str]:
    assert page.status.code == "SUCCESS", page.status.message
    return [event.name for event in page.events.item] if page.events else []


def last_event(service: Any) -> int:
    return int(service.getEvents(-1, 1, 0, None, None).last)


def test_a_client_follows_a_jobs_life_without_polling_it(server: ServerProcess, service: Any) -> None:
    after = last_event(service)
    cluster = submit(server.url)
    seen: list[Any] = []
    while not seen or seen[-1].name != "terminated":
        page = service.getEvents(after, 100, 30, topics(f"job.*.*.{cluster}.*"), None)
        names(page)
        assert page.events, "nothing came within the wait"
        seen += page.events.item
        after = page.last
    assert [event.name for event in seen if event.name != "image_size"] == ["submit", "execute", "terminated"]
    first = seen[0]
    assert (first.clusterId, first.jobId, first.owner, first.type) == (cluster, 0, "ann", 0)
    assert first.routingKey == f"job.submit.ann.{cluster}.0"
    ad = {item.name: item.value for item in first.ad.item}
    assert (ad["MyType"], ad["Cluster"]) == ("SubmitEvent", str(cluster))
    assert len({event.id for event in seen}) == len(seen)


def test_a_subscription_keeps_the_cursor_and_the_filter(server: ServerProcess, service: Any) -> None:
    made = service.subscribe(topics("job.terminated.#", constraint="ReturnValue == 0"), -1, 600)
    key = made.subscription.id
    assert 590 <= made.subscription.expires <= 600
    cluster = submit(server.url, owner="bob")
    page = service.getEvents(-1, 10, 30, None, key)
    assert (names(page), page.events.item[0].clusterId) == (["terminated"], cluster)
    assert names(service.getEvents(-1, 10, 0, None, key)) == ["terminated"]
    assert names(service.getEvents(page.last, 10, 0, None, key)) == []
    updated = service.updateFilter(key, topics("job.submit.carl.#"))
    assert updated.subscription.cursor == page.last
    submit(server.url, owner="dora")
    cluster = submit(server.url, owner="carl")
    page = service.getEvents(-1, 10, 30, None, key)
    assert (names(page), page.events.item[0].clusterId) == (["submit"], cluster)
    assert service.renew(key, 60).subscription.expires <= 60
    assert service.unsubscribe(key).code == "SUCCESS"
    assert service.getEvents(-1, 10, 0, None, key).status.message == f"There is no subscription '{key}'"


def test_a_lease_of_more_seconds_than_an_int_has(server: ServerProcess, service: Any) -> None:
    made = httpx.post(f"{server.url}/events/subscriptions", json={"lease": 1e12}, timeout=60).json()
    assert service.updateFilter(made["id"], None).subscription.expires == 2**31 - 1


def test_the_constraint_sees_the_job_of_the_event(server: ServerProcess, service: Any) -> None:
    after = last_event(service)
    submit(server.url, owner="emil")
    cluster = submit(server.url, owner="fred")
    wanted = topics(constraint='Job.Owner == "fred" && JobUniverse == 5 && EventTypeNumber == 0')
    page = service.getEvents(after, 10, 30, wanted, None)
    assert [event.clusterId for event in page.events.item] == [cluster]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.getEvents(0, 1, 0, topics("job.hold.#"), None).status, "there is no event 'hold'"),
        (lambda s: s.getEvents(0, 1, 0, topics(constraint="(("), None).status, "not a ClassAd expression"),
        (lambda s: s.getEvents(2**40, 1, 0, None, None).status, "There is no event 1099511627776 yet"),
        (lambda s: s.getEvents(0, 1, 0, None, "x").status, "There is no subscription 'x'"),
        (lambda s: s.getEvents(0, 1, 0, topics("#"), "x").status, "A subscription has its own filter"),
        (lambda s: s.subscribe(topics("held"), 0, 0).status, "a routing key has five words"),
        (lambda s: s.subscribe(None, 2**40, 0).status, "There is no event"),
        (lambda s: s.renew("x", 1).status, "There is no subscription"),
        (lambda s: s.updateFilter("x", None).status, "There is no subscription"),
        (lambda s: s.unsubscribe(None), "There is no subscription ''"),
    ],
)
def test_nonsense_is_told_so(service: Any, call: Any, said: str) -> None:
    status = call(service)
    assert (status.code, said in status.message) == ("FAIL", True), status.message


def test_a_call_that_waits_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    import threading

    with running_server(tmp_path) as server:
        service, answers = events_service(server.url), []
        waiting = threading.Thread(target=lambda: answers.append(service.getEvents(-1, 1, 200, None, None)))
        waiting.start()
        submit(server.url)
        assert server.stop(signal.SIGTERM) == 0
        waiting.join()
    assert answers[0].status.message in ("Success", "The server is stopping")


WAIT = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    b'<getEvents xmlns="urn:birdbath:events"><after>-1</after><wait>300</wait></getEvents>'
    b"</s:Body></s:Envelope>"
)


@pytest.mark.timeout(200)
def test_who_waits_and_is_gone_makes_room(tmp_path: Path) -> None:
    with running_server(tmp_path, environment={"BIRDBATH_MAX_REQUESTS_PER_CLIENT": "1"}) as server:
        host, port = server.url.removeprefix("http://").split(":")
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"

        def is_full() -> bool:
            headers = {"content-type": "text/xml"}
            return httpx.post(server.url, content=b"", headers=headers, timeout=60).status_code == 503

        with socket.create_connection((host, int(port))) as waiting:
            waiting.sendall(head % len(WAIT) + WAIT)
            while not is_full():
                pass
        while is_full():
            pass


def test_its_wsdl_is_served_and_committed(server: ServerProcess) -> None:
    for path in ("/birdbathEvents.wsdl", "/events?wsdl"):
        with urllib.request.urlopen(server.url + path, timeout=60) as reply:
            assert reply.read() == wsdl("birdbathEvents", f"{server.url}/events")
    assert (REPOSITORY / "wsdl" / "birdbathEvents.wsdl").read_bytes() == wsdl("birdbathEvents")


def test_every_operation_is_in_the_table_and_implemented() -> None:
    document = etree.fromstring(wsdl("birdbathEvents"))
    served = document.xpath("//*[local-name()='portType']/*/@name")
    assert served == list(EVENT_OPERATIONS)
    snake = ("get_events", "subscribe", "renew", "update_filter", "unsubscribe")
    assert all(hasattr(EventCalls, name) for name in snake)


def test_the_operations_of_the_daemons_are_not_in_this_namespace(server: ServerProcess) -> None:
    body = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        b'<getVersionString xmlns="urn:birdbath:events"/></e:Body></e:Envelope>'
    )
    request = urllib.request.Request(server.url, body, {"content-type": "text/xml"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert b"'getVersionString' in namespace 'urn:birdbath:events' not implemented" in refused.value.read()
