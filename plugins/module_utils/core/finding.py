# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer of one check for one item, and how answers add up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted

Status = Literal["ok", "skipped", "info", "warning", "unknown", "critical"]
Number = Union[int, float]

#: From best to worst: what could not be asked is worse than a warning and not as bad as a known disaster.
STATUSES: tuple[Status, ...] = ("ok", "skipped", "info", "warning", "unknown", "critical")
RANK: Mapping[str, int] = {status: rank for rank, status in enumerate(STATUSES)}

MAX_EVIDENCE = 20
MAX_SUMMARY = 400


def worst(statuses: Iterable[str]) -> Status:
    """The worst of some statuses; ``skipped`` when there is none, for nothing asked is not ``ok``."""
    rank = max((RANK[status] for status in statuses), default=RANK["skipped"])
    return STATUSES[rank]


@dataclass(frozen=True)
class Finding:
    """What one check says of one item.

    All text passes :func:`text.clean` here, so no caller can let a terminal sequence or a secret through.
    ``value`` is in ``unit`` ("%", "B", "s", "1/s", "B/s", "" for a count); ``levels`` is ``Levels.as_dict()``.
    """

    check: str
    item: str
    status: Status
    summary: str
    value: Number | None = None
    unit: str = ""
    levels: Mapping[str, Any] | None = None
    evidence: tuple[str, ...] = ()
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.status not in RANK:
            raise ValueError(f"status of {self.check} is {self.status!r}, not one of {', '.join(STATUSES)}")
        object.__setattr__(self, "item", clean(self.item))
        object.__setattr__(self, "summary", clean(self.summary, limit=MAX_SUMMARY))
        object.__setattr__(self, "remedy", clean(self.remedy, limit=MAX_SUMMARY))
        kept = list(self.evidence)
        if len(kept) > MAX_EVIDENCE:
            kept = [*kept[: MAX_EVIDENCE - 1], f"and {len(kept) - MAX_EVIDENCE + 1} more"]
        object.__setattr__(self, "evidence", tuple(clean(piece) for piece in kept))
        if isinstance(self.value, float):
            # JSON has no word for infinity and no number.
            object.__setattr__(self, "value", round(self.value, 4) if math.isfinite(self.value) else None)

    def as_dict(self) -> dict[str, Any]:
        """The finding as results and journal carry it; absent measurements are left out."""
        plain: dict[str, Any] = {
            "check": self.check,
            "item": self.item,
            "status": self.status,
            "summary": self.summary,
        }
        if self.value is not None:
            plain["value"] = self.value
            plain["unit"] = self.unit
        if self.levels:
            plain["levels"] = dict(self.levels)
        if self.evidence:
            plain["evidence"] = list(self.evidence)
        if self.remedy:
            plain["remedy"] = self.remedy
        return plain


@dataclass(frozen=True)
class Metric:
    """One number worth keeping for trends: ``name`` like a check id, ``item``, ``value`` in ``unit``."""

    name: str
    item: str
    value: Number
    unit: str = ""

    def as_dict(self) -> dict[str, Any]:
        value = round(self.value, 6) if isinstance(self.value, float) else self.value
        return {"name": self.name, "item": clean(self.item), "value": value, "unit": self.unit}


def tally(statuses: Iterable[str]) -> str:
    """``12 findings: 1 critical, 1 skipped, 10 ok`` - worst first."""
    amounts: dict[str, int] = {}
    for status in statuses:
        amounts[status] = amounts.get(status, 0) + 1
    total = sum(amounts.values())
    if not total:
        return "nothing was looked at"
    parts = [f"{amounts[status]} {status}" for status in reversed(STATUSES) if status in amounts]
    return f"{counted(total, 'finding')}: {', '.join(parts)}"
