# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What long work may cost others: time, how far standbys fall behind, how long everybody waits for the disks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Login, Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server

#: Pressure stall information (Documentation/accounting/psi.rst of the kernel).
PRESSURE = Path("/proc/pressure/io")
_FULL = re.compile(r"^full .*\bavg60=(\d+(?:\.\d+)?)", re.MULTILINE)
_LAG = """
SELECT coalesce(application_name, '') AS name,
       pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, write_lsn))::float8 AS lag
  FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup' AND state IS DISTINCT FROM 'startup'
"""
#: The server's time limits are whole milliseconds: with less than one left, nothing more is begun.
LEAST = 0.001
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Allowance:
    """The user's budget; 0 turns a line of it off. Sizes in bytes, times in seconds, pressure in percent."""

    total: float = 14400.0
    lag: int = 1024**3
    pressure: float = 50.0
    patience: float = 60.0


def standby_lag(session: Session, server: Server) -> tuple[float, str]:
    """How many bytes the last standby is behind, and its name; (0, "") without one. Raises Absent where hidden."""
    rows = session.rows(_LAG)
    if rows and not server.monitors:
        raise Absent("this login does not see how far the standbys are behind", remedy=server.grant())
    known = [(row["lag"], clean(row["name"])) for row in rows if row["lag"] is not None]
    return max(known, default=(0.0, ""))


def io_pressure(text: str) -> float | None:
    """The share of the last minute, in percent, in which nothing could go on for waiting on disks; None if not told."""
    found = _FULL.search(text)
    return float(found[1]) if found else None


def read_pressure(login: Login) -> float | None:
    """The pressure of this host, if the server is on it; None where it is elsewhere or the kernel does not tell."""
    if not (login.over_socket or login.host in _LOCAL):
        return None
    try:
        return io_pressure(PRESSURE.read_text(encoding="ascii"))
    except OSError:
        return None


@dataclass
class Budget:
    """Whether work may be begun, and whether what is at work has to end. Workers ask; one watcher tells.

    ``over`` says what is above its limit at the moment, ``stopped`` what has ended the run for good.
    """

    allowance: Allowance
    clock: Clock
    deadline: Deadline
    over: str = ""
    since: float = 0.0
    stopped: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock.monotonic()

    def left(self) -> float:
        """Seconds that are left of all."""
        return min(self.deadline.left(), max(0.0, self._own()))

    def _own(self) -> float:
        return self.begun + self.allowance.total - self.clock.monotonic() if self.allowance.total else float("inf")

    def feed(self, *, lag: tuple[float, str] = (0.0, ""), pressure: float | None = None) -> bool:
        """What was just measured. True where it has been too much for too long, so that the work has to end."""
        words = ""
        if self.allowance.lag and lag[0] > self.allowance.lag:
            limit = quantity(self.allowance.lag, "B")
            words = f"standby {lag[1] or 'without a name'} is {quantity(lag[0], 'B')} behind, and {limit} is the limit"
        elif self.allowance.pressure and pressure is not None and pressure > self.allowance.pressure:
            words = (
                f"for {pressure:.0f} % of the last minute all waited for the disks, and "
                f"{self.allowance.pressure:g} % is the limit"
            )
        now = self.clock.monotonic()
        with self.changed:
            if words and not self.over:
                self.since = now
            self.over = words
            if words and now - self.since >= self.allowance.patience:
                self.stopped = self.stopped or words
            self.changed.notify_all()
            return bool(self.stopped)

    def stop(self, reason: str) -> None:
        """End the run for good: nothing more is begun."""
        with self.changed:
            self.stopped = self.stopped or reason
            self.changed.notify_all()

    def admit(self) -> str:
        """Wait until work may be begun; what stands against it for good, or empty."""
        with self.changed:
            # The watcher tells when it has got better; at the end of patience it stops the run.
            while self.over and not self.stopped and self.left() >= LEAST:
                self.changed.wait(timeout=min(1.0, self.left()))
            if self.stopped:
                return self.stopped
        return "" if self.left() >= LEAST else self.spent()

    def spent(self) -> str:
        """How the end of the time is said: by the limit that is nearer."""
        if self.deadline.left() <= self._own():
            return "the window had closed"
        return f"the time budget of {duration(self.allowance.total)} was spent"


class Watcher(threading.Thread):
    """Measures every so often, on a connection of its own, and has running work cancelled where it costs too much."""

    def __init__(
        self, look: Callable[[], None], budget: Budget, cancel: Callable[[], None], *, interval: float = 2.0
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self.look = look
        self.budget = budget
        self.cancel = cancel
        self.interval = interval
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self.interval):
            self.look()
            if self.budget.stopped:
                self.cancel()

    def end(self) -> None:
        self.ended.set()
        self.join()
