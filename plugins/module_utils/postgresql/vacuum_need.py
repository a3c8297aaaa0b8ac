# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vacuum and analyze have to do, a table at a time: decided as autovacuum decides, out of the same figures.

The rules are those of relation_needs_vacanalyze() in the server's autovacuum.c, of every version from 13 on: where a
server does not know a setting or does not count a figure, the rule that needs it falls away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits, Table

#: What urges a vacuum, or an analyze, and how it is said.
_WORDS: Mapping[str, str] = {
    "dead": "dead row",
    "inserted": "row inserted since the last vacuum",
    "xid": "transaction since the oldest row was frozen",
    "multixact": "multixact since the oldest row was frozen",
    "modified": "row changed since the last analyze",
    "unmeasured": "column, expression or statistics object without statistics",
}
_PLURALS: Mapping[str, str] = {
    "inserted": "rows inserted since the last vacuum",
    "xid": "transactions since the oldest row was frozen",
    "multixact": "multixacts since the oldest row was frozen",
    "modified": "rows changed since the last analyze",
    "unmeasured": "columns, expressions or statistics objects without statistics",
}
FREEZING = ("xid", "multixact")
#: Work that is due at this share of its threshold is done along with other work on the same table: that other work
#: changes what the server takes for the number of rows, and with it this threshold, by less than that.
COMPANION = 0.5
#: What is so close to running out of ids goes before everything else.
_FORCED = 1000.0
_PG_STATISTIC = 2619


@dataclass(frozen=True)
class Urge:
    """One figure and the threshold above which autovacuum would act."""

    cause: str
    value: float
    threshold: float

    @property
    def share(self) -> float:
        """1.0 is the threshold."""
        return self.value / max(1.0, self.threshold)

    def due(self, share: float = 1.0) -> bool:
        return self.value > self.threshold * share

    @property
    def words(self) -> str:
        amount = counted(int(self.value), _WORDS[self.cause], _PLURALS.get(self.cause, ""))
        return amount if self.cause == "unmeasured" else f"{amount}, threshold {int(self.threshold)}"


@dataclass(frozen=True)
class Need:
    """What one table needs. ``vacuum`` and ``analyze`` hold only what is due, strongest first.

    ``table`` carries the storage parameters that count for it, which are its table's for a TOAST without its own.
    ``enabled`` is False where the table's own options keep autovacuum away.
    """

    table: Table
    vacuum: tuple[Urge, ...] = ()
    analyze: tuple[Urge, ...] = ()
    enabled: bool = True
    failsafe_age: int = 1_600_000_000

    @property
    def due(self) -> bool:
        return bool(self.vacuum or self.analyze)

    @property
    def score(self) -> float:
        """How urgent it is, 1 at the threshold; what nears the end of all ids comes before everything else."""
        shares = [urge.share for urge in (*self.vacuum, *self.analyze)]
        score = max(shares, default=0.0)
        ages = [urge.value for urge in self.vacuum if urge.cause in FREEZING]
        return score + _FORCED if any(age >= self.failsafe_age for age in ages) else score

    @property
    def freezes(self) -> bool:
        """Whether old rows have to be frozen, which only a vacuum of all pages does for sure."""
        return any(urge.cause in FREEZING for urge in self.vacuum)

    @property
    def words(self) -> str:
        off = () if self.enabled else ("autovacuum is off for it",)
        return "; ".join([*(urge.words for urge in (*self.vacuum, *self.analyze)), *off])


def needs(
    tables: Sequence[Table], limits: Limits, *, unmeasured: Mapping[int, int] | None = None, share: float = 1.0
) -> list[Need]:
    """The tables where something is due, the most urgent first.

    ``unmeasured`` says of tables, by oid, how many of their columns, index expressions and statistics objects have
    no statistics. ``share`` of the thresholds is enough, for who does not want to wait for autovacuum. Temporary
    tables are left out: their own session alone can vacuum them.
    """
    by_oid = {table.oid: table for table in tables}
    children = _modified_in_partitions(tables)
    found = [
        need_of(
            replace(table, modified_since_analyze=children.get(table.oid, 0)) if table.kind == "p" else table,
            limits,
            main=by_oid.get(table.main) if table.main is not None else None,
            unmeasured=(unmeasured or {}).get(table.oid, 0),
            share=share,
        )
        for table in tables
        if not table.is_temporary
    ]
    return sorted((need for need in found if need.due), key=lambda need: (-need.score, need.table.oid))


def need_of(
    table: Table, limits: Limits, *, main: Table | None = None, unmeasured: int = 0, share: float = 1.0
) -> Need:
    """What one table needs; ``main`` is the table that a TOAST belongs to."""
    # Autovacuum goes by the options of the table where its TOAST has none of its own.
    options = table.options if table.options or main is None else main.options
    vacuum = vacuum_urges(table, limits, options)
    analyze = analyze_urges(table, limits, options, unmeasured=unmeasured)
    due_vacuum = [urge for urge in vacuum if urge.due(share)]
    due_analyze = [urge for urge in analyze if urge.due(share)]
    if due_vacuum and not due_analyze:
        due_analyze = [urge for urge in analyze if urge.due(share * COMPANION)]
    elif due_analyze and not due_vacuum:
        due_vacuum = [urge for urge in vacuum if urge.cause not in FREEZING and urge.due(share * COMPANION)]
    return Need(
        table if options == table.options else replace(table, options=options),
        vacuum=tuple(sorted(due_vacuum, key=lambda urge: -urge.share)),
        analyze=tuple(sorted(due_analyze, key=lambda urge: -urge.share)),
        enabled=_switch(options, "autovacuum_enabled"),
        failsafe_age=limits.failsafe_age,
    )


def vacuum_urges(table: Table, limits: Limits, options: Mapping[str, str]) -> list[Urge]:
    """All that could make a vacuum due, due or not. A partitioned table has nothing to vacuum itself."""
    if table.kind == "p":
        return []
    rows = max(0.0, table.rows)
    dead = _whole(options, "autovacuum_vacuum_threshold", limits.vacuum_threshold) + rows * _fraction(
        options, "autovacuum_vacuum_scale_factor", limits.vacuum_scale_factor
    )
    most = _whole(options, "autovacuum_vacuum_max_threshold", limits.vacuum_max_threshold, least=-1)
    urges = [Urge("dead", table.dead, min(dead, most) if most >= 0 else dead)]
    base = _whole(options, "autovacuum_vacuum_insert_threshold", limits.vacuum_insert_threshold, least=-1)
    if base >= 0:
        factor = _fraction(options, "autovacuum_vacuum_insert_scale_factor", limits.vacuum_insert_scale_factor)
        urges.append(Urge("inserted", table.inserted_since_vacuum, base + factor * rows * _unfrozen(table)))
    ages = (
        ("xid", table.xid_age, "autovacuum_freeze_max_age", limits.freeze_max_age),
        ("multixact", table.mxid_age, "autovacuum_multixact_freeze_max_age", limits.multixact_freeze_max_age),
    )
    urges.extend(
        # A table can ask to be frozen earlier than the server's setting has it, never later.
        Urge(cause, age, min(_whole(options, option, general), general))
        for cause, age, option, general in ages
        if age is not None
    )
    return urges


def analyze_urges(table: Table, limits: Limits, options: Mapping[str, str], *, unmeasured: int = 0) -> list[Urge]:
    """All that could make an analyze due, due or not. TOAST and pg_statistic have no statistics."""
    if table.kind == "t" or table.oid == _PG_STATISTIC:
        return []
    threshold = _whole(options, "autovacuum_analyze_threshold", limits.analyze_threshold) + max(
        0.0, table.rows
    ) * _fraction(options, "autovacuum_analyze_scale_factor", limits.analyze_scale_factor)
    missing = [Urge("unmeasured", unmeasured, 0)] if unmeasured else []
    return [*missing, Urge("modified", table.modified_since_analyze, threshold)]


def switched_off(table: Table) -> bool:
    """Whether its own storage parameters keep autovacuum away."""
    return not _switch(table.options, "autovacuum_enabled")


def waiting_for_vacuum(table: Table) -> int:
    """Rows written since the last vacuum, as far as they give a vacuum something to do; 0 where nobody wrote."""
    return table.dead + table.inserted_since_vacuum


def covering(needed: Iterable[Need], tables: Iterable[Table]) -> dict[int, int]:
    """The partitions, by oid, that an analyze of a partitioned table in ``needed`` reads along: oid of that table.

    Servers before 18 cannot analyze a partitioned table alone.
    """
    parents = {need.table.oid for need in needed if need.table.kind == "p" and need.analyze}
    up = {table.oid: table.child_of for table in tables if table.child_of is not None}
    found = {}
    for oid in up:
        parent = up.get(oid)
        while parent is not None and parent not in parents:
            parent = up.get(parent)
        if parent is not None:
            found[oid] = parent
    return found


def _modified_in_partitions(tables: Iterable[Table]) -> dict[int, int]:
    """What has changed below each partitioned table, which the server counts for the partitions alone."""
    listed = list(tables)
    up = {table.oid: table.child_of for table in listed if table.child_of is not None}
    changed: dict[int, int] = {}
    for table in listed:
        parent = up.get(table.oid) if table.kind != "p" else None
        while parent is not None:
            changed[parent] = changed.get(parent, 0) + table.modified_since_analyze
            parent = up.get(parent)
    return changed


def _unfrozen(table: Table) -> float:
    """The share of pages that are not frozen yet, by which newer servers lower the threshold of inserts."""
    if table.all_frozen is None or table.pages <= 0:
        return 1.0
    return 1.0 - min(table.all_frozen, table.pages) / table.pages


def _whole(options: Mapping[str, str], name: str, general: int, *, least: int = 0) -> int:
    own = _number(options.get(name))
    return int(own) if own is not None and own >= least else general


def _fraction(options: Mapping[str, str], name: str, general: float) -> float:
    own = _number(options.get(name))
    return own if own is not None and own >= 0 else general


def _number(raw: str | None) -> float | None:
    try:
        return None if raw is None else float(raw)
    except ValueError:
        return None


def _switch(options: Mapping[str, str], name: str) -> bool:
    """A boolean option is kept the way it was written; the server takes any unambiguous beginning of these words."""
    raw = options.get(name, "true").lower()
    off = ("false".startswith(raw), "no".startswith(raw), "off".startswith(raw) and len(raw) > 1, raw == "0")
    return not any(off)
