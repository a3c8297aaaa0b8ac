# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts whose memory has an end, whatever the log holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


class BoundedCounter:
    """How often each key was met, exactly as long as there are no more than ``limit`` different ones.

    Past that the rarer half is forgotten; ``missed`` is how often one of them may have been met, so that a count of
    ``n`` stands for ``n`` to ``n + missed`` (the bound of lossy counting: Manku and Motwani, VLDB 2002).
    """

    __slots__ = ("counts", "limit", "missed")

    def __init__(self, limit: int) -> None:
        self.counts: Counter[bytes] = Counter()
        self.limit = limit
        self.missed = 0

    def update(self, keys: Iterable[bytes]) -> None:
        self.counts.update(keys)
        if len(self.counts) > self.limit:
            self._prune()

    def merge(self, other: BoundedCounter) -> None:
        self.missed += other.missed
        self.update_counts(other.counts)

    def update_counts(self, counts: Mapping[bytes, int]) -> None:
        self.counts.update(counts)
        if len(self.counts) > self.limit:
            self._prune()

    def _prune(self) -> None:
        kept = self.counts.most_common(self.limit // 2)
        self.missed += self.counts.most_common(self.limit // 2 + 1)[-1][1]
        self.counts = Counter(dict(kept))

    def top(self, amount: int) -> list[tuple[bytes, int]]:
        """The most frequent, and the lesser key first among equals."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:amount]
