# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way from Ansible's arguments to Ansible's result; nothing else exits a module.

A module is a documentation, an argument spec and a function ``Context -> Result``. The runner adds the options that
all modules share, reads and writes the state, holds back what has not lasted long enough, and fails a task only for
bad arguments, a missing library or a fault of ours.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import wrong_type
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, hold_back
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import (
    Clock,
    Deadline,
    parse_time,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import (
    Finding,
    Metric,
    tally,
    worst,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution, Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import (
    State,
    StateError,
    default_directory,
)

#: Options of every module; the documentation fragment ``fleetcare.maintenance.common_options`` describes them.
COMMON_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "levels": {"type": "dict", "default": {}},
    "state_dir": {"type": "path"},
    "state_consumer": {"type": "str", "default": "default"},
    "state_acknowledged": {"type": "str"},
}
CHECK_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {"checks": {"type": "list", "elements": "str", "default": []}}
REPAIR_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {"deadline": {"type": "str"}}

#: Key of the state under which the runner keeps how often a finding has been seen in a row.
_STREAKS = "streaks"


@dataclass
class Context:
    """What a module's function gets: parameters, levels, chosen checks, memory of the last run, time.

    ``memory`` is the data of the last run (empty on the first); what the function puts into ``Result.memory`` is there
    on the next. ``memory_error`` says why there is none although there should be.
    """

    params: Mapping[str, Any]
    check_mode: bool
    book: LevelBook
    catalogue: Catalogue
    checks: frozenset[str]
    clock: Clock
    deadline: Deadline
    memory: dict[str, Any] = field(default_factory=dict)
    memory_error: str = ""


@dataclass
class Result:
    """What a module's function gives back.

    ``memory`` None leaves the state as it is. ``execution`` None together with a plan means that nothing was carried
    out, as in check mode. ``extra`` joins the result under its own keys.
    """

    findings: list[Finding] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    memory: dict[str, Any] | None = None
    plan: list[Step] | None = None
    execution: Execution | None = None
    kept: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


Work = Callable[[Context], Result]


class Module(AnsibleModule):  # type: ignore[misc]
    """Tells a wrong type in our own sentence, before Ansible looks at any option."""

    params: dict[str, Any]
    refusal: OptionError | None = None

    def _load_params(self) -> None:
        super()._load_params()
        self.refusal = wrong_type(self.argument_spec, self.params)
        if self.refusal:
            # What Ansible would now stumble over, or show in its result without knowing what is secret.
            self.params = {name: value for name, value in self.params.items() if name.startswith("_ansible_")}

    def fail_json(self, msg: str, **more: Any) -> NoReturn:
        super().fail_json(msg=str(self.refusal or msg), **more)
        raise AssertionError("fail_json returned")


def run(
    work: Work,
    *,
    argument_spec: Mapping[str, Mapping[str, Any]],
    catalogue: Catalogue | None,
    repair: bool = False,
    clock: Clock | None = None,
    private: Sequence[str] = (),
    **module_arguments: Any,
) -> NoReturn:
    """Build the module, do the work, exit. ``module_arguments`` go to AnsibleModule (``required_if`` and the like).

    ``private`` names ``no_log`` options that mix secrets with plain words, such as header fields: neither log nor
    result show them, and their plain words are not blanked wherever else they occur. The work must then keep their
    secrets out of its findings by itself.

    Without a catalogue the module judges nothing, and takes no levels, no choice of checks and no state.
    """
    # What has been loaded stays to the end: the collector need not go through it in the work, nor when all is done.
    gc.freeze()
    shared: dict[str, Mapping[str, Any]] = {}
    if catalogue is not None:
        shared = {**COMMON_ARGUMENTS, **(REPAIR_ARGUMENTS if repair else CHECK_ARGUMENTS)}
    module = Module(
        argument_spec={**shared, **argument_spec},
        supports_check_mode=True,
        **module_arguments,
    )
    if module.refusal:
        _fail(module, module.refusal)
    try:
        result = perform(
            work,
            params=_take_private(module, private),
            check_mode=module.check_mode,
            name=module._name,
            catalogue=catalogue,
            repair=repair,
            clock=clock or Clock(),
        )
    except MaintenanceError as error:
        _fail(module, error)
    _exit(module, result)


def _take_private(module: AnsibleModule, private: Sequence[str]) -> Mapping[str, Any]:
    """The parameters for the work; the module itself, which shows them in its result, forgets the private ones."""
    params = dict(module.params)
    if private:
        secret = [name for name, option in module.argument_spec.items() if option.get("no_log") is True]
        module.no_log_values = {
            str(params[name]) for name in secret if name not in private and params[name] not in (None, "")
        }
        module.params.update({name: "not shown" for name in private if params[name]})
    return params


def _fail(module: AnsibleModule, error: MaintenanceError) -> NoReturn:
    module.fail_json(msg=str(error))
    raise AssertionError("fail_json returned")


def _exit(module: AnsibleModule, result: Mapping[str, Any]) -> NoReturn:
    module.exit_json(**result)
    raise AssertionError("exit_json returned")


def perform(
    work: Work,
    *,
    params: Mapping[str, Any],
    check_mode: bool,
    name: str,
    catalogue: Catalogue | None,
    repair: bool,
    clock: Clock,
) -> dict[str, Any]:
    """All of a run but for Ansible: parameters in, result out. Raises MaintenanceError."""
    if catalogue is None:
        return _perform_plainly(work, params=params, check_mode=check_mode, clock=clock)
    book = LevelBook(params["levels"])
    catalogue.require(book)
    raw_deadline = params.get("deadline")
    deadline = Deadline(clock, parse_time(raw_deadline, option="deadline") if raw_deadline else None)
    state = State(
        directory=Path(params["state_dir"] or default_directory()),
        module=name.rsplit(".", 1)[-1],
        consumer=params["state_consumer"],
        acknowledged=params["state_acknowledged"],
    )
    memory, memory_error = _remember(state)
    context = Context(
        params=params,
        check_mode=check_mode,
        book=book,
        catalogue=catalogue,
        checks=catalogue.select(params.get("checks") or []),
        clock=clock,
        deadline=deadline,
        memory={key: value for key, value in memory.items() if key != _STREAKS},
        memory_error=memory_error,
    )
    result = work(context)
    before = _counts(memory.get(_STREAKS))
    held, streaks = hold_back_short(result.findings, before)
    # A run that does not make a check says nothing about it, so it does not end the check's row either.
    streaks.update({key: count for key, count in before.items() if key.split(" ", 1)[0] not in context.checks})
    result.findings = held
    generation = ""
    if not check_mode and (result.memory is not None or streaks != memory.get(_STREAKS, {})):
        data = dict(context.memory if result.memory is None else result.memory)
        if streaks:
            data[_STREAKS] = streaks
        generation, memory_error = _keep(state, data, memory_error)
    return present(result, check_mode=check_mode, repair=repair, generation=generation, memory_error=memory_error)


def _perform_plainly(work: Work, *, params: Mapping[str, Any], check_mode: bool, clock: Clock) -> dict[str, Any]:
    context = Context(
        params=params,
        check_mode=check_mode,
        book=LevelBook(),
        catalogue=Catalogue("none", []),
        checks=frozenset(),
        clock=clock,
        deadline=Deadline(clock),
    )
    return {**work(context).extra, "changed": False}


def _remember(state: State) -> tuple[dict[str, Any], str]:
    try:
        return state.load(), ""
    except StateError as error:
        return {}, str(error)


def _keep(state: State, data: dict[str, Any], earlier_error: str) -> tuple[str, str]:
    try:
        return state.save(data), earlier_error
    except StateError as error:
        return "", str(error)


def _counts(raw: object) -> dict[str, int]:
    if not isinstance(raw, dict):
        return {}
    return {str(key): count for key, count in raw.items() if isinstance(count, int)}


def hold_back_short(findings: Sequence[Finding], before: Mapping[str, int]) -> tuple[list[Finding], dict[str, int]]:
    """Lower alarms that must last ``for`` runs and have not yet; returns the findings and the new streaks."""
    streaks: dict[str, int] = {}
    judged: list[Finding] = []
    for finding in findings:
        runs = int((finding.levels or {}).get("for", 1))
        if runs > 1 and finding.status in ("info", "warning", "critical"):
            key = f"{finding.check} {finding.item}"
            streaks[key] = min(before.get(key, 0) + 1, runs)
            judged.append(finding if streaks[key] >= runs else hold_back(finding, seen=streaks[key], runs=runs))
        else:
            judged.append(finding)
    return judged, streaks


def present(result: Result, *, check_mode: bool, repair: bool, generation: str, memory_error: str) -> dict[str, Any]:
    """The module's result as the design's contract has it."""
    statuses = [finding.status for finding in result.findings]
    plain: dict[str, Any] = {
        **result.extra,
        "status": worst(statuses),
        "summary": tally(statuses),
        "findings": [finding.as_dict() for finding in result.findings],
        "metrics": [metric.as_dict() for metric in result.metrics],
        "changed": False,
    }
    if generation:
        plain["state_generation"] = generation
    if memory_error:
        plain["state_error"] = memory_error
    if repair:
        plain.update(_present_repair(result, check_mode=check_mode))
    return plain


def _present_repair(result: Result, *, check_mode: bool) -> dict[str, Any]:
    steps = [step.as_dict() for step in result.plan or []]
    execution = result.execution or Execution()
    if steps and not check_mode and result.execution is None:
        raise MaintenanceError("A plan was made but not carried out; this is a fault of the module.")
    return {
        "plan": steps,
        "applied": execution.applied,
        "failed": False,
        "failures": execution.failed,
        "kept": [*result.kept, *execution.left],
        "changed": bool(steps) if check_mode else execution.changed,
        "diff": _diff(steps, execution, check_mode=check_mode),
    }


def _diff(steps: Sequence[Mapping[str, Any]], execution: Execution, *, check_mode: bool) -> dict[str, str]:
    if check_mode:
        lines = [f"{step['action']} {step['target']}: {step['reason']}\n" for step in steps]
        return {"before_header": "now", "after_header": "planned", "before": "", "after": "".join(lines)}
    before = [f"{done['action']} {done['target']}: {done['before']}\n" for done in execution.applied]
    after = [f"{done['action']} {done['target']}: {done['after']}\n" for done in execution.applied]
    return {
        "before_header": "before",
        "after_header": "after",
        "before": "".join(before),
        "after": "".join(after),
    }
