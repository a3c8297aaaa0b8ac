# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``access_log_review`` on two million requests, against the guides' commands and GoAccess, and on a gigabyte.

The guides' commands (``guide_access.sh``) answer less, and some of it wrong. GoAccess (1.7, of Debian) counts requests,
statuses, paths, addresses and agents, with one thread as its default is; what it counts of requests, lines that are none
and bytes has to be the same. One after the other, several times, best of each.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.benchmarks.generate_log import generate
from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT

LINES = 2_000_000
GIGABYTE_LINES = 7_000_000
ROUNDS = 3
GUIDE = Path(__file__).with_name("guide_access.sh")
GOACCESS_FORMAT = '%h - %^ [%d:%t %^] "%r" %s %b "%R" "%u" rt=%T urt="%^"'

PROGRAM = """
import json, resource, sys
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
given = json.load(sys.stdin)
params = {name: argument.get('default') for name, argument in ARGUMENTS.items()}
params.update(levels={}, checks=[], state_consumer='bench', state_acknowledged=None, max_bytes=2**40)
params.update(given)
result = perform(check, params=params, check_mode=True, name='access_log_review', catalogue=CATALOGUE, repair=False,
                 clock=Clock())
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
json.dump({**result['logs'][0], 'peak_mib': peak / 1024}, sys.stdout)
"""


def review(log: Path, *, workers: int = 1) -> dict[str, Any]:
    """The figures of the log, as the module counts them in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps({"logs": [{"path": str(log)}], "workers": workers, "state_dir": str(log.parent / "state")}),
        env={**os.environ, "PYTHONPATH": str(ROOT / ".cache/collections")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def goaccess(log: Path) -> dict[str, Any]:
    """GoAccess's general figures, as JSON."""
    report = log.with_suffix(".json")
    subprocess.run(
        ["goaccess", str(log), f"--log-format={GOACCESS_FORMAT}", "--date-format=%d/%b/%Y", "--time-format=%T",
         "--no-global-config", "--no-progress", "-o", str(report)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return json.loads(report.read_text())["general"]


def guide(log: Path) -> None:
    out = log.parent / "out"
    out.mkdir(exist_ok=True)
    subprocess.run(["sh", str(GUIDE), str(log), str(out)], check=True)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    result = work()
    return time.monotonic() - started, result


def require_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raises where GoAccess counted something else."""
    pairs = {
        "requests": (ours["requests"], theirs["valid_requests"]),
        "lines that are none": (ours["unparsed"], theirs["failed_requests"]),
        "bytes": (ours["bytes"], theirs["bandwidth"]),
    }
    for name, (our, their) in pairs.items():
        if our != their:
            raise RuntimeError(f"{name}: {our}, but GoAccess counts {their}")


def _row(case: str, ours: float, peer: float, peer_name: str, unit: str = "s") -> dict[str, Any]:
    return {
        "case": case,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": peer_name,
        "ratio": round(peer / ours, 1),
        "unit": unit,
    }


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Rows with seconds, and memory, of both sides; ``ratio`` is how many times as much the peer takes."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "access.log"
        generate(log, lines=LINES)
        one, two, shell, peer = [], [], [], []
        for _round in range(rounds):
            seconds, ours = timed(lambda: review(log))
            one.append(seconds)
            two.append(timed(lambda: review(log, workers=2))[0])
            shell.append(timed(lambda: guide(log))[0])
            if shutil.which("goaccess"):
                seconds, theirs = timed(lambda: goaccess(log))
                peer.append(seconds)
                require_same(ours, theirs)
        case = f"access log of {LINES:,} lines, {log.stat().st_size / 1e6:.0f} MB"
        name = "the guides' grep, awk and sort, which answer less"
        rows = [
            _row(case, min(one), min(shell), name),
            _row(f"{case}, two workers", min(two), min(shell), name),
        ]
        if peer:
            rows += [
                _row(case, min(one), min(peer), "GoAccess, same counts"),
                _row(f"{case}, two workers", min(two), min(peer), "GoAccess, same counts"),
            ]
        generate(log, lines=GIGABYTE_LINES)
        seconds, large = timed(lambda: review(log))
        case = f"access log of {GIGABYTE_LINES:,} lines, {log.stat().st_size / 1e9:.2f} GB"
        rows += [
            _row(f"{case}, a process of its own", seconds, timed(lambda: guide(log))[0], name),
            _row(f"{case}, peak memory beside the log of {LINES:,} lines", large["peak_mib"], ours["peak_mib"],
                 "ourselves on the smaller log", "MiB"),
        ]  # fmt: skip
    return rows


def main() -> None:
    for row in measure():
        print("| {case} | {ours} {unit} | {peer} {unit} | {peer_name} | {ratio} |".format(**row))


if __name__ == "__main__":
    main()
