"""A web page in a browser can do nothing; programs notice nothing."""

from __future__ import annotations

import pytest

from birdbath.schedd import Transaction
from tests.http.driver import application, get, post
from tests.soap.wire import Daemons, Recorder, call

SOAP = "text/xml; charset=utf-8"
CHANGE = call("beginTransaction", "<duration>60</duration>")
READ = call("getVersionString")


def daemons() -> Daemons:
    return Daemons(schedd=Recorder(version_string="8.4.12", begin_transaction=Transaction(1, 60)))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("localhost", 200),
        ("LOCALHOST.:8080", 200),
        ("192.0.2.1", 200),
        ("birdbath.example.org", 200),
        ("evil.example.com", 421),
        ("birdbath.example.org.evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("127.0.0.1@evil", 421),
        ("[::zz]", 421),
        (" ", 421),
    ],
)
def test_only_own_names_are_answered(host: str, status: int) -> None:
    app = application(daemons(), allowed_hosts=("birdbath.example.org",))
    assert post(app, READ, content_type=SOAP, host=host).status == status
    assert get(app, "/", host=host).status == status


def test_a_program_may_leave_out_every_header() -> None:
    app = application(recorded := daemons(), allowed_hosts=("birdbath.example.org",))
    assert post(app, CHANGE).status == 200
    assert len(recorded.runs) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"origin": "https://portal.example.org"}, 200),
        ({"origin": "https://portal.example.org.evil.example.com"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], status: int) -> None:
    app = application(recorded := daemons(), allowed_origins=("https://portal.example.org",))
    reply = post(app, CHANGE, content_type=SOAP, host="127.0.0.1:8080", **headers)
    assert reply.status == status
    assert len(recorded.runs) == (status == 200)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/xml", 200),
        ("Application/SOAP+XML; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_a_change_needs_a_soap_type(content_type: str, status: int) -> None:
    app = application(recorded := daemons())
    assert post(app, CHANGE, content_type=content_type).status == status
    assert len(recorded.runs) == (status == 200)
    assert post(app, READ, content_type=content_type).status == 200


def test_a_page_may_not_leave_the_type_out() -> None:
    reply = post(application(daemons()), CHANGE, host="127.0.0.1", origin="http://127.0.0.1")
    assert reply.status == 415
    assert "<faultcode>SOAP-ENV:Client</faultcode>" in reply.text
