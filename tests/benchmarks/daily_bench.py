# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily cadence against the guides' commands translated task by task, over SSH, in one run."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, hosts
from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT

HERE = Path(__file__).parent
TRANSLATED = HERE / "translated_daily.yml"
OURS = "fleetcare.maintenance.daily"
VARIABLES: dict[str, Any] = {
    "services_units": [{"name": "cron.service", "enabled": True}, {"name": "ssh.service", "enabled": True}],
    "services_ports": [{"port": 22}, {"port": 8000}],
    "services_watch_ports": True,
    "services_ports_allowed": [22, 8000],
    "web_endpoints": [{"url": "http://127.0.0.1:8000/", "min_bytes": 1}],
}
PEER_CONFIGURATION = """\
[defaults]
forks = 20
interpreter_python = auto_silent

[connection]
pipelining = true
"""
#: What is compared: the name of the case, and what both playbooks leave out for it.
DAYS = {"daily run": (), "daily run without logs": ("--skip-tags", "logs")}
#: How many hosts, how often.
ROUNDS = {1: 5, 20: 1}
WEB_SERVER = ["systemd-run", "--unit=bench-web", "python3", "-m", "http.server", "8000", "--directory", "/usr/share"]


@dataclass(frozen=True)
class Cost:
    """What one run of a playbook took: wall time and the controller's CPU time, in seconds."""

    wall: float
    cpu: float


def run(playbook: str, *arguments: str, inventory: Path, directory: Path) -> Cost:
    """Run a playbook once, ours with the configuration we ship, the peer with what a careful user sets.

    Raises RuntimeError when it did not get to its end.
    """
    peer = directory / "peer.cfg"
    peer.write_text(PEER_CONFIGURATION)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg" if playbook == OURS else peer),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(
        [program, "-i", str(inventory), playbook, "-e", "maintenance_fail_on=never", *arguments],
        cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{playbook} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compare(fleet: Fleet, *, day: str, rounds: int, directory: Path) -> list[dict[str, Any]]:
    """Both playbooks in turn, ``rounds`` times, after one that is thrown away where there are several.

    Returns a row for wall time and one for CPU.
    """
    inventory = fleet.write_inventory(directory / "hosts.yml", variables=VARIABLES)
    costs: dict[str, list[Cost]] = {OURS: [], str(TRANSLATED): []}
    warm_up = int(rounds > 1)
    for number in range(rounds + warm_up):
        for playbook, seen in costs.items():
            cost = run(playbook, *DAYS[day], inventory=inventory, directory=directory)
            if number >= warm_up:
                seen.append(cost)
    rows = []
    for figure, word in (("wall", "wall time"), ("cpu", "controller CPU")):
        ours = statistics.median(getattr(cost, figure) for cost in costs[OURS])
        peer = statistics.median(getattr(cost, figure) for cost in costs[str(TRANSLATED)])
        rows.append(
            {
                "case": f"{day}, {counted(len(fleet), 'SSH host')}, {word}, {counted(rounds, 'round')}",
                "ours": round(ours, 2),
                "peer": round(peer, 2),
                "peer_name": "translated tasks",
                "ratio": round(peer / ours, 1),
                "unit": "s",
            }
        )
    return rows


def measure(sizes: Mapping[int, int] | None = None) -> list[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit. ``sizes``: hosts to rounds."""
    rows = []
    for size, rounds in (sizes or ROUNDS).items():
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            names = [f"bench{number:02d}" for number in range(1, size + 1)]
            with hosts(names, directory=directory / "fleet") as fleet:
                for host in fleet.values():
                    host.execute(WEB_SERVER)
                for day in DAYS:
                    rows += compare(fleet, day=day, rounds=rounds, directory=directory)
    return rows


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
