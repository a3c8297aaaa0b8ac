# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One module on one host through the gate: settings and levels in, the module, the record out."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import tally, worst
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import (
    intake,
    journal,
    role_variables,
    run,
    settings,
)
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.maintenance import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.ownership import owners_of, suppress
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.payload import Payload
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.registry import MODULES, Entry
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.windows import Decision, decide

COLLECTION = "fleetcare.maintenance"
#: What of a module's result goes into the record beside findings and metrics.
_RECORDED = ("plan", "applied", "failures", "kept", "discovered", "sources")
_CONSUMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
MAX_MESSAGE = 2000
#: What a shell ends with that cannot run a program, or does not find it.
_NOT_STARTED = (126, 127)
#: What ssh itself says at the end, which explains nothing.
_FAREWELL = re.compile(r"(Shared )?[Cc]onnection to \S+ closed")


class Passage:
    """One module on one host through the gate."""

    def __init__(self, action: ActionBase, variables: Mapping[str, Any]) -> None:
        self.action = action
        self.variables = variables
        self.clock = Clock()
        self.started = self.clock.monotonic()
        # Up to ansible-core 2.18 the resolved action of a routed module is this plugin and not the module.
        self.module = str(action._task.action).rsplit(".", 1)[-1]
        self.entry: Entry = MODULES[self.module]
        self.host = str(variables.get("inventory_hostname", "localhost"))
        #: The machine that is talked to, which a delegated task has apart from the host it is about.
        self.target = str(action._task.delegate_to or self.host)
        self.check_mode = bool(action._task.check_mode)
        directory = Path(os.getcwd())
        settings.refuse_misspelt(variables)
        given = settings.gather(variables, action._templar.template)
        self.settings = settings.parse(given, working_directory=directory, environment=os.environ)
        if self.module == "discover" and self.settings.cadence:
            roles = role_variables.read()
            for sentence in role_variables.misspelt(roles, variables):
                action._display.warning(sentence)
            role_variables.refuse_wrong(roles, variables, action._templar.template, cadence=self.settings.cadence)
        self.consumer = self._consumer()
        self.run = run.open_run_id(self.clock, lambda name: journal.is_closed(self.settings.journal, name))
        if not journal.is_open(self.settings.journal, self.run):
            header = run.describe(
                run=self.run,
                variables=variables,
                settings={name: value for name, value in given.items() if name not in settings.SECRETS},
                cadence=self.settings.cadence,
                working_directory=directory,
                environment=os.environ,
                now=self.clock.now(),
            )
            journal.open_run(self.settings.journal, header)

    def _consumer(self) -> str:
        """Whose state it is: the task's own word, or the controller's name with the host that the journal knows.

        With the host's name in it, two inventory names of one machine, or many hosts whose checks are all delegated to
        one, do not overwrite each other's state.
        """
        given = self.action._task.args.get("state_consumer")
        if given is not None:
            return str(given)
        return settings.consumer_of(self.settings.consumer, self.host)

    def walk(self) -> dict[str, Any]:
        """From the task to its result, with the record written in between."""
        if self.settings.on_failure == "finding" and run.is_silent(self.target):
            reason = f"{clean(self.target)} did not answer earlier in this run"
            return {"skipped": True, "skip_reason": reason, "unreachable_before": True}
        decision = self._decision()
        if decision and not self.check_mode:
            if not decision.allowed:
                return self._closed(decision)
            journal.require_room(self.settings.journal, self.run)
        arguments = self._arguments(decision)
        try:
            result = self._execute(arguments)
        except AnsibleConnectionFailure as error:
            return self._unreachable(str(error))
        except AnsibleError as error:
            return self._fault(str(error), {"failed": True, "msg": str(error)})
        except BaseException as error:
            # The task's own time limit: its record must not be lost, and the error stays Ansible's to handle.
            if type(error).__name__ == "TaskTimeoutError":
                with contextlib.suppress(MaintenanceError):
                    self._fault(f"the task's timeout of {self.action._task.timeout} s passed", {})
            raise
        if result.get("failed"):
            return self._fault(_words(result), result)
        if result.get("skipped"):
            return self._fault("the module said that it was skipped, which none of this collection does", result)
        return self._returned(result, decision)

    def _returned(self, result: dict[str, Any], decision: Decision | None) -> dict[str, Any]:
        try:
            taken = {
                **result,
                "findings": intake.findings(result.get("findings")),
                "metrics": intake.metrics(result.get("metrics")),
            }
        except MaintenanceError as error:
            return self._fault(str(error), {"failed": True, "msg": str(error)})
        try:
            return self._record(taken, decision)
        except MaintenanceError as error:
            # What was done was done: the play must see it even where the journal could not take it.
            return {**taken, "failed": True, "msg": str(error)}

    def _decision(self) -> Decision | None:
        if self.entry.kind != "repair":
            return None
        return decide(self.settings.calendar, self.clock.now())

    def _execute(self, arguments: dict[str, Any]) -> dict[str, Any]:
        packed = Payload(self.module)
        packed.borrow()
        result: dict[str, Any] = self.action._execute_module(
            module_name=f"{COLLECTION}.{self.module}",
            module_args=arguments,
            task_vars=dict(self.variables),
        )
        packed.keep()
        # A host that dies now has answered all the same.
        with contextlib.suppress(AnsibleConnectionFailure):
            self.action._remove_tmp_path(self.action._connection._shell.tmpdir)
        self._forget_temporary()
        return result

    def _forget_temporary(self) -> None:
        """Keep Ansible from cleaning up on a host that is gone: its error would take the place of our result."""
        self.action._connection._shell.tmpdir = None

    def _arguments(self, decision: Decision | None) -> dict[str, Any]:
        """The task's options with those the gate fills in; what the task itself says about levels and state wins."""
        arguments = dict(self.action._task.args)
        if self.entry.kind == "control":
            return arguments
        arguments["levels"] = self._levels(arguments.get("levels"))
        arguments["state_consumer"] = self.consumer
        if arguments.get("state_dir") is None and self.settings.state_dir:
            arguments["state_dir"] = self.settings.state_dir
        if arguments.get("state_acknowledged") is None and _CONSUMER.fullmatch(self.consumer):
            arguments["state_acknowledged"] = self._acknowledged()
        if self.module == "journal_verify" and not arguments.get("path"):
            arguments["path"] = str(self.settings.journal)
        if decision and decision.ends:
            arguments["deadline"] = iso(self._earlier(decision, arguments.get("deadline")))
        return arguments

    def _levels(self, own: object) -> dict[str, Any]:
        subject = f"{self.entry.subject}."
        levels = {key: value for key, value in self.settings.levels.items() if key.startswith(subject)}
        if own is None:
            return levels
        if not isinstance(own, Mapping):
            raise OptionError("levels", own, "a mapping of check ids to levels")
        for key, value in own.items():
            levels[key] = {**levels.get(key, {}), **value} if isinstance(value, Mapping) else value
        return levels

    def _earlier(self, decision: Decision, own: object) -> Any:
        if own is None:
            return decision.ends
        if not isinstance(own, str):
            raise OptionError("deadline", own, "an ISO 8601 time such as 2026-01-31T04:00:00+00:00")
        return min(parse_time(own, option="deadline"), decision.ends) if decision.ends else own

    def _acknowledged(self) -> str | None:
        place = {"host": self.host, "consumer": self.consumer, "module": self.module}
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
            "maintenance.reachable", self.target, "critical", f"{self.target} did not answer: {clean(message)}"
        )
        self._forget_temporary()
        run.note_silence(self.target)
        result = self._record({"findings": [finding.as_dict()], "changed": False}, None, unreachable=True)
        if self.settings.on_failure == "finding":
            return {**result, "unreachable_host": True}
        return {**result, "unreachable": True, "msg": clean(message, limit=MAX_MESSAGE)}

    def _fault(self, message: str, result: Mapping[str, Any]) -> dict[str, Any]:
        fault = clean(message, limit=MAX_MESSAGE)
        finding = CATALOGUE.stated("maintenance.fault", self.module, "unknown", f"{self.module} could not run: {fault}")
        recorded = self._record({"findings": [finding.as_dict()], "changed": False}, None, fault=fault)
        if self.settings.on_failure == "finding":
            return {**recorded, "fault": fault}
        return {**result, **recorded, "failed": True, "msg": fault}

    def _record(
        self,
        result: dict[str, Any],
        decision: Decision | None,
        *,
        unreachable: bool = False,
        fault: str = "",
    ) -> dict[str, Any]:
        """Judge the findings, write the record, and only then let the state count as acknowledged."""
        judged = self._judged(result)
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
            "summary": clean(judged["summary"]),
            "changed": bool(result.get("changed")),
            "findings": judged["findings"],
            "metrics": result.get("metrics", []),
            **{key: intake.plain(result[key]) for key in _RECORDED if key in result},
            **self._window(decision),
        }
        if self.target != self.host:
            record["delegated_to"] = clean(self.target)
        if unreachable:
            record["unreachable"] = True
        if fault:
            record["fault"] = fault
        generation = result.get("state_generation")
        if isinstance(generation, str) and generation:
            record["state"] = {"module": self.module, "generation": clean(generation)}
        written = journal.append(self.settings.journal, self.run, self.host, record)
        if "state" in record:
            journal.acknowledge(
                self.settings.journal,
                host=self.host,
                consumer=self.consumer,
                module=self.module,
                generation=record["state"]["generation"],
            )
        return {**judged, "journal": {"run": self.run, "sequence": written["sequence"], "hash": written["hash"]}}

    def _judged(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result with owners, suppressions, and the status and summary that follow from them."""
        findings = [self._judge(finding) for finding in [*result.get("findings", ()), *self._own_findings(result)]]
        statuses = [finding["status"] for finding in findings if "suppressed" not in finding]
        if self.entry.kind == "control" and not findings:
            return {**result, "findings": [], "status": worst(()), "summary": str(result.get("summary", ""))}
        summary = tally(statuses)
        hidden = len(findings) - len(statuses)
        if hidden:
            summary = f"{summary}; {hidden} suppressed" if statuses else f"{counted(hidden, 'finding')}, all suppressed"
        return {**result, "findings": findings, "status": worst(statuses), "summary": summary}

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
        ends = iso(decision.ends) if decision.ends else ""
        said: dict[str, Any] = {"window": {"name": decision.window, "ends": ends, "reason": decision.reason}}
        if decision.overridden:
            calendar = self.settings.calendar
            said["override"] = {"reason": calendar.override_reason, "by": calendar.override_by}
        return said


def _words(result: Mapping[str, Any]) -> str:
    """Why a module failed: its own message, or the last thing that the host said where it never started."""
    # From ansible-core 2.19 on, what a module broke at stands in the event of its exception alone.
    event = getattr(result.get("exception"), "event", None)
    message = str(result.get("msg") or getattr(event, "msg", "") or "the module failed without a word")
    said = [
        line.strip()
        for stream in ("module_stderr", "module_stdout")
        for line in reversed(str(result.get(stream) or "")[-MAX_MESSAGE * 4 :].splitlines())
    ]
    if result.get("rc") in _NOT_STARTED:
        # What comes after the first line of a shell, or of a version manager, is advice.
        first = next((line for line in reversed(said) if clean(line)), "it gave no reason")
        return f"Python did not start on the host ({first}). Set ansible_python_interpreter to one that does."
    last = next((line for line in said if clean(line) and not _FAREWELL.match(line)), "")
    if not last or last in message:
        return message
    return f"{message.splitlines()[0]}: {last}"
