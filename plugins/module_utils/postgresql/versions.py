# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions: fixes that a server lacks, how long its major version is still supported, extensions left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Topic, View

CHECKS = (
    Check(
        "postgresql.minor_version",
        "Minor releases behind",
        "How many minor releases are newer than the one that runs, by a table in this collection that says of which "
        "day it is. Minor releases mend faults that lose data or let people in, and need no dump.",
        "Install the newest packages of the same major version and restart the server in a window; read the release "
        "notes first for what they ask to be done afterwards, such as a REINDEX.",
        "server_version",
        "",
        Levels(info=1, warning=2),
    ),
    Check(
        "postgresql.support_end",
        "Days until support ends",
        "Days until the project stops mending this major version, which is about five years after its release.",
        "Plan the move to a newer major version: pg_upgrade, or a logical replica where the outage must be short.",
        "server_version, https://www.postgresql.org/support/versioning/",
        "d",
        Levels(info=365, warning=180, critical=0, direction="lower"),
    ),
    Check(
        "postgresql.extensions",
        "Extensions that are not at the server's version",
        "Extensions whose objects in a database are not those of the files that are installed. Neither a new package "
        "nor pg_upgrade brings them along, so that columns and repairs of the new version are missing.",
        "Run ALTER EXTENSION ... UPDATE in that database, after reading the extension's notes. Where its files are "
        "gone, install the package again, or drop the extension.",
        "pg_extension, pg_available_extensions",
        "",
        Levels(info=1),
    ),
)

#: The day on which the table below was made.
MADE = date(2026, 11, 25)


@dataclass(frozen=True)
class Branch:
    """A major version: its newest minor release that is known, the day support ends, and numbers never released."""

    minor: int
    ends: date
    skipped: tuple[int, ...] = ()


#: https://www.postgresql.org/support/versioning/
BRANCHES: Mapping[int, Branch] = {
    10: Branch(23, date(2022, 11, 10)),
    11: Branch(22, date(2023, 11, 9)),
    12: Branch(22, date(2024, 11, 21)),
    13: Branch(23, date(2025, 11, 13)),
    14: Branch(24, date(2026, 11, 12)),
    15: Branch(20, date(2027, 11, 11)),
    16: Branch(15, date(2028, 11, 9)),
    17: Branch(12, date(2029, 11, 8)),
    18: Branch(6, date(2030, 11, 14), skipped=(5,)),
}
_PREVIEWS = ("devel", "alpha", "beta", "rc")

_EXTENSIONS = """
SELECT e.extname::text AS name, e.extversion AS version, a.default_version AS offered
  FROM pg_extension e LEFT JOIN pg_available_extensions a ON a.name = e.extname
 WHERE a.default_version IS DISTINCT FROM e.extversion
 ORDER BY e.extname
"""


@dataclass(frozen=True)
class Extension:
    """An extension of a database that is not at the version ``offered``; None where its files are gone."""

    name: str
    version: str
    offered: str | None

    @property
    def words(self) -> str:
        return f"{self.name} {self.version}, " + (f"the server has {self.offered}" if self.offered else "no files")


def collect_extensions(session: Session, _server: Server, _settings: Settings) -> tuple[Extension, ...]:
    return tuple(Extension(**row) for row in session.rows(_EXTENSIONS))


def minor_version(view: View) -> Iterator[Answer]:
    server = view.cluster.server
    check, runs = "postgresql.minor_version", f"PostgreSQL {clean(server.version)}"
    if any(word in server.version for word in _PREVIEWS):
        yield view.state(check, view.place, "warning", f"{runs} is a preview, which nobody should keep data in")
        return
    branch = BRANCHES.get(server.major)
    if branch is None:
        yield view.state(check, view.place, "skipped", _unlisted(server))
        return
    own = server.version_number % 10000
    missing = [minor for minor in range(own + 1, branch.minor + 1) if minor not in branch.skipped]
    known = f"{server.major}.{branch.minor} is the newest that was known on {MADE}"
    yield from view.measure(check, view.place, len(missing), f"minor releases newer than {runs}", note=known)


def support_end(view: View) -> Iterator[Answer]:
    server = view.cluster.server
    branch = BRANCHES.get(server.major)
    if branch is None:
        yield view.state("postgresql.support_end", view.place, "skipped", _unlisted(server))
        return
    yield from view.measure(
        "postgresql.support_end",
        view.place,
        (branch.ends - view.cluster.now.date()).days,
        f"until support of PostgreSQL {server.major} ends",
        note=f"on {branch.ends}",
    )


def _unlisted(server: Server) -> str:
    return f"PostgreSQL {server.major} is not in the table of {MADE} that this collection carries"


def extensions(view: View) -> Iterator[Answer]:
    check = "postgresql.extensions"
    found = list(view.in_databases("extensions"))
    behind = [(database, extension) for database, several in found for extension in several]
    for database, extension in behind:
        if extension.offered is None:
            yield view.state(
                check,
                view.item(database, extension.name),
                "warning",
                f"the files of extension {extension.name} {extension.version} are not on the server any more",
            )
    yield from view.measure(
        check,
        view.place,
        len(behind),
        "extensions not at the server's version",
        note=f"in {counted(len(found), 'database')}",
        evidence=[f"{database}: {extension.words}" for database, extension in behind],
    )
    yield from view.absences(check, "extensions")


TOPIC = Topic(
    checks=CHECKS,
    questions={
        "postgresql.minor_version": (minor_version, ()),
        "postgresql.support_end": (support_end, ()),
        "postgresql.extensions": (extensions, ("extensions",)),
    },
    database={"extensions": collect_extensions},
)
