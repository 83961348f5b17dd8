"""An entry of the event log as all followers share it: what they need of it is made once. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from birdbath.classads import Ad, CompiledAd, Costs
from birdbath.events import EventRecord, routing_key
from birdbath.notify.topics import key_words

Form = Callable[[EventRecord], bytes]
"""Renders an event; equal ones give the same bytes, as those of `birdbath.events.form` do."""


class Entry:
    """One event, its routing key, the ad that constraints see, and its renderings.

    `job` gives the ad of the event's job, None where there is none; it is asked at most once, and only when
    somebody wants it.
    """

    def __init__(self, event: EventRecord, job: Callable[[], Ad | None]) -> None:
        self.event = event
        self._job = job
        self._rendered: dict[Form, bytes] = {}

    @cached_property
    def key(self) -> str:
        """The routing key."""
        event = self.event
        return routing_key(event.type, event.owner, event.cluster, event.proc)

    @cached_property
    def words(self) -> list[str]:
        """The words of the routing key."""
        return key_words(self.key)

    @cached_property
    def job(self) -> Ad | None:
        """The ad of the event's job as it is now, or was when it left the queue; None where there is none."""
        return self._job()

    @cached_property
    def _job_ad(self) -> Ad:
        return self.job or Ad()

    @cached_property
    def scope(self) -> CompiledAd:
        """The attributes of the job, over them those of the event; `Job` is the job's own ad."""
        job = self._job_ad
        both = Ad(job)
        for name, kind, text in self.event.ad:
            both.delete(name)
            both.put(name, kind, text)
        both.set("EventTime", int(self.event.time))
        scope = both.compiled()
        scope["Job"] = job.compiled()
        return scope

    @cached_property
    def costs(self) -> Costs:
        """What evaluating the attributes of `scope` costs."""
        return Costs([*self._job_ad, *self.event.ad])

    def rendered(self, form: Form) -> bytes:
        """The event in a form; the same bytes for everybody."""
        known = self._rendered.get(form)
        if known is None:
            known = self._rendered[form] = form(self.event)
        return known
