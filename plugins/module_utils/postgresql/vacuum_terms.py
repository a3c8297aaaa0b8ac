# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vacuum by need speaks of: the user's wishes, a database as found, and one job on one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Step
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import Holder
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.repack import Remains, Repack
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import Unmeasured
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import Need


@dataclass(frozen=True)
class Choice:
    """Which tables are looked at, and what may be done to them; the user's own words."""

    vacuum: bool = True
    analyze: bool = True
    tables: tuple[str, ...] = ()
    tables_exclude: tuple[str, ...] = ()
    share: float = 1.0
    full: tuple[tuple[str, str, str], ...] = ()
    full_max_bytes: int = 1024**3
    full_min_percent: float = 30.0
    repack: tuple[tuple[str, str, str], ...] = ()
    repack_max_bytes: int = 10 * 1024**3
    unseen_bytes: int = 256 * 1024**2


@dataclass(frozen=True)
class Held:
    """What keeps the dead rows of a database: the oldest snapshot's transaction id, and who has it."""

    xmin: int
    holder: Holder


@dataclass(frozen=True)
class Ground:
    """One database as it was found.

    ``tables`` may leave out those that nothing can be due for; ``counted`` then says how many there are, the database's
    own and the shared ones.
    ``allowed`` are the oids that this login may vacuum, ``grant`` the statement that would let it vacuum the others.
    ``wasted`` is, of the tables named for a rewrite, the share of their size in percent that one would win back, and
    ``tablespaces`` where on the ``disk`` they lie. ``repack`` is None where no table of it is named for pg_repack.
    """

    database: str
    tables: tuple[Table, ...]
    unmeasured: Unmeasured
    allowed: frozenset[int]
    grant: str = ""
    counted: tuple[int, int] | None = None
    wasted: Mapping[int, float | Absent] = field(default_factory=dict)
    tablespaces: Mapping[int, int] = field(default_factory=dict)
    disk: Disk = field(default_factory=Disk)
    repack: Repack | None = None


@dataclass(frozen=True)
class Job(Step):
    """One statement, or two, on one table. ``table`` carries the storage parameters that count for it.

    ``program`` is that of pg_repack, which then does the work; ``remains`` are what an earlier one has left behind.
    """

    database: str = ""
    table: Table = field(default_factory=lambda: Table(0, "", ""))
    need: Need = field(default_factory=lambda: Need(Table(0, "", "")))
    vacuum: bool = False
    analyze: bool = False
    full: bool = False
    program: str = ""
    remains: Remains | None = None

    @property
    def stage(self) -> int:
        """When its turn is: what an earlier run has left goes first, a partitioned table waits for its partitions,
        which it reads along, and rewrites, which lock others out, come last."""
        if self.remains is not None:
            return 0
        return 3 if self.full else 2 if self.table.kind == "p" else 1
