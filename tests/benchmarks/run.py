# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure everything and write docs/performance.md. Names of benchmarks as arguments measure these alone.

The figures of each are kept in .cache/bench, so that one can be measured again without the others.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.benchmarks import (
    access_log_bench,
    daily_bench,
    http_check_bench,
    log_review_bench,
    postgresql_bench,
    postgresql_vacuum_bench,
    report_bench,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / ".cache" / "bench"
Rows = Sequence[Mapping[str, Any]]


def compared(rows: Rows) -> str:
    """A table of us beside a peer."""
    head = ["| case | ours | peer | the peer is | peer / ours |", "|---|---|---|---|---|"]
    return "\n".join(
        [
            *head,
            *(
                f"| {row['case']} | {row['ours']} {row['unit']} | {row['peer']} {row['unit']} | {row['peer_name']} "
                f"| {row['ratio']} |"
                for row in rows
            ),
        ]
    )


def scaled(rows: Rows) -> str:
    """A table of the report's cost by the number of hosts."""
    head = [
        "| hosts | findings | first run, CPU | second run, CPU | second run, wall | peak memory | first page | pages |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(
        [
            *head,
            *(
                f"| {row['hosts']:,} | {row['findings']:,} | {row['first_cpu_seconds']} s | {row['cpu_seconds']} s "
                f"| {row['seconds']} s | {row['peak_mib']} MiB | {row['html_bytes'] / 1e6:.2f} MB | {1 + row['pages']} |"
                for row in rows
            ),
        ]
    )


BENCHMARKS: dict[str, tuple[Callable[[], Rows], Callable[[Rows], str]]] = {
    "daily": (daily_bench.measure, compared),
    "http": (http_check_bench.measure, compared),
    "report": (report_bench.measure, scaled),
    "postgresql": (postgresql_bench.measure, compared),
    "postgresql_vacuum": (postgresql_vacuum_bench.measure, compared),
    "access_log": (access_log_bench.measure, compared),
    "log_review": (log_review_bench.measure, compared),
}


def main(wanted: list[str]) -> None:
    unknown = set(wanted) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"No benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}.")
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in wanted or BENCHMARKS:
        print(f"measuring {name}", flush=True)
        measure, table = BENCHMARKS[name]
        rows = measure()
        kept = {"when": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "rows": rows}
        (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1))
        print(table(rows), flush=True)
    write_page()


def machine() -> str:
    """The processor, its count, the memory and the kernel."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def write_page() -> None:
    """Put the newest figures between the markers of docs/performance.md; the words around them stay."""
    page = PAGE.read_text()
    for name, (_measure, table) in BENCHMARKS.items():
        path = KEPT / f"{name}.json"
        if not path.exists():
            continue
        measured = json.loads(path.read_text())
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in page:
            page = f"{page.rstrip()}\n\n## {name}\n\n{begin}\n{end}\n"
        head, tail = page.split(begin, 1)[0], page.split(end, 1)[1]
        note = f"Measured {measured['when']} on {measured['machine']}."
        page = f"{head}{begin}\n\n{table(measured['rows'])}\n\n{note}\n\n{end}{tail}"
    PAGE.write_text(page)


if __name__ == "__main__":
    main(sys.argv[1:])
