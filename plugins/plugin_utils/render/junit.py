# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit XML, as continuous integration servers read it: a suite a host, a case a finding.

``warning`` and ``critical`` are failures, ``unknown`` and faults are errors, ``skipped`` and suppressed are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import Entry, HostView
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.outputs import OutputFile
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Ticked

# What is not a Char in XML 1.0, section 2.2.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OUTCOME = {"warning": "failure", "critical": "failure", "unknown": "error", "skipped": "skipped"}


def legal(text: str) -> str:
    """Text without the characters that XML has no place for."""
    return _ILLEGAL.sub("", text)


def _attribute(text: str) -> str:
    return '"' + escape(text if text.isprintable() else legal(text), {'"': "&quot;"}) + '"'


class JunitReport:
    """Streams the report, a suite a host."""

    def __init__(self, path: Path, run: RunInfo) -> None:
        self.file = OutputFile(path)
        name = f"maintenance {run.cadence}".strip()
        self.file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name={_attribute(name)}>\n')
        self._time = run.started_text

    def add(self, view: HostView) -> None:
        outcomes = [_outcome(entry) for entry in view.entries]
        self.file.write(
            f"<testsuite name={_attribute(view.host)} tests='{len(outcomes) + len(view.faults)}' "
            f"failures='{outcomes.count('failure')}' errors='{outcomes.count('error') + len(view.faults)}' "
            f"skipped='{outcomes.count('skipped')}' time='{view.seconds:.3f}' timestamp={_attribute(self._time)}>\n"
        )
        for entry, outcome in zip(view.entries, outcomes, strict=True):
            self.file.write(_case(view.host, entry, outcome))
        for fault in view.faults:
            self.file.write(
                f"<testcase classname={_attribute(view.host)} name='fault'>"
                f"<error message={_attribute(fault)}/></testcase>\n"
            )
        self.file.write("</testsuite>\n")

    def end(self, fleet: Fleet, checklist: Iterable[Ticked], cadences: Iterable[Mapping[str, Any]]) -> None:
        self.file.write("</testsuites>\n")


def _outcome(entry: Entry) -> str:
    return "skipped" if entry.suppressed else _OUTCOME.get(entry.status, "")


def _case(host: str, entry: Entry, outcome: str) -> str:
    opening = f"<testcase classname={_attribute(f'{host}.{entry.check}')} name={_attribute(entry.item or entry.check)}"
    if not outcome:
        return f"{opening}/>\n"
    message = entry.summary
    if entry.suppressed:
        message = f"suppressed by {entry.suppressed['owner']} until {entry.suppressed['until']}: {message}"
    body = "\n".join(legal(text) for text in (*entry.evidence, entry.remedy) if text)
    kind = "" if outcome == "skipped" else f" type={_attribute(entry.status)}"
    return f"{opening}><{outcome}{kind} message={_attribute(message)}>{escape(body)}</{outcome}></testcase>\n"
