# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A quiet console for cadence runs: progress while it runs, one table of what matters at its end."""

from __future__ import annotations

DOCUMENTATION = r"""
name: console
type: stdout
short_description: Progress while a run goes on, a table of findings at its end
version_added: 0.1.0
description:
  - Shows what the modules of this collection found as one table, worst first, with the sentence of each finding, and
    where the report lies. Other modules get a line when they change something, when they fail, and when they are there
    to print.
author:
  - fleetcare.maintenance contributors (@fleetcare)
requirements:
  - set as C(stdout_callback) in the configuration
options:
  console_rows:
    description: How many findings the table shows at the most; the report has them all.
    type: int
    default: 40
    env:
      - name: FLEETCARE_CONSOLE_ROWS
    ini:
      - section: callback_fleetcare_console
        key: rows
"""

import heapq
import shutil
import sys
import textwrap
import time
from collections import Counter
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, STATUSES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration, shorten

COLORS = {
    "critical": "bright red",
    "unknown": "bright purple",
    "warning": "bright yellow",
    "info": "bright cyan",
    "skipped": "dark gray",
    "ok": "green",
}
#: Statuses that get a row; what is ok or skipped is counted.
ROWS = ("critical", "unknown", "warning", "info")
PRINTING = ("debug", "ansible.builtin.debug", "ansible.builtin.assert", "assert")
PROGRESS_EVERY = 5.0
MAX_ERROR = 4000


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "fleetcare.maintenance.console"

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()
        self._said = self._started
        self._terminal = sys.stdout.isatty()
        self._status_shown = False
        self._counts: Counter[str] = Counter()
        self._suppressed = 0
        self._hosts: dict[str, Counter[str]] = {}
        self._rows: list[tuple[int, int, tuple[str, str, str, str, str]]] = []
        self._arrived = 0
        self._repairs: list[str] = []
        self._report: list[str] = []

    # What Ansible tells.

    def v2_playbook_on_play_start(self, play: Any) -> None:
        name = clean(play.get_name())
        self._line(f"{name}{' (check mode: nothing is changed)' if play.check_mode else ''}")

    def v2_runner_on_ok(self, result: Any) -> None:
        host, task, plain = _parts(result)
        if "findings" in plain:
            self._take(host, plain)
        elif task.action in PRINTING:
            self._printed(host, plain)
        elif plain.get("changed") and not plain.get("console"):
            self._line(f"  {host}: {clean(task.get_name())}: changed", color=constants.COLOR_CHANGED)
        if plain.get("console"):
            self._report = [clean(line, limit=1000) for line in plain["console"]]
        if (plain.get("diff") or {}) and task.diff:
            self._display.display(self._get_diff(plain["diff"]))
        self._progress(host)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        host, task, plain = _parts(result)
        if plain.get("console"):
            self._report = [clean(line, limit=1000) for line in plain["console"]]
            return
        if "findings" in plain:
            self._take(host, plain)
            return
        word = "failed (ignored)" if ignore_errors else "failed"
        message = clean(plain.get("msg") or plain.get("stderr") or "no message", limit=MAX_ERROR)
        self._line(f"  {host}: {clean(task.get_name())}: {word}: {message}", color=constants.COLOR_ERROR)
        if plain.get("exception") and self._display.verbosity >= 2:
            self._display.display(str(plain["exception"]), color=constants.COLOR_ERROR)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        host, _task, plain = _parts(result)
        if "findings" in plain:
            self._take(host, plain)
        else:
            self._line(f"  {host}: unreachable: {clean(plain.get('msg', ''))}", color=constants.COLOR_UNREACHABLE)

    def v2_runner_on_skipped(self, result: Any) -> None:
        host, _task, plain = _parts(result)
        if "findings" in plain:
            self._take(host, plain)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._line("No host matches: look at the inventory and at --limit.", color=constants.COLOR_ERROR)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._clear()
        if self._arrived:
            self._table()
        for repair in self._repairs:
            self._display.display(repair)
        self._summary()
        for line in self._report:
            self._display.display(line)

    # What is shown.

    def _take(self, host: str, plain: dict[str, Any]) -> None:
        mine = self._hosts.setdefault(host, Counter())
        for finding in plain["findings"]:
            self._arrived += 1
            if finding.get("suppressed"):
                self._suppressed += 1
                continue
            status = str(finding.get("status"))
            if status not in RANK:
                status = "unknown"
            self._counts[status] += 1
            mine[status] += 1
            if status in ROWS:
                self._keep(host, status, finding)
        for done in plain.get("applied") or ():
            self._repairs.append(f"{host}: {clean(done.get('action'))} {clean(done.get('target'))}: done")
        for failure in plain.get("failures") or ():
            self._repairs.append(
                f"{host}: {clean(failure.get('action'))} {clean(failure.get('target'))}: "
                f"failed: {clean(failure.get('error'))}"
            )

    def _keep(self, host: str, status: str, finding: dict[str, Any]) -> None:
        row = (
            host,
            clean(finding.get("check")),
            clean(finding.get("item")),
            status,
            clean(finding.get("summary"), limit=500),
        )
        entry = (RANK[status], -self._arrived, row)
        if len(self._rows) < self.get_option("console_rows"):
            heapq.heappush(self._rows, entry)
        else:
            heapq.heappushpop(self._rows, entry)

    def _table(self) -> None:
        rows = [row for _rank, _order, row in sorted(self._rows, key=lambda entry: (-entry[0], -entry[1]))]
        self._display.display("")
        if not rows:
            return
        host_width = min(28, max(len(row[0]) for row in rows))
        check_width = min(34, max(len(row[1]) for row in rows))
        indent = host_width + check_width + 13
        width = shutil.get_terminal_size((140, 24)).columns
        for host, check, item, status, sentence in rows:
            text = sentence if item in sentence or item == host else f"{item}: {sentence}"
            lines = textwrap.wrap(text, max(30, width - indent)) or [""]
            head = (
                f"{shorten(host, limit=host_width):<{host_width}}  {shorten(check, limit=check_width):<{check_width}}"
            )
            self._display.display(f"{head}  {_colored(f'{status:<8}', status)} {lines[0]}")
            for line in lines[1:]:
                self._display.display(" " * indent + line)
        hidden = sum(self._counts[status] for status in ROWS) - len(rows)
        if hidden > 0:
            self._display.display(f"and {counted(hidden, 'finding')} more in the report")

    def _summary(self) -> None:
        if not self._arrived:
            return
        parts = [_colored(f"{self._counts[name]} {name}", name) for name in reversed(STATUSES) if self._counts[name]]
        if self._suppressed:
            parts.append(f"{self._suppressed} suppressed")
        took = duration(round(time.monotonic() - self._started, 1))
        self._display.display("")
        self._display.display(
            f"{counted(len(self._hosts), 'host')}, {counted(self._arrived, 'finding')} in {took}: {', '.join(parts)}"
        )

    def _printed(self, host: str, plain: dict[str, Any]) -> None:
        shown = {
            key: value for key, value in plain.items() if not key.startswith("_") and key not in ("changed", "failed")
        }
        message = shown.get("msg", self._dump_results(plain).splitlines())
        for line in message if isinstance(message, list) else [message]:
            text = str(line)
            indent = text[: len(text) - len(text.lstrip(" "))]
            self._line(f"  {host}: {indent}{clean(text, limit=MAX_ERROR)}")

    def _progress(self, host: str) -> None:
        done = f"{counted(self._arrived, 'finding')} from {counted(len(self._hosts), 'host')}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f"\r\033[K{shorten(f'  {done}; {host}', limit=width)}")
            sys.stdout.flush()
            self._status_shown = True
        elif time.monotonic() - self._said >= PROGRESS_EVERY:
            self._line(f"  {done}")

    def _line(self, text: str, color: str | None = None) -> None:
        self._clear()
        self._said = time.monotonic()
        self._display.display(text, color=color)

    def _clear(self) -> None:
        if self._status_shown:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()
            self._status_shown = False


def _parts(result: Any) -> tuple[str, Any, dict[str, Any]]:
    """Host name, task and result, by the names of old and new releases of ansible-core."""
    if hasattr(result, "task_name") and hasattr(result, "result"):
        return clean(result.host.get_name()), result.task, result.result
    return clean(result._host.get_name()), result._task, result._result


def _colored(text: str, status: str) -> str:
    return str(stringc(text, COLORS.get(status, "normal")))
