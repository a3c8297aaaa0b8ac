# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for whom: from what each waiting session says to those at the root, and how long they keep others waiting.

A process is its pid. A prepared transaction has none and is pid 0, as in pg_blocking_pids().
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def direct_waiters(blocked_by: Mapping[int, Iterable[int]]) -> dict[int, list[int]]:
    """Who waits for each that blocks somebody, in the order in which they are given."""
    waiters: dict[int, list[int]] = {}
    for pid, blockers in blocked_by.items():
        for blocker in dict.fromkeys(blockers):
            waiters.setdefault(blocker, []).append(pid)
    return waiters


def root_blockers(blocked_by: Mapping[int, Iterable[int]]) -> list[int]:
    """Those who block somebody and wait for nobody; none where all wait in circles, which the server ends itself."""
    waiting = {pid for pid, blockers in blocked_by.items() if tuple(blockers)}
    return [pid for pid in direct_waiters(blocked_by) if pid not in waiting]


def kept_waiting(
    root: int, blocked_by: Mapping[int, Iterable[int]], waited: Mapping[int, float], *, within: float = float("inf")
) -> dict[int, float]:
    """For how many seconds a root has kept each session below it waiting, by pid; no longer than ``within``, its age.

    Who has waited for an hour for somebody who waits for the root since a minute has been kept by the root for a
    minute: along a way down the shortest wait counts, and of several ways the longest.
    """
    waiters = direct_waiters(blocked_by)
    kept: dict[int, float] = {}
    todo = [(root, within)]
    while todo:
        pid, longest = todo.pop()
        for waiter in waiters.get(pid, ()):
            seconds = min(longest, waited.get(waiter, 0.0))
            if waiter != root and seconds > kept.get(waiter, -1.0):
                kept[waiter] = seconds
                todo.append((waiter, seconds))
    return kept
