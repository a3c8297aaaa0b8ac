# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty of a thousand tables need vacuum: ``postgresql_vacuum`` against vacuumdb of all, and of just those twenty.

What is written most is larger than the rest: the twenty have 60,000 rows, 15 MB with their index, of which every fourth
has been updated, just past the fifth from which autovacuum would serve them; the others have 30,000 rows and 7 MB, and
nobody has written to them. All three start from the same state, made anew each time, work on two tables at once with the
server's own settings, and connect to the same server by TCP. The time is that of the work, without Ansible's start and a
connection by SSH, which vacuumdb does not have either.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ansible_collections.fleetcare.maintenance.tests.images.containers import Host, hosts
from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT

IMAGE = "postgresql17"
NEEDY = 20
#: How often each side runs: the short ones oftener, for a tenth of a second weighs more with them.
ROUNDS = 5
LONG_ROUNDS = 2
#: Autovacuum does not come by between what is made and what is measured.
FILL = r"""
ALTER SYSTEM SET autovacuum_naptime = '1d';
SELECT pg_reload_conf();
CREATE ROLE bench SUPERUSER LOGIN PASSWORD 'bench';
CREATE DATABASE bench;
\c bench
CREATE TABLE t1000 (id int, customer int, placed timestamptz, state text, note text);
INSERT INTO t1000
SELECT i, i % 997, now() - make_interval(mins => i), (ARRAY['new', 'paid', 'sent'])[1 + i % 3],
       md5(i::text) || repeat('x', 120)
  FROM generate_series(1, 30000) i;
DO $$ BEGIN FOR n IN 1..999 LOOP
  EXECUTE format('CREATE TABLE t%s AS SELECT * FROM t1000', n);
  EXECUTE format('ALTER TABLE t%s ADD PRIMARY KEY (id)', n);
  COMMIT;
END LOOP; END $$;
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
#: Sixty thousand rows from thirty thousand.
_ROWS = """
INSERT INTO {} SELECT id + n * 30000, customer, placed, state, note FROM t1000, generate_series(0, 1) n
"""
#: Runs a program where the server is, and tells how long that took.
_TIMED = """
import subprocess, sys, time
started = time.monotonic()
subprocess.run(sys.argv[1:], check=True)
print(time.monotonic() - started)
"""
#: What the server has read, written and found in its cache, all its processes together, and how much WAL there is.
_WORKLOAD = """
SELECT sum((coalesce(reads, 0) + coalesce(writes, 0) + coalesce(extends, 0)) * op_bytes)::float8 / 2 ^ 20 AS moved,
       sum(coalesce(hits, 0) * op_bytes)::float8 / 2 ^ 20 AS hit,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 / 2 ^ 20 AS wal
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
        """In twenty tables every fourth row has died once, everything else is as vacuum left it."""
        for number in range(1, NEEDY + 1):
            name = sql.Identifier(f"t{number}")
            self.session.execute(sql.SQL("TRUNCATE {}").format(name))
            self.session.execute(sql.SQL(_ROWS).format(name))
            self.session.execute(sql.SQL("VACUUM (ANALYZE) {}").format(name))
            self.session.execute(sql.SQL("UPDATE {} SET state = 'done' WHERE id % 4 = 0").format(name))
        # The analyze of a thousand tables leaves dead rows in the catalog itself.
        self.vacuumdb("--schema=pg_catalog")
        self.session.execute("CHECKPOINT")

    def workload(self) -> tuple[float, float, float]:
        """MiB read and written, MiB found in the cache, MiB of WAL; what others have done is counted when they are gone."""
        self.session.execute("CHECKPOINT")
        while self.session.execute(
            "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchone():
            pass
        self.session.execute("SELECT pg_stat_force_next_flush()")
        row = self.session.execute(_WORKLOAD).fetchone()
        if row is None:
            raise RuntimeError("the server has no pg_stat_io")
        return float(row[0]), float(row[1]), float(row[2])

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
        done = self.host.execute(
            ["env", "PGPASSWORD=bench", "python3", "-c", _TIMED, "vacuumdb", "--quiet", "--host", self.host.address,
             "--username", "bench", "--dbname", "bench", "--analyze", "--jobs", "2", *arguments],
        )  # fmt: skip
        return float(done.stdout)

    def measured(self, work: Callable[[], float]) -> dict[str, float]:
        """What one run from the prepared state costs, by unit."""
        self.prepare()
        before = self.workload()
        seconds = work()
        moved, hit, wal = (after - start for after, start in zip(self.workload(), before, strict=True))
        return {"s": seconds, "MiB read and written": moved, "MiB found in the cache": hit, "MiB of WAL": wal}


def compare(bench: Bench) -> list[dict[str, Any]]:
    twenty = [f"--table=t{number}" for number in range(1, NEEDY + 1)]
    sides: dict[str, tuple[int, Callable[[], float]]] = {
        "ours": (ROUNDS, bench.ours),
        "vacuumdb --analyze --jobs 2 of all": (LONG_ROUNDS, bench.vacuumdb),
        "vacuumdb --analyze --jobs 2 of the 20 tables": (ROUNDS, lambda: bench.vacuumdb(*twenty)),
    }
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(ROUNDS):
        for name, (rounds, work) in sides.items():
            if number < rounds:
                seen[name].append(bench.measured(work))
    rows = []
    for name in list(sides)[1:]:
        for unit in seen[name][0]:
            mine = statistics.median(round_[unit] for round_ in seen["ours"])
            peer = statistics.median(round_[unit] for round_ in seen[name])
            rows.append(
                {
                    "case": f"vacuum, 20 of 1,000 tables need it, {len(seen[name])} rounds",
                    "ours": round(mine, 2),
                    "peer": round(peer, 2),
                    "peer_name": name,
                    "ratio": round(peer / mine, 2),
                    "unit": unit,
                }
            )
    return rows


def measure() -> Sequence[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        with hosts(["bench"], image=IMAGE, directory=directory / "fleet") as fleet:
            fleet["bench"].execute(["su", "postgres", "-c", "psql -q -v ON_ERROR_STOP=1"], stdin=FILL)
            bench = Bench(fleet["bench"], directory=directory)
            # The first vacuum of a table writes every page, which is nothing that a month brings again.
            bench.vacuumdb()
            return compare(bench)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
