# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes are rebuilt or removed, and why the others are not: pure, the same in check mode as in a real run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Index
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.indexes import finds_the_same

Need = Literal["leftover", "invalid", "bloated"]
NEEDS: tuple[Need, ...] = ("leftover", "invalid", "bloated")
_MEBI = 1024**2
#: Bytes of index that a slow disk builds in a second: what a step is given before the window closes goes by it.
BUILD_RATE = 4 * _MEBI
#: Bytes that an index takes for a row when nothing better is known: pointer, header and a small key.
_ROW_BYTES = 24


@dataclass(frozen=True)
class Wanted:
    """What the user asks for. Sizes in bytes, times in seconds."""

    needs: frozenset[Need] = frozenset(NEEDS)
    indexes: tuple[str, ...] = ()
    indexes_exclude: tuple[str, ...] = ()
    bloat_percent: float = 50.0
    bloat_bytes: int = 100 * _MEBI
    maximum_size: int = 10 * 1024 * _MEBI
    maximum_indexes: int = 20
    free_factor: float = 2.0
    unseen_bytes: int = 256 * _MEBI
    index_seconds: float = 3600.0


@dataclass(frozen=True)
class Situation:
    """One database: its indexes, how many bytes of each are estimated to be air, and its disk.

    ``rebuilt`` are the sizes that indexes had after their last rebuild, by label; ``refused`` says why nothing may be
    done on this server at all.
    """

    database: str
    indexes: Sequence[Index]
    user: str = ""
    swollen: Mapping[int, int] = field(default_factory=dict)
    rebuilt: Mapping[str, int] = field(default_factory=dict)
    disk: Disk = field(default_factory=Disk)
    refused: str = ""

    def twin(self, index: Index) -> Index | None:
        """A valid index that finds the same."""
        return next((one for one in self.indexes if one.valid and finds_the_same(index, one)), None)

    def outlasts(self, remain: Index) -> bool:
        """Whether there is another index that finds the same, be it one that has to be rebuilt itself."""
        return any(not one.is_left_over and finds_the_same(remain, one) for one in self.indexes)


@dataclass(frozen=True)
class Decision:
    """What is to become of one index that needs something: a step, or a refusal."""

    database: str
    index: Index
    need: Need
    said: str
    step: Step | None = None
    refusal: str = ""

    @property
    def target(self) -> str:
        return target_of(self.database, self.index)


def target_of(database: str, index: Index) -> str:
    return f"{database} {index.schema}.{index.name}"


def decide(situations: Sequence[Situation], wanted: Wanted) -> list[Decision]:
    """What every index that needs something gets: remains first, for they free disk, the most swollen last."""
    found = [decision for situation in situations for decision in _decide(situation, wanted)]
    found.sort(key=lambda one: (NEEDS.index(one.need), -_gain(one), one.database, one.index.oid))
    counted = 0
    decisions = []
    for decision in found:
        counted += decision.step is not None
        if decision.step is not None and counted > wanted.maximum_indexes:
            reason = f"maximum_indexes of this run, {wanted.maximum_indexes}, is reached"
            decision = Decision(decision.database, decision.index, decision.need, decision.said, refusal=reason)
        decisions.append(decision)
    return decisions


def _gain(decision: Decision) -> int:
    estimate = decision.step.estimate if decision.step else {}
    return int(estimate.get("freed_bytes", 0))


def _decide(situation: Situation, wanted: Wanted) -> list[Decision]:
    decisions = []
    for index in situation.indexes:
        need = need_of(index, situation, wanted)
        if need is None or not chosen(index, wanted):
            continue
        said = _said(index, need, situation)
        refusal = next(filter(None, (guard(index, need, situation, wanted) for guard in GUARDS)), "")
        step = None if refusal else _step(situation, index, need, said, wanted)
        decisions.append(Decision(situation.database, index, need, said, step=step, refusal=refusal))
    return decisions


def chosen(index: Index, wanted: Wanted) -> bool:
    """Whether the user's globs leave it in."""
    name = f"{index.schema}.{index.name}"
    named = not wanted.indexes or any(fnmatchcase(name, glob) for glob in wanted.indexes)
    return named and not any(fnmatchcase(name, glob) for glob in wanted.indexes_exclude)


def need_of(index: Index, situation: Situation, wanted: Wanted) -> Need | None:
    """What an index needs of that which was asked for."""
    need: Need | None = None
    if not index.valid:
        # Without another one of the kind it is all that there is, whatever its name says.
        left_over = index.is_left_over and (index.of_toast or situation.outlasts(index))
        need = "leftover" if left_over else "invalid"
    elif is_swollen(index, situation, wanted):
        need = "bloated"
    return need if need in wanted.needs else None


def is_swollen(index: Index, situation: Situation, wanted: Wanted) -> bool:
    """Whether enough of it is air; an estimate that a rebuild has proved wrong does not count until it has grown."""
    air = situation.swollen.get(index.oid, 0)
    if not index.bytes or air < wanted.bloat_bytes or 100.0 * air / index.bytes < wanted.bloat_percent:
        return False
    rebuilt = situation.rebuilt.get(index.label)
    return rebuilt is None or index.bytes > rebuilt * (1 + wanted.bloat_percent / 100)


def _said(index: Index, need: Need, situation: Situation) -> str:
    if need == "leftover":
        return "what a broken-off REINDEX CONCURRENTLY has left behind"
    if need == "invalid":
        return "it is invalid: written by all and read by none"
    air = situation.swollen.get(index.oid, 0)
    share = f"{100.0 * air / index.bytes:.0f} %"
    return f"about {quantity(air, 'B')} of {quantity(index.bytes, 'B')} ({share}) are bloat"


def build_bytes(index: Index) -> int:
    """How large its successor may become: one that was never finished says nothing about that."""
    return index.bytes if index.valid else max(index.bytes, int(index.rows * _ROW_BYTES))


def _step(situation: Situation, index: Index, need: Need, said: str, wanted: Wanted) -> Step:
    target = target_of(situation.database, index)
    if need == "leftover":
        return Step("drop", target, said, reversible=False, estimate={"freed_bytes": index.bytes})
    size = build_bytes(index)
    air = situation.swollen.get(index.oid, 0) if need == "bloated" else 0
    return Step(
        action="reindex",
        target=target,
        reason=said,
        reversible=False,
        estimate={"freed_bytes": air, "needed_bytes": int(size * wanted.free_factor)},
        longest=min(wanted.index_seconds, 1.0 + size / BUILD_RATE),
    )


def _refused(_index: Index, _need: Need, situation: Situation, _wanted: Wanted) -> str:
    return situation.refused


def _in_motion(index: Index, _need: Need, _situation: Situation, _wanted: Wanted) -> str:
    return "somebody builds, rebuilds or drops it just now" if index.busy else ""


def _impossible(index: Index, need: Need, _situation: Situation, _wanted: Wanted) -> str:
    if need == "leftover":
        return ""
    if index.kind == "I":
        return "it is that of a partitioned table, and valid once every partition has its part (ATTACH PARTITION)"
    if index.exclusion:
        return "that of an exclusion constraint cannot be rebuilt online"
    if index.of_toast and not index.valid:
        return "an invalid one of a TOAST table cannot be rebuilt online; REINDEX TABLE of its table mends it"
    return ""


def _twin(index: Index, need: Need, situation: Situation, _wanted: Wanted) -> str:
    twin = situation.twin(index) if need == "invalid" and not index.unique and index.constraint_name is None else None
    return f"an equal one, {twin.label}, is valid: drop this one with postgresql_index" if twin else ""


def _without_rights(index: Index, need: Need, situation: Situation, _wanted: Wanted) -> str:
    if index.owned or (index.maintained and need != "leftover"):
        return ""
    who = situation.user or "this login"
    owner = f"{who} does not own {index.table_label}"
    return owner if need == "leftover" else f"{owner} and lacks MAINTAIN on it (pg_maintain, PostgreSQL 17 or newer)"


def _too_large(index: Index, need: Need, _situation: Situation, wanted: Wanted) -> str:
    if need == "leftover" or index.bytes <= wanted.maximum_size:
        return ""
    return f"its {quantity(index.bytes, 'B')} are more than maximum_size, {quantity(wanted.maximum_size, 'B')}"


def _without_disk(index: Index, need: Need, situation: Situation, wanted: Wanted) -> str:
    if need == "leftover":
        return ""
    return lacks_disk(index, situation.disk, wanted)


def lacks_disk(index: Index, disk: Disk, wanted: Wanted) -> str:
    """Why there is no room to rebuild it; empty where there is."""
    return disk.lacks(int(build_bytes(index) * wanted.free_factor), index.tablespace, unseen=wanted.unseen_bytes)


#: Asked in this order; the first refusal stands.
GUARDS: tuple[Callable[[Index, Need, Situation, Wanted], str], ...] = (
    _refused,
    _in_motion,
    _impossible,
    _twin,
    _without_rights,
    _too_large,
    _without_disk,
)
