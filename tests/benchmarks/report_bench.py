# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report costs: seconds and memory by the number of hosts, each measured in a process of its own.

The second run of a fleet is measured, with the first in the history: that is what every day looks like.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.report import Request, produce
from ansible_collections.fleetcare.maintenance.tests.benchmarks import simulate

SIZES = (10, 100, 1_000, 10_000)
_MEBI = 1024


def measure(sizes: Sequence[int] = SIZES) -> list[dict[str, float]]:
    """A row a size: hosts, findings, seconds (wall and CPU), MiB at the peak, bytes of HTML, further pages."""
    return [_measure(size) for size in sizes]


def _measure(hosts: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="report-bench-") as name:
        reports = Path(name)
        runs = [simulate.journal_run(reports / "journal", number=number, hosts=hosts) for number in range(2)]
        rows = [_in_a_process(reports, run) for run in runs]
    return {**rows[1], "first_cpu_seconds": rows[0]["cpu_seconds"]}


def _in_a_process(reports: Path, run: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, str(reports), run], check=True, capture_output=True, text=True, env=_environment()
    )
    return json.loads(done.stdout)


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def _report(reports: Path, run: str) -> dict[str, float]:
    started, busy = time.perf_counter(), time.process_time()
    outcome = produce(Request(reports=reports, run=run), clock=Clock())
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - busy
    if outcome.problems:
        raise SystemExit("\n".join(outcome.problems))
    return {
        "hosts": len(outcome.fleet.rows),
        "findings": sum(outcome.fleet.findings.values()),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEBI, 1),
        "html_bytes": Path(outcome.paths["html"]).stat().st_size,
        "pages": len(list(Path(outcome.paths["html"]).parent.glob("hosts-*.html"))),
    }


if __name__ == "__main__":
    print(json.dumps(_report(Path(sys.argv[1]), sys.argv[2])))
