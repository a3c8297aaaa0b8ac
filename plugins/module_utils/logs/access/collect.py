# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what is new in each access log, once, and says what became of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.baseline import Baselines
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.beginning import bytes_since
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.choosing import (
    SAMPLE,
    Chosen,
    Wish,
    choose,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.heads import Reader
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.options import (
    USUAL_LOGS,
    Log,
    Wanted,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.passing import Pass
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import Tally
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.workers import tally_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import live_logs
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import Trail, follow
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.worded import loss_words, packed_words

#: Logs that one run reads.
MAX_LOGS = 100


@dataclass
class Reviewed:
    """One log: what was counted, and how its format was chosen. ``timed`` where its lines hold a time of requests."""

    path: str
    tally: Tally
    how: str
    timed: bool
    note: str = ""


@dataclass
class Collector:
    """One reading of all logs."""

    wanted: Wanted
    catalogue: Catalogue
    book: LevelBook
    remembered: Mapping[str, Any]
    now: datetime
    findings: list[Finding] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)
    reviewed: list[Reviewed] = field(default_factory=list)

    def read(self) -> None:
        """Read every log that is named, or the usual ones that are there."""
        if not self.wanted.logs:
            usual = [Log(path, Wish()) for path in USUAL_LOGS if os.path.exists(path)]
            if not usual:
                self._say(
                    "logs.readable",
                    "access log",
                    "skipped",
                    f"none of {', '.join(USUAL_LOGS)} is there, and no other log is named",
                )
            self._read_all(usual)
        else:
            self._read_all(self.wanted.logs)

    def _read_all(self, logs: tuple[Log, ...] | list[Log]) -> None:
        seen: dict[str, Wish] = {}
        for log in logs:
            paths, empty = live_logs([log.path])
            if empty:
                self._say("logs.readable", log.path, "unknown", "no such file")
            for path in paths:
                seen.setdefault(path, log.wish)
        for path, wish in list(seen.items())[:MAX_LOGS]:
            self._read_log(path, wish)
        left = len(seen) - MAX_LOGS
        if left > 0:
            self._say(
                "logs.readable",
                "access logs",
                "unknown",
                f"{counted(left, 'log')} more than {MAX_LOGS} were not read; name fewer",
            )

    def _read_log(self, path: str, wish: Wish) -> None:
        marks = self.remembered.get("files")
        known = marks.get(path) if isinstance(marks, Mapping) else None
        trail = follow(path, known, first=self._first(path, known), budget=self.wanted.max_bytes)
        # Whoever takes the lines apart knows how many they are.
        blocks = trail.blocks(count=False)
        first = next(blocks, b"")
        sample = first.splitlines()[:SAMPLE]
        chosen = choose(wish, sample) if sample else None
        if chosen is not None:
            tally = self._count(chosen, chain([first], blocks), self.baselines_of(path).ranges)
            trail.lines = tally.lines
            self.reviewed.append(Reviewed(path, tally, chosen.how, chosen.timed, chosen.note))
            self._say_parsed(trail, tally, chosen.how)
        elif sample:
            trail.lines = sum(block.count(b"\n") for block in chain([first], blocks))
            self._say_unparsed(trail)
        elif not trail.unreadable:
            self.reviewed.append(Reviewed(path, Tally(), "nothing new was there", timed=False))
        self.marks[path] = trail.mark()
        self._tell(trail)

    def _first(self, path: str, known: object) -> int:
        """How many bytes before its end a log is begun that was never read."""
        if known or not self.wanted.first_hours:
            return self.wanted.max_bytes
        since = bytes_since(path, self.now - timedelta(hours=self.wanted.first_hours))
        return self.wanted.max_bytes if since is None else min(since, self.wanted.max_bytes)

    def baselines_of(self, path: str) -> Baselines:
        """What earlier runs saw of a log's routes."""
        remembered = self.remembered.get("baselines")
        return Baselines.from_memory(remembered.get(path) if isinstance(remembered, Mapping) else None)

    def _count(self, chosen: Chosen, blocks: Iterator[bytes], routes: Collection[str]) -> Tally:
        def make() -> Pass:
            return Pass(
                parse=chosen.parser.columns,
                parse_line=chosen.parser.parse_line,
                reader=Reader(self.wanted.judge, self.wanted.known, self.wanted.max_routes, routes),
                divisor=chosen.divisor,
                forwarded=chosen.forwarded,
            )

        return tally_of(make, blocks, workers=self.wanted.workers)

    def _say_parsed(self, trail: Trail, tally: Tally, how: str) -> None:
        share = 100 * (tally.unparsed + trail.cut_lines) / max(1, tally.lines)
        note = f"{counted(tally.unparsed, 'line')} of {tally.lines}; {how}"
        if trail.cut_lines:
            note += f"; {counted(trail.cut_lines, 'line')} longer than 64 KiB cut"
        phrase = "lines that are no request"
        self.findings.append(
            self.catalogue.measured("logs.skipped_lines", trail.path, share, phrase, book=self.book, note=note)
        )

    def _say_unparsed(self, trail: Trail) -> None:
        self._say(
            "logs.skipped_lines",
            trail.path,
            "unknown",
            f"{counted(trail.lines, 'new line')} in a format that is not known, so nothing was counted",
            remedy="Give the server's log_format or LogFormat in the option logs.format.",
        )

    def _tell(self, trail: Trail) -> None:
        path = trail.path
        if trail.unreadable:
            status: Status = "unknown" if trail.gone else "skipped"
            remedy = "" if trail.gone else "Run the check with become; name the plain file and not a link to it."
            self._say("logs.readable", path, status, f"it {trail.unreadable}", remedy=remedy)
            return
        self._say("logs.readable", path, "ok", f"{counted(trail.lines, 'new line')} read")
        lost = trail.lost
        if lost:
            status, words = loss_words(lost)
            self._say("logs.lost", path, status, words)
        else:
            self._say("logs.lost", path, "ok", "no line was lost")
        note = packed_words(trail.packed)
        phrase = "left for the next run"
        left = self.catalogue.measured("logs.behind", path, trail.behind, phrase, book=self.book, note=note)
        self.findings.append(left)

    def _say(self, check: str, item: str, status: Status, words: str, *, remedy: str = "") -> None:
        self.findings.append(self.catalogue.stated(check, item, status, words, remedy=remedy))
