# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a repair has acted on something, kept for the host as a whole.

A module's state follows the journal: a run whose record got lost is taken back. What a run did to the host is not taken
back by that, so budgets and pauses are counted here: one file a repair, shared by all controllers, and charged before
the deed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import (
    StateError,
    clear_leftovers,
    is_open_to_others,
    prepare_directory,
    read_trusted,
    write_atomically,
)

SCHEMA = 1
#: What is older than this is forgotten; longer than any budget counts back.
KEPT_FOR = timedelta(days=8)
#: An entry further ahead than this was written by a clock that was wrong, and is not counted.
TOLERATED_AHEAD = timedelta(days=1)


class Busy(MaintenanceError):
    """Another run of the same repair is at work on this host."""


@dataclass(frozen=True)
class Ledger:
    """The deeds of one repair on this host: ``<directory>/<repair>.ledger``, beside a lock file."""

    directory: Path
    repair: str

    @property
    def path(self) -> Path:
        return self.directory / f"{self.repair}.ledger"

    @property
    def lock_path(self) -> Path:
        return self.directory / f"{self.repair}.lock"

    def read(self) -> dict[str, list[datetime]]:
        """When each target was acted on, oldest first; empty where nothing ever was.

        Raises StateError where the file cannot be read or understood: an unknown budget is not an unspent one.
        """
        document = read_trusted(self.path)
        if document is None:
            return {}
        try:
            deeds = document["deeds"]
            return {
                str(target): sorted(parse_time(raw, option="deeds") for raw in times) for target, times in deeds.items()
            }
        except (KeyError, TypeError, AttributeError, ValueError, MaintenanceError):
            raise StateError(
                f"The ledger {self.path} cannot be understood.",
                remedy="Look at it, and remove it to start counting anew.",
            ) from None

    def charge(self, target: str, *, now: datetime) -> None:
        """Write down a deed that is about to be done; on the disk when this returns. Raises StateError."""
        deeds = {
            name: recent
            for name, times in self.read().items()
            if (recent := [moment for moment in times if now - KEPT_FOR < moment <= now + TOLERATED_AHEAD])
        }
        deeds.setdefault(target, []).append(now)
        document = {"schema": SCHEMA, "deeds": {name: [iso(at) for at in times] for name, times in deeds.items()}}
        try:
            prepare_directory(self.directory)
            clear_leftovers(self.path)
            write_atomically(self.path, json.dumps(document, separators=(",", ":")).encode(), mode=0o600)
        except OSError as error:
            raise StateError(f"The ledger {self.path} cannot be written: {error.strerror}.") from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the repair's lock, which the kernel drops when the process dies. Raises Busy, or StateError."""
        try:
            prepare_directory(self.directory)
            descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"The lock {self.lock_path} cannot be opened: {error.strerror}.") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"Another {self.repair} is at work on this host.") from None
            yield
        finally:
            os.close(descriptor)

    def would_be_alone(self) -> None:
        """What ``alone`` would say, found out without making or changing a file, as check mode must.

        Raises Busy, or StateError.
        """
        try:
            is_open_to_others(self.directory)
            descriptor = os.open(self.lock_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._could_be_made()
        except OSError as error:
            raise StateError(f"The lock {self.lock_path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another {self.repair} is at work on this host.") from None
        finally:
            os.close(descriptor)
        return None

    def _could_be_made(self) -> None:
        nearest = next(folder for folder in (self.directory, *self.directory.parents) if folder.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise StateError(f"The lock {self.lock_path} cannot be made: {nearest} cannot be written to.")


def spent(times: Mapping[str, list[datetime]], target: str, *, now: datetime, window: timedelta) -> int:
    """How many deeds on ``target`` lie within the last ``window``; those a little ahead of the clock count too."""
    return sum(1 for at in times.get(target, []) if now - window < at <= now + TOLERATED_AHEAD)


def last(times: Mapping[str, list[datetime]], target: str, *, now: datetime) -> datetime | None:
    """The newest deed on ``target``; None where there is none."""
    return max((at for at in times.get(target, []) if at <= now + TOLERATED_AHEAD), default=None)
