# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending what blocks others: the charge against the budget, a signal that looks once more, and the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError, MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    NotNeeded,
    Step,
    Unachieved,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_ground import Blocker, Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_plan import (
    CANCEL_OR_TERMINATE,
    IDLE,
    TERMINATE,
    WORKING,
    Wanted,
)

# The session, and its transaction, that the plan was made for, and no other that has its pid by now. The signal goes
# out while the server evaluates this very row, so that nothing is decided on an answer that grew old on its way.
_SIGNAL = """
SELECT CASE WHEN %(terminate)s THEN pg_terminate_backend(b.pid) ELSE pg_cancel_backend(b.pid) END AS sent
  FROM pg_stat_activity b
 WHERE b.pid = %(pid)s AND (extract(epoch FROM b.backend_start) * 1000000)::bigint = %(started)s
   AND (extract(epoch FROM b.xact_start) * 1000000)::bigint = %(began)s AND b.state = ANY (%(states)s)
   AND NOT EXISTS (SELECT FROM pg_locks own WHERE own.pid = b.pid AND NOT own.granted)
   AND EXISTS (SELECT FROM pg_locks w
                WHERE NOT w.granted AND clock_timestamp() - w.waitstart >= make_interval(secs => %(waiting_for)s)
                  AND b.pid = ANY (pg_blocking_pids(w.pid)))
"""
_WAITING = """
SELECT (SELECT count(*) FROM pg_locks w WHERE NOT w.granted AND b.pid = ANY (pg_blocking_pids(w.pid))) AS waiting
  FROM pg_stat_activity b
 WHERE b.pid = %(pid)s AND (extract(epoch FROM b.backend_start) * 1000000)::bigint = %(started)s
   AND (extract(epoch FROM b.xact_start) * 1000000)::bigint = %(began)s
"""
_SESSION = """
SELECT coalesce(state, '') AS state FROM pg_stat_activity
 WHERE pid = %(pid)s AND (extract(epoch FROM backend_start) * 1000000)::bigint = %(started)s
"""
_OTHERS = "SELECT count(DISTINCT pid) AS waiting FROM pg_locks WHERE NOT granted AND pid = ANY (%(pids)s)"
#: Seconds between two looks at whether a signal has worked.
_PAUSE = 0.05


@dataclass(frozen=True)
class Doer:
    """Ends one root blocker after the other. ``blockers`` by the target of their step; ``account`` is the server's.

    ``settled`` are the targets that nobody waited for any more when their turn came.
    """

    session: Session
    blockers: Mapping[str, Blocker]
    wanted: Wanted
    clock: Clock
    ledger: Ledger
    account: str
    settled: set[str] = field(default_factory=set)

    def __call__(self, step: Step) -> Effect:
        """Set free who waits for one session. Raises MaintenanceError where that was not brought about."""
        blocker = self.blockers[step.target]
        process = blocker.process
        if process is None:
            raise NotNeeded("it is gone")
        self._require_needed(step, process)
        # On the disk before the deed: a run that is killed in between has spent its session.
        with self.ledger.alone():
            self.ledger.charge(self.account, now=self.clock.now())
        terminate = step.action == TERMINATE
        try:
            self._send(process, IDLE if terminate else WORKING, terminate=terminate)
        except ConnectError as error:
            raise Unachieved(f"Whether the signal was sent is not known: {error.message}") from None
        try:
            ended = self._see_it_through(step, process)
            return Effect(before=_before(blocker, process), after=self._after(blocker, process, ended))
        except Unachieved:
            raise
        except MaintenanceError as error:
            raise Unachieved(f"The signal was sent, and what came of it is not known: {error.message}") from None

    def _require_needed(self, step: Step, process: Process) -> None:
        """Raises NotNeeded where the transaction has ended, or nobody waits for it any more."""
        found = self.session.rows(_WAITING, _parameters(process))
        if not found or not found[0]["waiting"]:
            self.settled.add(step.target)
        if not found:
            raise NotNeeded(f"its transaction has ended by itself, and the session is {self._state(process)}")
        if not found[0]["waiting"]:
            raise NotNeeded("nobody waits for it any more")

    def _send(self, process: Process, states: Sequence[str], *, terminate: bool) -> None:
        """Raises NotNeeded where it is not as it was found, QueryError where it may not be done."""
        more = {"states": list(states), "waiting_for": self.wanted.waiting_for, "terminate": terminate}
        rows = self.session.rows(_SIGNAL, {**_parameters(process), **more})
        if not rows or not rows[0]["sent"]:
            raise NotNeeded(f"it is not what it was any more, and the session is {self._state(process)}")

    def _see_it_through(self, step: Step, process: Process) -> str:
        """Wait until nobody waits for its transaction any more; what was ended for it.

        Raises Unachieved, QueryError, ConnectError.
        """
        ended = "session" if step.action == TERMINATE else "statement"
        waiting = self._waiting(process)
        if waiting and step.action == CANCEL_OR_TERMINATE:
            try:
                # Cancelled, it may sit idle in what is left of its transaction.
                self._send(process, (*WORKING, *IDLE), terminate=True)
                ended = "session"
            except NotNeeded:
                pass
            waiting = self._waiting(process)
        if waiting:
            hint = "" if self.wanted.terminate else " terminate: true would end its session."
            raise Unachieved(
                f"Its {ended} was to end, and {duration(self.wanted.patience)} later the session is "
                f"{self._state(process)} and still keeps {counted(waiting, 'session')} waiting.{hint}"
            )
        if ended == "session":
            self._see_it_go(process)
        return ended

    def _see_it_go(self, process: Process) -> None:
        """Wait until it is listed no more: a session lets go of its locks a moment before."""
        until = self.clock.monotonic() + self.wanted.patience
        while self._state(process) != "gone" and self.clock.monotonic() < until:
            self.clock.sleep(_PAUSE)

    def _waiting(self, process: Process) -> int:
        """How many wait for its transaction, once nobody does, or when ``patience`` is over."""
        until = self.clock.monotonic() + self.wanted.patience
        while True:
            found = self.session.rows(_WAITING, _parameters(process))
            waiting: int = found[0]["waiting"] if found else 0
            if not waiting or self.clock.monotonic() >= until:
                return waiting
            self.clock.sleep(_PAUSE)

    def _after(self, blocker: Blocker, process: Process, ended: str) -> dict[str, Any]:
        others = self.session.row(_OTHERS, {"pids": list(blocker.waiters)})["waiting"]
        return {"ended": ended, "state": self._state(process), "waiting": 0, "waiting_for_others": others}

    def _state(self, process: Process) -> str:
        found = self.session.rows(_SESSION, _parameters(process))
        return (clean(found[0]["state"]) or "not seen") if found else "gone"


def _before(blocker: Blocker, process: Process) -> dict[str, Any]:
    return {
        "state": process.state,
        "waiting": len(blocker.waiters),
        "longest_wait_seconds": round(blocker.longest, 3),
    }


def _parameters(process: Process) -> dict[str, Any]:
    return {"pid": process.pid, "started": process.started, "began": process.began}
