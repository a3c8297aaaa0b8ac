# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty of a thousand tables need vacuum: ``postgresql_vacuum`` against vacuumdb of all, and of just those twenty.

All three start from the same state, made anew each time, and connect to the same server by TCP. The time is that of the
work, without Ansible's start and a connection by SSH, which vacuumdb does not have either.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ansible_collections.fleetcare.maintenance.tests.images.containers import Host, hosts
from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT

IMAGE = "postgresql17"
ROUNDS = 3
NEEDY = 20
FILL = r"""
CREATE ROLE bench SUPERUSER LOGIN PASSWORD 'bench';
CREATE DATABASE bench;
\c bench
DO $$ BEGIN FOR n IN 1..1000 LOOP
  EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text, note text)', n);
  EXECUTE format('INSERT INTO t%s SELECT i, ''name'' || i, repeat(''x'', 50) FROM generate_series(1, %s) i', n,
                 CASE WHEN n <= 20 THEN 50000 ELSE 2000 END);
END LOOP; END $$;
VACUUM ANALYZE;
CHECKPOINT;
"""
_WORK = """
import json, sys, time
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import COMMON_ARGUMENTS, REPAIR_ARGUMENTS, perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import driver
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_run import vacuum
driver()
spec = {**COMMON_ARGUMENTS, **REPAIR_ARGUMENTS, **ARGUMENTS}
params = ArgumentSpecValidator(spec).validate(json.loads(sys.argv[1])).validated_parameters
started = time.monotonic()
result = perform(vacuum, params=params, check_mode=False, name="postgresql_vacuum", catalogue=CATALOGUE, repair=True,
                 clock=Clock())
print(time.monotonic() - started, len(result["applied"]))
"""
#: Blocks that went through the server's hands, and bytes of WAL (pg_stat_io, pg_current_wal_lsn).
_WORKLOAD = """
SELECT sum(coalesce(hits, 0) + coalesce(reads, 0) + coalesce(writes, 0) + coalesce(extends, 0))::bigint AS blocks,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS wal
  FROM pg_stat_io WHERE object = 'relation'
"""


class Bench:
    """One server, and a session of its superuser."""

    def __init__(self, host: Host, *, directory: Path) -> None:
        self.host = host
        self.directory = directory
        self.login = {"login_host": host.address, "login_user": "bench", "login_password": "bench"}
        self.session = psycopg.connect(
            host=host.address, user="bench", password="bench", dbname="bench", autocommit=True
        )

    def prepare(self) -> None:
        """Twenty tables of which every row has died once, everything else as vacuum left it."""
        self.session.execute("VACUUM ANALYZE")
        for number in range(1, NEEDY + 1):
            update = sql.SQL("UPDATE {} SET note = repeat('y', 50)").format(sql.Identifier(f"t{number}"))
            self.session.execute(update)
        self.session.execute("CHECKPOINT")
        self.session.execute("SELECT pg_stat_force_next_flush()")

    def workload(self) -> tuple[int, int]:
        row = self.session.execute(_WORKLOAD).fetchone()
        if row is None:
            raise RuntimeError("the server has no pg_stat_io")
        return int(row[0]), int(row[1])

    def ours(self) -> float:
        done = subprocess.run(
            [sys.executable, "-c", _WORK, json.dumps({**self.login, "state_dir": str(self.directory / "state")})],
            env={**os.environ, "PYTHONPATH": str(ROOT / ".cache/collections")},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        seconds, applied = done.stdout.split()
        if int(applied) != NEEDY:
            raise RuntimeError(f"{applied} tables were vacuumed instead of {NEEDY}")
        return float(seconds)

    def vacuumdb(self, *arguments: str) -> float:
        started = time.monotonic()
        self.host.execute(
            ["env", "PGPASSWORD=bench", "vacuumdb", "--quiet", "--host", self.host.address, "--username", "bench",
             "--dbname", "bench", "--analyze", "--jobs", "2", *arguments],
        )  # fmt: skip
        return time.monotonic() - started

    def measured(self, work: Callable[[], float]) -> dict[str, float]:
        """Seconds, megabytes of blocks touched and megabytes of WAL of one run from the prepared state."""
        self.prepare()
        blocks, wal = self.workload()
        seconds = work()
        blocks_after, wal_after = self.workload()
        return {
            "s": seconds,
            "MiB of blocks touched": (blocks_after - blocks) * 8192 / 2**20,
            "MiB of WAL": (wal_after - wal) / 2**20,
        }


def compare(bench: Bench, *, rounds: int) -> list[dict[str, Any]]:
    twenty = [f"--table=t{number}" for number in range(1, NEEDY + 1)]
    sides: dict[str, Callable[[], float]] = {
        "ours": bench.ours,
        "vacuumdb --analyze --jobs 2 of all": bench.vacuumdb,
        "vacuumdb --analyze --jobs 2 of the 20 tables": lambda: bench.vacuumdb(*twenty),
    }
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _number in range(rounds):
        for name, work in sides.items():
            seen[name].append(bench.measured(work))
    rows = []
    for name in list(sides)[1:]:
        for unit in seen[name][0]:
            mine = statistics.median(round_[unit] for round_ in seen["ours"])
            peer = statistics.median(round_[unit] for round_ in seen[name])
            rows.append(
                {
                    "case": f"vacuum, 20 of 1,000 tables need it, {rounds} rounds",
                    "ours": round(mine, 2),
                    "peer": round(peer, 2),
                    "peer_name": name,
                    "ratio": round(peer / mine, 2),
                    "unit": unit,
                }
            )
    return rows


def measure(rounds: int = ROUNDS) -> Sequence[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        with hosts(["bench"], image=IMAGE, directory=directory / "fleet") as fleet:
            fleet["bench"].execute(["su", "postgres", "-c", "psql -q -v ON_ERROR_STOP=1"], stdin=FILL)
            return compare(Bench(fleet["bench"], directory=directory), rounds=rounds)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
