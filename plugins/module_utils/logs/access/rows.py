# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that were gathered and are not counted yet, by their numbers from 0 on."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import MAX_DIGITS, Columns
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.memo import NO_TIME, Seconds

#: What stands in a log for what is not there.
NOTHING = b"-"


class Rows:
    """A list for each column that is counted by route, all of one length: bytes, buckets of times, addresses.

    It holds no more than that, and figures instead of texts: what is held here keeps a processor's caches busy.
    """

    def __init__(self, seconds: Seconds) -> None:
        self.seconds = seconds
        self.sizes: list[int] = []
        self.times: list[int] = []
        self.addresses: list[bytes] = []
        #: Whether any has a time.
        self.timed = False

    def __len__(self) -> int:
        return len(self.sizes)

    def add(self, columns: Columns, addresses: Sequence[bytes]) -> range:
        """Take in a slice; returns the numbers of its rows."""
        begin, many = len(self.sizes), len(columns.heads)
        self.sizes += _figures(columns.sizes) if columns.sizes else [0] * many
        self.times += map(self.seconds.__getitem__, columns.times) if columns.times else [NO_TIME] * many
        self.addresses += addresses or [NOTHING] * many
        self.timed |= bool(columns.times)
        return range(begin, begin + many)


def _figures(sizes: Sequence[bytes]) -> list[int]:
    try:
        return list(map(int, sizes))
    except ValueError:
        # Some have sent nothing, and a figure of a thousand digits is none.
        return [int(size) if size.isdigit() and len(size) <= MAX_DIGITS else 0 for size in sizes]
