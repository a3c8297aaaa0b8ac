# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each root blocker: pure, and the same in check mode as in a real run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import (
    require_between,
    require_expressions,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, moment
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_ground import (
    AUTOVACUUM,
    CLIENT,
    MEANT,
    Blocker,
    Ground,
    Process,
)

CANCEL, CANCEL_OR_TERMINATE, TERMINATE = "cancel", "cancel or terminate", "terminate"
#: What a session that works on a statement, or on a function call of the wire protocol, is said to do.
WORKING = ("active", "fastpath function call")
IDLE = ("idle in transaction", "idle in transaction (aborted)")
_UNDO = "none: the transaction is rolled back, and its program has to run it again"
_RANGES: Mapping[str, tuple[float, float, str]] = {
    "waiting_for": (1, 86400, "seconds"),
    "waiters": (1, 10000, "sessions"),
    "patience": (0.1, 3600, "seconds"),
    "max_sessions": (1, 100, "sessions"),
    "max_sessions_per_day": (1, 1000, "sessions"),
}


@dataclass(frozen=True)
class Wanted:
    """What the user asks for. ``waiting_for`` and ``patience`` in seconds."""

    waiting_for: float = 300.0
    waiters: int = 1
    terminate: bool = False
    patience: float = 10.0
    max_sessions: int = 1
    max_sessions_per_day: int = 10
    applications_exclude: tuple[str, ...] = ()
    users_exclude: tuple[str, ...] = ()
    databases_exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """What a decision rests on besides the blocker itself.

    ``spent`` are the sessions of this server that were ended within the last day; ``uncounted`` says why that is not
    known, and is empty where it is.
    """

    wanted: Wanted
    server: Server
    spent: int = 0
    uncounted: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why a blocker is left alone, and what would change that. ``needed`` is false where nothing had to be done."""

    reason: str
    remedy: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Decision:
    """What is to become of one root blocker: either a step or a refusal."""

    blocker: Blocker
    said: str
    step: Step | None = None
    refusal: Refusal | None = None


def read_wanted(params: Mapping[str, Any]) -> Wanted:
    """What is asked for, refused in one sentence where it makes no sense. Raises OptionError."""
    for option, (least, most, unit) in _RANGES.items():
        require_between(params[option], least, most, option=option, expected=f"{unit} from {least:g} to {most:g}")
    require_expressions(params["applications_exclude"], option="applications_exclude")
    return Wanted(
        **{option: params[option] for option in _RANGES},
        terminate=params["terminate"],
        applications_exclude=tuple(params["applications_exclude"]),
        users_exclude=tuple(params["users_exclude"]),
        databases_exclude=tuple(params["databases_exclude"]),
    )


def decide(ground: Ground, situation: Situation) -> list[Decision]:
    """A decision for each root blocker, those with most waiters first; together the steps stay within the budgets."""
    decisions: list[Decision] = []
    steps = 0
    for blocker in ground.blockers:
        said = _said(blocker)
        refusal = next(filter(None, (guard(blocker, situation) for guard in GUARDS)), None)
        refusal = refusal or _budget_spent(situation, steps)
        if refusal or blocker.process is None:
            decisions.append(Decision(blocker, said, refusal=refusal or Refusal("nobody knows what it is")))
            continue
        steps += 1
        decisions.append(Decision(blocker, said, step=_step(blocker, blocker.process, situation.wanted, said)))
    return decisions


def _said(blocker: Blocker) -> str:
    """``idle in transaction, its transaction open for 7 min; 3 sessions wait for it, the longest for 6 min (...)``."""
    process = blocker.process
    age = f", its transaction open for {duration(max(0.0, process.age))}" if process and process.age is not None else ""
    doing = f"{process.state or process.kind}{age}; " if process else ""
    amount = len(blocker.waiters) or len(blocker.meant)
    longest = f", the longest for {duration(blocker.longest)}" if blocker.waiters else " on purpose"
    lock = f" ({blocker.wants})" if blocker.wants else ""
    return clean(f"{doing}{counted(amount, 'session waits', 'sessions wait')} for it{longest}{lock}")


def _step(blocker: Blocker, process: Process, wanted: Wanted, said: str) -> Step:
    if process.state in IDLE:
        action = TERMINATE
    else:
        action = CANCEL_OR_TERMINATE if wanted.terminate and process.kind == CLIENT else CANCEL
    started = moment(process.started / 1e6)
    return Step(
        action=action,
        target=process.words,
        reason=said,
        reversible=False,
        estimate={
            "pid": process.pid,
            "backend_start": iso(started) if started else "",
            "application": clean(process.application, limit=63),
            "database": clean(process.database),
            "user": clean(process.user_name),
            "state": process.state,
            "transaction_seconds": round(process.age or 0.0, 3),
            "waiting": len(blocker.waiters),
            "longest_wait_seconds": round(blocker.longest, 3),
            "undo": _UNDO,
        },
        longest=wanted.patience * (2 if action == CANCEL_OR_TERMINATE else 1),
    )


def _gone(blocker: Blocker, _situation: Situation) -> Refusal | None:
    if blocker.process is not None or blocker.pid == 0:
        return None
    return Refusal("it was gone a moment later", needed=False)


def _waits_are_meant(blocker: Blocker, _situation: Situation) -> Refusal | None:
    if blocker.waiters:
        return None
    kinds = sorted({MEANT[kind] for kind in blocker.meant.values()})
    return Refusal(f"who waits for it waits {' or '.join(kinds)}", needed=False)


def _not_long(blocker: Blocker, situation: Situation) -> Refusal | None:
    limit = situation.wanted.waiting_for
    if blocker.longest >= limit:
        return None
    return Refusal(f"it keeps nobody waiting for {duration(limit)} yet, which is waiting_for", needed=False)


def _not_many(blocker: Blocker, situation: Situation) -> Refusal | None:
    amount, least = len(blocker.waiters), situation.wanted.waiters
    if amount >= least:
        return None
    said = counted(amount, "session waits", "sessions wait")
    return Refusal(f"{said} for it, and waiters is {least}", needed=False)


def _prepared(blocker: Blocker, _situation: Situation) -> Refusal | None:
    if blocker.pid:
        return None
    return Refusal(
        "a prepared transaction has no session that could be ended; it may be one half of a promise",
        "Ask the transaction manager whether it still knows it, then COMMIT PREPARED or ROLLBACK PREPARED.",
    )


def _excluded(blocker: Blocker, situation: Situation) -> Refusal | None:
    process, wanted = blocker.process, situation.wanted
    if process is None:
        return None
    for expression in wanted.applications_exclude:
        if re.search(expression, process.application):
            return Refusal(f"applications_exclude has {clean(expression)}")
    for option, globs, name in (
        ("users_exclude", wanted.users_exclude, process.user_name),
        ("databases_exclude", wanted.databases_exclude, process.database),
    ):
        match = next((glob for glob in globs if fnmatchcase(name, glob)), None)
        if match is not None:
            return Refusal(f"{option} has {clean(match)}")
    return None


def _not_a_client(blocker: Blocker, _situation: Situation) -> Refusal | None:
    process = blocker.process
    if process is None or process.kind == CLIENT:
        return None
    if process.kind == AUTOVACUUM:
        if process.ordinary:
            return None
        remedy = "Let it finish: it comes back, and what it does is urgent. Ask who takes such a lock, and when."
        return Refusal("it is an autovacuum to prevent wraparound, or cannot be told from one", remedy)
    if process.kind == "walsender" or process.kind.startswith("logical replication"):
        return Refusal(f"it is a process of replication ({process.kind})", "See what its standby or subscriber does.")
    return Refusal(f"it is a process of the server itself ({process.kind})", "See what it does, in the server's log.")


def _own(blocker: Blocker, _situation: Situation) -> Refusal | None:
    if blocker.process is None or not blocker.process.own:
        return None
    return Refusal("it is the session of this very module")


def _superuser(blocker: Blocker, _situation: Situation) -> Refusal | None:
    process = blocker.process
    if process is None or process.kind != CLIENT or not process.superuser:
        return None
    return Refusal(
        "it is the session of a superuser, which is never ended",
        "End it by hand where that is right, and give its program a login that is no superuser.",
    )


def _unseen(blocker: Blocker, _situation: Situation) -> Refusal | None:
    process = blocker.process
    if process is None or (process.state in (*WORKING, *IDLE) and process.began is not None):
        return None
    said = process.state or "the server does not tell"
    return Refusal(f"it is not seen to have a transaction ({said})", "Set track_activities = on where it is off.")


def _nothing_to_cancel(blocker: Blocker, situation: Situation) -> Refusal | None:
    process = blocker.process
    if process is None or process.state not in IDLE or situation.wanted.terminate:
        return None
    return Refusal(
        f"it is {process.state}, so there is no statement to cancel, and terminate is false",
        "Mend its program; terminate: true ends its session, and idle_in_transaction_session_timeout does by itself.",
    )


def _without_right(blocker: Blocker, situation: Situation) -> Refusal | None:
    process, server = blocker.process, situation.server
    if process is None or server.superuser:
        return None
    if process.kind == AUTOVACUUM:
        if "pg_signal_autovacuum_worker" in server.roles:
            return None
        remedy = f"{server.grant('pg_signal_autovacuum_worker')} (PostgreSQL 18 or newer), or log in as a superuser."
        return Refusal(f"{server.user} may not cancel an autovacuum", remedy)
    if process.allowed or "pg_signal_backend" in server.roles:
        return None
    return Refusal(f"{server.user} may not end the work of others", server.grant("pg_signal_backend"))


def _uncounted(_blocker: Blocker, situation: Situation) -> Refusal | None:
    if not situation.uncounted:
        return None
    reason = f"how many were ended today is not known: {situation.uncounted}"
    return Refusal(reason, "Repair the state folder on the host.")


def _budget_spent(situation: Situation, steps: int) -> Refusal | None:
    wanted = situation.wanted
    if situation.spent + steps >= wanted.max_sessions_per_day:
        spent = counted(situation.spent + steps, "session")
        return Refusal(
            f"{spent} ended in the last 24 h, this run included, and max_sessions_per_day is "
            f"{wanted.max_sessions_per_day}",
            "Ending sessions does not cure this; mend the programs that hold the locks.",
        )
    if steps >= wanted.max_sessions:
        return Refusal(
            f"max_sessions is {wanted.max_sessions}, and those that keep more waiting come first",
            "Look again once they are gone.",
        )
    return None


#: Asked in this order; the first refusal stands. The first four say that there is nothing to do.
GUARDS: Sequence[Callable[[Blocker, Situation], Refusal | None]] = (
    _gone,
    _waits_are_meant,
    _not_long,
    _not_many,
    _prepared,
    _own,
    _not_a_client,
    _superuser,
    _excluded,
    _unseen,
    _nothing_to_cancel,
    _without_right,
    _uncounted,
)
