# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A subject's questions: a table from check to function, asked in the catalogue's order, each answered or explained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric, Number, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook, Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent


@dataclass(frozen=True)
class Words:
    """What every question answers with: the catalogue, the user's levels, and what the last run remembered.

    A subject's view adds what was collected.
    """

    memory: Mapping[str, Any]
    catalogue: Catalogue
    book: LevelBook

    def measure(
        self,
        check: str,
        item: str,
        value: Number,
        phrase: str,
        *,
        levels: Levels | None = None,
        evidence: Sequence[str] = (),
        note: str = "",
        remedy: str = "",
    ) -> Iterator[Finding | Metric]:
        """A finding by the check's levels, and the same figure as a metric."""
        yield self.catalogue.measured(
            check, item, value, phrase, book=self.book, levels=levels, evidence=evidence, note=note, remedy=remedy
        )
        yield Metric(check, item, value, self.catalogue[check].unit)

    def state(
        self, check: str, item: str, status: Status, summary: str, *, evidence: Sequence[str] = (), remedy: str = ""
    ) -> Finding:
        """A finding that is a fact."""
        return self.catalogue.stated(check, item, status, summary, evidence=evidence, remedy=remedy)


Answer = Union[Finding, Metric]
V = TypeVar("V", bound=Words)
#: What answers a check, and which parts of what can be collected it needs.
Questions = Mapping[str, tuple[Callable[[V], Iterator[Answer]], tuple[str, ...]]]


def parts_for(questions: Questions[V], checks: Collection[str]) -> frozenset[str]:
    """The parts that these checks need."""
    return frozenset(part for check in checks for part in questions[check][1])


def answer(
    view: V, questions: Questions[V], checks: Collection[str], *, item: str
) -> tuple[list[Finding], list[Metric]]:
    """Ask the chosen checks; what has no answer is said with its reason, of ``item``."""
    findings: list[Finding] = []
    metrics: dict[tuple[str, str], Metric] = {}
    for check in view.catalogue:
        if check not in checks:
            continue
        try:
            for piece in questions[check][0](view):
                if isinstance(piece, Finding):
                    findings.append(piece)
                else:
                    metrics[piece.name, piece.item] = piece
        except Absent as absent:
            findings.append(view.state(check, item, absent.status, absent.message, remedy=absent.remedy))
    return findings, list(metrics.values())
