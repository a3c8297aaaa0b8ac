# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the root of those who wait, and for how long it keeps each of them waiting."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.blockers import (
    direct_waiters,
    kept_waiting,
    root_blockers,
)

PIDS = st.integers(0, 6)
#: Whoever waits for whom, in circles too; 0 is a prepared transaction, which waits for nobody.
GRAPHS = st.dictionaries(PIDS.filter(bool), st.lists(PIDS, min_size=1, max_size=3), max_size=6).map(
    lambda graph: {pid: [other for other in others if other != pid] for pid, others in graph.items()}
)
WAITS = st.dictionaries(PIDS, st.floats(0, 1000), max_size=7)


def ways(graph: dict[int, list[int]], pid: int, root: int, seen: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All ways from one who waits up to a root, without going in circles."""
    for blocker in graph.get(pid, []):
        if blocker == root:
            yield (*seen, pid)
        elif blocker not in seen and blocker != pid:
            yield from ways(graph, blocker, root, (*seen, pid))


@given(GRAPHS, WAITS, st.floats(0, 1000))
def test_of_all_ways_up_to_the_root_the_longest_of_the_shortest_waits_counts(
    graph: dict[int, list[int]], waits: dict[int, float], age: float
) -> None:
    for root in root_blockers(graph):
        wanted = {}
        for pid in graph:
            found = [min(age, *(waits.get(one, 0.0) for one in way)) for way in ways(graph, pid, root)]
            if found:
                wanted[pid] = max(found)
        assert kept_waiting(root, graph, waits, within=age) == wanted


@given(GRAPHS)
def test_a_root_blocks_somebody_and_waits_for_nobody(graph: dict[int, list[int]]) -> None:
    roots = root_blockers(graph)

    assert len(roots) == len(set(roots))
    assert set(roots) == {pid for blockers in graph.values() for pid in blockers if not graph.get(pid)}


def test_who_waits_twice_for_the_same_waits_once() -> None:
    """A leader of parallel workers is named once for each of them."""
    assert direct_waiters({2: [1, 1], 3: [1, 2]}) == {1: [2, 3], 2: [3]}


def test_two_who_wait_for_each_other_have_no_root() -> None:
    assert root_blockers({1: [2], 2: [1]}) == []


def test_one_who_begins_to_wait_late_has_kept_its_own_waiters_until_then() -> None:
    assert kept_waiting(1, {2: [1], 3: [2]}, {2: 1.0, 3: 600.0}) == {2: 1.0, 3: 1.0}
