# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a collector brought back, or the one word for why it could not: nothing, and never a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, TypeVar, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status

T = TypeVar("T")


class Absent(MaintenanceError):
    """What has no answer: ``skipped`` for not there or not allowed, ``unknown`` for not working."""

    def __init__(self, reason: str, *, remedy: str = "", status: Status = "skipped") -> None:
        super().__init__(reason, remedy=remedy)
        self.status: Status = status


Reading = Optional[Union[T, Absent]]


def given(reading: Reading[T]) -> T:
    """The answer of a collector. Raises the Absent that it left in its place."""
    if isinstance(reading, Absent):
        raise reading
    if reading is None:
        raise AssertionError("a check asks for a part that it does not name among its needs")
    return reading


def attempt(collector: Callable[[], T]) -> T | Absent:
    """Run a collector; what it cannot reach becomes an Absent instead of an error."""
    try:
        return collector()
    except Absent as absent:
        return absent
    except PermissionError as error:
        return Absent(f"{error.filename}: permission denied", remedy="Run the check with become.")
    except MaintenanceError as error:
        # A program that the kernel did not start: on a host without a free process number the rest still counts.
        return Absent(str(error), status="unknown")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return Absent(f"{place}{error.strerror or error}", status="unknown")
