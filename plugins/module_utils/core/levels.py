# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one comparator: every threshold of the collection is data, judged and worded here.

Upper levels trip at ``value >= level``, lower levels at ``value < level``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError, UnknownOption
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Number, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity

Direction = Literal["upper", "lower"]
NAMES: tuple[Status, ...] = ("info", "warning", "critical")
_KEYS = (*NAMES, "for")


@dataclass(frozen=True)
class Levels:
    """Thresholds of one check in the check's unit; ``runs`` is how many runs in a row must agree before it alarms."""

    info: float | None = None
    warning: float | None = None
    critical: float | None = None
    direction: Direction = "upper"
    runs: int = 1

    def judge(self, value: Number) -> Status:
        """The status of a value: the most severe level it has reached, else ``ok``; what is no number is unknown."""
        if math.isnan(value):
            return "unknown"
        for name in reversed(NAMES):
            limit = getattr(self, name)
            if limit is not None and (value >= limit if self.direction == "upper" else value < limit):
                return name
        return "ok"

    def worded(self, unit: str) -> str:
        """``warning from 80 %, critical from 90 %``; empty without levels."""
        word = "from" if self.direction == "upper" else "below"
        parts = [
            f"{name} {word} {quantity(limit, unit)}" for name in NAMES if (limit := getattr(self, name)) is not None
        ]
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Levels as findings carry them: the set ones, ``direction``, and ``for`` where it matters."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in NAMES if getattr(self, name) is not None}
        if not plain:
            return {}
        plain["direction"] = self.direction
        if self.runs > 1:
            plain["for"] = self.runs
        return plain


def override(base: Levels, raw: object, *, option: str) -> Levels:
    """``base`` with what a user gave for it; ``null`` turns a level off. Raises OptionError in one sentence."""
    if not isinstance(raw, Mapping):
        raise OptionError(option, raw, "a mapping with some of info, warning, critical and for")
    for key in raw:
        if key not in _KEYS:
            raise UnknownOption(f"{option}.{key}", _KEYS)
    change: dict[str, Any] = {name: _limit(raw[name], option=f"{option}.{name}") for name in NAMES if name in raw}
    if "for" in raw:
        change["runs"] = _runs(raw["for"], option=f"{option}.for")
    merged = replace(base, **change)
    _must_climb(merged, option=option)
    return merged


def _limit(raw: object, *, option: str) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool):
        raise OptionError(option, raw, "a number or null")
    try:
        limit = float(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise OptionError(option, raw, "a number or null") from None
    if not math.isfinite(limit):
        raise OptionError(option, raw, "a finite number or null")
    return int(limit) if limit.is_integer() else limit


def _runs(raw: object, *, option: str) -> int:
    try:
        runs = int(str(raw))
    except ValueError:
        runs = 0
    if isinstance(raw, bool) or not 1 <= runs <= 100:
        raise OptionError(option, raw, "a whole number of runs from 1 to 100")
    return runs


def _must_climb(levels: Levels, *, option: str) -> None:
    limits = [limit for name in NAMES if (limit := getattr(levels, name)) is not None]
    ordered = sorted(limits, reverse=levels.direction == "lower")
    if limits != ordered:
        rule = (
            "rise from info over warning to critical"
            if levels.direction == "upper"
            else "fall from info over warning to critical"
        )
        raise OptionError(option, levels.worded(""), f"levels that {rule}")


class LevelBook:
    """The levels in force: the checks' defaults with the user's ``levels`` on top.

    Keys of ``overrides`` are a check id (``host.memory``) or a check id with a glob for items
    (``host.disk_bytes[/var*]``); the more special key wins, then the later one.
    """

    def __init__(self, overrides: Mapping[str, Any] | None = None) -> None:
        self._plain: dict[str, Any] = {}
        self._items: list[tuple[str, str, Any]] = []
        for key, raw in (overrides or {}).items():
            check, bracket, rest = str(key).partition("[")
            if not bracket:
                self._plain[check] = raw
            elif rest.endswith("]") and len(rest) > 1:
                self._items.append((check, rest[:-1], raw))
            else:
                raise OptionError(
                    f"levels.{key}", raw, "keyed by a check id, or by a check id with an item in brackets"
                )

    def checks(self) -> set[str]:
        """Every check id that the overrides name."""
        return {*self._plain, *(check for check, _glob, _raw in self._items)}

    def names_item(self, check: str, item: str) -> bool:
        """Whether the user set levels for this very item, so that no scaling may second-guess them."""
        return any(name == check and fnmatchcase(item, glob) for name, glob, _raw in self._items)

    def names(self, check: str) -> bool:
        """Whether the user set levels for this check as a whole."""
        return check in self._plain

    def verify(self, check: str, default: Levels | None) -> None:
        """Raises OptionError for an override of this check that cannot be used, whichever item it is meant for."""
        levels = self.lookup(check, "", default)
        for name, glob, raw in self._items:
            if name == check:
                override(levels or Levels(), raw, option=f"levels.{name}[{glob}]")

    def sets_limits(self, check: str, item: str) -> bool:
        """Whether the user gave a limit (not ``for`` alone) for this item, so that no scaling may second-guess it."""
        given = [
            self._plain.get(check),
            *(raw for name, glob, raw in self._items if name == check and fnmatchcase(item, glob)),
        ]
        return any(isinstance(raw, Mapping) and any(name in raw for name in NAMES) for raw in given)

    def lookup(self, check: str, item: str, default: Levels | None) -> Levels | None:
        """The levels for one item of a check; None where the check has none and nobody gave any."""
        levels = default
        if check in self._plain:
            levels = override(levels or Levels(), self._plain[check], option=f"levels.{check}")
        for name, glob, raw in self._items:
            if name == check and fnmatchcase(item, glob):
                levels = override(levels or Levels(), raw, option=f"levels.{name}[{glob}]")
        return levels
