# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A subject's checks as a table: what each asks, its unit and levels, what it means and what to do.

``docs/checks.md`` is generated from these tables, and findings are made through them, so a check without a row
cannot exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import (
    Finding,
    Number,
    Status,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook, Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity

#: So many names fit into a sentence.
_FEW = 12


@dataclass(frozen=True)
class Check:
    """One question: ``id`` is ``<subject>.<name>``; ``source`` names the file, view, manual page or RFC it reads."""

    id: str
    title: str
    meaning: str
    remedy: str
    source: str
    unit: str = ""
    levels: Levels | None = None


class Catalogue(Mapping[str, Check]):
    """All checks of a subject by id, in the order of the table."""

    def __init__(self, subject: str, checks: Iterable[Check]) -> None:
        self.subject = subject
        self._checks: dict[str, Check] = {}
        for check in checks:
            if check.id in self._checks or not check.id.startswith(f"{subject}."):
                raise ValueError(f"check id {check.id!r} is not unique or not of subject {subject!r}")
            self._checks[check.id] = check

    def __getitem__(self, key: str) -> Check:
        return self._checks[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._checks)

    def __len__(self) -> int:
        return len(self._checks)

    def select(self, patterns: Sequence[str], *, option: str = "checks") -> frozenset[str]:
        """The check ids that globs choose; a glob after ``!`` takes away. No glob means all.

        ``select(["host.disk*", "!host.disk_io"])``. A glob that matches nothing is an OptionError.
        """
        positive = [glob for glob in patterns if not glob.startswith("!")]
        chosen = set() if positive else set(self)
        for glob in patterns:
            bare = glob.lstrip("!")
            matched = {
                check for check in self if fnmatchcase(check, bare) or fnmatchcase(check, f"{self.subject}.{bare}")
            }
            if not matched:
                raise OptionError(option, glob, f"a glob that matches a check: {self._near(bare)}")
            chosen = chosen - matched if glob.startswith("!") else chosen | matched
        return frozenset(chosen)

    def _near(self, name: str) -> str:
        """What may have been meant by a name that is none, or all that could be where they are few."""
        prefix = f"{self.subject}."
        bare = name[len(prefix) :] if name.startswith(prefix) else name
        near = get_close_matches(bare, [check[len(prefix) :] for check in self], n=3)
        if near:
            return f"{' or '.join(prefix + found for found in near)}, perhaps"
        known = list(self)
        return f"one of {', '.join(known)}" if len(known) <= _FEW else f"one of the {len(known)} in docs/checks.md"

    def require(self, book: LevelBook) -> None:
        """Refuse levels for a check of this subject that does not exist: a typing error must not go unseen."""
        for check in sorted(book.checks()):
            if check not in self:
                raise OptionError(f"levels.{check}", check, f"the name of a check: {self._near(check)}")
            book.verify(check, self[check].levels)

    def measured(
        self,
        check_id: str,
        item: str,
        value: Number,
        phrase: str,
        *,
        book: LevelBook,
        levels: Levels | None = None,
        evidence: Sequence[str] = (),
        remedy: str = "",
        note: str = "",
    ) -> Finding:
        """Compare a measurement with the check's levels and word the finding.

        The summary reads ``<phrase>: <value> (<levels>)``. ``levels`` replaces the check's default, for instance by
        one scaled to the item's size, and the user's overrides still win. ``note`` is put behind the levels.
        """
        check = self[check_id]
        default = levels or check.levels
        in_force = book.lookup(check_id, item, default)
        status: Status = in_force.judge(value) if in_force else "ok"
        summary = f"{phrase}: {quantity(value, check.unit)}"
        worded = in_force.worded(check.unit) if in_force else ""
        if worded:
            summary += f" ({worded})"
        if note:
            summary += f"; {note}"
        return Finding(
            check=check_id,
            item=item,
            status=status,
            summary=summary,
            value=value,
            unit=check.unit,
            levels=in_force.as_dict() if in_force else None,
            evidence=tuple(evidence),
            remedy=(remedy or check.remedy) if status not in ("ok", "skipped") else "",
        )

    def stated(
        self,
        check_id: str,
        item: str,
        status: Status,
        summary: str,
        *,
        evidence: Sequence[str] = (),
        remedy: str = "",
    ) -> Finding:
        """A finding that is a fact and not a measurement: ``unit nginx.service has failed``."""
        check = self[check_id]
        return Finding(
            check=check_id,
            item=item,
            status=status,
            summary=summary,
            evidence=tuple(evidence),
            remedy=remedy or ("" if status in ("ok", "skipped") else check.remedy),
        )

    def skipped(self, check_id: str, item: str, reason: str, *, remedy: str = "") -> Finding:
        """What could not be looked at, why, and what would un-skip it."""
        return self.stated(check_id, item, "skipped", reason, remedy=remedy)


def hold_back(finding: Finding, *, seen: int, runs: int) -> Finding:
    """A finding whose levels say ``for: runs`` and which has been seen only ``seen`` times in a row so far."""
    return replace(
        finding,
        status="ok" if finding.status == "info" else "info",
        summary=f"{finding.summary}; seen in {seen} of the {runs} runs in a row that make it {finding.status}",
    )
