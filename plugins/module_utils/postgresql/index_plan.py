# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done for one index to be there, or not to be: pure, the same in check mode as in a real run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import (
    Family,
    ForeignKey,
    Index,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.indexes import replaces, supports
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex_plan import BUILD_RATE

State = Literal["present", "absent"]


@dataclass(frozen=True)
class Table:
    """The table in question. ``bytes`` is what its new index is expected to take; ``tablespace`` where that goes."""

    oid: int
    kind: str
    owned: bool
    may_create: bool
    bytes: int = 0
    tablespace: int = 1663
    foreign_parts: bool = False


@dataclass(frozen=True)
class Wanted:
    """What is asked for. ``definition`` is what the server makes of it, None where only a name was given."""

    state: State
    database: str
    schema: str
    name: str
    definition: Index | None = None
    force: bool = False
    free_factor: float = 2.0
    unseen_bytes: int = 0
    index_seconds: float = 3600.0

    @property
    def target(self) -> str:
        return f"{self.database} {self.schema}.{self.name}"


@dataclass(frozen=True)
class Situation:
    """What is there. ``indexes`` are those of the table; ``taken`` says what else has the name.

    ``undo`` are the statements that would bring back the index that is to go, ``keys`` the table's foreign keys.
    """

    table: Table | None
    indexes: Sequence[Index] = ()
    family: Family | None = None
    keys: Sequence[ForeignKey] = ()
    taken: str = ""
    undo: Sequence[str] = ()
    disk: Disk = field(default_factory=Disk)


@dataclass(frozen=True)
class Decision:
    """One step, or none: then ``status`` and ``said`` tell how it is. ``refusal``: it is needed and is not done."""

    status: Status
    said: str
    step: Step | None = None
    refusal: str = ""
    remedy: str = ""
    index: Index | None = None


def is_equal(one: Index, other: Index) -> bool:
    """Whether each does all that the other does, and no more."""
    return set(one.included) == set(other.included) and replaces(_valid(one), other) and replaces(_valid(other), one)


def _valid(index: Index) -> Index:
    """The same as if it were valid, and somebody else's."""
    fields = {**vars(index), "valid": True, "oid": -1 - index.oid}
    return Index(**fields)


def decide(wanted: Wanted, situation: Situation) -> Decision:
    """The one decision of a run."""
    return _present(wanted, situation) if wanted.state == "present" else _absent(wanted, situation)


def _present(wanted: Wanted, situation: Situation) -> Decision:
    table, definition = situation.table, wanted.definition
    if table is None or definition is None:
        raise AssertionError("an index that is to be there has a table and a definition")
    label = f"{wanted.schema}.{wanted.name}"
    if situation.taken:
        return _refused(f"the name {label} is taken by {situation.taken}", remedy="Choose another name.")
    named = next((one for one in situation.indexes if one.name == wanted.name), None)
    if named is not None:
        return _present_by_name(wanted, situation, named)
    other = next((one for one in situation.indexes if replaces(one, definition)), None)
    if other is not None:
        said = f"an index that does the same is there as {other.label} {other.columns}"
        return Decision("info", said, index=other)
    busy = next((one for one in situation.indexes if one.busy and is_equal(one, definition)), None)
    if busy is not None:
        return _refused(f"an equal one, {busy.label}, is being built just now", index=busy)
    refusal = _may_not_build(wanted, situation, table, size=table.bytes)
    if refusal:
        return _refused(refusal)
    step = Step(
        action="create",
        target=wanted.target,
        reason=f"no index of {definition.table_label} does what {definition.columns} by {definition.method} does",
        reversible=True,
        estimate={"bytes": table.bytes, "needed_bytes": int(table.bytes * wanted.free_factor)},
        longest=_longest(wanted, table.bytes),
    )
    return Decision("warning", f"{label} is not there", step=step)


def _present_by_name(wanted: Wanted, situation: Situation, named: Index) -> Decision:
    definition, table = wanted.definition, situation.table
    if definition is None or table is None:
        raise AssertionError("an index that is to be there has a table and a definition")
    if not is_equal(named, definition):
        return _refused(
            f"{named.label} is there with another definition: {_words(named)}, and not {_words(definition)}",
            remedy="Drop it first, or choose another name.",
            index=named,
        )
    if named.valid:
        return Decision("ok", f"{named.label} is there: {_words(named)}, {quantity(named.bytes, 'B')}", index=named)
    if named.busy:
        return _refused(f"{named.label} is being built just now", index=named)
    size = max(named.bytes, table.bytes)
    refusal = _may_not_build(wanted, situation, table, size=size)
    if refusal:
        return _refused(refusal, index=named)
    # Of a partitioned table nothing is rebuilt: what a run that was killed has not come to is made and attached.
    parted = named.kind == "I"
    step = Step(
        action="create" if parted else "reindex",
        target=wanted.target,
        reason="some partition lacks its part" if parted else "it is invalid: written by all and read by none",
        reversible=parted,
        estimate={"bytes": size, "needed_bytes": int(size * wanted.free_factor)},
        longest=_longest(wanted, size),
    )
    return Decision("warning", f"{named.label} is invalid", step=step, index=named)


def _words(index: Index) -> str:
    return f"{'unique ' if index.unique else ''}{index.method} {index.columns}"


def _longest(wanted: Wanted, size: int) -> float:
    return min(wanted.index_seconds, 1.0 + size / BUILD_RATE)


def _refused(reason: str, *, remedy: str = "", index: Index | None = None) -> Decision:
    return Decision("warning", reason, refusal=reason, remedy=remedy, index=index)


def _may_not_build(wanted: Wanted, situation: Situation, table: Table, *, size: int) -> str:
    if not table.owned:
        return "this login does not own the table"
    if table.kind not in ("r", "m", "p"):
        return "it is no table that can have indexes of its own"
    if table.foreign_parts:
        return "a partition of the table is a foreign table, so that the index would never become valid"
    if not table.may_create:
        return f"this login may create nothing in schema {wanted.schema}"
    return situation.disk.lacks(int(size * wanted.free_factor), table.tablespace, unseen=wanted.unseen_bytes)


def _absent(wanted: Wanted, situation: Situation) -> Decision:
    label = f"{wanted.schema}.{wanted.name}"
    family = situation.family
    if situation.taken:
        return _refused(f"the name {label} is that of {situation.taken}", remedy="Correct the name.")
    if family is None:
        return Decision("ok", f"{label} is not there")
    index = family.root
    if wanted.definition is not None and not is_equal(index, wanted.definition):
        reason = f"{index.label} is there with another definition: {_words(index)}, and not {_words(wanted.definition)}"
        return _refused(reason, remedy="Leave out the definition to go by the name alone.", index=index)
    refusal = _may_not_go(wanted, situation, family)
    if refusal:
        return _refused(f"{index.label} stays: {refusal}", index=index)
    step = Step(
        action="drop",
        target=wanted.target,
        reason=f"it is not wanted: {_words(index)}, {family.scans} scans",
        reversible=True,
        estimate={"freed_bytes": family.bytes, "undo": list(situation.undo)},
    )
    return Decision("warning", f"{index.label} is there", step=step, index=index)


def _may_not_go(wanted: Wanted, situation: Situation, family: Family) -> str:
    index = family.root
    if index.constraint_name is not None:
        return f"it enforces the constraint {index.constraint_name}, which has to be dropped instead"
    if index.replica_identity:
        return "it is the replica identity of its table"
    if index.referenced:
        return "a foreign key points to it"
    if index.parent is not None:
        return "it is a partition's part of another index"
    if any(one.busy for one in (index, *family.members)):
        return "somebody builds, rebuilds or drops it just now"
    if not index.owned:
        return "this login does not own its table"
    oids = set(family.oids)
    for key in situation.keys if not wanted.force else ():
        supporting = [one for one in situation.indexes if one.table_oid == key.table_oid and supports(one, key.columns)]
        if supporting and {one.oid for one in supporting} <= oids:
            return f"it alone supports the foreign key {key.name} (force goes on all the same)"
    return ""
