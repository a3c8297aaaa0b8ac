# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks on a database of a thousand tables, against the same questions by community.postgresql and check_postgres.

Each side is a playbook over SSH on the same server, with pipelining: ours one task, community.postgresql a task a
question as a guide's queries would be translated, check_postgres one task that runs its actions one after the other on
the host itself: the cheapest way to run it, and one that does not even keep its exit statuses. What is asked of each
database is asked of both by all. Neither peer compares with the run before, and check_postgres answers about a third
of the questions.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host, hosts
from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT
from ansible_collections.fleetcare.maintenance.tests.peers import check_postgres

HERE = Path(__file__).parent
IMAGE = "postgresql17peers"
TABLES = 1000
DATABASE = "bench"
ROUNDS = 3
MEMORY_LIMIT_MIB = 80
FILL = r"""
CREATE DATABASE bench;
\c bench
DO $$ BEGIN FOR n IN 1..1000 LOOP
  EXECUTE format('CREATE TABLE "Table %s" (id serial PRIMARY KEY, parent int, name text, note text)', n);
  EXECUTE format('INSERT INTO "Table %s" (parent, name, note)
                  SELECT i, ''name'' || i, repeat(''x'', 50) FROM generate_series(1, 200) i', n);
  EXECUTE format('CREATE INDEX ON "Table %s" (name)', n);
END LOOP; END $$;
VACUUM ANALYZE;
"""
PEERS = ROOT / ".cache" / "bench" / "peers"
#: The wheel that brings community.postgresql; nothing of it is installed.
WHEEL = "ansible>=12,<13"

_OURS = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": "Ask everything", "fleetcare.maintenance.postgresql_check": {}}],
    }
]
#: The databases that ours looks into; what others ask of one database they ask of each.
DATABASES = (DATABASE, "postgres")
#: Actions of check_postgres that tell of the whole server at once, and are asked once; "sequence" fails in a database
#: that has none.
WHOLE = frozenset({
    "archive_ready", "autovac_freeze", "backends", "checkpoint", "cluster_id", "commitratio", "connection",
    "database_size", "hitratio", "locks", "prepared_txns", "query_time", "replication_slots", "sequence", "settings_checksum",
    "timesync", "txn_idle", "txn_time", "txn_wraparound", "version", "wal_files",
})  # fmt: skip
#: Those that one sound server answers: not what needs a second one or the network.
ACTIONS = tuple(name for name, action in check_postgres.ACTIONS.items() if action.alarming is not None)


def fill(host: Host) -> None:
    """Make the database of ``FILL``."""
    host.execute(["su", "postgres", "-c", "psql -q -v ON_ERROR_STOP=1"], stdin=FILL)


def peer_collections() -> Path:
    """community.postgresql as PyPI's ``ansible`` brings it, unpacked once."""
    target = PEERS / "collections"
    if not (target / "ansible_collections/community/postgresql").is_dir():
        PEERS.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(PEERS), WHEEL], check=True
        )
        wheel = next(PEERS.glob("ansible-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            wanted = [name for name in archive.namelist() if "/community/postgresql/" in name]
            archive.extractall(target, wanted)
        wheel.unlink()
    return target


def check_postgres_script() -> str:
    """The actions one after the other, as the superuser over the socket; whoever reads it judges its words."""
    lines = []
    for name in ACTIONS:
        databases = DATABASE if name in WHOLE else ",".join(DATABASES)
        lines.append(
            f"check_postgres --action={name} --dbname={databases} {check_postgres.ACTIONS[name].quiet} || true"
        )
    return "\n".join(lines)


def check_postgres_play() -> list[dict[str, Any]]:
    """One task that runs the script on the host."""
    task = {"name": "check_postgres", "ansible.builtin.shell": check_postgres_script(), "become_user": "postgres"}
    return [{"hosts": "all", "gather_facts": False, "tasks": [task]}]


def play(playbook: Path, *, inventory: Path, directory: Path, **settings: str) -> tuple[float, str]:
    """Run a playbook; seconds of wall time, and what it printed. Raises RuntimeError where it fails."""
    environment = {
        **os.environ,
        **settings,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / '.cache/collections'}:{peer_collections()}",
        "ANSIBLE_STDOUT_CALLBACK": "default",
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    started = time.monotonic()
    done = subprocess.run(
        [program, "-i", str(inventory), str(playbook)],
        cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    wall = time.monotonic() - started
    if done.returncode != 0:
        raise RuntimeError(f"{playbook} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return wall, done.stdout


def compare(fleet: Fleet, *, rounds: int, directory: Path) -> list[dict[str, Any]]:
    """The three in turn, after one round that is thrown away."""
    inventory = fleet.write_inventory(directory / "hosts.yml")
    ours, peer = directory / "ours.yml", directory / "check_postgres.yml"
    ours.write_text(json.dumps(_OURS))
    peer.write_text(json.dumps(check_postgres_play()))
    playbooks = {
        "ours": ours,
        "community.postgresql, a task a question": HERE / "translated_postgresql.yml",
        f"check_postgres, {len(ACTIONS)} actions in one shell task": peer,
    }
    seen: dict[str, list[float]] = {name: [] for name in playbooks}
    for number in range(rounds + 1):
        for name, playbook in playbooks.items():
            wall, _said = play(playbook, inventory=inventory, directory=directory)
            if number:
                seen[name].append(wall)
    mine = statistics.median(seen.pop("ours"))
    return [
        {
            "case": f"all checks, {TABLES:,} tables, wall time, {rounds} rounds",
            "ours": round(mine, 2),
            "peer": round(statistics.median(walls), 2),
            "peer_name": name,
            "ratio": round(statistics.median(walls) / mine, 1),
            "unit": "s",
        }
        for name, walls in seen.items()
    ]


def compare_on_host(fleet: Fleet, *, rounds: int, directory: Path) -> dict[str, Any]:
    """What Ansible sends for our task, and the script of check_postgres, both started on the host itself."""
    host = fleet["bench"]
    inventory, playbook = fleet.write_inventory(directory / "hosts.yml"), directory / "ours.yml"
    settings = {"ANSIBLE_KEEP_REMOTE_FILES": "1", "ANSIBLE_PIPELINING": "0"}
    play(playbook, inventory=inventory, directory=directory, **settings)
    sent = host.execute(["find", "/home", "/root", "/var/tmp", "-name", "AnsiballZ_postgresql_check.py"]).stdout.split()
    sides = {
        "ours": ["python3", sent[0]],
        "check_postgres": ["su", "postgres", "-c", check_postgres_script()],
    }
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _number in range(rounds):
        for name, argv in sides.items():
            started = time.monotonic()
            host.execute(argv)
            seen[name].append(time.monotonic() - started)
    mine, peer = (statistics.median(walls) for walls in seen.values())
    return {
        "case": f"all checks, {TABLES:,} tables, started on the host without a controller, {rounds} rounds",
        "ours": round(mine, 2),
        "peer": round(peer, 2),
        "peer_name": f"check_postgres, {len(ACTIONS)} actions in one script",
        "ratio": round(peer / mine, 1),
        "unit": "s",
    }


_MEASURED = """
import json, resource, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import CHECK_ARGUMENTS, COMMON_ARGUMENTS, perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.check import ARGUMENTS, check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
spec = {**COMMON_ARGUMENTS, **CHECK_ARGUMENTS, **ARGUMENTS}
params = ArgumentSpecValidator(spec).validate(json.loads(sys.argv[1])).validated_parameters
result = perform(check, params=params, check_mode=False, name="postgresql_check", catalogue=CATALOGUE, repair=False,
                 clock=Clock())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(result["findings"]))
"""


def memory(host: Host, *, directory: Path) -> dict[str, Any]:
    """Peak memory of the module's work in a process of its own, in MiB."""
    host.execute(
        ["su", "postgres", "-c", "psql -qc \"CREATE ROLE bench SUPERUSER LOGIN PASSWORD 'bench'\""], check=False
    )
    options = {
        "login_host": host.address, "login_user": "bench", "login_password": "bench", "state_dir": str(directory / "s"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, json.dumps(options)],
        env={**os.environ, "PYTHONPATH": str(ROOT / ".cache/collections")},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    peak = float(done.stdout.split()[0])
    return {
        "case": f"all checks, {TABLES:,} tables, peak memory of the module",
        "ours": round(peak, 1),
        "peer": MEMORY_LIMIT_MIB,
        "peer_name": "the limit set",
        "ratio": round(MEMORY_LIMIT_MIB / peak, 1),
        "unit": "MiB",
    }


def measure(rounds: int = ROUNDS) -> Sequence[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        with hosts(["bench"], image=IMAGE, directory=directory / "fleet") as fleet:
            fill(fleet["bench"])
            return [
                *compare(fleet, rounds=rounds, directory=directory),
                compare_on_host(fleet, rounds=rounds, directory=directory),
                memory(fleet["bench"], directory=directory),
            ]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
