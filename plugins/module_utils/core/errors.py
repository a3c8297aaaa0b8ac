# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that modules raise; only ``core.runner`` turns them into a failed task."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

_FORM = reprlib.Repr()
_FORM.maxstring = _FORM.maxother = _FORM.maxlong = 160
_FORM.maxlevel = 3


def worded(value: object) -> str:
    """A value as a sentence can hold it: short whatever its size, without secrets and terminal sequences."""
    return clean(_FORM.repr(value))


class MaintenanceError(Exception):
    """Something a person can act on, said in one sentence.

    ``remedy`` tells what to do about it and is appended to the message of the failed task.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ConnectError(MaintenanceError):
    """A server of a database cannot be reached, or does not let us in.

    ``refused`` where nobody answers at all, ``unwelcome`` where a server answers and does not take this login,
    ``crowded`` where it has no room for one more connection.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        refused: bool = False,
        unwelcome: bool = False,
        crowded: bool = False,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.refused = refused
        self.unwelcome = unwelcome
        self.crowded = crowded


class OptionError(MaintenanceError):
    """An option holds a value that cannot be used: names the option, the value and what would be right."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(f"Option '{clean(option)}' is {worded(value)}, but must be {expected}.")
        self.option = option


class UnknownOption(OptionError):
    """An option, or a key of a mapping, that nothing reads: names the one that was meant, where one is near."""

    def __init__(self, option: str, known: Iterable[str]) -> None:
        # Most runs never need it, and hosts read it anew each time.
        import difflib

        names = [str(name) for name in known]
        near = difflib.get_close_matches(option.rpartition(".")[2], names, n=1)
        said = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names)}."
        super().__init__(option, None, f"one of {', '.join(names)}")
        self.message = f"Option '{clean(option)}' is not known; {said}"
