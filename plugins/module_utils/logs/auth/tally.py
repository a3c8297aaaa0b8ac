# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting what an attacker chooses the number of: memory is bounded, and what was let go is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Tally(Generic[K, V]):
    """The heaviest ``capacity`` of many keys, each with what ``make`` makes for it.

    At twice the capacity the lighter half is let go, so that a key costs constant time; ``dropped`` counts keys that
    went, and one that comes back afterwards counts anew. What stays has at least the weight of what went.
    """

    def __init__(self, make: Callable[[], V], *, weight: Callable[[V], tuple[float, float]], capacity: int) -> None:
        self._make = make
        self._weight = weight
        self._capacity = capacity
        self._entries: dict[K, V] = {}
        self.dropped = 0

    def at(self, key: K) -> V:
        """The entry of a key, new where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= 2 * self._capacity:
                self._prune()
            entry = self._entries[key] = self._make()
        return entry

    def known(self, key: K) -> V | None:
        return self._entries.get(key)

    def heaviest(self) -> Iterator[tuple[K, V]]:
        """Keys and entries, the heaviest first."""
        return iter(sorted(self._entries.items(), key=lambda pair: self._weight(pair[1]), reverse=True))

    def __len__(self) -> int:
        return len(self._entries)

    def _prune(self) -> None:
        kept = sorted(self._entries.items(), key=lambda pair: self._weight(pair[1]), reverse=True)[: self._capacity]
        self.dropped += len(self._entries) - len(kept)
        self._entries = dict(kept)


class Few:
    """Different values, up to ``most``; beyond that there are at least so many."""

    __slots__ = ("_most", "_values")

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[str, int] = {}

    def add(self, value: str, amount: int = 1) -> None:
        if value in self._values:
            self._values[value] += amount
        elif len(self._values) < self._most:
            self._values[value] = amount

    def __len__(self) -> int:
        return len(self._values)

    @property
    def full(self) -> bool:
        return len(self._values) >= self._most

    def worded(self) -> str:
        """``7``, or ``100 or more``."""
        return f"{len(self)} or more" if self.full else str(len(self))

    def counted(self, singular: str, plural: str) -> str:
        """``1 address``, ``7 addresses`` or ``100 or more addresses``."""
        return f"{self.worded()} {singular if len(self) == 1 else plural}"

    def commonest(self, number: int) -> list[tuple[str, int]]:
        return sorted(self._values.items(), key=lambda pair: (-pair[1], pair[0]))[:number]


class Burst:
    """The most that happened within ``span`` seconds, to a tenth of the span."""

    __slots__ = ("_now", "_slots", "_step", "ended", "most")

    def __init__(self, span: float) -> None:
        self._step = span / 10
        self._slots: deque[list[int]] = deque()
        self._now = 0
        self.most = 0
        self.ended = 0.0

    def add(self, when: float, amount: int) -> None:
        slot = int(when // self._step)
        # A line that comes late counts to the newest slot: sources are read one after the other.
        if self._slots and slot <= self._slots[-1][0]:
            self._slots[-1][1] += amount
        else:
            self._slots.append([slot, amount])
        self._now += amount
        while self._slots[-1][0] - self._slots[0][0] >= 10:
            self._now -= self._slots.popleft()[1]
        if self._now > self.most:
            self.most, self.ended = self._now, when
