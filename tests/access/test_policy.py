"""The table names everything that can be asked."""

from __future__ import annotations

import pytest

from birdbath.access import OPERATIONS, ROUTES, Caller, Level, Ownership, Unit, check
from birdbath.access.policy import COLLECTOR, EVENT_OPERATIONS, SCHEDD, Forbidden
from birdbath.errors import PermissionDenied
from birdbath.http.clock_routes import ClockRoutes
from birdbath.http.event_routes import EventRoutes
from birdbath.http.mounting import PoolRoutes
from birdbath.http.probes import PATHS, Probes
from birdbath.soap import SoapServer
from tests.soap import contract


def test_every_operation_that_is_served_is_in_the_table_and_no_other() -> None:
    served = {
        descriptors[0].operation_name
        for descriptors in SoapServer().app.interface.service_method_map.values()
    }
    assert served == set(OPERATIONS)


def test_every_route_that_is_served_is_in_the_table() -> None:
    for path in PATHS:
        assert Probes.level(path) is ROUTES[f"GET {path}"].level
    for method, path, headers in (
        ("GET", "/events", []),
        ("GET", "/events/subscriptions", []),
        ("POST", "/events/subscriptions", [(b"content-type", b"application/json")]),
        ("PATCH", "/events/subscriptions/x", []),
        ("DELETE", "/events/subscriptions/x", []),
    ):
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        assert EventRoutes.handles(scope)
        assert EventRoutes.level(scope) is not Level.NONE
    json = [(b"content-type", b"application/json")]
    for routes, method, path in (
        (ClockRoutes, "GET", "/pool/clock"),
        (ClockRoutes, "POST", "/pool/clock"),
        (PoolRoutes, "GET", "/pools"),
        (PoolRoutes, "POST", "/pools/nobody"),
    ):
        scope = {"type": "http", "method": method, "path": path, "headers": json}
        assert routes.handles(scope)
        assert routes.level(scope) is not Level.NONE


def test_every_operation_that_carries_a_transaction_or_names_a_job_says_whose_it_must_be() -> None:
    for name, (parameters, *_) in (contract.SCHEDD | contract.COLLECTOR).items():
        members = {parameter.split()[0] for parameter in parameters}
        ownership = OPERATIONS[name].ownership
        assert ("transaction" in members) == (Ownership.TRANSACTION in ownership), name
        # Jobs that are being built belong to whoever owns the transaction; a template names no job.
        building = OPERATIONS[name].level is Level.WRITE and "name" in members
        if "clusterId" in members and not building and name not in ("newJob", "submit", "createJobTemplate"):
            assert Ownership.JOB in ownership, name


def test_everything_that_changes_something_needs_more_than_reading() -> None:
    for name, info in OPERATIONS.items():
        if info.unit is Unit.WRITE:
            assert info.level in (Level.WRITE, Level.ADVERTISE, Level.ADMINISTRATOR), name


def test_whoever_may_read_may_follow() -> None:
    for info in EVENT_OPERATIONS.values():
        check(info, Caller("192.0.2.7", "ann", frozenset({Level.NONE, Level.READ})))
        assert info.changes_something == (info.name != "getEvents"), info.name


@pytest.mark.parametrize("name", OPERATIONS)
def test_who_lacks_the_level_is_refused(name: str) -> None:
    info = OPERATIONS[name]
    check(info, Caller("192.0.2.7", None, frozenset({Level.NONE, info.level})))
    if info.level is not Level.NONE:
        refusal = Forbidden if info.services == (COLLECTOR,) and name != "insertAd" else PermissionDenied
        with pytest.raises(refusal):
            check(info, Caller("192.0.2.7", "root", frozenset({Level.NONE})))
    assert SCHEDD in info.services or COLLECTOR in info.services
