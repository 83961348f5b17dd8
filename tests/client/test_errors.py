"""What a client raises when something goes wrong."""

from __future__ import annotations

import pytest

from birdbath.client import (
    BadReply,
    BirdbathError,
    Collector,
    ConnectionFailed,
    InvalidValue,
    OperationFailed,
    Schedd,
    ServerFault,
)
from birdbath.client.errors import (
    AlreadyExists,
    Incomplete,
    InvalidOffset,
    InvalidTransaction,
    NotJobOwner,
    PermissionDenied,
    UnknownCluster,
    UnknownFile,
    UnknownJob,
)
from tests.client.fake import SUCCESS, Fake
from tests.ports import free_port

STATUSES = [
    ("FAIL", "disk full", OperationFailed),
    ("FAIL", "Permission denied", PermissionDenied),
    ("FAIL", "Not job owner", NotJobOwner),
    ("INVALIDTRANSACTION", "Invalid transaction", InvalidTransaction),
    ("UNKNOWNCLUSTER", "which", UnknownCluster),
    ("UNKNOWNJOB", "which", UnknownJob),
    ("UNKNOWNFILE", "which", UnknownFile),
    ("INVALIDOFFSET", "where", InvalidOffset),
    ("ALREADYEXISTS", "again", AlreadyExists),
]


@pytest.mark.parametrize(("code", "message", "kind"), STATUSES)
def test_every_status_has_its_error(fake: Fake, code: str, message: str, kind: type[BirdbathError]) -> None:
    fake.answer("closeSpool", f"<code>{code}</code><message>{message}</message>")

    with pytest.raises(kind, match=message) as caught:
        Schedd(fake.url).close_spool(1, 0)
    assert caught.type is kind
    assert caught.value.code.name == code


def test_a_status_inside_of_the_reply_counts_as_well(fake: Fake) -> None:
    fake.answer(
        "getJobAd", "<status><code>UNKNOWNJOB</code><message>specified job is unknown</message></status>"
    )

    with pytest.raises(UnknownJob, match="specified job is unknown"):
        Schedd(fake.url).job_ad(1, 0)


def test_a_refusal_without_a_reason_names_its_code(fake: Fake) -> None:
    fake.answer("closeSpool", "<code>FAIL</code>")

    with pytest.raises(OperationFailed, match="FAIL"):
        Schedd(fake.url).close_spool(1, 0)


def test_incomplete_names_the_missing_files(fake: Fake) -> None:
    transaction = "<transaction><id>5</id><duration>60</duration></transaction>"
    fake.answer("beginTransaction", f"<status>{SUCCESS}</status>{transaction}")
    for operation in ("newCluster", "newJob"):
        fake.answer(operation, f"<status>{SUCCESS}</status><integer>1</integer>")
    missing = "<requirements><item>a.dat</item><item>b.dat</item></requirements>"
    fake.answer("submit", f"<status><code>INCOMPLETE</code><message>x</message></status>{missing}")

    job = Schedd(fake.url).begin().new_cluster().new_job()
    with pytest.raises(Incomplete) as caught:
        job.submit({})
    assert caught.value.missing == ["a.dat", "b.dat"]


def test_a_fault_is_an_error_of_its_own(fake: Fake) -> None:
    fake.answer_fault("closeSpool", "The value of element &apos;x&apos; is wrong")

    with pytest.raises(ServerFault, match="'x' is wrong") as caught:
        Schedd(fake.url).close_spool(1, 0)
    assert caught.value.faultcode == "SOAP-ENV:Client"


def test_a_fault_in_place_of_a_list_is_the_same_error(fake: Fake) -> None:
    fake.answer_fault("getJobAds", "bad constraint")

    with pytest.raises(ServerFault, match="bad constraint"):
        Schedd(fake.url).job_ads("(")


@pytest.mark.parametrize("operation", ["closeSpool", "getJobAds"])
def test_another_status_of_http_is_told_with_the_url(fake: Fake, operation: str) -> None:
    fake.answer_raw(operation, 401, "<html>who are you</html>")
    schedd = Schedd(fake.url)

    with pytest.raises(BadReply, match=r"127\.0\.0\.1.*401.*credentials") as caught:
        schedd.close_spool(1, 0) if operation == "closeSpool" else schedd.job_ads()
    assert caught.value.http_status == 401
    assert caught.value.url == fake.url


def test_what_is_not_soap_is_a_bad_reply(fake: Fake) -> None:
    fake.answer_raw("closeSpool", 200, "<html>welcome</html>")

    with pytest.raises(BadReply, match=fake.url):
        Schedd(fake.url).close_spool(1, 0)


def test_what_is_not_even_xml_is_a_bad_reply(fake: Fake) -> None:
    fake.answer_raw("closeSpool", 200, "welcome")

    with pytest.raises(BadReply, match=fake.url):
        Schedd(fake.url).close_spool(1, 0)


def test_no_wsdl_says_where_it_was_looked_for(fake: Fake) -> None:
    with pytest.raises(BadReply, match=r"/elsewhere/condorSchedd\.wsdl: HTTP status 404"):
        Schedd(f"{fake.url}/elsewhere/").version()


def test_nobody_there_is_told_with_the_url() -> None:
    port = free_port()

    with pytest.raises(ConnectionFailed, match=rf"http://127\.0\.0\.1:{port}/.*Connection refused") as caught:
        Schedd(f"http://127.0.0.1:{port}").version()
    assert caught.value.url.startswith(f"http://127.0.0.1:{port}")


def test_a_server_that_does_not_answer_is_given_up(fake: Fake) -> None:
    fake.answer("closeSpool", SUCCESS)
    schedd = Schedd(fake.url, timeout=(60.0, 60.0))
    schedd.close_spool(1, 0)
    schedd._endpoint.timeout = 60.0, 0.2  # for the call alone: the WSDL may take longer on a busy machine
    fake.silent.clear()

    with pytest.raises(ConnectionFailed, match=r"no answer in time \(60 s to connect, 0\.2 s to answer\)"):
        schedd.close_spool(1, 0)


def test_what_only_reads_is_asked_again_when_the_connection_breaks(fake: Fake) -> None:
    fake.answer("getVersionString", f"<status>{SUCCESS}</status><message>$CondorVersion: 8 $</message>")
    schedd = Schedd(fake.url)
    schedd.version()
    fake.hang_up = 1

    assert schedd.version() == "$CondorVersion: 8 $"


def test_what_changes_something_is_not_asked_again(fake: Fake) -> None:
    fake.answer("closeSpool", SUCCESS)
    schedd = Schedd(fake.url)
    schedd.close_spool(1, 0)
    fake.hang_up = 1

    with pytest.raises(ConnectionFailed, match=fake.url):
        schedd.close_spool(1, 0)
    assert fake.operations() == ["closeSpool"]


def test_a_list_that_breaks_off_is_an_error(fake: Fake) -> None:
    fake.answer_raw("queryAnyAds", 200, "<E><B><r><result><item><item><name>A</name>")

    with pytest.raises(BadReply, match="cut off"):
        list(Collector(fake.url).any_ads())


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", ""])
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidValue, match="is not the address"):
        Schedd(url)


def test_characters_that_xml_forbids_are_refused_before_they_are_sent(fake: Fake) -> None:
    schedd = Schedd(fake.url)

    with pytest.raises(InvalidValue, match="cannot be sent"):
        schedd.hold(1, 0, "a\x00b")
    assert fake.asked == []


def test_a_wsdl_file_that_is_not_there_is_named(fake: Fake) -> None:
    with pytest.raises(BadReply, match=r"/nowhere/x\.wsdl"):
        Schedd(fake.url, wsdl="/nowhere/x.wsdl").version()
