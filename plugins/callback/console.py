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
import re
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, STATUSES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration, shorten

# What the gate needs: loaded here, before Ansible forks, and not again in the worker of every task on every host.
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import (  # noqa: F401 pylint: disable=unused-import
    passage,
)

COLORS = {
    "critical": "bright red",
    "unknown": "bright purple",
    "warning": "bright yellow",
    "info": "bright cyan",
    "skipped": "dark gray",
    "ok": "green",
}
QUIET = "dark gray"
#: Statuses that get a row; what is ok or skipped is counted.
ROWS = ("critical", "unknown", "warning", "info")
PRINTING = ("debug", "ansible.builtin.debug", "ansible.builtin.assert", "assert")
PROGRESS_EVERY = 5.0
REDRAW_EVERY = 0.1
MAX_ERROR = 4000
MAX_DEEDS = 50
MAX_WARNINGS = 20
MAX_NAMES = 10
STATUS_WIDTH = 8
#: Below this many columns a sentence is not squeezed beside its check but put under it.
NARROWEST = 40
_UNIT = re.compile(r"(?<=\d) (?=(?:%|[KMGTP]?i?B(?:/s)?|ms|s|min|h|d)(?:\W|$))")

Row = tuple[str, str, str, str, str]


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
        self._hosts: set[str] = set()
        self._rows: list[tuple[int, int, Row]] = []
        self._arrived = 0
        self._deeds: list[str] = []
        self._deeds_left_out = 0
        self._report: list[str] = []
        #: The host on which the report itself failed the run, as maintenance_fail_on asks it to.
        self._judged = ""
        self._warned: set[str] = set()

    # What Ansible tells.

    def v2_playbook_on_play_start(self, play: Any) -> None:
        name = clean(play.get_name())
        self._line(f"{name}{' (check mode: nothing is changed)' if play.check_mode else ''}")

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._progress(f"{clean(host.get_name())}: {clean(task.get_name())}")

    def v2_runner_on_ok(self, result: Any) -> None:
        host, task, plain = _parts(result)
        self._warn(plain)
        if "findings" in plain:
            self._take(host, plain)
        elif task.action in PRINTING:
            self._printed(host, plain)
        elif plain.get("changed") and not plain.get("console") and not _of_ours(plain):
            self._line(f"  {host}: {clean(task.get_name())}: changed", color=constants.COLOR_CHANGED)
        if plain.get("console"):
            self._report = [clean(line, limit=1000) for line in plain["console"]]
        if plain.get("diff") and task.diff:
            self._clear()
            self._display.display(self._get_diff(plain["diff"]))
        self._progress(host)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        host, task, plain = _parts(result)
        self._warn(plain)
        if plain.get("console"):
            self._report = [clean(line, limit=1000) for line in plain["console"]]
            self._judged = host
            return
        if "findings" in plain:
            self._take(host, plain)
            return
        if _of_ours(plain):
            return
        word = "failed (ignored)" if ignore_errors else "failed"
        message = clean(plain.get("msg") or plain.get("stderr") or "no message", limit=MAX_ERROR)
        self._line(f"  {host}: {clean(task.get_name())}: {word}: {message}", color=constants.COLOR_ERROR)
        if plain.get("exception") and self._display.verbosity >= 2:
            for line in str(plain["exception"]).splitlines():
                self._line(f"    {clean(line, limit=MAX_ERROR)}", color=constants.COLOR_ERROR)

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

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self.v2_runner_on_ok(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self.v2_runner_on_failed(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self.v2_runner_on_skipped(result)

    def _warn(self, plain: Mapping[str, Any]) -> None:
        """Show what Ansible or the gate warns of, once however many hosts it is about."""
        warnings = plain.get("warnings")
        for warning in warnings if isinstance(warnings, (list, tuple)) else ():
            text = clean(str(warning), limit=MAX_ERROR)
            if text not in self._warned and len(self._warned) < MAX_WARNINGS:
                self._warned.add(text)
                self._line(f"  warning: {text}", color=constants.COLOR_WARN)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._line("No host matches: look at the inventory and at --limit.", color=constants.COLOR_ERROR)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._clear()
        for line in (*self._table(), *self._done(), "", self._summary(stats), *self._broken(stats), *self._report):
            self._display.display(line)

    # What is kept of it: never more than a screen or two, however many findings come.

    def _take(self, host: str, plain: Mapping[str, Any]) -> None:
        self._hosts.add(host)
        for finding in _mappings(plain["findings"]):
            self._arrived += 1
            if finding.get("suppressed"):
                self._suppressed += 1
                continue
            status = str(finding.get("status"))
            if status not in RANK:
                status = "unknown"
            self._counts[status] += 1
            if status in ROWS:
                self._keep(host, status, finding)
            elif finding.get("check") == "maintenance.window":
                self._did(f"{host}: {clean(finding.get('summary'))}")
        if "applied" not in plain:
            return
        for done in _mappings(plain["applied"]):
            self._did(f"{host}: {clean(done.get('action'))} {clean(done.get('target'))}: done")
        for failure in _mappings(plain.get("failures")):
            words = f"{clean(failure.get('action'))} {clean(failure.get('target'))}: {clean(failure.get('error'))}"
            self._did(f"{host}: {_colored('failed', 'critical')} to {words}")
        if plain.get("changed") and not plain["applied"]:
            for step in _mappings(plain.get("plan")):
                words = f"{clean(step.get('action'))} {clean(step.get('target'))}: {clean(step.get('reason'))}"
                self._did(f"{host}: would {words}")

    def _keep(self, host: str, status: str, finding: Mapping[str, Any]) -> None:
        item, sentence = clean(finding.get("item")), clean(finding.get("summary"), limit=500)
        if item and item != host and item not in sentence:
            sentence = f"{item}: {sentence}"
        row = (host, clean(finding.get("check")), status, sentence, item)
        entry = (RANK[status], -self._arrived, row)
        if len(self._rows) < self.get_option("console_rows"):
            heapq.heappush(self._rows, entry)
        else:
            heapq.heappushpop(self._rows, entry)

    def _did(self, line: str) -> None:
        if len(self._deeds) < MAX_DEEDS:
            self._deeds.append(line)
        else:
            self._deeds_left_out += 1

    # What is shown.

    def _table(self) -> Iterator[str]:
        rows = [row for _rank, _order, row in sorted(self._rows, key=_worst_first)]
        if not rows:
            return
        host_width = min(28, max(len(row[0]) for row in rows))
        check_width = min(34, max(len(row[1]) for row in rows))
        indent = STATUS_WIDTH + host_width + check_width + 6
        width = _columns() - indent
        yield ""
        above = ("", "")
        for host, check, status, sentence, _item in rows:
            # On a terminal a host that goes on is not said again; in a log every line stands for itself.
            named = "" if self._terminal and above == (status, host) else host
            above = (status, host)
            head = (
                f"{_colored(f'{status:<{STATUS_WIDTH}}', status)}  {shorten(named, limit=host_width):<{host_width}}  "
                f"{shorten(check, limit=check_width):<{check_width}}"
            )
            if width < NARROWEST:
                yield head.rstrip()
                yield from (f"  {line}" for line in _folded(sentence, max(20, _columns() - 2)))
                continue
            lines = _folded(sentence, width)
            yield f"{head}  {lines[0]}"
            yield from (" " * indent + line for line in lines[1:])
        hidden = sum(self._counts[status] for status in ROWS) - len(rows)
        if hidden > 0:
            yield _colored(f"and {counted(hidden, 'finding')} more in the report", QUIET)

    def _done(self) -> Iterator[str]:
        if not self._deeds:
            return
        yield ""
        yield "Repairs"
        yield from (f"  {line}" for line in self._deeds)
        if self._deeds_left_out:
            yield _colored(f"  and {self._deeds_left_out} more in the report", QUIET)

    def _summary(self, stats: Any) -> str:
        took = duration(round(time.monotonic() - self._started, 1))
        if not self._arrived:
            changes = counted(sum(stats.changed.values()), "change")
            return f"{counted(len(stats.processed), 'host')}, {changes} in {took}"
        parts = [_colored(f"{self._counts[name]} {name}", name) for name in reversed(STATUSES) if self._counts[name]]
        if self._suppressed:
            parts.append(f"{self._suppressed} suppressed")
        found = f"{counted(len(self._hosts), 'host')}, {counted(self._arrived, 'finding')}"
        return f"{found} in {took}: {', '.join(parts)}"

    def _broken(self, stats: Any) -> Iterator[str]:
        for word, amounts in (("failed", stats.failures), ("unreachable", stats.dark)):
            names = sorted(
                clean(name)
                for name, amount in amounts.items()
                if word != "failed" or amount > (clean(name) == self._judged)
            )
            if names:
                more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
                yield _colored(f"The run stopped early on {', '.join(names[:MAX_NAMES])}{more}: {word}", "critical")

    def _printed(self, host: str, plain: dict[str, Any]) -> None:
        shown = {
            key: value for key, value in plain.items() if not key.startswith("_") and key not in ("changed", "failed")
        }
        message = shown.get("msg", self._dump_results(plain).splitlines())
        for line in message if isinstance(message, list) else [message]:
            text = str(line)
            indent = text[: len(text) - len(text.lstrip(" "))]
            self._line(f"  {host}: {indent}{clean(text, limit=MAX_ERROR)}")

    def _progress(self, doing: str) -> None:
        done = f"{counted(self._arrived, 'finding')} from {counted(len(self._hosts), 'host')}"
        now = time.monotonic()
        if self._terminal:
            if now - self._said >= REDRAW_EVERY:
                self._said = now
                sys.stdout.write(f"\r\033[K{shorten(f'  {done}, now {doing}', limit=_columns() - 1)}")
                sys.stdout.flush()
                self._status_shown = True
        elif now - self._said >= PROGRESS_EVERY:
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


def _worst_first(entry: tuple[int, int, Row]) -> tuple[int, str, int]:
    rank, order, row = entry
    return -rank, row[0], -order


def _folded(sentence: str, width: int) -> list[str]:
    """The sentence in lines; a figure stays with its unit."""
    lines = textwrap.wrap(_UNIT.sub("\u00a0", sentence), width)
    return [line.replace("\u00a0", " ") for line in lines] or [""]


def _columns() -> int:
    return shutil.get_terminal_size((140, 24)).columns


def _mappings(raw: object) -> Iterator[Mapping[str, Any]]:
    """The mappings of what should be a list of them: a host may have sent anything."""
    if isinstance(raw, (list, tuple)):
        yield from (entry for entry in raw if isinstance(entry, Mapping))


def _of_ours(plain: Mapping[str, Any]) -> bool:
    """Whether a loop's result is about tasks whose findings have come one by one already."""
    return any("findings" in entry for entry in _mappings(plain.get("results")))


def _parts(result: Any) -> tuple[str, Any, dict[str, Any]]:
    """Host name, task and result, by the names of old and new releases of ansible-core."""
    if hasattr(result, "task_name") and hasattr(result, "result"):
        return clean(result.host.get_name()), result.task, result.result
    return clean(result._host.get_name()), result._task, result._result


def _colored(text: str, status: str) -> str:
    return str(stringc(text, COLORS.get(status, status)))
