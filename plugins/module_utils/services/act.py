# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a restart: evidence first, then the charge against the budget, then the deed, then the proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import (
    Effect,
    NotNeeded,
    Step,
    Unachieved,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import evidence, probes, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import Outcome, Probe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import Unit
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import Target


class World:
    """What the repair does to and asks of the host; tests hand in another."""

    def show(self, names: list[str]) -> list[Unit]:
        return systemd.show(names)

    def ask(self, probe: Probe, *, timeout: float) -> Outcome:
        return probes.ask(probe, timeout=timeout)

    def act(self, verb: str, unit: str, *, timeout: float) -> None:
        systemd.act(verb, unit, timeout=timeout)

    def evidence(self, unit: Unit, *, lines: int, said: str) -> list[str]:
        return evidence.take(unit, lines=lines, said=said)


@dataclass
class Doer:
    """Does one step at a time; ``papers`` are the evidence by unit, ``files`` where it was written.

    ``listened`` is the monotonic time at which the probes had been heard; ``recovered`` are the answers of units that
    came back by themselves before their turn.
    """

    world: World
    clock: Clock
    ledger: Ledger
    directory: Path
    targets: Mapping[str, Target]
    units: Mapping[str, Unit]
    papers: Mapping[str, list[str]]
    listened: float
    recovered: dict[str, Outcome] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def __call__(self, step: Step) -> Effect:
        """Restart one unit and prove that it answers. Raises MaintenanceError where it does not."""
        target, unit = self.targets[step.target], self.units[step.target]
        self._still_down(target)
        self._save(target.unit)
        # On the disk before the deed: a run that is killed in between has spent its restart.
        self.ledger.charge(unit.name, now=self.clock.now())
        self._act(target, unit)
        outcome = prove(target, self.world, self.clock)
        return Effect(
            before={"state": unit.state(), "main_pid": unit.main_pid, "probe": step.reason},
            after={**self._state(target.unit), "probe": outcome.said},
        )

    def _act(self, target: Target, unit: Unit) -> None:
        """Have systemd do it. A job that fails half way has changed the unit: raises Unachieved where that shows."""
        try:
            self.world.act(target.action, target.unit, timeout=systemd.job_seconds(unit))
        except MaintenanceError as error:
            now = self._state(target.unit)
            if "main_pid" in now and now != {"state": unit.state(), "main_pid": unit.main_pid}:
                raise Unachieved(error.message, remedy=error.remedy) from error
            raise

    def _still_down(self, target: Target) -> None:
        """Ask again where the restarts before this one took their time. Raises NotNeeded."""
        if self.clock.monotonic() - self.listened < target.interval:
            return
        outcome = self.world.ask(target.probe, timeout=target.timeout)
        if outcome.good:
            self.recovered[target.unit] = outcome
            raise NotNeeded(f"it answers again by itself: {outcome.said}")

    def _state(self, name: str) -> dict[str, Any]:
        """State and main process; a manager that does not tell takes nothing from a restart that was proven."""
        try:
            unit = next((one for one in self.world.show([name]) if one.answers_to_exactly(name)), None)
        except MaintenanceError as error:
            return {"state": f"not known: {clean(error)}"}
        return {"state": unit.state(), "main_pid": unit.main_pid} if unit else {"state": "not there"}

    def _save(self, unit: str) -> None:
        try:
            path = evidence.save(self.papers.get(unit, []), unit=unit, directory=self.directory, now=self.clock.now())
        except StateError as error:
            # The evidence stands in the result as well; an application is not kept down for the sake of a file.
            self.files[unit] = str(error)
        else:
            self.files[unit] = str(path)


def prove(target: Target, world: World, clock: Clock) -> Outcome:
    """Ask until the probe has succeeded ``verify_successes`` times in a row. Raises Unachieved in the end."""
    started = clock.monotonic()
    good = 0
    while True:
        outcome = world.ask(target.probe, timeout=target.timeout)
        good = good + 1 if outcome.good else 0
        if good >= target.verify_successes:
            return outcome
        if clock.monotonic() - started + target.interval > target.verify_seconds:
            raise Unachieved(
                f"After the {target.action} the probe did not succeed {target.verify_successes} times in a row "
                f"within {target.verify_seconds:g} s; it said last: {outcome.said}."
            )
        clock.sleep(target.interval)
