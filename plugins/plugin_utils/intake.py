# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module sent back, before anything on the controller believes it.

Our modules clean their text, but what arrives was sent by a host: it may be any JSON of any size. Findings and metrics
are built anew from the fields that the contract knows, everything else is cut to a size that a record can hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, worded
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import RANK, Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

#: Of texts, lists and nested documents in a record; a plan or a list of units is far below.
MAX_TEXT = 1000
MAX_ENTRIES = 5000
MAX_DEPTH = 8
_PLACE = 200


class Malformed(MaintenanceError):
    """A module's result is not what its contract says."""


def findings(raw: object) -> list[dict[str, Any]]:
    """The findings of a result, each built anew. Raises Malformed."""
    return [_finding(entry) for entry in _listed(raw, "findings")]


def _finding(entry: object) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise Malformed(f"A finding of the module is {worded(entry)}, not a mapping.")
    check, status, value, unit = (entry.get(key) for key in ("check", "status", "value", "unit"))
    if not isinstance(check, str) or not check or status not in RANK or not isinstance(status, str):
        raise Malformed(f"A finding of the module has the check {worded(check)} and the status {worded(status)}.")
    levels = entry.get("levels")
    return Finding(
        check=clean(check, limit=_PLACE),
        item=str(entry.get("item", "")),
        status=status,  # type: ignore[arg-type]
        summary=str(entry.get("summary", "")),
        value=value if _is_number(value) else None,
        unit=clean(unit or "", limit=20),
        levels=plain(levels) if isinstance(levels, Mapping) else None,
        evidence=tuple(str(piece) for piece in _listed(entry.get("evidence"), "evidence")),
        remedy=str(entry.get("remedy", "")),
    ).as_dict()


def metrics(raw: object) -> list[dict[str, Any]]:
    """The metrics of a result, each built anew; one without a number is left out. Raises Malformed."""
    return [
        Metric(
            name=clean(entry.get("name", ""), limit=_PLACE),
            item=str(entry.get("item", "")),
            value=entry["value"],
            unit=clean(entry.get("unit", ""), limit=20),
        ).as_dict()
        for entry in _listed(raw, "metrics")
        if isinstance(entry, Mapping) and _is_number(entry.get("value"))
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _listed(raw: object, what: str) -> Sequence[Any]:
    if raw is None:
        return ()
    if isinstance(raw, (str, bytes)) or not isinstance(raw, Sequence):
        raise Malformed(f"The {what} of the module are {worded(raw)}, not a list.")
    return raw


def plain(value: Any, *, depth: int = MAX_DEPTH) -> Any:
    """Any value in plain JSON types: texts clean and short, lists and nesting bounded, no NaN."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (Mapping, list, tuple)) and depth <= 0:
        return "…"
    if isinstance(value, Mapping):
        kept = list(value.items())[:MAX_ENTRIES]
        return {clean(key, limit=_PLACE): plain(entry, depth=depth - 1) for key, entry in kept}
    if isinstance(value, (list, tuple)):
        return [plain(entry, depth=depth - 1) for entry in value[:MAX_ENTRIES]]
    return clean(value, limit=MAX_TEXT)
