# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_review`` on two million lines, against what the guides do: count lines with a word in them, and sort the dates.

The pipeline is the guides' own. It reads the log twice and answers less: every heap of the second command is one second.
What it counts goes to a file, for GNU grep ends at the first match when its output is /dev/null.
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
#: Of an error log, lines of nothing but errors and warnings.
ERROR_LINES = 2_000_000
PEER = "the guides' grep, cut, sort and uniq"
GUIDE = """
grep -ciE 'error|exception|fatal' "$1" >"$2.count"
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


def compare(log: Path, *, state: Path, rounds: int) -> tuple[float, float, dict[str, Any]]:
    """Median seconds of ours and of the guides' commands, taken in turn, and the last result of ours."""
    ours, peer, result = [], [], {}
    for number in range(rounds):
        seconds, result = timed(partial(review, log, state=state / str(number)))
        ours.append(seconds)
        peer.append(timed(lambda: guide(log))[0])
    return statistics.median(ours), statistics.median(peer), result


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit."""
    with tempfile.TemporaryDirectory() as directory:
        log, state = Path(directory) / "access.log", Path(directory) / "state"
        generate(log, lines=LINES)
        case = f"errors in a log of {LINES:,} lines, {log.stat().st_size / 1e6:.0f} MB"
        first, peer, small = compare(log, state=state, rounds=rounds)
        with log.open("ab") as stream:
            stream.write(MORE * 10_000)
        again = timed(lambda: review(log, state=state / "0"))[0]
        rows = [
            row(f"{case}, {rounds} rounds", first, peer, PEER),
            row("the same log once more, 10,000 lines later", again, first, "ourselves on the whole log"),
        ]
        generate(log, lines=GIGABYTE_LINES)
        case = f"errors in a log of {GIGABYTE_LINES:,} lines, {log.stat().st_size / 1e9:.2f} GB"
        ours, peer, large = compare(log, state=state / "large", rounds=rounds)
        rows += [
            row(f"{case}, {rounds} rounds", ours, peer, PEER),
            row(f"{case}, peak memory", large["peak_mib"], small["peak_mib"], "ourselves on the smaller log", "MiB"),
        ]
        generate(log, lines=ERROR_LINES, errors=1)
        case = f"{ERROR_LINES:,} lines of nothing but errors and warnings, {log.stat().st_size / 1e6:.0f} MB"
        ours, peer, _result = compare(log, state=state / "errors", rounds=rounds)
        return [*rows, row(f"{case}, {rounds} rounds", ours, peer, PEER)]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
