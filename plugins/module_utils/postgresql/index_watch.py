# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build that runs for hours is stopped when it puts the standbys or the disks under too much strain for too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, Deadline
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.patience import connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_budget import (
    Allowance,
    Budget,
    Watcher,
    read_pressure,
    standby_lag,
)


@contextmanager
def watched(session: Session, server: Server, allowance: Allowance) -> Iterator[None]:
    """Have what the session does within the block cancelled when it costs others too much; what is said tells so.

    It is cancelled once, for what follows is to clean up. Raises ConnectError.
    """
    clock = Clock()
    budget = Budget(allowance, clock, Deadline(clock))
    cancelled: list[str] = []

    def cancel() -> None:
        if not cancelled:
            cancelled.append(budget.stopped)
            session.cancel()

    with connect(session.login, database=session.database, read_only=True) as measuring:

        def look() -> None:
            try:
                lag = standby_lag(measuring, server) if allowance.lag else (0.0, "")
            except MaintenanceError as error:
                # Nothing goes on unwatched.
                budget.stop(f"what the work costs could not be seen any more: {error.message}")
                return
            budget.feed(lag=lag, pressure=read_pressure(session.login) if allowance.pressure else None)

        watcher = Watcher(look, budget, cancel)
        watcher.start()
        try:
            yield
        except MaintenanceError as error:
            if cancelled:
                raise MaintenanceError(f"Stopped: {cancelled[0]}. {error.message}", remedy=error.remedy) from error
            raise
        finally:
            watcher.end()
