# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_review`` on two million lines, against what the guides do: count lines with a word in them, and sort the dates.

The pipeline is the guides' own. It reads the log twice and answers less: every heap of the second command is one second.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.benchmarks.access_log_bench import (
    GIGABYTE_LINES,
    LINES,
    row,
    timed,
)
from ansible_collections.fleetcare.maintenance.tests.benchmarks.generate_log import generate
from ansible_collections.fleetcare.maintenance.tests.benchmarks.own_process import perform_alone

ROUNDS = 3
GUIDE = """
grep -ciE 'error|exception|fatal' "$1"
grep -iE 'error|exception|fatal' "$1" | cut -d' ' -f1-3 | sort | uniq -c | sort -nr >"$2"
"""
MORE = (
    b"2026/03/04 10:00:00 [error] 17#17: *9 connect() failed (111: Connection refused) while connecting to upstream\n"
)


def review(log: Path, *, state: Path) -> dict[str, Any]:
    params = {"files": [str(log)], "journal": False, "first": "start", "max_bytes": "1T", "state_dir": str(state)}
    return perform_alone("logs.review", name="log_review", params=params, keys=["status", "findings"])


def guide(log: Path) -> None:
    argv = ["sh", "-c", GUIDE, "guide", str(log), str(log.with_suffix(".kinds"))]
    # grep -c of a log without errors ends with 1.
    subprocess.run(argv, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit."""
    with tempfile.TemporaryDirectory() as directory:
        log, state = Path(directory) / "access.log", Path(directory) / "state"
        generate(log, lines=LINES)
        ours, peer = [], []
        for number in range(rounds):
            seconds, small = timed(partial(review, log, state=state / str(number)))
            ours.append(seconds)
            peer.append(timed(lambda: guide(log))[0])
        case = f"errors in a log of {LINES:,} lines, {log.stat().st_size / 1e6:.0f} MB"
        first = statistics.median(ours)
        with log.open("ab") as stream:
            stream.write(MORE * 10_000)
        again = timed(lambda: review(log, state=state / "0"))[0]
        rows = [
            row(f"{case}, {rounds} rounds", first, statistics.median(peer), "the guides' grep, cut, sort and uniq"),
            row("the same log once more, 10,000 lines later", again, first, "ourselves on the whole log"),
        ]
        generate(log, lines=GIGABYTE_LINES)
        seconds, large = timed(lambda: review(log, state=state / "large"))
        case = f"errors in a log of {GIGABYTE_LINES:,} lines, {log.stat().st_size / 1e9:.2f} GB"
        return [
            *rows,
            row(f"{case}, 1 round", seconds, timed(lambda: guide(log))[0], "the guides' grep, cut, sort and uniq"),
            row(f"{case}, peak memory", large["peak_mib"], small["peak_mib"], "ourselves on the smaller log", "MiB"),
        ]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
