# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``service_recover``: probe, decide, restart what needs it, prove it, and say all of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Busy, Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, execute, kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError, default_directory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.act import Doer, World, prove
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.plan import Decision, Situation, decide
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import Outcome, Probe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import SystemdError, Unit
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import Target, parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.verdicts import (
    dependency_findings,
    recovery_finding,
)

REPAIR = "service_recover"


def recover(context: Context, *, world: World | None = None) -> Result:
    """The whole repair. ``world`` stands in for the host in tests."""
    targets = parse(context.params)
    if world is None and not systemd.booted():
        return _not_looked_at(targets, "skipped", "systemd is not the service manager here")
    directory = Path(context.params["state_dir"] or default_directory())
    ledger = Ledger(directory, REPAIR)
    with ExitStack() as stack:
        try:
            if context.check_mode:
                ledger.would_be_alone()
            else:
                stack.enter_context(ledger.alone())
        except Busy as error:
            return _not_looked_at(targets, "skipped", f"{error} It does what is needed")
        except StateError as error:
            return _with(context, targets, world or World(), ledger, uncounted=str(error))
        return _with(context, targets, world or World(), ledger)


def _not_looked_at(targets: Sequence[Target], status: Any, reason: str) -> Result:
    said = reason.rstrip(".")
    return Result(
        findings=[CATALOGUE.stated("services.recovery", target.unit, status, said) for target in targets],
        plan=[],
        kept=[kept(target.unit, said) for target in targets],
    )


def _with(context: Context, targets: Sequence[Target], world: World, ledger: Ledger, *, uncounted: str = "") -> Result:
    names = [target.unit for target in targets]
    try:
        known = _by_name(world.show(names), names) if names else {}
        _refuse_twins(known)
        present = [target for target in targets if target.unit in known and known[target.unit].exists]
        heard = _listen(present, world, context.clock)
        # What the probes took may have been long enough for somebody to restart a unit by hand.
        situation = _situation(context, ledger, names, world, heard, uncounted=uncounted)
    except SystemdError as error:
        return _not_looked_at(targets, "unknown", str(error))
    decisions = decide(targets, situation)
    lines = context.params["evidence_lines"]
    papers = {
        decision.target.unit: world.evidence(situation.units[decision.target.unit], lines=lines, said=decision.said)
        for decision in decisions
        if decision.need == "down"
    }
    plan = [decision.step for decision in decisions if decision.step]
    doer = Doer(
        world=world,
        clock=context.clock,
        ledger=ledger,
        directory=ledger.directory,
        targets={target.unit: target for target in targets},
        units=situation.units,
        papers=papers,
        listened=situation.monotonic,
    )
    execution = None if context.check_mode else execute(plan, doer, deadline=context.deadline)
    followed = _look_again(decisions, execution, doer)
    findings = [
        recovery_finding(
            decision,
            execution=execution,
            paper=papers.get(decision.target.unit, ()),
            file=doer.files.get(decision.target.unit, ""),
            followed=followed.get(decision.target.unit),
        )
        for decision in decisions
    ]
    return Result(
        findings=[*_dependencies(targets, situation), *findings],
        metrics=_metrics(targets, situation),
        plan=plan,
        execution=execution,
        kept=[kept(one.target.unit, one.refusal.reason) for one in decisions if one.refusal],
        extra={"evidence": [_paper(unit, paper, doer.files.get(unit, "")) for unit, paper in papers.items()]},
    )


def _by_name(units: Sequence[Unit], names: Sequence[str]) -> dict[str, Unit]:
    return {name: unit for name in names for unit in units if unit.answers_to_exactly(name)}


def _refuse_twins(units: Mapping[str, Unit]) -> None:
    """Raises OptionError where two names mean one unit, which would be restarted twice."""
    seen: dict[str, str] = {}
    for name, unit in units.items():
        if unit.exists and seen.setdefault(unit.name, name) != name:
            raise OptionError("units", f"{seen[unit.name]}, {name}", f"each unit once: both are {unit.name}")


def _listen(targets: Sequence[Target], world: World, clock: Clock) -> dict[Probe, list[Outcome]]:
    """Ask in rounds until each probe has answered well, is blind, or has failed as often as a restart needs.

    Dependencies come first in a round, and a last time once all is settled, so that a database that died meanwhile is
    not overlooked. Asking goes on past the deadline: it changes nothing, and half of an answer is none.
    """
    heard: dict[Probe, list[Outcome]] = {}
    asking = _asking(targets)
    for number in range(max((failures for _timeout, failures in asking.values()), default=0)):
        open_probes = [
            probe for probe, (_timeout, failures) in asking.items() if not _settled(heard.get(probe, []), failures)
        ]
        if not open_probes:
            break
        if number:
            clock.sleep(max(target.interval for target in targets))
        for probe in open_probes:
            heard.setdefault(probe, []).append(world.ask(probe, timeout=asking[probe][0]))
    if heard:
        _last_look(targets, heard, asking, world)
    return heard


def _asking(targets: Sequence[Target]) -> dict[Probe, tuple[float, int]]:
    """Every probe once, dependencies first, with its timeout in seconds and the failures that settle it."""
    asking: dict[Probe, tuple[float, int]] = {}
    for target in targets:
        for probe in (*target.depends_on, target.probe):
            timeout, failures = asking.get(probe, (target.timeout, 0))
            asking[probe] = (timeout, max(failures, target.failures))
    return asking


def _settled(heard: Sequence[Outcome], failures: int) -> bool:
    return bool(heard) and (heard[-1].verdict != "bad" or len(heard) >= failures)


def _last_look(
    targets: Sequence[Target],
    heard: dict[Probe, list[Outcome]],
    asking: Mapping[Probe, tuple[float, int]],
    world: World,
) -> None:
    own = {target.probe for target in targets}
    down = [target for target in targets if heard[target.probe][-1].verdict == "bad"]
    for probe in dict.fromkeys(probe for target in down for probe in target.depends_on):
        if probe not in own and heard[probe][-1].good:
            heard[probe].append(world.ask(probe, timeout=asking[probe][0]))


def _situation(
    context: Context,
    ledger: Ledger,
    names: list[str],
    world: World,
    heard: dict[Probe, list[Outcome]],
    *,
    uncounted: str,
) -> Situation:
    deeds: dict[str, Any] = {}
    try:
        deeds = ledger.read()
    except StateError as error:
        uncounted = uncounted or str(error)
    return Situation(
        units=_by_name(world.show(names), names) if names else {},
        heard=heard,
        deeds=deeds,
        now=context.clock.now(),
        monotonic=context.clock.monotonic(),
        left=context.deadline.left(),
        root=_is_root(),
        uncounted=uncounted,
    )


def _is_root() -> bool:
    return os.geteuid() == 0


def _look_again(decisions: Sequence[Decision], execution: Execution | None, doer: Doer) -> dict[str, Outcome]:
    """What units say now that were left alone: they recovered, or what they depend on has since been restarted."""
    done = {entry["target"] for entry in execution.applied} if execution else set()
    restarted = {doer.targets[name].probe for name in doer.targets if name in done}
    again: dict[str, Outcome] = dict(doer.recovered)
    for decision in decisions:
        if decision.refusal and decision.refusal.cause in restarted:
            try:
                again[decision.target.unit] = prove(decision.target, doer.world, doer.clock)
            except MaintenanceError as error:
                again[decision.target.unit] = Outcome("bad", str(error))
    return again


def _dependencies(targets: Sequence[Target], situation: Situation) -> list[Finding]:
    own = {target.probe for target in targets}
    needed: dict[Probe, list[str]] = {}
    for target in targets:
        for probe in target.depends_on:
            if probe not in own and probe in situation.heard:
                needed.setdefault(probe, []).append(target.unit)
    return dependency_findings({probe: (situation.heard[probe], units) for probe, units in needed.items()})


def _metrics(targets: Sequence[Target], situation: Situation) -> list[Metric]:
    return [
        Metric("services.probe", target.unit, situation.last(target.probe).seconds, "s")
        for target in targets
        if situation.last(target.probe).good
    ]


def _paper(unit: str, lines: Sequence[str], file: str) -> dict[str, Any]:
    return {"target": unit, "file": file, "lines": list(lines)}
