# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run, made on the controller; ``plugins/modules/report.py`` documents it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.deps import require
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import (
    MaintenanceError,
    OptionError,
    UnknownOption,
)
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal, run, settings, stopped

FORMATS = ("html", "json", "markdown", "prometheus", "junit")
LATEST = "latest"
_MAX_HOSTS = 10_000
_MAX_DAYS = 36_600


class ActionModule(ActionBase):
    """Options and settings in, report out; runs once however many hosts the play has."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result["_ansible_verbose_always"] = True
        try:
            result.update(self._report(task_vars or {}))
        except MaintenanceError as error:
            raise AnsibleActionFail(str(error)) from error
        return result

    def _report(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        options = parse_options(self._task.args)
        given = settings.gather(variables, self._templar.template)
        in_force = settings.parse(given, working_directory=Path(os.getcwd()), environment=os.environ)
        require("sqlalchemy", package="SQLAlchemy 2, by pip", minimum="2.0")
        # Only now, so that a missing library is the sentence above and not a traceback.
        from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import report, summary

        current = run.latest_id(Clock())
        name = choose_run(in_force.journal, str(options.pop("run")), current=current)
        request = report.Request(
            reports=in_force.reports,
            run=name,
            fail_on=in_force.fail_on,
            store_url=in_force.store_url,
            contacts=in_force.contacts,
            remind_hours=in_force.remind_hours,
            zone=in_force.zone,
            problems=self._note_stopped(variables, in_force.journal, name) if name == current else (),
            **options,
        )
        return summary.result(report.produce(request, clock=Clock()))

    def _note_stopped(self, variables: Mapping[str, Any], folder: Path, name: str) -> list[str]:
        if journal.is_closed(folder, name):
            return []
        check_mode = bool(self._task.check_mode)
        said = [
            stopped.note(folder, name, host, clock=Clock(), check_mode=check_mode)
            for host in stopped.hosts_of(variables)
        ]
        return [sentence for sentence in said if sentence]


def choose_run(folder: Path, wanted: str, *, current: str) -> str:
    """The run to report on. Raises MaintenanceError where it has left no journal."""
    known = journal.runs(folder)
    if wanted == LATEST:
        if not known:
            raise MaintenanceError(f"There is no run in {folder} to report on.")
        return known[-1]
    if wanted and wanted not in known:
        raise OptionError("run", wanted, f"'{LATEST}' or the id of a run in {folder}")
    if not wanted and current not in known:
        raise MaintenanceError(
            "This run has left no record, so nothing was looked at and there is nothing to report.",
            remedy="Look at the inventory and --limit, or set run: latest to draw the report of an earlier run again.",
        )
    return wanted or current


def parse_options(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The module's options as the request has them. Raises OptionError for the first one that is wrong."""
    readers: dict[str, Callable[[str, Any], Any]] = {
        "run": _text,
        "formats": _formats,
        "detail_hosts": lambda name, value: _whole(name, value, low=0, high=_MAX_HOSTS),
        "digest": _flag,
        "retention_days": lambda name, value: _whole(name, value, low=1, high=_MAX_DAYS),
        "expected_cadences": _intervals,
        "textfile_dir": _folder,
    }
    for name in raw:
        if name not in readers:
            raise UnknownOption(name, readers)
    parsed = {name: readers[name](name, value) for name, value in raw.items() if value is not None}
    return {"run": "", **parsed}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise OptionError(name, value, "a text")
    return value.strip()


def _folder(name: str, value: Any) -> Path | None:
    text = os.path.expanduser(_text(name, value))
    if not text:
        return None
    if not os.path.isabs(text) or not os.path.isdir(text):
        raise OptionError(name, value, "the full path of a folder that is there")
    return Path(text)


def _formats(name: str, value: Any) -> tuple[str, ...]:
    listed = [piece.strip() for piece in value.split(",")] if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)) or not listed or not set(listed) <= set(FORMATS):
        raise OptionError(name, value, f"a list of some of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(listed))


def _whole(name: str, value: Any, *, low: int, high: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise OptionError(name, value, f"a whole number from {low} to {high}")
    return number


def _flag(name: str, value: Any) -> bool:
    try:
        return bool(boolean(value))
    except TypeError:
        raise OptionError(name, value, "true or false") from None


def _intervals(name: str, value: Any) -> dict[str, float]:
    from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.cadence import parse_intervals

    return parse_intervals(value, option=name)
