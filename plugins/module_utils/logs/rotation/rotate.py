# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``log_rotate``: rules put in place, logs rotated that are due, and nothing that anybody else looks after."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Busy, Ledger, last
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, Step, execute, kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError, default_directory
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import collect_descriptors
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.act import Doer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import (
    FOLDER,
    Configuration,
    read_configuration,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.plan import (
    Decision,
    Log,
    Present,
    by_target,
    decide_rotation,
    decide_rule,
    is_ours,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rule import (
    RULE_ARGUMENTS,
    Wanted,
    check_name,
    parse_rules,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.trial import try_out

REPAIR = "log_rotate"
MAX_RULE = 1024 * 1024

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE_ARGUMENTS},
    "rotate": {"type": "list", "elements": "str", "default": []},
    "force": {"type": "list", "elements": "str", "default": []},
    "force_pause_seconds": {"type": "int", "default": 3600},
}


@dataclass(frozen=True)
class Task:
    """What the options ask for."""

    rules: tuple[Wanted, ...]
    rotate: tuple[str, ...]
    force: tuple[str, ...]
    pause: timedelta

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(rule.name for rule in self.rules), *self.rotate, *self.force)))


def parse(params: Mapping[str, Any]) -> Task:
    """The options of a task. Raises OptionError."""
    expected = "seconds from 60 to 31536000"
    require_between(params["force_pause_seconds"], 60, 31_536_000, option="force_pause_seconds", expected=expected)
    task = Task(
        rules=tuple(parse_rules(params["rules"])),
        rotate=tuple(check_name(name, option=f"rotate[{at}]") for at, name in enumerate(params["rotate"])),
        force=tuple(check_name(name, option=f"force[{at}]") for at, name in enumerate(params["force"])),
        pause=timedelta(seconds=params["force_pause_seconds"]),
    )
    gone = {rule.name for rule in task.rules if not rule.present}
    for option, names in (("rotate", task.rotate), ("force", task.force)):
        for at, name in enumerate(names):
            if name in gone:
                raise OptionError(f"{option}[{at}]", name, "a rule that is to be there: it is absent among the rules")
    return task


def rotate(context: Context) -> Result:
    """The whole repair."""
    task = parse(context.params)
    ledger = Ledger(Path(context.params["state_dir"] or default_directory()), REPAIR)
    if os.geteuid() != 0:
        return _nothing(context, task, "skipped", "only root may change rules of logrotate and rotate logs")
    if command.which("logrotate") is None:
        return _nothing(context, task, "skipped", "logrotate is not installed")
    with ExitStack() as stack:
        try:
            if context.check_mode:
                ledger.would_be_alone()
            else:
                stack.enter_context(ledger.alone())
            return _with(context, task, ledger)
        except Busy as error:
            return _nothing(context, task, "skipped", str(error))
        except (Absent, StateError) as error:
            return _nothing(context, task, "unknown", str(error))


def _nothing(context: Context, task: Task, status: Status, reason: str) -> Result:
    said = reason.rstrip(".")
    return Result(
        findings=[context.catalogue.stated("logs.rotation_rule", name, status, said) for name in task.names],
        plan=[],
        kept=[kept(f"{FOLDER}/{name}", said) for name in task.names],
    )


def _with(context: Context, task: Task, ledger: Ledger) -> Result:
    configuration = read_configuration()
    decisions = {rule.name: _decide(rule, configuration) for rule in task.rules}
    for name in (*task.rotate, *task.force):
        decisions.setdefault(name, Decision(name, f"{FOLDER}/{name}"))
    deeds = ledger.read()
    for name in dict.fromkeys((*task.rotate, *task.force)):
        _plan_rotation(decisions[name], task, configuration, _pause(task, name, deeds, context.clock))
    steps = [step for one in decisions.values() for step in (one.write,) if step]
    steps += [step for one in decisions.values() for step in (one.rotate,) if step]
    doer = Doer(
        decisions=by_target(list(decisions.values())),
        directory=ledger.directory,
        ledger=ledger,
        clock=context.clock,
        read=read_rule,
        look=look,
    )
    execution = None if context.check_mode else execute(steps, doer, deadline=context.deadline)
    return Result(
        findings=[found for one in decisions.values() for found in _findings(context, one, execution, task)],
        plan=steps,
        execution=execution,
        kept=[kept(one.path, one.refusal or one.kept) for one in decisions.values() if one.refusal or one.kept],
    )


def _decide(rule: Wanted, configuration: Configuration) -> Decision:
    def tried(path: str, text: str) -> Any:
        shown = read_configuration(overlay={path: text})
        if path not in shown.preludes:
            why = shown.ignored.get(path, "is not included")
            raise MaintenanceError(f"logrotate would not read {path}: it {why}.")
        return try_out(shown.preludes[path], text)

    try:
        return decide_rule(rule, read_rule(rule.path), configuration, collect_descriptors(), tried, look)
    except MaintenanceError as error:
        return Decision(rule.name, rule.path, refusal=str(error).rstrip("."), wanted=rule)


def _pause(task: Task, name: str, deeds: Mapping[str, list[Any]], clock: Clock) -> str:
    at = last(deeds, name, now=clock.now())
    if at is None or clock.now() - at >= task.pause:
        return ""
    ago = duration(int((clock.now() - at).total_seconds()))
    return f"it was rotated on request {ago} ago, and a pause of {duration(task.pause.total_seconds())} is kept"


def _plan_rotation(decision: Decision, task: Task, configuration: Configuration, pause: str) -> None:
    """Plan by the rule as it will be: the text that is wanted, or the file that is there."""
    if decision.refusal:
        return
    present = read_rule(decision.path)
    if decision.wanted is None and present is None:
        decision.refusal = f"there is no rule {decision.path}"
        return
    text = decision.wanted.text if decision.wanted else present.text if present else ""
    shown = configuration if present else read_configuration(overlay={decision.path: text})
    if decision.path not in shown.preludes:
        decision.refusal = (
            f"logrotate does not read {decision.path}: it {shown.ignored.get(decision.path, 'is not included')}"
        )
        return
    try:
        said = try_out(shown.preludes[decision.path], text)
    except MaintenanceError as error:
        decision.refusal = str(error).rstrip(".")
        return
    overlaid = read_configuration(overlay={decision.path: text})
    copies = any(rule.leaves_file for rule in overlaid.rules if rule.file == decision.path)
    decide_rotation(decision, said=said, forced=decision.name in task.force, look=look, copies=copies, pause=pause)


def _findings(context: Context, decision: Decision, execution: Execution | None, task: Task) -> list[Finding]:
    found = []
    if decision.wanted or decision.refusal:
        status, said = _rule_said(decision, execution)
        found.append(context.catalogue.stated("logs.rotation_rule", decision.name, status, said))
    if decision.name in (*task.rotate, *task.force) and not decision.refusal:
        status, said = _rotation_said(decision, execution)
        evidence = [f"{log.path}: {log.size} bytes" for log in decision.logs]
        found.append(context.catalogue.stated("logs.rotation_due", decision.name, status, said, evidence=evidence))
    return found


def _outcome(step: Step, execution: Execution) -> str:
    """The error of a step that failed or was left, empty for one that was applied."""
    if any(one["action"] == step.action and one["target"] == step.target for one in execution.applied):
        return ""
    failed = [one["error"] for one in execution.failed if one["action"] == step.action and one["target"] == step.target]
    left = [one["reason"] for one in execution.left if one["target"] == step.target]
    return next(iter([*failed, *left]), "it was not carried out")


def _rule_said(decision: Decision, execution: Execution | None) -> tuple[Status, str]:
    if decision.refusal:
        return "critical", f"the rule is not put in place: {decision.refusal}" if decision.wanted else decision.refusal
    if decision.write is None:
        return "ok", "the rule is as it is wanted"
    if execution is None:
        verb = "removed" if decision.write.action == "remove" else "written"
        return "warning", f"the rule is to be {verb}: {decision.write.reason}"
    error = _outcome(decision.write, execution)
    return (
        ("critical", f"the rule is not as it is wanted: {error}")
        if error
        else ("ok", "the rule is as it is wanted now")
    )


def _rotation_said(decision: Decision, execution: Execution | None) -> tuple[Status, str]:
    if decision.rotate is None:
        status: Status = "ok" if decision.kept.startswith("none of its logs") else "warning"
        return status, decision.kept
    if execution is None:
        return "info", f"to be rotated: {decision.rotate.reason}"
    error = _outcome(decision.rotate, execution)
    return ("critical", f"not rotated: {error}") if error else ("ok", f"rotated: {decision.rotate.reason}")


def read_rule(path: str) -> Present | None:
    """A rule's file, never through a link. Raises StateError for one that is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read as a plain file: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StateError(f"{path} is no plain file.")
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        text = stream.read(MAX_RULE)
    return Present(text, is_ours(text))


def look(path: str) -> Log | None:
    """A log as it is now; None where it is not there or no plain file."""
    try:
        facts = os.lstat(path)
        space = os.statvfs(os.path.dirname(path))
    except OSError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    return Log(path, facts.st_dev, facts.st_ino, facts.st_size, space.f_bavail * space.f_frsize)
