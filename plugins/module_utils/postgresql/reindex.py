# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_reindex``: look at every index, rebuild or remove what needs it, one at a time, and say all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, execute, kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.bloat import collect_index_bloat
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.bloat_estimate import Relation
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session, read_login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk, look_at_disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Index, indexes_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.online import take_alone
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex_act import Doer, Sessions
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex_plan import (
    NEEDS,
    Decision,
    Situation,
    Wanted,
    decide,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import DatabaseName, Server, look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings

CHECK = "postgresql.reindex"

#: Options of both repairs of indexes.
BUDGET: Mapping[str, Mapping[str, Any]] = {
    "lock_timeout": {"type": "float", "default": 30.0},
    "index_seconds": {"type": "float", "default": 3600.0},
    "free_factor": {"type": "float", "default": 2.0},
    "free_bytes": {"type": "int"},
    "unseen_bytes": {"type": "int", "default": 268435456},
    "standby_lag_bytes": {"type": "int", "default": 1073741824},
    "io_pressure_percent": {"type": "float", "default": 50.0},
}
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **client.ARGUMENTS,
    **BUDGET,
    "databases": {"type": "list", "elements": "str", "default": []},
    "databases_exclude": {"type": "list", "elements": "str", "default": []},
    "indexes": {"type": "list", "elements": "str", "default": []},
    "indexes_exclude": {"type": "list", "elements": "str", "default": []},
    "needs": {"type": "list", "elements": "str", "choices": list(NEEDS), "default": list(NEEDS)},
    "bloat_percent": {"type": "float", "default": 50.0},
    "bloat_bytes": {"type": "int", "default": 104857600},
    "maximum_size": {"type": "int", "default": 10737418240},
    "maximum_indexes": {"type": "int", "default": 20},
    "total_seconds": {"type": "float", "default": 7200.0},
}


@dataclass(frozen=True)
class Survey:
    """One database as found; ``trouble`` says why it was not looked at, ``unknown`` have no estimate of bloat."""

    database: str
    situation: Situation | None = None
    trouble: MaintenanceError | None = None
    allowed: bool = True
    unknown: tuple[Relation, ...] = ()


def reindex(context: Context) -> Result:
    """The whole repair."""
    login, wanted = read_login(context.params), read_wanted(context.params)
    with ExitStack() as stack:
        try:
            session = stack.enter_context(connect(login))
            server = look(session)
            if server.in_recovery:
                return _untouched(login.place, "skipped", "a standby gets its indexes from its primary")
            if not take_alone(session):
                return _untouched(login.place, "skipped", "another repair of indexes is at work on this cluster")
            disk = look_at_disk(session, told=context.params["free_bytes"])
        except ConnectError as error:
            return _untouched(login.place, "critical", error.message, remedy=error.remedy)
        sessions = Sessions(login, stack, {session.database: session})
        return _reindex(context, wanted, server, disk, sessions)


def _untouched(place: str, status: Status, reason: str, *, remedy: str = "") -> Result:
    said = reason.rstrip(".")
    return Result(
        findings=[CATALOGUE.stated(CHECK, place, status, said, remedy=remedy)], plan=[], kept=[kept(place, said)]
    )


def _reindex(context: Context, wanted: Wanted, server: Server, disk: Disk, sessions: Sessions) -> Result:
    remembered = _remembered(context.memory, server.place)
    surveys = [
        _survey(database, server, sessions, wanted, disk, rebuilt=remembered.get(database.name, {}))
        for database in server.databases
        if _is_chosen(database, context.params)
    ]
    decisions = decide([survey.situation for survey in surveys if survey.situation], wanted)
    plan = [decision.step for decision in decisions if decision.step]
    doer = Doer(
        sessions=sessions,
        decisions={decision.target: decision for decision in decisions},
        wanted=wanted,
        disk=disk,
        deadline=_deadline(context),
        lock_timeout=context.params["lock_timeout"],
        server=server,
        lag=context.params["standby_lag_bytes"],
        pressure=context.params["io_pressure_percent"],
    )
    execution = None if context.check_mode else execute(plan, doer, deadline=doer.deadline)
    findings = [_finding(server.place, survey, decisions, execution) for survey in surveys]
    findings += [_unknown(server.place, survey) for survey in surveys if survey.unknown]
    memory = None
    if doer.sizes:
        sizes = {
            survey.database: _still_there(
                survey, {**remembered.get(survey.database, {}), **doer.sizes.get(survey.database, {})}
            )
            for survey in surveys
        }
        memory = {**context.memory, server.place: {"rebuilt": {**remembered, **sizes}}}
    return Result(
        findings=findings or [CATALOGUE.skipped(CHECK, server.place, "no database was chosen")],
        metrics=_metrics(server.place, decisions, execution),
        memory=memory,
        plan=plan,
        execution=execution,
        kept=[kept(decision.target, decision.refusal) for decision in decisions if decision.refusal],
    )


def _deadline(context: Context) -> Deadline:
    """The window's end or that of the budget, whichever comes first."""
    own = context.clock.now() + timedelta(seconds=context.params["total_seconds"])
    return Deadline(context.clock, own if context.deadline.at is None else min(own, context.deadline.at))


def _is_chosen(database: DatabaseName, params: Mapping[str, Any]) -> bool:
    if database.template or not database.open:
        return False
    named = not params["databases"] or any(fnmatchcase(database.name, glob) for glob in params["databases"])
    return named and not any(fnmatchcase(database.name, glob) for glob in params["databases_exclude"])


def _survey(
    database: DatabaseName,
    server: Server,
    sessions: Sessions,
    wanted: Wanted,
    disk: Disk,
    *,
    rebuilt: Mapping[str, int],
) -> Survey:
    if not database.allowed:
        grant = server.grant("CONNECT", on="DATABASE", name=database.name)
        return Survey(
            database.name, trouble=MaintenanceError("this login may not connect", remedy=grant), allowed=False
        )
    try:
        session = sessions.of(database.name)
        indexes = indexes_of(session)
        swollen, unknown = _swollen(session, server, wanted) if "bloated" in wanted.needs else ({}, ())
    except MaintenanceError as error:
        return Survey(database.name, trouble=error)
    situation = Situation(
        database=database.name, indexes=indexes, user=server.user, swollen=swollen, rebuilt=rebuilt, disk=disk
    )
    return Survey(database.name, situation=situation, unknown=unknown)


def _swollen(session: Session, server: Server, wanted: Wanted) -> tuple[dict[int, int], tuple[Relation, ...]]:
    """Bytes of air by index, estimated, and for the worst measured where the extension pgstattuple is there.

    With them the indexes of which it cannot be told, for want of statistics or of the right to see them.
    """
    settings = Settings(
        bloat_floor=wanted.bloat_bytes, bloat_tables=wanted.maximum_indexes, bloat_size=wanted.maximum_size
    )
    found = collect_index_bloat(session, server, settings)
    return {bloat.relation.oid: bloat.wasted for bloat in found.bloats}, (*found.hidden, *found.unknown)


def _remembered(memory: Mapping[str, Any], place: str) -> dict[str, dict[str, int]]:
    """What rebuilt indexes took, by database and label; nothing where the memory is not what was written."""
    try:
        return {
            str(database): {str(label): int(size) for label, size in sizes.items()}
            for database, sizes in memory[place]["rebuilt"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _still_there(survey: Survey, sizes: Mapping[str, int]) -> dict[str, int]:
    there: Sequence[Index] = survey.situation.indexes if survey.situation else ()
    labels = {index.label for index in there}
    return {label: size for label, size in sizes.items() if label in labels or not labels}


def _finding(place: str, survey: Survey, decisions: Sequence[Decision], execution: Execution | None) -> Finding:
    item = clean(f"{place}/{survey.database}")
    if survey.situation is None:
        trouble = survey.trouble or MaintenanceError("it was not looked at")
        status: Status = "unknown" if survey.allowed else "skipped"
        return CATALOGUE.stated(CHECK, item, status, trouble.message, remedy=trouble.remedy)
    own = [decision for decision in decisions if decision.database == survey.database]
    looked_at = f"{counted(len(survey.situation.indexes), 'index', 'indexes')} looked at"
    if not own:
        return CATALOGUE.stated(CHECK, item, "ok", f"none needs to be rebuilt or removed; {looked_at}")
    outcomes = [_outcome(decision, execution) for decision in own]
    words = [f"{counted(len(own), 'index needs', 'indexes need')} something"]
    for done, phrase in (
        ("planned", "would be served"),
        ("done", "served"),
        ("left", "left alone"),
        ("failed", "failed"),
    ):
        amount = sum(1 for outcome, _words in outcomes if outcome == done)
        words += [f"{amount} {phrase}"] if amount else []
    status = "ok" if all(outcome == "done" for outcome, _words in outcomes) else "warning"
    return CATALOGUE.stated(
        CHECK, item, status, f"{', '.join(words)}; {looked_at}", evidence=[said for _outcome, said in outcomes]
    )


def _unknown(place: str, survey: Survey) -> Finding:
    amount = counted(len(survey.unknown), "large b-tree index", "large b-tree indexes")
    return CATALOGUE.skipped(
        CHECK,
        clean(f"{place}/{survey.database} (bloat)"),
        f"of {amount} the bloat is not known: no statistics, or none that this login may see",
        remedy="ANALYZE their tables; SELECT on them, or the extension pgstattuple with pg_stat_scan_tables, shows it.",
    )


def _outcome(decision: Decision, execution: Execution | None) -> tuple[str, str]:
    """What came of one decision, in a word and in a line."""
    index, target = decision.index, clean(decision.target)
    line = f"{index.label} on {index.table_label}: {decision.said}"
    if decision.step is None:
        return "left", f"{line}; left alone: {decision.refusal}"
    if execution is None:
        return "planned", f"{line}; would be {'dropped' if decision.step.action == 'drop' else 'rebuilt'}"
    for entry in execution.applied:
        if entry["target"] == target:
            after = entry["after"]
            return "done", f"{line}; {'rebuilt, ' + quantity(after['bytes'], 'B') if 'bytes' in after else 'dropped'}"
    for entry in execution.failed:
        if entry["target"] == target:
            return "failed", f"{index.label}: {entry['error']}"
    reason = next((entry["reason"] for entry in execution.left if entry["target"] == target), "not its turn")
    return "left", f"{index.label}: {reason}"


def _metrics(place: str, decisions: Sequence[Decision], execution: Execution | None) -> list[Metric]:
    freed: dict[str, int] = {}
    done = {entry["target"]: entry for entry in execution.applied} if execution else {}
    for decision in decisions:
        entry = done.get(clean(decision.target))
        if entry:
            gain = entry["after"].get("freed_bytes", entry["before"]["bytes"])
            freed[decision.database] = freed.get(decision.database, 0) + gain
    return [Metric("postgresql.reindex_freed", clean(f"{place}/{name}"), size, "B") for name, size in freed.items()]


def read_wanted(params: Mapping[str, Any]) -> Wanted:
    """What is asked for, refused in one sentence where it makes no sense. Raises OptionError."""
    limits = {
        "bloat_percent": (1.0, 99.0, "percent"),
        "bloat_bytes": (0, 2**60, "bytes"),
        "maximum_size": (0, 2**60, "bytes"),
        "maximum_indexes": (0, 10000, "indexes"),
        "total_seconds": (1.0, 604800.0, "seconds"),
    }
    require_within(params, limits)
    read_budget(params)
    return Wanted(
        needs=frozenset(params["needs"]),
        indexes=tuple(params["indexes"]),
        indexes_exclude=tuple(params["indexes_exclude"]),
        bloat_percent=params["bloat_percent"],
        bloat_bytes=params["bloat_bytes"],
        maximum_size=params["maximum_size"],
        maximum_indexes=params["maximum_indexes"],
        free_factor=params["free_factor"],
        unseen_bytes=params["unseen_bytes"],
        index_seconds=params["index_seconds"],
    )


def read_budget(params: Mapping[str, Any]) -> None:
    """Refuse limits of both repairs that make no sense. Raises OptionError."""
    require_within(
        params,
        {
            "lock_timeout": (0.1, 86400.0, "seconds"),
            "index_seconds": (1.0, 604800.0, "seconds"),
            "free_factor": (1.0, 100.0, "times the size of the index"),
            "free_bytes": (0, 2**60, "bytes"),
            "unseen_bytes": (0, 2**60, "bytes"),
            "standby_lag_bytes": (0, 2**60, "bytes, 0 for any"),
            "io_pressure_percent": (0.0, 100.0, "percent, 0 for any"),
        },
    )


def require_within(params: Mapping[str, Any], limits: Mapping[str, tuple[float, float, str]]) -> None:
    """Raises OptionError for a number outside its limits; one that is not given is none."""
    for option, (least, most, unit) in limits.items():
        value = params[option]
        if value is not None:
            require_between(value, least, most, option=option, expected=f"from {least:g} to {most:g} {unit}")
