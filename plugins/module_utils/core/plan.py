# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repair in two halves: a plan that says what and why, and the execution of that very plan.

Check mode returns the plan; a real run hands the same plan to :func:`execute`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, duration


class NotNeeded(MaintenanceError):
    """What a step was planned for has gone by itself before its turn came; says how it is now."""


class Unachieved(MaintenanceError):
    """A step was carried out, so the host is changed, but it did not bring what it was for."""


@dataclass(frozen=True)
class Step:
    """One change that would be made: ``estimate`` is what it costs or wins, with units in the keys.

    ``longest`` is how many seconds it may take at the most, 0 where that is not known.
    """

    action: str
    target: str
    reason: str
    reversible: bool
    estimate: dict[str, Any] = field(default_factory=dict)
    longest: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "target": clean(self.target),
            "reason": clean(self.reason),
            "reversible": self.reversible,
            "estimate": dict(self.estimate),
        }


@dataclass(frozen=True)
class Effect:
    """What the doer of a step saw before and after it."""

    before: dict[str, Any]
    after: dict[str, Any]


@dataclass
class Execution:
    """What came of a plan; every step is in exactly one of the three lists.

    ``done`` in an entry of ``failed`` says that the step is known to have changed the host all the same.
    """

    applied: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.applied) or any(entry["done"] for entry in self.failed)


def execute(plan: Sequence[Step], act: Callable[[Step], Effect], *, deadline: Deadline) -> Execution:
    """Carry out a plan, a step at a time, until done or until the deadline.

    ``act`` does one step and verifies it; a MaintenanceError from it makes the step ``failed`` and the next one is
    tried; where it is Unachieved, the step counts as done and failed. Any other error is a fault of ours: it is
    reported with what was done before it, and the rest is ``left``. Steps that the deadline cut off or would cut
    off, and those that are no longer needed, are ``left`` too, with the reason.
    """
    outcome = Execution()
    fault = ""
    for step in plan:
        if fault:
            outcome.left.append(kept(step.target, f"{step.action} was planned, but {fault} stopped the run"))
            continue
        if deadline.passed():
            outcome.left.append(kept(step.target, f"{step.action} was planned, but the window had closed"))
            continue
        if deadline.left() < step.longest:
            left = f"{duration(int(deadline.left()))} is left until the deadline"
            outcome.left.append(
                kept(step.target, f"{step.action} was planned, but it may take {duration(step.longest)}, and {left}")
            )
            continue
        started = deadline.clock.monotonic()
        try:
            effect = act(step)
        except NotNeeded as error:
            outcome.left.append(kept(step.target, f"{step.action} was planned, but {error}"))
            continue
        except MaintenanceError as error:
            outcome.failed.append(_failed(step, str(error), done=isinstance(error, Unachieved)))
            continue
        except Exception as error:  # noqa: BLE001 - what was done before must not go unreported
            fault = f"a fault of the module ({type(error).__name__})"
            outcome.failed.append(_failed(step, f"{fault}: {error}", done=False))
            continue
        outcome.applied.append(
            {
                "action": step.action,
                "target": clean(step.target),
                "before": effect.before,
                "after": effect.after,
                "seconds": round(deadline.clock.monotonic() - started, 3),
            }
        )
    return outcome


def _failed(step: Step, error: str, *, done: bool) -> dict[str, Any]:
    return {"action": step.action, "target": clean(step.target), "error": clean(error), "done": done}


def kept(target: str, reason: str) -> dict[str, Any]:
    """An object that was left alone, and why."""
    return {"target": clean(target), "reason": clean(reason)}
