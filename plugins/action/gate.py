# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: the action in front of every module of the collection.

It alone knows windows, freezes, suppressions, owners and the journal, so that modules know none of it and a playbook
that calls a single module gets all of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import tally, worst
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal, run, settings
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.maintenance import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.ownership import owners_of, suppress
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import MODULES, Entry
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.windows import Decision, decide

COLLECTION = "fleetcare.maintenance"
#: What of a module's result goes into the record as it is.
_RECORDED = ("changed", "plan", "applied", "failures", "kept", "discovered")


class ActionModule(ActionBase):
    """Settings and levels in, module, record out."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        if self._task.async_val:
            raise AnsibleActionFail(
                "Option 'async' cannot be used with the modules of fleetcare.maintenance: the result would never "
                "reach the journal. Use forks or the free strategy to run hosts side by side."
            )
        try:
            passage = Passage(self, variables)
            result.update(passage.walk())
        except MaintenanceError as error:
            raise AnsibleActionFail(str(error)) from error
        return result


class Passage:
    """One module on one host through the gate."""

    def __init__(self, action: ActionModule, variables: Mapping[str, Any]) -> None:
        self.action = action
        self.variables = variables
        self.clock = Clock()
        self.started = self.clock.monotonic()
        # Up to ansible-core 2.18 the resolved action of a routed module is this plugin, not the module.
        self.module = str(action._task.action).rsplit(".", 1)[-1]
        self.entry: Entry = MODULES[self.module]
        self.host = str(variables.get("inventory_hostname", "localhost"))
        self.check_mode = bool(action._task.check_mode)
        directory = Path(os.getcwd())
        given = settings.gather(variables, action._templar.template)
        self.settings = settings.parse(given, working_directory=directory, environment=os.environ)
        self.run = run.run_id(self.clock)
        journal_dir = self.settings.journal
        if not (journal_dir / self.run / "run.json").exists():
            header = run.describe(
                run=self.run,
                variables=variables,
                settings={name: value for name, value in given.items() if name != "maintenance_contacts"},
                cadence=self.settings.cadence,
                working_directory=directory,
                environment=os.environ,
                now=self.clock.now(),
            )
            journal.open_run(journal_dir, header)

    def walk(self) -> dict[str, Any]:
        """From the task to its result, with the record written in between."""
        if self._left_the_run():
            return {
                "skipped": True,
                "skip_reason": f"{self.host} did not answer earlier in this run",
                "unreachable_before": True,
            }
        decision = self._decision()
        if decision and not decision.allowed and not self.check_mode:
            return self._closed(decision)
        try:
            result = self._execute(decision)
        except AnsibleConnectionFailure as error:
            return self._unreachable(str(error))
        except AnsibleError as error:
            return self._fault(str(error), {"failed": True, "msg": str(error)})
        if result.get("failed"):
            return self._fault(str(result.get("msg") or "the module failed without a word"), result)
        if result.get("skipped"):
            return result
        return self._record(result, decision)

    def _left_the_run(self) -> bool:
        last = journal.last_record(self.settings.journal, self.run, self.host)
        return bool(last and last.get("unreachable")) and self.settings.on_failure == "finding"

    def _decision(self) -> Decision | None:
        if self.entry.kind != "repair":
            return None
        return decide(self.settings.calendar, self.clock.now())

    def _execute(self, decision: Decision | None) -> dict[str, Any]:
        task = self.action._task
        arguments = dict(task.args)
        arguments.update(self._added(arguments, decision))
        result: dict[str, Any] = self.action._execute_module(
            module_name=f"{COLLECTION}.{self.module}",
            module_args=arguments,
            task_vars=dict(self.variables),
        )
        self.action._remove_tmp_path(self.action._connection._shell.tmpdir)
        return result

    def _added(self, arguments: Mapping[str, Any], decision: Decision | None) -> dict[str, Any]:
        """The options that the gate fills in; what the task itself says about levels and state wins."""
        if self.entry.kind == "control":
            return {}
        own = arguments.get("levels") or {}
        if not isinstance(own, Mapping):
            return {}
        subject = f"{self.entry.subject}."
        levels = {key: value for key, value in self.settings.levels.items() if key.startswith(subject)}
        for key, value in own.items():
            levels[key] = {**levels.get(key, {}), **value} if isinstance(value, Mapping) else value
        added: dict[str, Any] = {"levels": levels}
        if "state_consumer" not in arguments:
            added["state_consumer"] = self.settings.consumer
        if "state_dir" not in arguments and self.settings.state_dir:
            added["state_dir"] = self.settings.state_dir
        if "state_acknowledged" not in arguments:
            added["state_acknowledged"] = self._acknowledged(added.get("state_consumer", ""))
        if self.module == "journal_verify" and not arguments.get("path"):
            added["path"] = str(self.settings.journal)
        if decision and decision.ends:
            added["deadline"] = iso(decision.ends)
        return {key: value for key, value in added.items() if value is not None}

    def _acknowledged(self, consumer: str) -> str | None:
        place = {"host": self.host, "consumer": consumer, "module": self.module}
        known = journal.acknowledged(self.settings.journal, **place)
        if known is None and not self.check_mode:
            # From now on a generation without a record counts as lost, the first one included.
            journal.acknowledge(self.settings.journal, generation="", **place)
        return known

    def _closed(self, decision: Decision) -> dict[str, Any]:
        finding = CATALOGUE.skipped("maintenance.window", self.module, f"{self.module} did not run: {decision.reason}")
        result = self._record({"findings": [finding.as_dict()], "changed": False}, decision)
        return {**result, "skipped": True, "skip_reason": decision.reason}

    def _unreachable(self, message: str) -> dict[str, Any]:
        finding = CATALOGUE.stated(
            "maintenance.reachable", self.host, "critical", f"{self.host} did not answer: {clean(message)}"
        )
        result = self._record({"findings": [finding.as_dict()], "changed": False}, None, unreachable=True)
        if self.settings.on_failure == "finding":
            return {**result, "unreachable_host": True}
        return {**result, "unreachable": True, "msg": clean(message, limit=2000)}

    def _fault(self, message: str, result: Mapping[str, Any]) -> dict[str, Any]:
        finding = CATALOGUE.stated(
            "maintenance.fault", self.module, "unknown", f"{self.module} could not run: {clean(message)}"
        )
        recorded = self._record(
            {"findings": [finding.as_dict()], "changed": False}, None, fault=clean(message, limit=2000)
        )
        if self.settings.on_failure == "finding":
            return {**recorded, "fault": clean(message, limit=2000)}
        return {**result, **recorded, "failed": True, "msg": message}

    def _record(
        self,
        result: dict[str, Any],
        decision: Decision | None,
        *,
        unreachable: bool = False,
        fault: str = "",
    ) -> dict[str, Any]:
        """Judge the findings, write the record, and only then let the state count as acknowledged."""
        findings = [self._judge(finding) for finding in [*result.get("findings", ()), *self._own_findings(result)]]
        statuses = [finding["status"] for finding in findings if "suppressed" not in finding]
        silent = self.entry.kind == "control" and not findings
        judged = {
            **result,
            "findings": findings,
            "status": "ok" if silent else worst(statuses),
            "summary": str(result.get("summary", "")) if silent else tally(statuses),
        }
        record: dict[str, Any] = {
            "schema": 1,
            "time": iso(self.clock.now()),
            "module": self.module,
            "subject": self.entry.subject,
            "task": clean(self.action._task.get_name()),
            "kind": self.entry.kind,
            "check_mode": self.check_mode,
            "seconds": round(self.clock.monotonic() - self.started, 3),
            "status": judged["status"],
            "summary": judged["summary"],
            "findings": findings,
            "metrics": result.get("metrics", []),
            **{key: result[key] for key in _RECORDED if key in result},
            **self._window(decision),
        }
        if unreachable:
            record["unreachable"] = True
        if fault:
            record["fault"] = fault
        if result.get("state_generation"):
            record["state"] = {"module": self.module, "generation": result["state_generation"]}
        written = journal.append(self.settings.journal, self.run, self.host, _plain(record))
        if result.get("state_generation"):
            journal.acknowledge(
                self.settings.journal,
                host=self.host,
                consumer=str(self.action._task.args.get("state_consumer", self.settings.consumer)),
                module=self.module,
                generation=str(result["state_generation"]),
            )
        return {**judged, "journal": {"run": self.run, "sequence": written["sequence"], "hash": written["hash"]}}

    def _own_findings(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        if not result.get("state_error"):
            return []
        stated = CATALOGUE.stated("maintenance.state", self.module, "warning", str(result["state_error"]))
        return [stated.as_dict()]

    def _judge(self, finding: dict[str, Any]) -> dict[str, Any]:
        owned = {**finding, "owners": owners_of(str(finding["check"]), self.settings.owners)}
        return suppress(owned, self.settings.suppressions, now=self.clock.now())

    def _window(self, decision: Decision | None) -> dict[str, Any]:
        if decision is None:
            return {}
        said: dict[str, Any] = {
            "window": {
                "name": decision.window,
                "ends": iso(decision.ends) if decision.ends else "",
                "reason": decision.reason,
            }
        }
        if decision.overridden:
            calendar = self.settings.calendar
            said["override"] = {"reason": clean(calendar.override_reason), "by": clean(calendar.override_by)}
        return said


def _plain(value: Any) -> Any:
    """A record in plain JSON types; what JSON has no form for (NaN, sets, tagged strings) is put into words."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value)
