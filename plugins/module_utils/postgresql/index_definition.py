# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index as a user describes it, the statement that makes it, and what the server understands by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session, driver
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Index, indexes_of

#: Bytes of the longest name that a server takes (NAMEDATALEN - 1).
_LONGEST_NAME = 63


@dataclass(frozen=True)
class Column:
    """A column by its ``name``, or an ``expression``, and how it is indexed."""

    name: str = ""
    expression: str = ""
    operator_class: str = ""
    collation: str = ""
    descending: bool = False
    nulls: str = ""


@dataclass(frozen=True)
class Definition:
    """All that makes an index but its name."""

    schema: str
    table: str
    columns: tuple[Column, ...]
    include: tuple[str, ...] = ()
    unique: bool = False
    nulls_distinct: bool = True
    method: str = "btree"
    where: str = ""

    @property
    def usual_name(self) -> str:
        """The name that the server would give it, cut where it is too long."""
        parts = [self.table, *(column.name or "expr" for column in self.columns), *self.include]
        stem = "_".join(parts).encode()[: _LONGEST_NAME - 4].decode(errors="ignore")
        return f"{stem}_idx"


def read_definition(params: Mapping[str, Any]) -> Definition | None:
    """The definition that the options give; None where they name no columns. Raises OptionError."""
    if not params["columns"]:
        return None
    if not params["table"]:
        raise OptionError("table", params["table"], "the table of these columns")
    return Definition(
        schema=params["schema"],
        table=params["table"],
        columns=tuple(_column(raw, at) for at, raw in enumerate(params["columns"])),
        include=tuple(params["include"]),
        unique=params["unique"],
        nulls_distinct=params["nulls_distinct"],
        method=params["method"],
        where=params["where"] or "",
    )


def _column(raw: Mapping[str, Any], at: int) -> Column:
    if bool(raw.get("name")) == bool(raw.get("expression")):
        raise OptionError(f"columns[{at}]", dict(raw), "a column's name or an expression, and not both")
    given = {key: value for key, value in raw.items() if value is not None}
    return Column(**given)


def statement(
    definition: Definition, *, on: Sequence[str], name: str = "", online: bool = False, only: bool = False
) -> Any:
    """``CREATE INDEX`` for a table by its schema and name. The texts of expressions become part of it as they are."""
    sql = driver().sql
    empty = sql.SQL("")

    def when(condition: object, words: str) -> Any:
        return sql.SQL(words) if condition else empty

    columns = sql.SQL(", ").join(_column_words(sql, column) for column in definition.columns)
    included = sql.SQL(", ").join(map(sql.Identifier, definition.include))
    return sql.SQL(
        "CREATE {unique}INDEX {online}{name}ON {only}{table} USING {method} ({columns}){include}{nulls}{where}"
    ).format(
        unique=when(definition.unique, "UNIQUE "),
        online=when(online, "CONCURRENTLY "),
        name=sql.SQL("{} ").format(sql.Identifier(name)) if name else empty,
        only=when(only, "ONLY "),
        table=sql.Identifier(*on),
        method=sql.Identifier(definition.method),
        columns=columns,
        include=sql.SQL(" INCLUDE ({})").format(included) if definition.include else empty,
        nulls=when(definition.unique and not definition.nulls_distinct, " NULLS NOT DISTINCT"),
        where=sql.SQL(" WHERE ({})").format(sql.SQL(definition.where)) if definition.where else empty,
    )


def _column_words(sql: Any, column: Column) -> Any:
    what = sql.Identifier(column.name) if column.name else sql.SQL("({})").format(sql.SQL(column.expression))
    parts = [what]
    if column.collation:
        parts += [sql.SQL("COLLATE"), sql.Identifier(*column.collation.split("."))]
    if column.operator_class:
        parts.append(sql.Identifier(*column.operator_class.split(".")))
    if column.descending:
        parts.append(sql.SQL("DESC"))
    if column.nulls:
        parts.append(sql.SQL("NULLS FIRST" if column.nulls == "first" else "NULLS LAST"))
    return sql.SQL(" ").join(parts)


def understand(session: Session, definition: Definition, *, table: int) -> Index:
    """The index as the server would make it: tried on an empty copy of the table, which is gone again after it.

    That is how expressions, operator classes and collations become comparable, and how a definition that the server
    refuses is found out before anything is planned. Raises QueryError, ConnectError.
    """
    session.execute("BEGIN")
    try:
        # The copy has the table's own name, for that may be used in an expression.
        copy = ("pg_temp", definition.table)
        sql = driver().sql
        made = sql.SQL("CREATE TEMP TABLE {} (LIKE {})").format(
            sql.Identifier(definition.table), sql.Identifier(definition.schema, definition.table)
        )
        session.execute(made)
        session.execute(statement(definition, on=copy), single=True)
        found = session.row(
            "SELECT c.oid::bigint AS oid FROM pg_class c WHERE c.relnamespace = pg_my_temp_schema() AND c.relname = %s",
            (definition.table,),
        )
        (index,) = indexes_of(session, table=found["oid"])
    finally:
        if not session.broken:
            session.execute("ROLLBACK")
    return replace(index, oid=0, table_oid=table, schema=definition.schema, table_name=definition.table)
