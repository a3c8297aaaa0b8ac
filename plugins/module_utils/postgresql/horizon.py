# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The age of transaction ids: how far the cluster is from running out of them, and who keeps VACUUM from cleaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.statement import without_literals
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table, collect_tables
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.worst import Candidate, tell

CHECKS = (
    Check(
        "postgresql.wraparound",
        "Transaction ids used up",
        "Age of the oldest transaction id that is not frozen, as a share of the 2^31 after which it would lie in the "
        "future. Shortly before that the server takes no more writes, in any database.",
        "Look at postgresql.xmin_horizon first, for nothing can be frozen behind its holder; then run "
        "fleetcare.maintenance.postgresql_vacuum on the tables named. See docs/runbooks/postgresql.md.",
        "pg_database.datfrozenxid",
        "%",
        Levels(warning=50, critical=75),
    ),
    Check(
        "postgresql.multixact_wraparound",
        "Multixact ids used up",
        "The same for multixact ids, which stand for several transactions that lock one row (foreign keys, SELECT FOR "
        "SHARE): age of the oldest as a share of 2^31.",
        "Run fleetcare.maintenance.postgresql_vacuum on the tables named; look for transactions that stay open.",
        "pg_database.datminmxid",
        "%",
        Levels(warning=50, critical=75),
    ),
    Check(
        "postgresql.freeze_age",
        "Freezing behind its schedule",
        "Age of a table's oldest transaction id or multixact, as a share of the age at which autovacuum freezes it "
        "(autovacuum_freeze_max_age, autovacuum_multixact_freeze_max_age, or the table's own). About 100 % is normal, "
        "for only then autovacuum begins; well above it, autovacuum does not get it done.",
        "See whether autovacuum runs, who holds it up (postgresql.xmin_horizon), and run "
        "fleetcare.maintenance.postgresql_vacuum on the tables named; give autovacuum more speed "
        "(autovacuum_vacuum_cost_limit) where it cannot keep up.",
        "pg_class.relfrozenxid",
        "%",
        Levels(warning=150, critical=300),
    ),
    Check(
        "postgresql.xmin_horizon",
        "Transactions that VACUUM has to keep rows for",
        "How many transactions ago the oldest snapshot was taken that somebody still holds: a statement, an open or "
        "prepared transaction, a replication slot, a standby with hot_standby_feedback. Of what has died since, VACUUM "
        "removes nothing.",
        "End the oldest holder: commit or end the session, COMMIT or ROLLBACK PREPARED, drop a slot that nobody reads "
        "any more, end the long query on the standby.",
        "pg_stat_activity.backend_xmin",
        "",
        Levels(warning=2_000_000, critical=50_000_000),
    ),
)

#: After so many ids the oldest lies in the future (PostgreSQL manual, 24.1.5).
WRAP = 2**31

_AGES = """
SELECT datname::text AS name, age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS mxid_age, datallowconn AS open,
       datconnlimit = -2 AS invalid, current_setting('autovacuum_freeze_max_age')::int AS freeze_max_age,
       current_setting('autovacuum_multixact_freeze_max_age')::int AS multixact_freeze_max_age
  FROM pg_database
"""
# What VACUUM itself holds, it does not keep rows for; a parallel worker holds what its leader does. A slot that has
# lost its WAL holds nothing any more. Sessions of other databases do not hold the horizon of a table here.
_HOLDERS = """
SELECT CASE WHEN backend_type = 'walsender' THEN 'standby' WHEN backend_type <> 'client backend' THEN 'process'
            WHEN state LIKE 'idle in transaction%' THEN 'idle' ELSE 'statement' END AS kind,
       coalesce(nullif(application_name, ''), backend_type, '') AS name, usename::text AS user_name,
       CASE WHEN backend_type <> 'walsender' THEN datname::text END AS database, pid,
       greatest(age(backend_xmin), age(backend_xid), 0) AS age,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds, coalesce(query, '') AS statement
  FROM pg_stat_activity
 WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid() AND leader_pid IS NULL
   AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
UNION ALL
SELECT 'prepared', gid, owner::text, database::text, NULL, greatest(age(transaction), 0),
       extract(epoch FROM clock_timestamp() - prepared)::float8, ''
  FROM pg_prepared_xacts
UNION ALL
SELECT 'slot', slot_name::text, NULL, NULL, active_pid, greatest(age(xmin), 0), NULL, ''
  FROM pg_replication_slots WHERE xmin IS NOT NULL AND wal_status IS DISTINCT FROM 'lost'
UNION ALL
SELECT 'catalog slot', slot_name::text, NULL, NULL, active_pid, greatest(age(catalog_xmin), 0), NULL, ''
  FROM pg_replication_slots WHERE catalog_xmin IS NOT NULL AND wal_status IS DISTINCT FROM 'lost'
"""
_SHOWN = 10
_KINDS: Mapping[str, str] = {
    "statement": "running transaction",
    "idle": "idle transaction",
    "process": "background process",
    "standby": "standby with hot_standby_feedback",
    "prepared": "prepared transaction",
    "slot": "replication slot",
    "catalog slot": "logical replication slot",
}
_REMEDIES: Mapping[str, str] = {
    "statement": "Wait for it, or end it: SELECT pg_cancel_backend({pid}).",
    "idle": "Mend the program, and end its session: SELECT pg_terminate_backend({pid}); "
    "idle_in_transaction_session_timeout does so by itself.",
    "process": "See what it waits for: SELECT * FROM pg_stat_activity WHERE pid = {pid}.",
    "standby": "End the long query on the standby, or set hot_standby_feedback = off there.",
    "prepared": "Ask the transaction manager whether it still knows it, then COMMIT PREPARED or ROLLBACK PREPARED.",
    "slot": "Start its consumer; a slot that nobody reads any more goes with SELECT pg_drop_replication_slot(...).",
    "catalog slot": "Start its consumer; a slot that nobody reads any more goes with "
    "SELECT pg_drop_replication_slot(...).",
}


@dataclass(frozen=True)
class Ages:
    """A database's oldest transaction id and multixact. ``invalid``: what a DROP DATABASE that failed has left."""

    name: str
    xid_age: int
    mxid_age: int
    open: bool
    invalid: bool
    freeze_max_age: int
    multixact_freeze_max_age: int


@dataclass(frozen=True)
class Holder:
    """Somebody whose snapshot VACUUM has to keep rows for: ``age`` transactions old, held for ``seconds`` if known.

    ``database`` is None where it counts in every database. ``kind`` is a key of the words above.
    """

    kind: str
    name: str
    user_name: str | None
    database: str | None
    pid: int | None
    age: int
    seconds: float | None
    statement: str = ""

    @property
    def words(self) -> str:
        """Who it is, without anybody's data: ``idle transaction of pid 7 eve@shop (psql), 1200 transactions old``."""
        who = f"pid {self.pid}" if self.pid is not None else ""
        if self.user_name:
            who = f"{who} {self.user_name}@{self.database or '-'}".strip()
        named = f" of {who} ({self.name})" if self.kind in ("statement", "idle", "process", "standby") else ""
        if not named:
            named = f" {self.name}" + (f" of {who}" if who else "")
        aged = f", {counted(self.age, 'transaction')} old"
        lasting = f", held for {duration(max(0.0, self.seconds))}" if self.seconds is not None else ""
        doing = f": {without_literals(self.statement)}" if self.statement else ""
        return clean(f"{_KINDS[self.kind]}{named}{aged}{lasting}{doing}")

    @property
    def remedy(self) -> str:
        return _REMEDIES[self.kind].format(pid=self.pid)

    def holds(self, database: str, *, catalog: bool = False, shared: bool = False) -> bool:
        """Whether VACUUM has to keep rows for it in a table of ``database`` (one of the system catalog, a shared one).

        What logical decoding may still need are the catalogs alone.
        """
        if self.kind == "catalog slot":
            return catalog or shared
        return shared or self.database is None or self.database == database


def holders(session: Session, server: Server) -> tuple[Holder, ...]:
    """All who hold the horizon right now, the oldest first, the session itself and running VACUUMs left out.

    Raises Absent where this login does not see what others do.
    """
    if not server.monitors:
        raise Absent("this login does not see the snapshots of others", remedy=server.grant())
    found = [Holder(**row) for row in session.rows(_HOLDERS)]
    return tuple(sorted(found, key=lambda holder: -holder.age))


def oldest_holder(
    found: Iterable[Holder], database: str, *, catalog: bool = False, shared: bool = False
) -> Holder | None:
    """Who keeps VACUUM longest from cleaning a table of this database; None where nobody does."""
    held = [holder for holder in found if holder.holds(database, catalog=catalog, shared=shared)]
    return max(held, key=lambda holder: holder.age, default=None)


def collect_horizon(session: Session, server: Server, _settings: Settings) -> tuple[Holder, ...]:
    return holders(session, server)


def collect_ages(session: Session, _server: Server, _settings: Settings) -> tuple[Ages, ...]:
    return tuple(Ages(**row) for row in session.rows(_AGES))


def wraparound(view: View) -> Iterator[Answer]:
    check = "postgresql.wraparound"
    yield from _used_up(view, check, {entry: entry.xid_age for entry in _whole(view)}, "transaction id")
    for entry in view.part("ages"):
        if entry.invalid:
            words = f"{entry.name} is what a DROP DATABASE that was broken off has left: nobody and no vacuum gets in"
            yield view.state(check, view.item(entry.name), "warning", words, remedy=_drop(entry.name))


def multixact_wraparound(view: View) -> Iterator[Answer]:
    ages = {entry: entry.mxid_age for entry in _whole(view)}
    yield from _used_up(view, "postgresql.multixact_wraparound", ages, "multixact")


def _whole(view: View) -> list[Ages]:
    """The databases but those half dropped, which the server too leaves out (vac_truncate_clog() in its vacuum.c)."""
    return [entry for entry in view.part("ages") if not entry.invalid]


def _used_up(view: View, check: str, ages: Mapping[Ages, int], what: str) -> Iterator[Answer]:
    candidates = [
        Candidate(
            view.item(entry.name),
            _share(age),
            f"{entry.name}: {_share(age):.1f} %, the oldest {what} {_aged(age)}",
            note=f"{entry.name}: {age} of {WRAP}{_nature(entry)}" if age >= 0 else f"{entry.name}: {_aged(age)}",
            evidence=tuple(_held_up(view, entry.name)),
        )
        for entry, age in ages.items()
    ]
    yield from tell(view, check, view.place, candidates, f"age of the oldest {what}, of what it can reach")


def _share(age: int) -> float:
    """Per cent of what an age can reach; one from the future has gone past it, or its data are damaged."""
    return 100.0 * age / WRAP if age >= 0 else 100.0


def _aged(age: int) -> str:
    return f"is {age} old" if age >= 0 else f"lies {-age} in the future"


def _drop(database: str) -> str:
    quoted = database.replace('"', '""')
    return f'End what was begun: DROP DATABASE "{quoted}".'


def _nature(entry: Ages) -> str:
    return "" if entry.open else "; takes no connections, autovacuum alone reaches it"


def _held_up(view: View, database: str) -> Iterator[str]:
    """Who keeps this database from being frozen, where that can be seen."""
    reading = view.cluster.parts.get("horizon")
    found = reading if isinstance(reading, tuple) else ()
    # Freezing a database takes its catalogs and the shared ones as well.
    held = [holder for holder in found if holder.holds(database, catalog=True, shared=True)]
    yield from (f"held up by {holder.words}" for holder in held[:_SHOWN])


def freeze_age(view: View) -> Iterator[Answer]:
    ages = {entry.name: entry for entry in _whole(view)}
    candidates = []
    for name, entry in ages.items():
        reading = view.cluster.databases.get(name, {}).get("tables")
        # Of a database that nobody may enter, or that this login may not, what the cluster knows has to do.
        tables = reading if isinstance(reading, tuple) else ()
        candidates.append(_of_database(view, entry, _worst_tables(tables, entry)))
    yield from tell(
        view,
        "postgresql.freeze_age",
        view.place,
        candidates,
        "age of the oldest id, of that at which it is frozen",
    )
    yield from _from_the_future(view, ages.values())


def _of_database(view: View, entry: Ages, worst: list[tuple[float, Table]]) -> Candidate:
    overall = 100.0 * max(entry.xid_age / entry.freeze_max_age, entry.mxid_age / entry.multixact_freeze_max_age)
    # The database is as old as its oldest table; only a table's own, lower limit can make its share higher.
    value = max(overall, worst[0][0]) if worst else overall
    named = f", oldest {worst[0][1].label}" if worst else ""
    lines = [f"{_name(table)}: {share:.0f} %, {_age_words(table)}" for share, table in worst]
    return Candidate(
        view.item(entry.name),
        value,
        f"{entry.name}: {value:.1f} %{named}",
        note=f"{entry.name}{named}{_nature(entry)}",
        evidence=(*list(_held_up(view, entry.name))[:3], *lines),
    )


def _name(table: Table) -> str:
    return table.label if table.kind == "t" else f"{table.what} {table.label}"


def _age_words(table: Table) -> str:
    temporary = "; a temporary table of a session, which nobody else can vacuum" if table.is_temporary else ""
    return f"{table.xid_age or 0} transactions, {table.mxid_age or 0} multixacts old{temporary}"


def _worst_tables(tables: Sequence[Table], entry: Ages) -> list[tuple[float, Table]]:
    by_oid = {table.oid: table for table in tables}
    shares = []
    for table in tables:
        main = by_oid.get(table.main) if table.main is not None else None
        # Autovacuum goes by the options of the table where its TOAST has none of its own.
        options = table.options or (main.options if main else {})
        share = freeze_share(table, options, entry)
        if share is not None:
            shares.append((share, table))
    return sorted(shares, key=lambda pair: (-pair[0], pair[1].system))[:_SHOWN]


def freeze_share(table: Table, options: Mapping[str, str], entry: Ages) -> float | None:
    """A table's age in percent of the age at which autovacuum freezes it; its own limit counts where it is lower."""
    ages = (
        (table.xid_age, options.get("autovacuum_freeze_max_age"), entry.freeze_max_age),
        (table.mxid_age, options.get("autovacuum_multixact_freeze_max_age"), entry.multixact_freeze_max_age),
    )
    return max(
        (100.0 * age / min(general, int(own or general)) for age, own, general in ages if age is not None),
        default=None,
    )


def _from_the_future(view: View, ages: Iterable[Ages]) -> Iterator[Answer]:
    """An id that is younger than now, which pg_upgrade and damaged files have brought about."""
    for entry in ages:
        if entry.xid_age < 0 or entry.mxid_age < 0:
            yield view.state(
                "postgresql.freeze_age",
                view.item(entry.name),
                "critical",
                f"the oldest id of database {entry.name} lies in the future "
                f"(age {entry.xid_age}, multixacts {entry.mxid_age})",
                remedy="Take a dump before anything else, and look for damaged files (pg_amcheck, the server's log).",
            )


def xmin_horizon(view: View) -> Iterator[Answer]:
    found: tuple[Holder, ...] = view.part("horizon")
    first = found[0] if found else None
    yield from view.measure(
        "postgresql.xmin_horizon",
        view.place,
        first.age if first else 0,
        "transactions since the oldest snapshot",
        note=f"held by {'an' if first.kind == 'idle' else 'a'} {_KINDS[first.kind]}" if first else "nobody holds any",
        evidence=[holder.words for holder in found[:_SHOWN]],
        remedy=first.remedy if first else "",
    )
    for kind in _KINDS:
        age = max((holder.age for holder in found if holder.kind == kind), default=0)
        yield Metric("postgresql.xmin_horizon_of", f"{view.place} {kind}", age)


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.wraparound": (wraparound, ("ages", "horizon")),
        "postgresql.multixact_wraparound": (multixact_wraparound, ("ages", "horizon")),
        "postgresql.freeze_age": (freeze_age, ("ages", "horizon", "tables")),
        "postgresql.xmin_horizon": (xmin_horizon, ("horizon",)),
    },
    cluster={"ages": collect_ages, "horizon": collect_horizon},
    database={"tables": collect_tables},
)
