# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of HTTP status codes as people write them: ``200``, ``2xx``, ``301-308`` (RFC 9110 section 15)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FIRST, LAST = 100, 599
#: Status codes whose Location field a client follows (RFC 9110 section 15.4).
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_ONE = re.compile(r"([1-5])(?:(\d\d)|xx)")
_RANGE = re.compile(r"([1-5]\d\d)\s*-\s*([1-5]\d\d)")


@dataclass(frozen=True)
class StatusSet:
    """Status codes as inclusive ranges, and the words they came in."""

    ranges: tuple[tuple[int, int], ...]
    worded: str

    def __contains__(self, status: object) -> bool:
        return isinstance(status, int) and any(low <= status <= high for low, high in self.ranges)


def parse(parts: Sequence[object]) -> StatusSet:
    """``[200, "2xx", "301-308"]``; raises ValueError with the part that is wrong."""
    ranges = tuple(_range(str(part).strip().lower()) for part in parts if not isinstance(part, bool))
    if not ranges or len(ranges) != len(parts):
        raise ValueError(str(list(parts)))
    return StatusSet(ranges, ", ".join(str(part).strip().lower() for part in parts))


def _range(text: str) -> tuple[int, int]:
    one = _ONE.fullmatch(text)
    if one:
        hundreds = int(one.group(1)) * 100
        return (hundreds, hundreds + 99) if one.group(2) is None else (int(text), int(text))
    span = _RANGE.fullmatch(text)
    if span and int(span.group(1)) <= int(span.group(2)):
        return int(span.group(1)), int(span.group(2))
    raise ValueError(text)
