# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a Markdown checklist, to be pasted into a ticket: the guides' boxes, then what needs attention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import STATUSES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted, duration
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.crossings import SEVERAL
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fleet import SHOWN, Fleet, RunInfo
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import SUPPRESSED, HostView
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.outputs import OutputFile
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.checklist import Ticked
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.render.words import headline, title

#: Punctuation that means something inside a line (CommonMark section 6; tables, strikethrough, mathematics, names and
#: numbers on GitHub), made literal by a backslash (2.4). An underscore within a word means nothing.
_MEANING = re.compile(r"([\\`*\[\]<>#|~&$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
#: GitHub turns bare addresses into links; a zero-width no-break keeps a hostile one from being clickable.
_SCHEME = re.compile(r"(?i)\b(https?|ftp|mailto|javascript)(:)|\b(www)(\.)")


def literal(text: str) -> str:
    """Text that Markdown shows as it is, inside a line that has begun with something else."""
    escaped = _MEANING.sub(r"\\\1", text)
    return _SCHEME.sub(lambda match: f"{match[1] or match[3]}\u200b{match[2] or match[4]}", escaped)


class MarkdownReport:
    """Nothing is said before all hosts are known."""

    def __init__(self, path: Path, run: RunInfo) -> None:
        self.file = OutputFile(path)
        self._run = run

    def add(self, view: HostView) -> None:
        """Hosts are read from the sums."""

    def end(self, fleet: Fleet, checklist: Iterable[Ticked], cadences: Iterable[Mapping[str, Any]]) -> None:
        write = self.file.write
        write(f"# {title(self._run)}\n\n{literal(headline(fleet))}\n\n")
        write(f"Run {literal(self._run.id)}, started {literal(self._run.started_text or 'at an unknown time')}")
        write(f" on {literal(self._run.controller)}." if self._run.controller else ".")
        write(f" Limited to {literal(self._run.limit)}." if self._run.limit else "")
        write(" Check mode: nothing was changed." if self._run.check_mode else "")
        counts = [
            f"{amount} {standing}"
            for standing in (*reversed(STATUSES), SUPPRESSED)
            if (amount := fleet.findings[standing])
        ]
        write(f" Findings: {', '.join(counts)}.\n" if counts else "\n")
        for cadence in cadences:
            if cadence["late"]:
                write(f"\n**The {cadence['cadence']} run is late**: {literal(str(cadence['summary']))}\n")
        self._boxes(checklist)
        self._attention(fleet)
        self._crossings(fleet)

    def _boxes(self, checklist: Iterable[Ticked]) -> None:
        heading = ""
        for ticked in checklist:
            here = f"{ticked.box.guide}: {ticked.box.cadence}"
            if here != heading:
                self.file.write(f"\n## {here}\n\n")
                heading = here
            self.file.write(f"- [{ticked.mark}] {ticked.box.title} ({literal(ticked.why)})\n")

    def _attention(self, fleet: Fleet) -> None:
        if not fleet.worst.total:
            return
        self.file.write("\n## Needs attention\n\n| status | host | check | item | finding | since |\n")
        self.file.write("|---|---|---|---|---|---|\n")
        for listed in fleet.worst:
            entry = listed.entry
            cells = (entry.status, listed.host, entry.check, entry.item, entry.summary, _since(fleet, entry.change))
            self.file.write("| " + " | ".join(literal(cell) for cell in cells) + " |\n")
        if fleet.worst.left_out:
            self.file.write(f"\nand {counted(fleet.worst.left_out, 'more finding', 'more findings')}.\n")

    def _crossings(self, fleet: Fleet) -> None:
        several = fleet.crossings.several()
        if not several:
            return
        self.file.write(f"\n## Addresses seen on {SEVERAL} hosts or more\n\n")
        self.file.write(
            "| address | hosts | failed logins | blocked packets | attacks | such as |\n|---|---|---|---|---|---|\n"
        )
        for crossing in several[:SHOWN]:
            counts = (crossing.hosts, crossing.failures, crossing.blocked, crossing.attacks)
            cells = (crossing.address, *map(str, counts), ", ".join(crossing.examples))
            self.file.write("| " + " | ".join(map(literal, cells)) + " |\n")
        if len(several) > SHOWN:
            self.file.write(f"\nand {len(several) - SHOWN} more.\n")


def _since(fleet: Fleet, change: Any) -> str:
    if change is None:
        return ""
    if change.kind in ("new", "worse"):
        return change.kind
    age = fleet.run.started - change.since
    return duration(age) if age > 0 else ""
