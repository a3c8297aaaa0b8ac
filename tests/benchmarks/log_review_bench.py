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
from typing import Any, NamedTuple

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


def review(log: Path, *, state: Path, workers: int = 1) -> dict[str, Any]:
    params = {
        "files": [str(log)], "journal": False, "first": "start", "max_bytes": "1T", "workers": workers,
        "state_dir": str(state),
    }  # fmt: skip
    return perform_alone("logs.review", name="log_review", params=params, keys=["status", "findings"])


def guide(log: Path) -> None:
    argv = ["sh", "-c", GUIDE, "guide", str(log), str(log.with_suffix(".kinds"))]
    # grep -c of a log without errors ends with 1.
    subprocess.run(argv, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"}, check=False)


class Sides(NamedTuple):
    """Median seconds of ours, of ours with two workers and of the guides' commands, and our peak memory in MiB."""

    one: float
    two: float
    guide: float
    peak_mib: float


def compare(log: Path, *, state: Path, rounds: int) -> Sides:
    """All sides in turn, each of ours on a log that it meets for the first time."""
    one, two, peer = [], [], []
    result: dict[str, Any] = {}
    for number in range(rounds):
        seconds, result = timed(partial(review, log, state=state / f"one{number}"))
        one.append(seconds)
        two.append(timed(partial(review, log, state=state / f"two{number}", workers=2))[0])
        peer.append(timed(lambda: guide(log))[0])
    return Sides(statistics.median(one), statistics.median(two), statistics.median(peer), result["peak_mib"])


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Rows for the table: case, ours, peer, peer_name, ratio (peer over ours), unit."""
    with tempfile.TemporaryDirectory() as directory:
        log, state = Path(directory) / "access.log", Path(directory) / "state"
        generate(log, lines=LINES)
        case = f"errors in a log of {LINES:,} lines, {log.stat().st_size / 1e6:.0f} MB"
        small = compare(log, state=state, rounds=rounds)
        with log.open("ab") as stream:
            stream.write(MORE * 10_000)
        again = timed(lambda: review(log, state=state / "one0"))[0]
        rows = [
            row(f"{case}, {rounds} rounds", small.one, small.guide, PEER),
            row(f"{case}, two workers, {rounds} rounds", small.two, small.guide, PEER),
            row("the same log once more, 10,000 lines later", again, small.one, "ourselves on the whole log"),
        ]
        generate(log, lines=GIGABYTE_LINES)
        case = f"errors in a log of {GIGABYTE_LINES:,} lines, {log.stat().st_size / 1e9:.2f} GB"
        large = compare(log, state=state / "large", rounds=rounds)
        rows += [
            row(f"{case}, {rounds} rounds", large.one, large.guide, PEER),
            row(f"{case}, two workers, {rounds} rounds", large.two, large.guide, PEER),
            row(f"{case}, peak memory", large.peak_mib, small.peak_mib, "ourselves on the smaller log", "MiB"),
        ]
        generate(log, lines=ERROR_LINES, errors=1)
        case = f"{ERROR_LINES:,} lines of nothing but errors and warnings, {log.stat().st_size / 1e6:.0f} MB"
        errors = compare(log, state=state / "errors", rounds=rounds)
        return [*rows, row(f"{case}, {rounds} rounds", errors.one, errors.guide, PEER)]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
