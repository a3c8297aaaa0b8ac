# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that were gathered and are not counted yet, by their numbers from 0 on."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.expression import Columns

#: What stands in a log for what is not there.
NOTHING = b"-"


class Rows:
    """A list for each column that is counted by route or looked at closer, all of one length."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.sizes: list[bytes] = []
        self.times: list[bytes] = []
        self.addresses: list[bytes] = []
        self.users: list[bytes] = []

    def __len__(self) -> int:
        return len(self.heads)

    def add(self, columns: Columns, addresses: Sequence[bytes]) -> range:
        """Take in a slice; returns the numbers of its rows."""
        begin = len(self.heads)
        self.heads += columns.heads
        end = len(self.heads)
        missing = [NOTHING] * (end - begin)
        self.sizes += columns.sizes or missing
        self.times += columns.times or missing
        self.addresses += addresses or missing
        self.users += columns.users or missing
        return range(begin, end)
