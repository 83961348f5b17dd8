"""Core statements compiled once and run on the driver's cursor.

SQLAlchemy's own execution costs 20 to 40 microseconds a statement whatever it does, SQLite's work on a row 3
to 5; a submission runs about fifty. The SQL stays SQLAlchemy's, for either database; only the way to the
driver is shorter.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

Row = Any
"""A row: a tuple whose fields are also attributes by column name."""


class Prepared:
    """One statement for one dialect and one set of value names.

    Values go to the driver as they are: columns must be of types that both drivers take and give without
    conversion (numbers, text, booleans).
    """

    def __init__(self, statement: ClauseElement, dialect: Dialect, names: tuple[str, ...]) -> None:
        # Without names an INSERT without values would name every column; a statement that has its values
        # needs none.
        compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params, (
            "IN lists and the like are expanded only by Connection.execute"
        )
        self.sql = str(compiled)
        self._values = _picker(compiled.positiontup)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._row: Callable[[Iterable[Any]], Row] | None = None

    def arguments(self, values: Mapping[str, Any]) -> Any:
        """`values` as the driver wants them: in order, or by name."""
        merged = {**self._fixed, **values} if self._fixed else values
        return merged if self._values is None else self._values(merged)

    def rows(self, cursor: Any) -> Sequence[Row]:
        """What the statement gave; nothing when it gives no rows."""
        if cursor.description is None:
            return ()
        fetched = cursor.fetchall()
        if fetched and self._row is None:
            names = [column[0] for column in cursor.description]
            row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # known at run time only
            self._row = row._make
        return [self._row(row) for row in fetched] if self._row is not None else ()


def _picker(order: Sequence[str] | None) -> Callable[[Mapping[str, Any]], Sequence[Any]] | None:
    """What takes the values of these names, in their order, out of a mapping."""
    if not order or len(order) < 2:  # of one name `itemgetter` gives the bare value
        return None if order is None else lambda merged: [merged[name] for name in order]
    return itemgetter(*order)


_prepared: dict[tuple[str, ClauseElement, tuple[str, ...]], Prepared] = {}


def prepared(statement: ClauseElement, dialect: Dialect, names: tuple[str, ...]) -> Prepared:
    """The prepared form of a statement at module level: it is kept for ever."""
    key = dialect.name, statement, names
    known = _prepared.get(key)
    if known is None:
        known = _prepared[key] = Prepared(statement, dialect, names)
    return known
