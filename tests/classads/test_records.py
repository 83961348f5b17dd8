"""Records: what is shown of an ad, and the memory that its forms take."""

import gc
import threading

import pytest

from birdbath.classads import Ad, AdMemory, AdRecord, Expression, canonical_value


def record(memory: AdMemory | None = None, /, **values: int | str | Expression) -> AdRecord:
    ad = Ad()
    ad.update(values)
    return AdRecord.of(ad, memory)


def test_columns_leave_out_literal_times() -> None:
    ad = Ad()
    for name, text in (
        ("Owner", '"ann"'),
        ("ClaimId", '"secret"'),
        ("Born", 'absTime("2020-01-01T00:00:00Z")'),
        ("Age", 'relTime("1:00")'),
        ("Sooner", 'absTime("2020-01-01T00:00:00+01:00") < absTime("2021-01-01T00:00:00+01:00")'),
    ):
        ad.put(name, *canonical_value(text))
    ad.put("Said", "s", 'absTime("now")')
    stored = AdRecord.of(ad)
    columns = stored.columns()
    assert columns.names == ("Owner", "ClaimId", "Sooner", "Said")
    assert list(zip(*columns[:3], strict=True)) == [a for a in ad if a[0] in columns.names]
    assert stored.parsed.eval("ClaimId") == "secret"
    assert list(stored.ad()) == list(ad)


@pytest.mark.parametrize(
    ("text", "plain"), [("a \t\r\n", True), ("é", False), ("\x1f", False), ("\0", False), ("\x7f", True)]
)
def test_columns_tell_whether_all_characters_are_plain(text: str, plain: bool) -> None:
    assert AdRecord.of(Ad([("A", "s", text), ("B", "x", 'A == "1"')])).columns().plain is plain


def test_forms_are_kept_and_accounted_once_and_given_back_when_forgotten() -> None:
    memory = AdMemory()
    first, second = record(memory, a=1), record(memory, b=Expression("a + 1"))
    assert memory.used == 0
    assert first.parsed is first.parsed
    parsed = memory.used
    assert parsed > 500
    first.keep_rendering(b"x" * 1000)
    first.keep_rendering(b"y" * 5000)
    assert first.rendering == b"x" * 1000
    assert memory.used == parsed + 1000
    second.keep_rendering(b"z")
    assert memory.used == parsed + 1001
    first.forget()
    first.forget()
    assert memory.used == 1
    assert first.rendering is None
    assert first.parsed.eval("a") == 1
    assert memory.used == parsed + 1


def test_the_oldest_forms_go_first_and_the_limit_holds() -> None:
    memory = AdMemory(limit=10_000)
    records = [record(memory, a=n) for n in range(5)]
    for one in records:
        one.keep_rendering(b"x" * 3000)
        assert memory.used <= memory.limit
    assert [one.rendering is not None for one in records] == [False, False, True, True, True]
    records[2].parsed  # noqa: B018
    assert [one.rendering is not None for one in records] == [False, False, True, True, True]
    records[4].parsed  # noqa: B018
    assert [one.rendering is not None for one in records] == [False, False, True, False, True]


def test_what_is_larger_than_all_memory_is_not_kept() -> None:
    memory = AdMemory(limit=100)
    large = record(memory, a=1)
    large.keep_rendering(b"x" * 101)
    assert large.rendering is None
    assert memory.used == 0
    assert large.parsed.eval("a") == 1
    assert memory.used == 0


def test_records_that_nobody_has_any_more_take_no_memory() -> None:
    memory = AdMemory(limit=1500)
    superseded = record(memory, a=1)
    superseded.keep_rendering(b"x" * 1000)
    kept = record(memory, a=2)
    del superseded
    gc.collect()
    kept.keep_rendering(b"x" * 1000)
    assert kept.rendering is not None
    assert memory.used == 1000


def test_a_record_that_died_while_it_is_the_oldest_is_buried_too() -> None:
    memory = AdMemory()
    records = [record(memory, a=n) for n in range(3)]
    for one in records:
        one.keep_rendering(b"x" * 100)
    del one
    records.clear()
    gc.collect()
    assert memory.used == 0


def test_accounting_stays_exact_between_threads() -> None:
    memory = AdMemory(limit=30_000)
    records = [record(memory, a=n, b=Expression("a + ServerTime")) for n in range(40)]
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        start.wait()
        try:
            for step in range(3000):
                one = records[(step * (2 * seed + 1)) % len(records)]
                assert one.scope(seed).eval("a") == one.ad().get("a")
                one.keep_rendering(b"x" * (100 + seed))
                if step % 7 == seed:
                    one.forget()
                if step % 5 == seed:
                    record(memory, a=step).keep_rendering(b"y" * 500)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert 0 < memory.used <= memory.limit
    held = sum(len(one.rendering) for one in records if one.rendering is not None)
    assert memory.used >= held
    for one in records:
        one.forget()
    assert memory.used == 0


def test_the_empty_ad() -> None:
    empty = AdRecord("[]", AdMemory(), (1, 2))
    assert empty.key == (1, 2)
    assert empty.columns() == ((), (), (), True)
    assert len(empty.parsed) == 0
    assert len(empty.ad()) == 0
