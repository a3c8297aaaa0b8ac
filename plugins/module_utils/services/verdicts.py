# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of a recovery: pure, from decisions and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.plan import Decision
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import Outcome, Probe

CHECK = "services.recovery"
#: Of the evidence, a finding shows its head and the end of the journal.
HEAD, TAIL = 6, 12

_QUIET: Mapping[str, tuple[Status, str]] = {
    "none": ("ok", "{unit} answers: {said}"),
    "blip": ("warning", "{unit} answers, but only after {failed}: {said}"),
    "undecided": ("warning", "{unit} failed {failed}, too few for a restart: {said}"),
    "blind": ("unknown", "{unit}: it is not known whether it answers: {said}"),
    "missing": ("critical", "{unit}: {said}"),
}
_PAST = {"restart": "restarted", "start": "started", "reload": "reloaded"}


def recovery_finding(
    decision: Decision,
    *,
    execution: Execution | None,
    paper: Sequence[str],
    file: str,
    followed: Outcome | None,
) -> Finding:
    """The finding on one unit. ``execution`` is None in check mode; ``followed`` is what a kept unit said later."""
    unit, failed = decision.target.unit, counted(decision.failed, "failed probe")
    remedy = decision.refusal.remedy if decision.refusal else ""
    if decision.need in _QUIET:
        status, form = _QUIET[decision.need]
        summary = form.format(unit=unit, said=decision.said, failed=failed)
        return CATALOGUE.stated(CHECK, unit, status, summary, remedy=remedy)
    evidence = [*([f"evidence before the {decision.target.action}: {file}"] if file else []), *_excerpt(paper)]
    down = f"{unit} does not answer ({failed} in a row: {decision.said})"
    if decision.refusal:
        status, said = _left_alone(decision, followed)
        return CATALOGUE.stated(CHECK, unit, status, f"{down}{said}", evidence=evidence, remedy=remedy)
    status, said = _came_of_it(decision, execution, followed)
    return CATALOGUE.stated(CHECK, unit, status, f"{down}{said}", evidence=evidence)


def _excerpt(paper: Sequence[str]) -> list[str]:
    return list(paper) if len(paper) <= HEAD + TAIL else [*paper[:HEAD], *paper[-TAIL:]]


def _left_alone(decision: Decision, followed: Outcome | None) -> tuple[Status, str]:
    reason = decision.refusal.reason if decision.refusal else ""
    if followed is None:
        return "critical", f" and is left alone: {reason}"
    if followed.good:
        return "warning", f" because {reason}; that was restarted, and {decision.target.unit} answers again"
    return "critical", f" and was left alone: {reason}; that was restarted, but it still does not answer"


def _came_of_it(decision: Decision, execution: Execution | None, followed: Outcome | None) -> tuple[Status, str]:
    unit, past = decision.target.unit, _PAST[decision.target.action]
    if execution is None:
        return "critical", f" and would be {past}"
    done = next((entry for entry in execution.applied if entry["target"] == unit), None)
    if done:
        return "warning", f", was {past} and answers again after {done['seconds']:.1f} s: {done['after']['probe']}"
    if followed is not None and followed.good:
        return "warning", f", but answered again by itself before it was {past}: {followed.said}"
    failure = next((entry for entry in execution.failed if entry["target"] == unit), None)
    if failure:
        return "critical", f". {failure['error']}"
    left = next((entry["reason"] for entry in execution.left if entry["target"] == unit), "it was not its turn")
    return "critical", f" and was not {past}: {left}"


def dependency_findings(heard: Mapping[Probe, tuple[Sequence[Outcome], Sequence[str]]]) -> list[Finding]:
    """One finding for each thing that units depend on: its answers, and the units that need it."""
    findings = []
    for probe, (outcomes, units) in heard.items():
        last = outcomes[-1]
        status: Status = {"good": "ok", "bad": "critical"}.get(last.verdict, "unknown")  # type: ignore[assignment]
        said = "answers" if last.good else "does not answer" if status == "critical" else "could not be asked"
        summary = f"{probe.label} {said}: {last.said}; needed by {', '.join(units)}"
        findings.append(CATALOGUE.stated("services.dependency", probe.label, status, summary))
    return findings
