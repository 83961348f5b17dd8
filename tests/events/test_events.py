"""Job events and their ads."""

import pytest

from birdbath.classads import Expression
from birdbath.events import EventType, JobEvent, my_type


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "SubmitEvent"),
        (1, "ExecuteEvent"),
        (2, "ExecutableErrorEvent"),
        (4, "JobEvictedEvent"),
        (5, "JobTerminatedEvent"),
        (6, "JobImageSizeEvent"),
        (7, "ShadowExceptionEvent"),
        (8, "GenericEvent"),
        (9, "JobAbortedEvent"),
        (10, "JobSuspendedEvent"),
        (11, "JobUnsuspendedEvent"),
        (12, "JobHeldEvent"),
        (13, "JobReleaseEvent"),
        (33, "AttributeUpdateEvent"),
        (35, "ClusterSubmitEvent"),
        (36, "ClusterRemoveEvent"),
        (40, "FileTransferEvent"),
    ],
)
def test_my_types(number: int, name: str) -> None:
    assert my_type(EventType(number)) == name


def test_every_type_has_a_test() -> None:
    assert len(EventType) == 17


def test_the_ad_of_an_event() -> None:
    event = JobEvent(EventType.JOB_HELD, 7, 1, "ann", 5.0, {"HoldReason": "full", "X": Expression("a+b")})
    assert list(event.ad()) == [
        ("MyType", "s", "JobHeldEvent"),
        ("EventTypeNumber", "n", "12"),
        ("Cluster", "n", "7"),
        ("Proc", "n", "1"),
        ("Subproc", "n", "0"),
        ("HoldReason", "s", "full"),
        ("X", "x", "a + b"),
    ]
    assert list(JobEvent(EventType.SUBMIT, 7, 1, "ann", 5.0).ad())[-1] == ("Subproc", "n", "0")
