# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of check_postgres 2.26, and what of ours answers each.

``docs/postgresql.md`` shows this table, a contract holds it to it, and an integration test runs both sides on one
broken cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Where Debian keeps the cluster of the image ``postgresql17peers``.
DATA = "/var/lib/postgresql/17/main"


@dataclass(frozen=True)
class Action:
    """What we answer for one action, and how both are asked on the broken cluster.

    ``alarming``: the arguments with which the action raises an alarm there, None where it takes a second server or the
    network to raise one. ``levels`` and ``options`` are ours, where the defaults of the two differ or would take hours
    to reach. ``fact``: ours tells it without judging. ``quiet``: arguments for a sound cluster. ``blind``: why the
    action raises no alarm although we do.
    """

    checks: tuple[str, ...]
    alarming: str | None = ""
    levels: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    fact: bool = False
    quiet: str = ""
    blind: str = ""


ACTIONS: dict[str, Action] = {
    "archive_ready": Action(
        ("archive_waiting", "archiver"), "--warning=10 --critical=15", quiet="--critical=10",
        blind="looks in pg_wal itself, where there is never a .ready file, since PostgreSQL 10",
    ),
    "autovac_freeze": Action(("freeze_age",)),
    "backends": Action(("connections",), "--warning=60% --critical=99%", levels={"warning": 60}),
    "bloat": Action(("table_bloat",), "--warning=1M --critical=1G", options={"bloat_floor": 1024**2}),
    "checkpoint": Action(
        ("checkpoint_age",), f"--datadir={DATA} --warning=1 --critical=86400", levels={"warning": 0, "critical": None},
        quiet=f"--datadir={DATA} --critical=3600",
    ),
    "cluster_id": Action(("cluster_id",), f"--datadir={DATA} --critical=4711", quiet=f"--datadir={DATA} --critical=0"),
    "commitratio": Action(("rollbacks",), "--warning=70% --critical=1%", quiet="--critical=50%"),
    "connection": Action(("reachable",), "--port=5999", options={"login_port": 5999}),
    "database_size": Action(("size",), "--warning=1MB --critical=1TB", levels={"warning": 1}, quiet="--critical=1TB"),
    "disabled_triggers": Action(("disabled_triggers",)),
    "hitratio": Action(
        ("cache_hit",), "--warning=100% --critical=1%", levels={"info": None, "warning": 100}, quiet="--critical=50%"
    ),
    "hot_standby_delay": Action(("replication_lag", "replication_lag_bytes", "standby"), None),
    "index_size": Action(("table_size",), "--warning=1kB --critical=1TB", levels={"warning": 1}, quiet="--critical=1TB"),
    "indexes_size": Action(
        ("table_size",), "--warning=1kB --critical=1TB", levels={"warning": 1}, quiet="--critical=1TB"
    ),
    "last_analyze": Action(("analyze_age",), "--warning=1s --critical=1d", levels={"info": None, "warning": 0.000001}),
    "last_autoanalyze": Action(
        ("analyze_age",), "--warning=1s --critical=1d", levels={"info": None, "warning": 0.000001}
    ),
    "last_autovacuum": Action(
        ("vacuum_age",), "--warning=1s --critical=1d", levels={"info": None, "warning": 0.000001}
    ),
    "last_vacuum": Action(("vacuum_age",), "--warning=1s --critical=1d", levels={"info": None, "warning": 0.000001}),
    "locks": Action(
        ("lock_table", "blocking"), "--warning=1 --critical=100000", levels={"warning": 0, "critical": None}
    ),
    "new_version_pg": Action(("minor_version",), None),
    "prepared_txns": Action(("prepared_transaction",), "--warning=0 --critical=3600", levels={"warning": 0}),
    "query_time": Action(
        ("long_query",), "--warning=1s --critical=3600s", levels={"warning": 1}, quiet="--warning=300s --critical=3600s"
    ),
    "relation_size": Action(
        ("table_size",), "--warning=1kB --critical=1TB", levels={"warning": 1}, quiet="--critical=1TB"
    ),
    "replicate_row": Action(("replication_lag", "standby"), None),
    "replication_slots": Action(
        ("slot_wal",), "--warning=1MB --critical=1TB", levels={"warning": 1024**2}, quiet="--critical=10GB"
    ),
    "sequence": Action(("sequences",)),
    "settings_checksum": Action(
        ("settings_changed",), f"--critical={32 * '0'}", levels={"info": None, "warning": 1}, quiet="--critical=0"
    ),
    "table_size": Action(("table_size",), "--warning=1kB --critical=1TB", levels={"warning": 1}, quiet="--critical=1TB"),
    "timesync": Action(("clock_offset",), "--warning=0 --critical=3600", levels={"warning": 0}),
    "total_relation_size": Action(
        ("table_size",), "--warning=1kB --critical=1TB", levels={"warning": 1}, quiet="--critical=1TB"
    ),
    "txn_idle": Action(
        ("idle_in_transaction",), "--warning=1s --critical=3600s", levels={"warning": 1},
        quiet="--warning=300s --critical=1800s",
    ),
    "txn_time": Action(
        ("long_transaction",), "--warning=1s --critical=3600s", levels={"warning": 1},
        quiet="--warning=1800s --critical=7200s",
    ),
    "txn_wraparound": Action(
        ("wraparound",), "--warning=100000 --critical=1999999999", levels={"warning": 0.004}
    ),
    "version": Action(("reachable", "support_end"), "--critical=16.1", fact=True, quiet="--critical=17.1"),
    "wal_files": Action(("wal_size",), "--warning=10 --critical=100000", quiet="--critical=1000"),
}  # fmt: skip
#: What is none of ours, and why.
OUT_OF_SCOPE: dict[str, str] = {
    "custom_query": "a query of the user's own, which `community.postgresql.postgresql_query` runs",
    "dbstats": "output for Cacti, which raises no alarm; the metrics of `postgresql_check` have its figures",
    "disk_space": "`host.disk_bytes` looks at every file system of the host, the server's among them",
    "fsm_pages": "the map of free space has had no limit since PostgreSQL 8.4",
    "fsm_relations": "the map of free space has had no limit since PostgreSQL 8.4",
    "listener": "which programs have to LISTEN is theirs to know; `service_check` looks after the programs",
    "logfile": "writes into the server's log to see it arrive; `log_review` sees a log that stands still",
    "new_version_bc": "about another program",
    "new_version_box": "about another program",
    "new_version_cp": "about another program",
    "new_version_tnm": "about another program",
    "partman_premake": "partitions that the extension pg_partman makes ahead",
    "pgagent_jobs": "jobs of the scheduler pgAgent",
    "pgb_pool_cl_active": "about PgBouncer",
    "pgb_pool_cl_waiting": "about PgBouncer",
    "pgb_pool_maxwait": "about PgBouncer",
    "pgb_pool_sv_active": "about PgBouncer",
    "pgb_pool_sv_idle": "about PgBouncer",
    "pgb_pool_sv_login": "about PgBouncer",
    "pgb_pool_sv_tested": "about PgBouncer",
    "pgb_pool_sv_used": "about PgBouncer",
    "pgbouncer_backends": "about PgBouncer",
    "pgbouncer_checksum": "about PgBouncer",
    "pgbouncer_maxwait": "about PgBouncer",
    "query_runtime": "the time of a query of the user's own; `postgresql.slow_statement` has those of all statements",
    "same_schema": "compares two databases that the user says should be alike",
    "slony_status": "about Slony",
}


def table() -> str:
    """Both as the page shows them."""
    lines = ["| action of check_postgres | here |", "|---|---|"]
    for name in sorted({**ACTIONS, **OUT_OF_SCOPE}):
        if name in ACTIONS:
            here = ", ".join(f"`postgresql.{check}`" for check in ACTIONS[name].checks)
            here += f"; it {ACTIONS[name].blind}" if ACTIONS[name].blind else ""
        else:
            here = f"no: {OUT_OF_SCOPE[name]}"
        lines.append(f"| `{name}` | {here} |")
    return "\n".join(lines)
