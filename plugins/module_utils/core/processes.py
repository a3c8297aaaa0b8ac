# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of one process. Source: man 5 proc_pid_stat."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A line of /proc/<pid>/stat; ``resident`` in bytes, ``started`` in clock ticks since boot.

    ``terminal`` is the device number of the one that controls it, 0 where there is none.
    """

    pid: int
    name: str
    state: str
    parent: int
    threads: int
    started: int
    resident: int
    terminal: int = 0

    @property
    def key(self) -> str:
        """Names this very process and not a later one with the same number."""
        return f"{self.pid}:{self.started}"


def read_process(pid: int | str, *, root: Path = _PROC) -> Process | None:
    """One process; None where its line is cut. Raises OSError where it has gone or is hidden."""
    with open(f"{root}/{pid}/stat", "rb", buffering=0) as stream:
        return parse_stat(stream.readall().decode("utf-8", "backslashreplace"), page=_PAGE)


def parse_stat(text: str, *, page: int) -> Process | None:
    """One process; None where the line is cut. The name may hold blanks, newlines and parentheses."""
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 1 :].split()
    if opening < 0 or closing < 0 or len(fields) < 22:
        return None
    return Process(
        pid=int(text[:opening]),
        name=text[opening + 1 : closing],
        state=fields[0],
        parent=int(fields[1]),
        threads=int(fields[17]),
        started=int(fields[19]),
        resident=int(fields[21]) * page,
        terminal=int(fields[4]),
    )
