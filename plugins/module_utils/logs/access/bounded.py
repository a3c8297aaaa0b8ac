# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts whose memory has an end, whatever the log holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice


class BoundedCounter:
    """How often each key was met, exactly as long as there are no more than ``limit`` different ones.

    Past that, or past ``max_bytes`` of keys, the rarer half is forgotten; ``missed`` is how often one of them may have
    been met, so that a count of ``n`` stands for ``n`` to ``n + missed`` (lossy counting: Manku, Motwani; VLDB 2002).
    """

    __slots__ = ("_held", "_known", "counts", "limit", "max_bytes", "missed")

    def __init__(self, limit: int, max_bytes: int = 8 * 1024 * 1024) -> None:
        self.counts: Counter[bytes] = Counter()
        self.limit = limit
        self.max_bytes = max_bytes
        self.missed = 0
        self._known = 0
        self._held = 0

    def update(self, keys: Iterable[bytes] | Mapping[bytes, int]) -> list[bytes]:
        """Count keys; returns those that were never met before."""
        counts = self.counts
        counts.update(keys)
        new = len(counts) - self._known
        if not new:
            return []
        # A dictionary keeps the order in which its keys came.
        fresh = list(islice(reversed(counts), new))
        self._known += new
        self._held += sum(map(len, fresh))
        if self._known > self.limit or self._held > self.max_bytes:
            self._prune()
        return fresh

    def merge(self, other: BoundedCounter) -> None:
        self.missed += other.missed
        self.update(other.counts)

    def _prune(self) -> None:
        ordered = self.counts.most_common()
        kept: dict[bytes, int] = {}
        held = 0
        for key, many in ordered[: self.limit // 2]:
            held += len(key)
            if held > self.max_bytes // 2:
                break
            kept[key] = many
        self.missed += ordered[len(kept)][1]
        self.counts = Counter(kept)
        self._known, self._held = len(kept), sum(map(len, kept))

    def top(self, amount: int) -> list[tuple[bytes, int]]:
        """The most frequent, and the lesser key first among equals."""
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))[:amount]
