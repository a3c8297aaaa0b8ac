# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which generations of a log may go: a pure function of what is there, the limits, and the time.

Like a keep-set of backups: what must stay is worked out first, and no limit or budget reaches into that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, number, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.moments import UNSAID


@dataclass(frozen=True)
class Limits:
    """How long and how much of a log is kept. ``newest`` and ``least_days`` are the floor; 0 of a maximum is none."""

    days: float
    newest: int
    least_days: float
    most_files: int = 0
    most_bytes: int = 0


@dataclass(frozen=True)
class Generation:
    """A rotated file. ``moment`` is its name's day or its last change, whichever is younger; ``used`` is in bytes.

    ``stays`` says why it may not be touched whatever its age: held, open, or with a second name.
    """

    path: str
    log: str
    number: int
    moment: datetime
    used: int
    stays: str = ""


@dataclass(frozen=True)
class Verdict:
    """What becomes of a generation: ``due`` with the reason for removing it, or kept with the reason."""

    generation: Generation
    due: bool
    reason: str
    #: The limit wanted it gone and something else keeps it.
    overdue: bool = False
    #: No later run will remove it either, as long as nobody does something.
    stuck: bool = False


@dataclass(frozen=True)
class Budget:
    """What one run may remove at the most; ``percent`` is of the rotated files that were found."""

    files: int
    bytes: int
    percent: float


def decide(generations: Iterable[Generation], limits: Limits, *, now: datetime, most: int = 0) -> list[Verdict]:
    """A verdict for each generation, log by log, newest first. ``most`` is the bytes a run may remove, 0 for all."""
    logs: dict[str, list[Generation]] = {}
    for generation in generations:
        logs.setdefault(generation.log, []).append(generation)
    verdicts: list[Verdict] = []
    for log in sorted(logs):
        newest_first = sorted(logs[log], key=lambda one: (-one.moment.timestamp(), one.number, one.path))
        taken = 0
        for place, generation in enumerate(newest_first):
            taken += generation.used
            verdicts.append(_judge(generation, place=place, taken=taken, limits=limits, now=now, most=most))
    return verdicts


def _judge(generation: Generation, *, place: int, taken: int, limits: Limits, now: datetime, most: int) -> Verdict:
    age = now - generation.moment
    if generation.moment == UNSAID:
        said = "has a time of change that no calendar has, so its age is not known"
        return Verdict(generation, False, said, overdue=True, stuck=True)
    why = _beyond(age, place=place, taken=taken, limits=limits)
    if not why:
        return Verdict(generation, False, "is within its limits")
    if generation.stays:
        return Verdict(generation, False, f"{why}, but {generation.stays}", overdue=True)
    if place < limits.newest:
        return Verdict(generation, False, f"{why}, but is one of the {limits.newest} newest of its log", overdue=True)
    if age < timedelta(days=limits.least_days):
        return Verdict(generation, False, f"{why}, but is younger than {_days(limits.least_days)}", overdue=True)
    if most and generation.used > most:
        said = f"takes {quantity(generation.used, 'B')}, and a run removes {quantity(most, 'B')} at the most"
        return Verdict(generation, False, f"{why}, but {said}: raise budget_bytes", overdue=True, stuck=True)
    return Verdict(generation, True, why, overdue=True)


def _beyond(age: timedelta, *, place: int, taken: int, limits: Limits) -> str:
    """Which limit a generation is beyond; empty where none. What is exactly as old as it may be stays."""
    if age > timedelta(days=limits.days):
        return f"is {_days(age / timedelta(days=1))} old and is kept for {_days(limits.days)}"
    if limits.most_files and place >= limits.most_files:
        return f"is generation {place + 1} of a log of which {limits.most_files} are kept"
    if limits.most_bytes and taken > limits.most_bytes:
        return f"is beyond the {quantity(limits.most_bytes, 'B')} that are kept of its log"
    return ""


def _days(days: float) -> str:
    whole = int(days) if days >= 1 else round(days, 2)
    return f"{number(whole)} {'day' if whole == 1 else 'days'}"


def within_budget(verdicts: Sequence[Verdict], budget: Budget) -> tuple[list[Verdict], list[Verdict], str]:
    """The removals of this run, oldest first, those that wait for the next run, and what of the budget was used up."""
    due = sorted((one for one in verdicts if one.due), key=lambda one: (one.generation.moment, one.generation.path))
    # One at least: of a few files the share is none, and then nothing would ever go.
    most = min(budget.files, max(1, int(len(verdicts) * budget.percent / 100)))
    going: list[Verdict] = []
    size = 0
    for verdict in due:
        spent = _spent(len(going), size + verdict.generation.used, most=most, budget=budget, found=len(verdicts))
        if spent:
            return going, due[len(going) :], spent
        going.append(verdict)
        size += verdict.generation.used
    return going, [], ""


def _spent(taken: int, size: int, *, most: int, budget: Budget, found: int) -> str | None:
    if taken >= most:
        if most == budget.files:
            return f"a run removes {counted(budget.files, 'file')} at the most"
        return f"a run removes {number(budget.percent)} % of the {counted(found, 'rotated file')} at the most"
    if budget.bytes and size > budget.bytes:
        return f"a run removes {quantity(budget.bytes, 'B')} at the most"
    return None
