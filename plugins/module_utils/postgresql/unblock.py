# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``postgresql_unblock``: find who keeps others waiting, end what may be ended, prove it, and say all of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger, spent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, execute, kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError, default_directory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import client
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session, read_login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server, look
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_act import Doer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_ground import (
    Ground,
    look_at_locks,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unblock_plan import (
    Decision,
    Situation,
    Wanted,
    decide,
    read_wanted,
)

CHECK, REPAIR = "postgresql.unblock", "postgresql_unblock"
#: Whoever holds this advisory lock in ``login_db`` is at work; the server drops it with the connection.
LOCK = 7_310_028_120_862
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    **client.ARGUMENTS,
    "waiting_for": {"type": "float", "default": 300.0},
    "waiters": {"type": "int", "default": 1},
    "terminate": {"type": "bool", "default": False},
    "patience": {"type": "float", "default": 10.0},
    "max_sessions": {"type": "int", "default": 1},
    "max_sessions_per_day": {"type": "int", "default": 10},
    "applications_exclude": {
        "type": "list",
        "elements": "str",
        "default": ["^pg_dump(all)?$", "^pg_restore$", "^pg_repack$", "^fleetcare\\.maintenance$"],
    },
    "users_exclude": {"type": "list", "elements": "str", "default": []},
    "databases_exclude": {"type": "list", "elements": "str", "default": []},
}


def unblock(context: Context) -> Result:
    """The whole repair."""
    login, wanted = read_login(context.params), read_wanted(context.params)
    try:
        # What is asked and sent changes no data, and can be seen to change none.
        with connect(login, read_only=True) as session:
            server = look(session)
            reason, remedy = _obstacle(session, server)
            if reason:
                return _untouched(login.place, "skipped", reason, remedy=remedy)
            return _on(context, session, server, wanted)
    except ConnectError as error:
        return _untouched(login.place, "critical", error.message, remedy=error.remedy)


def _obstacle(session: Session, server: Server) -> tuple[str, str]:
    """Why nothing can be said of this server, and what would change that; empty where it can."""
    if server.in_recovery:
        said = "on a standby no session locks another out, and what replay waits for it ends by itself"
        return said, "See max_standby_streaming_delay."
    if not server.monitors:
        return "this login does not see what others do", server.grant()
    if not server.has("pg_locks", "waitstart"):
        return "this server does not tell since when a session waits, as PostgreSQL 14 and newer do", ""
    if not session.row("SELECT pg_try_advisory_lock(%s) AS alone", (LOCK,))["alone"]:
        return "another postgresql_unblock is at work on this server", ""
    return "", ""


def _untouched(place: str, status: Status, reason: str, *, remedy: str = "") -> Result:
    said = reason.rstrip(".")
    return Result(
        findings=[CATALOGUE.stated(CHECK, place, status, said, remedy=remedy)], plan=[], kept=[kept(place, said)]
    )


def _on(context: Context, session: Session, server: Server, wanted: Wanted) -> Result:
    ledger = Ledger(Path(context.params["state_dir"] or default_directory()), REPAIR)
    ground = look_at_locks(session, server)
    decisions = decide(ground, _situation(context, server, wanted, ledger))
    plan = [decision.step for decision in decisions if decision.step]
    doer = Doer(
        session=session,
        blockers={decision.step.target: decision.blocker for decision in decisions if decision.step},
        wanted=wanted,
        clock=context.clock,
        ledger=ledger,
        account=server.place,
    )
    execution = None if context.check_mode else execute(plan, doer, deadline=context.deadline)
    return Result(
        findings=[_finding(server.place, ground, decisions, execution, settled=doer.settled)],
        metrics=_metrics(server.place, ground, decisions, execution),
        plan=plan,
        execution=execution,
        kept=[kept(one.blocker.words, one.refusal.reason) for one in decisions if one.refusal],
    )


def _situation(context: Context, server: Server, wanted: Wanted, ledger: Ledger) -> Situation:
    try:
        deeds = ledger.read()
    except StateError as error:
        return Situation(wanted, server, uncounted=error.message.rstrip("."))
    return Situation(wanted, server, spent(deeds, server.place, now=context.clock.now(), window=timedelta(days=1)))


def _finding(
    place: str,
    ground: Ground,
    decisions: Sequence[Decision],
    execution: Execution | None,
    *,
    settled: Collection[str],
) -> Finding:
    needed = [one for one in decisions if one.step or (one.refusal and one.refusal.needed)]
    waiting = "no session waits for a lock"
    if ground.waiting:
        sessions = counted(ground.waiting, "session waits", "sessions wait")
        waiting = f"{sessions} for a lock, the longest for {duration(ground.longest)}"
    outcomes = {id(one): _outcome(one, execution, settled) for one in decisions}
    evidence = [f"{one.blocker.words}: {one.said}; {outcomes[id(one)][1]}" for one in decisions]
    if not needed:
        return CATALOGUE.stated(CHECK, place, "ok", f"nobody has to be ended; {waiting}", evidence=evidence)
    words = [f"{counted(len(needed), 'session keeps', 'sessions keep')} others waiting"]
    for outcome, phrase in (
        ("planned", "would be ended"),
        ("done", "ended"),
        ("settled", "gone by itself"),
        ("left", "left alone"),
        ("failed", "failed"),
    ):
        amount = sum(1 for one in needed if outcomes[id(one)][0] == outcome)
        words += [f"{amount} {phrase}"] if amount else []
    status: Status = "ok" if all(outcomes[id(one)][0] in ("done", "settled") for one in needed) else "warning"
    remedy = next((one.refusal.remedy for one in needed if one.refusal and one.refusal.remedy), "")
    return CATALOGUE.stated(
        CHECK,
        place,
        status,
        f"{', '.join(words)}; at first {waiting}",
        evidence=evidence,
        remedy=remedy,
    )


def _outcome(decision: Decision, execution: Execution | None, settled: Collection[str]) -> tuple[str, str]:
    """What came of one decision, in a word and in a phrase."""
    if decision.step is None:
        return "left", f"left alone: {decision.refusal.reason if decision.refusal else ''}"
    if execution is None:
        return "planned", f"{decision.step.action} is planned"
    target = clean(decision.step.target)
    for entry in execution.applied:
        if entry["target"] == target:
            others = entry["after"]["waiting_for_others"]
            still = f", {others} of them now wait for others" if others else ""
            return "done", f"its {entry['after']['ended']} was ended, and nobody waits for it any more{still}"
    for entry in execution.failed:
        if entry["target"] == target:
            return "failed", entry["error"]
    reason = next((one["reason"] for one in execution.left if one["target"] == target), "not its turn")
    return ("settled" if decision.step.target in settled else "left"), reason


def _metrics(place: str, ground: Ground, decisions: Sequence[Decision], execution: Execution | None) -> list[Metric]:
    needed = sum(1 for one in decisions if one.step or (one.refusal and one.refusal.needed))
    return [
        Metric("postgresql.unblock_waiting", place, ground.waiting, ""),
        Metric("postgresql.unblock_needed", place, needed, ""),
        Metric("postgresql.unblock_ended", place, len(execution.applied) if execution else 0, ""),
    ]
