# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the probes said to what is done: pure, and the same in check mode as in a real run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import Outcome, Probe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import Unit, job_seconds
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import Target

DAY = timedelta(days=1)


@dataclass
class Situation:
    """All that a decision rests on.

    ``monotonic`` and ``left`` (until the deadline) in seconds; ``units`` by name; ``heard`` are the answers of each
    probe, oldest first; ``uncounted`` says why earlier restarts are not known, empty where they are. ``promised`` is
    how many seconds the steps may take that are planned already.
    """

    units: Mapping[str, Unit]
    heard: dict[Probe, list[Outcome]]
    deeds: Mapping[str, list[datetime]]
    now: datetime
    monotonic: float
    left: float
    root: bool
    uncounted: str = ""
    promised: float = 0.0

    def last(self, probe: Probe) -> Outcome:
        heard = self.heard.get(probe)
        return heard[-1] if heard else Outcome("blind", "it was not asked")

    def unit(self, name: str) -> Unit | None:
        unit = self.units.get(name)
        return unit if unit is not None and unit.exists else None

    def account(self, target: Target) -> str:
        """The name under which restarts are counted: the unit's own, whatever alias it is looked after by."""
        unit = self.unit(target.unit)
        return unit.name if unit else target.unit


@dataclass(frozen=True)
class Refusal:
    """Why a unit that needs a restart is left alone, and what would change that."""

    reason: str
    remedy: str = ""
    cause: Probe | None = None


@dataclass(frozen=True)
class Decision:
    """What is to become of one target: ``need`` is one of missing, none, blip, undecided, blind and down."""

    target: Target
    need: str
    said: str
    failed: int
    step: Step | None = None
    refusal: Refusal | None = field(default=None)


def decide(targets: Sequence[Target], situation: Situation) -> list[Decision]:
    """A decision for each target, in the same order; together the steps fit into the time that is left."""
    decisions = list[Decision]()
    promised = situation.promised
    for target in targets:
        decision = _decide(target, replace(situation, promised=promised))
        decisions.append(decision)
        promised += decision.step.longest if decision.step else 0.0
    return decisions


def _decide(target: Target, situation: Situation) -> Decision:
    if situation.unit(target.unit) is None:
        refusal = Refusal("there is no such unit on this host", "Correct the name, or install the service.")
        return Decision(target, "missing", refusal.reason, 0, refusal=refusal)
    heard = situation.heard.get(target.probe, [])
    failed = sum(1 for outcome in heard if outcome.verdict == "bad")
    last = situation.last(target.probe)
    if last.good:
        return Decision(target, "blip" if failed else "none", last.said, failed)
    if last.verdict == "blind":
        refusal = Refusal(f"it is not known whether it answers: {last.said}")
        return Decision(target, "blind", last.said, failed, refusal=refusal)
    if failed < target.failures:
        refusal = Refusal(f"{failed} of the {target.failures} failed probes that make a restart necessary")
        return Decision(target, "undecided", last.said, failed, refusal=refusal)
    refusal_or_none = next(filter(None, (guard(target, situation) for guard in GUARDS)), None)
    if refusal_or_none:
        return Decision(target, "down", last.said, failed, refusal=refusal_or_none)
    return Decision(target, "down", last.said, failed, step=_step(target, situation, failed=failed, said=last.said))


def _step(target: Target, situation: Situation, *, failed: int, said: str) -> Step:
    before = ledger.spent(situation.deeds, situation.account(target), now=situation.now, window=DAY)
    return Step(
        action=target.action,
        target=target.unit,
        reason=f"{counted(failed, 'probe')} in a row failed: {said}",
        reversible=False,
        estimate={"verify_seconds": target.verify_seconds, "restarts_left_today": target.restarts_per_day - before - 1},
        longest=_job(target, situation) + target.verify_seconds,
    )


def _job(target: Target, situation: Situation) -> float:
    unit = situation.unit(target.unit)
    return job_seconds(unit) if unit else 0.0


def _stopped_on_purpose(target: Target, situation: Situation) -> Refusal | None:
    unit = situation.unit(target.unit)
    if unit is not None and unit.load == "masked":
        return Refusal("it is masked, so somebody does not want it to run", f"'systemctl unmask {target.unit}'.")
    return None


def _dependency_down(target: Target, situation: Situation) -> Refusal | None:
    for probe in target.depends_on:
        last = situation.last(probe)
        if not last.good:
            known = "does not answer" if last.verdict == "bad" else "could not be asked"
            reason = f"it depends on {probe.label}, which {known} ({last.said})"
            return Refusal(reason, f"Repair {probe.label} first; a restart of {target.unit} would not help.", probe)
    return None


def _in_motion(target: Target, situation: Situation) -> Refusal | None:
    unit = situation.unit(target.unit)
    if unit is None or unit.active not in ("activating", "deactivating", "reloading", "maintenance", "refreshing"):
        return None
    if unit.sub == "auto-restart":
        reason = f"systemd is restarting it already (restart {unit.restarts})"
        return Refusal(reason, "It crashes again and again: its journal tells why, and a restart would not help.")
    return Refusal(f"it is {unit.state()} just now", "Look again on the next run.")


def _without_effect(target: Target, situation: Situation) -> Refusal | None:
    unit = situation.unit(target.unit)
    running = unit is not None and unit.active == "active"
    if target.action == "start" and running:
        return Refusal("it runs already, so a start would do nothing", "Set action: restart for this unit.")
    if target.action == "reload" and not running:
        return Refusal("it does not run, so it cannot be reloaded", "Set action: restart for this unit.")
    if target.action == "reload" and unit is not None and not unit.can_reload:
        return Refusal("it has no ExecReload=, so it cannot be reloaded", "Set action: restart for this unit.")
    return None


def _without_rights(target: Target, situation: Situation) -> Refusal | None:
    return None if situation.root else Refusal("only root may restart units", "Run the task with become: true.")


def _uncounted(target: Target, situation: Situation) -> Refusal | None:
    if not situation.uncounted:
        return None
    return Refusal(f"earlier restarts are not known: {situation.uncounted}", "Repair the state folder on the host.")


def _budget_spent(target: Target, situation: Situation) -> Refusal | None:
    spent = ledger.spent(situation.deeds, situation.account(target), now=situation.now, window=DAY)
    if spent < target.restarts_per_day:
        return None
    reason = f"{counted(spent, 'restart')} in the last 24 h, and restarts_per_day is {target.restarts_per_day}"
    return Refusal(reason, "Restarts do not cure this; read the evidence of the last ones and repair the cause.")


def _cooling_down(target: Target, situation: Situation) -> Refusal | None:
    unit = situation.unit(target.unit)
    latest = ledger.last(situation.deeds, situation.account(target), now=situation.now)
    if latest is not None and (ago := (situation.now - latest).total_seconds()) < target.cooldown:
        said = f"it was restarted {duration(max(0, round(ago)))} ago"
    elif (
        unit is not None and unit.active == "active" and 0 <= situation.monotonic - unit.active_since < target.cooldown
    ):
        said = f"it was started {duration(round(situation.monotonic - unit.active_since))} ago"
    else:
        return None
    return Refusal(f"{said}, and cooldown_seconds is {target.cooldown:g}", "Look again on the next run.")


def _window_closes(target: Target, situation: Situation) -> Refusal | None:
    job = _job(target, situation)
    if situation.left >= situation.promised + job + target.verify_seconds:
        return None
    left = f"{duration(int(situation.left)) if situation.left else 'no time'} is left until the deadline"
    if situation.promised:
        left += f", of which the steps before it may take {duration(situation.promised)}"
    proof = duration(target.verify_seconds)
    reason = f"{left}; the {target.action} may take {duration(job)}, and the proof {proof}"
    return Refusal(reason, "It is looked at again in the next window; maintenance_override opens one at once.")


#: Asked in this order; the first refusal stands.
GUARDS: tuple[Callable[[Target, Situation], Refusal | None], ...] = (
    _stopped_on_purpose,
    _dependency_down,
    _in_motion,
    _without_effect,
    _without_rights,
    _uncounted,
    _budget_spent,
    _cooling_down,
    _window_closes,
)
