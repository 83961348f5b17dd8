"""The services beside the original's two, in any order among its own calls: pages of jobs and of daemons'
ads, the history, events and subscriptions, and which pool suits a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from lxml import etree

from birdbath.access import EVENT_OPERATIONS, FEDERATION_OPERATIONS, QUERY_OPERATIONS
from birdbath.soap.event_types import NAMESPACE as EVENTS
from birdbath.soap.federation_types import NAMESPACE as FEDERATION
from birdbath.soap.query_types import NAMESPACE as QUERIES
from tests.conformance.door import Door, element, envelope, string
from tests.conformance.federated import Federated
from tests.conformance.simulated import Simulated
from tests.conformance.test_any_order import JobKey
from tests.conformance.test_every_operation import EveryOperation

ASKED = frozenset(
    {"queryJobs", "queryHistory", "queryAds", "recommend"}
    | {"getEvents", "subscribe", "renew", "updateFilter", "unsubscribe"}
)
SUBMIT = "<topics><item>job.submit.#</item></topics>"


class Followable(Simulated):
    """With what follows the event log, while something is asked."""

    def _start(self) -> None:
        super()._start()
        self._following = self._notifier.running()
        self._runner.run(self._following.__aenter__())

    def _stop(self) -> None:
        self._runner.run(self._following.__aexit__(None, None, None))
        super()._stop()


@dataclass
class Followed:
    """A subscription: the last event of which its server was told, and whether it is one of submissions."""

    cursor: int
    submissions: bool = True


class Extended(EveryOperation):
    """Beside the model of the jobs: which of them each subscription has still to be told of."""

    files_have_every_byte = None  # type: ignore[assignment]  # the other machines look at that at every step

    folder: Path
    kind: type[Followable] | type[Federated]
    database: Path

    def __init__(self) -> None:
        number = len(list(self.folder.iterdir()))
        self.server = self.kind(self.folder / f"server-{number}", self.database, {})
        super().__init__(lambda **_: Door(self.server))
        self.told: dict[int, JobKey] = {}
        self.subscriptions: dict[str, Followed] = {}
        self.unsubscribed: list[str] = []

    def teardown(self) -> None:
        self.server.close()

    def ask(self, namespace: str, operation: str, inner: str) -> etree._Element:
        body = f'<q:{operation} xmlns:q="{namespace}">{inner}</q:{operation}>'
        _, reply = self.server.post(envelope(body))
        return etree.fromstring(reply)

    def told_well(self, namespace: str, operation: str, inner: str) -> etree._Element:
        reply = self.ask(namespace, operation, inner)
        assert reply.findtext(".//code") == "SUCCESS", etree.tostring(reply)
        return reply

    def pages(self, operation: str, size: int, inner: str = "") -> list[dict[str, str]]:
        """All ads, some at a time; each has as many as were asked for, but the last."""
        found: list[dict[str, str]] = []
        after = ""
        while True:
            asked = f"{inner}<after>{after}</after><max>{size}</max>"
            reply = self.told_well(QUERIES, operation, asked)
            ads = [
                {str(i.findtext("name")): i.findtext("value") or "" for i in ad.iterfind("item")}
                for ad in reply.iterfind(".//classAdArray/item")
            ]
            assert len(ads) <= size
            found += ads
            after = reply.findtext(".//next") or ""
            if not after:
                return found
            assert len(ads) == size

    # ------------------------------------------------------------ queries

    @rule(size=st.integers(1, 3), held=st.booleans())
    def jobs_in_pages(self, size: int, held: bool) -> None:
        constraint = "<constraint>JobStatus == 5</constraint>" if held else ""
        found = [
            (int(ad["ClusterId"]), int(ad["ProcId"])) for ad in self.pages("queryJobs", size, constraint)
        ]
        wanted = [key for key, job in self.committed.items() if not held or job.state.status == 5]
        assert found == sorted(wanted)

    @rule(size=st.integers(1, 3))
    def the_history(self, size: int) -> None:
        """LeaveJobInQueue keeps all of these jobs. The federation has no history of its own."""
        if self.kind is Federated:
            reply = self.ask(QUERIES, "queryHistory", "<max>1</max>")
            assert "ask those of the pools, /pools/NAME" in etree.tostring(
                reply, method="text", encoding="unicode"
            )
            return
        assert self.pages("queryHistory", size) == []

    @rule(size=st.integers(1, 3), least=st.integers(-6, 6))
    def licences_in_pages(self, size: int, least: int) -> None:
        asked = f"<type>license</type><constraint>Value &gt;= {least}</constraint>"
        ads = self.pages("queryAds", size, asked)
        found = {ad["Name"]: int(ad["Value"]) for ad in ads}
        assert len(found) == len(ads)
        now = self.door.time()
        for name, (value, expires) in self.licences.items():
            if expires > now:
                assert (found.get(name) == value) == (value >= least), (found, name, value, least, ads)
            elif expires < now:
                assert name not in found

    @precondition(lambda self: self.kind is Followable)
    @rule(name=st.sampled_from(["a", "b", "c"]), value=st.integers(-5, 5))
    def insert(self, name: str, value: int) -> None:
        """The federation keeps no ads of its own."""
        super().insert(name, value)

    # ------------------------------------------------------------ events

    def events(self, after: int, size: int, inner: str) -> tuple[list[tuple[int, JobKey]], int]:
        asked = f"<after>{after}</after><max>{size}</max><wait>0</wait>{inner}"
        reply = self.told_well(EVENTS, "getEvents", asked)
        found = []
        for event in reply.iterfind(".//events/item"):
            number, cluster, proc = (int(event.findtext(n) or "") for n in ("sequence", "clusterId", "jobId"))
            found.append((number, (cluster, proc)))
        assert [number for number, _ in found] == sorted({number for number, _ in found})
        return found, int(reply.findtext(".//last") or "")

    @precondition(lambda self: self.kind is Followable)
    @rule(size=st.integers(1, 4))
    def every_submission_once(self, size: int) -> None:
        found: list[JobKey] = []
        after = 0
        while True:
            events, last = self.events(after, size, f"<filter>{SUBMIT}</filter>")
            assert last >= after
            found += [key for _, key in events]
            self.told |= dict(events)
            if not events:
                break
            after = last
        assert sorted(found) == sorted(self.committed)

    @precondition(lambda self: self.kind is Federated)
    @rule(name=st.sampled_from(sorted(EVENT_OPERATIONS)))
    def events_are_the_pools(self, name: str) -> None:
        reply = self.ask(
            EVENTS, name, "<id>x</id><after>0</after><max>1</max><wait>0</wait><lease>60</lease>"
        )
        assert "of the pools, /pools/NAME" in etree.tostring(reply, method="text", encoding="unicode")

    @precondition(lambda self: self.kind is Followable and len(self.subscriptions) < 3)
    @rule()
    def subscribe(self) -> None:
        self.every_submission_once(100)
        made = self.told_well(
            EVENTS, "subscribe", f"<filter>{SUBMIT}</filter><after>0</after><lease>100000</lease>"
        )
        key = made.findtext(".//subscription/id")
        assert key
        assert key not in self.subscriptions
        self.subscriptions[key] = Followed(0)

    @precondition(lambda self: self.subscriptions)
    @rule(data=st.data(), size=st.integers(1, 4), acknowledged=st.booleans())
    def follow(self, data: st.DataObject, size: int, acknowledged: bool) -> None:
        """From where its server has it, or after what is told to have come."""
        self.every_submission_once(100)
        key = data.draw(st.sampled_from(sorted(self.subscriptions)))
        followed = self.subscriptions[key]
        inner = f"<subscription>{key}</subscription>"
        events, last = self.events(-1, size, inner)
        wanted = sorted((n, job) for n, job in self.told.items() if n > followed.cursor)
        assert events == (wanted[:size] if followed.submissions else [])
        if acknowledged and events:
            self.events(last, 1, inner)
            followed.cursor = last

    @precondition(lambda self: self.subscriptions)
    @rule(data=st.data(), submissions=st.booleans())
    def change_a_filter(self, data: st.DataObject, submissions: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.subscriptions)))
        topics = SUBMIT if submissions else "<topics><item>job.shadow_exception.#</item></topics>"
        self.told_well(EVENTS, "updateFilter", f"<id>{key}</id><filter>{topics}</filter>")
        self.told_well(EVENTS, "renew", f"<id>{key}</id><lease>100000</lease>")
        self.subscriptions[key].submissions = submissions

    @precondition(lambda self: self.subscriptions)
    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.subscriptions)))
        self.told_well(EVENTS, "unsubscribe", f"<id>{key}</id>")
        del self.subscriptions[key]
        self.unsubscribed.append(key)

    @precondition(lambda self: self.unsubscribed)
    @rule(data=st.data(), name=st.sampled_from(["renew", "updateFilter", "unsubscribe"]))
    def use_one_that_has_ended(self, data: st.DataObject, name: str) -> None:
        key = data.draw(st.sampled_from(self.unsubscribed))
        reply = self.ask(EVENTS, name, f"<id>{key}</id><lease>60</lease>")
        assert f"There is no subscription '{key}'" in etree.tostring(reply, method="text", encoding="unicode")

    # ------------------------------------------------------------ which pool

    @rule()
    def recommend(self) -> None:
        ad = element("jobAd", [string("Owner", "alice"), string("Cmd", "/bin/true")])
        reply = self.ask(FEDERATION, "recommend", ad)
        if self.kind is Federated:
            assert reply.findtext(".//code") == "SUCCESS", etree.tostring(reply)
        else:
            assert "This is one pool" in etree.tostring(reply, method="text", encoding="unicode")


def test_no_operation_is_left_out() -> None:
    assert set(EVENT_OPERATIONS) | set(QUERY_OPERATIONS) | set(FEDERATION_OPERATIONS) == ASKED


@pytest.mark.parametrize("kind", [Followable, Federated])
def test_every_extended_operation_in_any_order(
    kind: type[Followable] | type[Federated], tmp_path: Path, empty_database: Path
) -> None:
    machine = type(
        "AtThisServer", (Extended,), {"folder": tmp_path, "kind": kind, "database": empty_database}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=4, stateful_step_count=40, phases=[Phase.explicit, Phase.generate]),
    )
