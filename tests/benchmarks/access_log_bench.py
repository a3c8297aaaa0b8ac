# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``access_log_review`` on two million requests, against the guides' commands and GoAccess, and on a gigabyte.

The guides' commands (``guide_access.sh``) answer less, and some of it wrong. GoAccess (1.7, of Debian) counts requests,
statuses, paths, addresses and agents, with one thread as its default is; what it counts of requests, lines that are none
and bytes has to be the same. One after the other, several times, the median of each.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.benchmarks.generate_log import generate
from ansible_collections.fleetcare.maintenance.tests.benchmarks.own_process import perform_alone

LINES = 2_000_000
GIGABYTE_LINES = 7_000_000
ROUNDS = 3
GUIDE = Path(__file__).with_name("guide_access.sh")
GOACCESS_FORMAT = '%h - %^ [%d:%t %^] "%r" %s %b "%R" "%u" rt=%T urt="%^"'


def review(log: Path, *, workers: int = 1) -> dict[str, Any]:
    """The figures of the log, as the module counts them in a process of its own."""
    params = {
        "logs": [{"path": str(log)}], "workers": workers, "first_hours": 0, "max_bytes": "1T",
        "state_dir": str(log.parent / "state"),
    }  # fmt: skip
    done = perform_alone("logs.access", name="access_log_review", params=params, keys=["logs"], check_mode=True)
    return {**done["logs"][0], "peak_mib": done["peak_mib"]}


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


def row(case: str, ours: float, peer: float, peer_name: str, unit: str = "s") -> dict[str, Any]:
    """One row of the table; ``ratio`` is the peer over ours."""
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
            seconds, theirs = timed(lambda: goaccess(log))
            peer.append(seconds)
            require_same(ours, theirs)
        case = f"access log of {LINES:,} lines, {log.stat().st_size / 1e6:.0f} MB"
        name = "the guides' grep, awk and sort, which answer less"
        rows = [
            row(case, statistics.median(one), statistics.median(shell), name),
            row(f"{case}, two workers", statistics.median(two), statistics.median(shell), name),
            row(case, statistics.median(one), statistics.median(peer), "GoAccess, same counts"),
            row(f"{case}, two workers", statistics.median(two), statistics.median(peer), "GoAccess, same counts"),
        ]
        generate(log, lines=GIGABYTE_LINES)
        seconds, large = timed(lambda: review(log))
        with_two = timed(lambda: review(log, workers=2))[0]
        theirs_took, theirs = timed(lambda: goaccess(log))
        require_same(large, theirs)
        case = f"access log of {GIGABYTE_LINES:,} lines, {log.stat().st_size / 1e9:.2f} GB"
        smaller = f"peak memory beside the log of {LINES:,} lines"
        rows += [
            row(f"{case}, 1 round", seconds, timed(lambda: guide(log))[0], name),
            row(f"{case}, 1 round", seconds, theirs_took, "GoAccess, same counts"),
            row(f"{case}, two workers, 1 round", with_two, theirs_took, "GoAccess, same counts"),
            row(f"{case}, {smaller}", large["peak_mib"], ours["peak_mib"], "ourselves on the smaller log", "MiB"),
        ]
    return rows


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
