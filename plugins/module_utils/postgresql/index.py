# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_index``: one index is there, or is not, by its definition, its name, or both."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, execute, kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    QueryError,
    Session,
    read_login,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import look_at_disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_act import Doer, Part, undo_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_definition import (
    Definition,
    read_definition,
    understand,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import (
    Family,
    Index,
    collect_foreign_keys,
    families,
    indexes_of,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_plan import (
    Decision,
    Situation,
    Table,
    Wanted,
    decide,
    is_equal,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.online import Limits, take_alone
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex import BUDGET, read_budget
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server, look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings

CHECK = "postgresql.index"
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **client.ARGUMENTS,
    **BUDGET,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "schema": {"type": "str", "default": "public"},
    "table": {"type": "str"},
    "name": {"type": "str"},
    "columns": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str"},
            "expression": {"type": "str"},
            "operator_class": {"type": "str"},
            "collation": {"type": "str"},
            "descending": {"type": "bool", "default": False},
            "nulls": {"type": "str", "choices": ["first", "last"]},
        },
    },
    "include": {"type": "list", "elements": "str", "default": []},
    "unique": {"type": "bool", "default": False},
    "nulls_distinct": {"type": "bool", "default": True},
    "method": {"type": "str", "default": "btree"},
    "where": {"type": "str"},
    "force": {"type": "bool", "default": False},
}

_TABLE = """
SELECT c.oid::bigint AS oid, c.relkind::text AS kind, pg_has_role(c.relowner, 'USAGE') AS owned,
       has_schema_privilege(c.relnamespace, 'CREATE') AS may_create,
       coalesce((SELECT oid FROM pg_tablespace WHERE spcname = current_setting('default_tablespace')),
                (SELECT dattablespace FROM pg_database WHERE datname = current_database()))::bigint AS tablespace,
       parts.rows, parts.bytes, parts.foreign_parts,
       ARRAY(SELECT jsonb_build_array(s.attname, max(s.avg_width)) FROM pg_stats s
              WHERE s.schemaname = n.nspname AND s.tablename = c.relname GROUP BY s.attname) AS widths
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
    SELECT sum(greatest(p.reltuples, 0))::float8 AS rows, coalesce(bool_or(p.relkind = 'f' AND c.relkind = 'p'), false)
           AS foreign_parts, coalesce(sum(pg_relation_size(p.oid)), 0)::bigint AS bytes
      FROM pg_class p WHERE p.oid = c.oid OR p.oid IN (SELECT relid FROM pg_partition_tree(c.oid))
 ) parts
 WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'm', 'p', 'f', 'v')
"""
_NAMED = """
SELECT c.oid::bigint AS oid, c.relkind::text AS kind, i.indrelid::bigint AS table_oid, t.relname::text AS table_name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_class t ON t.oid = i.indrelid
 WHERE n.nspname = %s AND c.relname = %s
"""
#: Bytes of a b-tree's entry beside its key, how full its pages are, and a column's width when nothing is known.
_ENTRY, _FILL, _WIDTH = 16, 0.9, 32


@dataclass(frozen=True)
class Found:
    """What the decision rests on, and the table in the words of the doer."""

    wanted: Wanted
    situation: Situation
    part: Part | None


def index(context: Context) -> Result:
    """The whole repair."""
    params = context.params
    login, definition = read_login(params), read_definition(params)
    read_budget(params)
    _require(params, definition)
    name = params["name"] or (definition.usual_name if definition else "")
    item = clean(f"{login.place}/{login.database} {params['schema']}.{name}")
    with ExitStack() as stack:
        try:
            session = stack.enter_context(connect(login))
            server = look(session)
            if server.in_recovery:
                return _untouched(item, "skipped", "a standby gets its indexes from its primary")
            if not take_alone(session):
                return _untouched(item, "skipped", "another repair of indexes is at work on this cluster")
            found = _look(session, server, context, definition, name)
        except ConnectError as error:
            return _untouched(item, "critical", error.message, remedy=error.remedy)
        except QueryError as error:
            return _untouched(item, "unknown", error.message, remedy=error.remedy)
        decision = decide(found.wanted, found.situation)
        plan = [decision.step] if decision.step else []
        doer = _doer(context, session, server, definition, found)
        execution = None if context.check_mode else execute(plan, doer, deadline=context.deadline)
    item = clean(f"{login.place}/{login.database} {found.wanted.schema}.{found.wanted.name}")
    return Result(
        findings=[_finding(item, decision, execution)],
        plan=plan,
        execution=execution,
        kept=[kept(found.wanted.target, decision.refusal)] if decision.refusal else [],
        extra=_told(decision, doer),
    )


def _require(params: Mapping[str, Any], definition: Definition | None) -> None:
    if params["state"] == "present" and definition is None:
        raise OptionError("columns", params["columns"], "given, with the table, for an index that is to be there")
    if params["state"] == "absent" and definition is None and not params["name"]:
        raise OptionError("name", params["name"], "given, or the table and columns, for an index that is to go")
    for option in ("schema", "table", "name"):
        if params[option] is not None and (not params[option] or "\0" in params[option]):
            raise OptionError(option, params[option], "a name")


def _untouched(item: str, status: Status, reason: str, *, remedy: str = "") -> Result:
    said = reason.rstrip(".")
    return Result(
        findings=[CATALOGUE.stated(CHECK, item, status, said, remedy=remedy)],
        plan=[],
        kept=[kept(item, said)],
        extra={"index": {}},
    )


def _look(session: Session, server: Server, context: Context, definition: Definition | None, name: str) -> Found:
    params = context.params
    schema, absent = params["schema"], params["state"] == "absent"
    named = next(iter(session.rows(_NAMED, (schema, name))), None)
    table = _table(session, schema, params["table"], definition) if params["table"] else None
    if table is None and not absent:
        expected = f"a table of schema {schema} in database {session.database}"
        raise OptionError("table", params["table"], expected)
    meant = understand(session, definition, table=table.oid) if definition and table else None
    family = None
    if absent:
        indexes, family = _family(session, named, table, meant, by_name=bool(params["name"]))
        if family and named is None:
            name = family.root.name
    else:
        indexes = indexes_of(session, table=table.oid) if table else ()
    wanted = Wanted(
        state=params["state"],
        database=session.database,
        schema=schema,
        name=name,
        definition=meant,
        force=params["force"],
        free_factor=params["free_factor"],
        unseen_bytes=params["unseen_bytes"],
        index_seconds=params["index_seconds"],
    )
    situation = Situation(
        table=table,
        indexes=indexes,
        family=family,
        keys=collect_foreign_keys(session, server, Settings()) if family else (),
        taken=_taken(named, table),
        undo=undo_of(session, family) if family else (),
        disk=look_at_disk(session, told=params["free_bytes"]),
    )
    return Found(wanted, situation, _part(schema, params["table"], table, named))


def _table(session: Session, schema: str, name: str, definition: Definition | None) -> Table | None:
    row = next(iter(session.rows(_TABLE, (schema, name))), None)
    if row is None:
        return None
    widths = {str(column): int(width) for column, width in row["widths"]}
    names = [column.name for column in definition.columns] + list(definition.include) if definition else []
    entry = _ENTRY + sum(widths.get(column, _WIDTH) for column in names)
    # Who was never analyzed has no rows that anybody knows of; its index is hardly larger than the table.
    size = int(row["rows"] * entry / _FILL) if row["rows"] else row["bytes"]
    facts = {key: row[key] for key in ("oid", "kind", "owned", "may_create", "tablespace", "foreign_parts")}
    return Table(**facts, bytes=size)


def _family(
    session: Session, named: Mapping[str, Any] | None, table: Table | None, meant: Index | None, *, by_name: bool
) -> tuple[tuple[Index, ...], Family | None]:
    """The index that is to go with its parts, by name or else by definition, and the indexes beside it."""
    own = indexes_of(session, table=table.oid) if table else ()
    oid = None
    if by_name:
        oid = named["oid"] if named and named["kind"] in ("i", "I") else None
        if oid is not None and table is None and named:
            own = indexes_of(session, table=named["table_oid"])
    elif meant is not None:
        oid = next((one.oid for one in own if is_equal(one, meant)), None)
    root = next((one for one in own if one.oid == oid), None)
    if root is None or root.kind != "I":
        return own, Family(root) if root else None
    everything = indexes_of(session)
    return everything, next((family for family in families(everything) if family.root.oid == oid), Family(root))


def _taken(named: Mapping[str, Any] | None, table: Table | None) -> str:
    """What else has the name."""
    if named is None:
        return ""
    if named["kind"] not in ("i", "I"):
        return "something that is no index"
    return f"an index of {clean(named['table_name'])}" if table and named["table_oid"] != table.oid else ""


def _part(schema: str, name: str | None, table: Table | None, named: Mapping[str, Any] | None) -> Part | None:
    if table is not None:
        return Part(table.oid, schema, name or "", table.kind)
    if named is not None and named["table_oid"] is not None:
        return Part(named["table_oid"], schema, named["table_name"], "p" if named["kind"] == "I" else "r")
    return None


def _doer(context: Context, session: Session, server: Server, definition: Definition | None, found: Found) -> Doer:
    params = context.params
    return Doer(
        session=session,
        server=server,
        wanted=found.wanted,
        definition=definition,
        table=found.part or Part(0, "", "", "r"),
        family=found.situation.family,
        limits=Limits(params["lock_timeout"], max(1.0, min(params["index_seconds"], context.deadline.left()))),
        lag=params["standby_lag_bytes"],
        pressure=params["io_pressure_percent"],
    )


def _told(decision: Decision, doer: Doer) -> dict[str, Any]:
    """The index as it is now, for who goes on with it: empty where there is none."""
    there = doer.after or (decision.index if decision.step is None else None)
    if there is None:
        return {"index": {}}
    return {"index": {"schema": there.schema, "name": there.name, "valid": there.valid, "bytes": there.bytes}}


def _finding(item: str, decision: Decision, execution: Execution | None) -> Finding:
    step = decision.step
    if step is None:
        return CATALOGUE.stated(CHECK, item, decision.status, decision.said, remedy=decision.remedy)
    done = {"create": "made", "reindex": "rebuilt", "drop": "dropped"}[step.action]
    if execution is None:
        return CATALOGUE.stated(CHECK, item, "warning", f"{decision.said} and would be {done}: {step.reason}")
    if execution.applied:
        seconds = execution.applied[0]["seconds"]
        return CATALOGUE.stated(
            CHECK, item, "ok", f"the index was {done} in {seconds:g} s; found at first: {decision.said}"
        )
    if execution.failed:
        return CATALOGUE.stated(CHECK, item, "critical", f"{decision.said}. {execution.failed[0]['error']}")
    return CATALOGUE.stated(CHECK, item, "warning", f"{decision.said}; {execution.left[0]['reason']}")
