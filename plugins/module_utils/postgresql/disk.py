# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is free where a server keeps its data. No query tells it, so this host has to be the one that holds it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session

_PLACES = """
SELECT t.oid::bigint AS oid, pg_tablespace_location(t.oid) AS location FROM pg_tablespace t
"""
# A setting that this login may not see is no row of the view.
_DIRECTORY = """
SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS directory,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS started
"""
#: Seconds by which the file of the running server and the server itself may differ about its start.
_SAME_START = 5.0


@dataclass(frozen=True)
class Disk:
    """Where each tablespace of a server lies on this host; ``blind`` says why that is not known.

    ``told`` are bytes that the user has vouched for instead.
    """

    locations: Mapping[int, str] = field(default_factory=dict)
    blind: str = ""
    told: int | None = None

    def free(self, tablespace: int) -> int | None:
        """Bytes that the server may still write there; None where nobody knows."""
        if self.told is not None:
            return self.told
        location = self.locations.get(tablespace)
        if self.blind or location is None:
            return None
        try:
            facts = os.statvfs(location)
        except OSError:
            return None
        return facts.f_bavail * facts.f_frsize

    def lacks(self, needed: int, tablespace: int, *, unseen: int) -> str:
        """Why something that needs so many bytes must not be begun; empty where it may.

        Where nobody knows what is free, up to ``unseen`` bytes are taken for granted.
        """
        free = self.free(tablespace)
        if free is None:
            if needed <= unseen:
                return ""
            why = self.blind or "its folder cannot be looked at"
            return f"it takes {quantity(needed, 'B')}, and how much is free is not known: {why}"
        if free < needed:
            return f"it takes {quantity(needed, 'B')} of free disk, and there are {quantity(free, 'B')}"
        return ""


def look_at_disk(session: Session, *, told: int | None = None) -> Disk:
    """Find the server's folders on this host, if they are here. Raises QueryError, ConnectError."""
    if told is not None:
        return Disk(told=told)
    facts = session.row(_DIRECTORY)
    directory = facts["directory"]
    if directory is None:
        return Disk(blind="this login may not see where the server keeps its data (pg_read_all_settings)")
    blind = _not_here(Path(directory), started=facts["started"])
    if blind:
        return Disk(blind=blind)
    # The built-in tablespaces have no folder of their own.
    return Disk(locations={row["oid"]: row["location"] or directory for row in session.rows(_PLACES)})


def _not_here(directory: Path, *, started: float) -> str:
    """Why the folder is not the running server's own; the same path can exist on a host that only talks to it."""
    try:
        lines = (directory / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        begun = float(lines[2])
    except FileNotFoundError:
        return "the server keeps its data elsewhere than on this host"
    except OSError as error:
        return f"{directory} cannot be looked into ({error.strerror})"
    except (IndexError, ValueError):
        return f"{directory} is not that of a running server"
    if abs(begun - started) > _SAME_START:
        return f"{directory} on this host is that of another server"
    return ""
