# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refused and accepted logins of each address in their order, also where several processes each read some stretches.

An accepted login ends the count of refusals: an office in which everybody mistypes once a day never adds up.
"""

from __future__ import annotations

#: Stretches of all addresses that are told apart; past that what an address did counts as going on from its last one.
MOST = 100_000


class Stretch:
    """One address in one stretch of the log.

    ``before`` are refusals in front of the first accepted login, ``after`` those behind the last, ``most`` the most
    between two of them; all are before where none was accepted.
    """

    __slots__ = ("accepted", "after", "before", "most", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.before = self.most = self.after = 0
        self.accepted = False

    def refuse(self) -> None:
        if self.accepted:
            self.after += 1
        else:
            self.before += 1

    def accept(self) -> None:
        self.most = max(self.most, self.after)
        self.after = 0
        self.accepted = True


class Logins:
    """By address. ``stretch`` is the number of the one that is being read, and only grows; the log begins with 0."""

    def __init__(self) -> None:
        self.stretch = 0
        self._known: dict[str, list[Stretch]] = {}
        self._held = 0

    def refuse(self, address: str) -> None:
        current = self._current(address)
        if current:
            current.refuse()

    def accept(self, address: str) -> None:
        # Where the log begins, no other process can have seen what came before.
        if self.stretch or address in self._known:
            current = self._current(address)
            if current:
                current.accept()

    def _current(self, address: str) -> Stretch | None:
        known = self._known.get(address)
        if known and (known[-1].number == self.stretch or self._held >= MOST):
            return known[-1]
        if self._held >= MOST:
            return None
        self._held += 1
        self._known.setdefault(address, []).append(Stretch(self.stretch))
        return self._known[address][-1]

    def merge(self, other: Logins) -> None:
        """Take in what another process saw in stretches of its own."""
        for address, stretches in other._known.items():
            self._known.setdefault(address, []).extend(stretches)
        self._held += other._held
        self.stretch = max(self.stretch, other.stretch)

    def crossed(self) -> list[tuple[int, str]]:
        """The most refusals in a row that an accepted login ended, and the address, the most first."""
        found = ((_most(stretches), address) for address, stretches in self._known.items())
        return sorted((one for one in found if one[0]), key=lambda one: (-one[0], one[1]))


def _most(stretches: list[Stretch]) -> int:
    most = refused = 0
    for one in sorted(stretches, key=lambda one: one.number):
        refused += one.before
        if one.accepted:
            most = max(most, refused, one.most)
            refused = one.after
    return most
