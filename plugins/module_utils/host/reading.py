# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernel's files are read: whole, bounded, and with one word for what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional, TypeVar, Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Status

T = TypeVar("T")
MAX_FILE = 4 * 1024 * 1024


class Absent(MaintenanceError):
    """A part of the host that has no answer: ``skipped`` for not there or not allowed, ``unknown`` for not working."""

    def __init__(self, reason: str, *, remedy: str = "", status: Status = "skipped") -> None:
        super().__init__(reason, remedy=remedy)
        self.status: Status = status


#: What a collector hands over: the answer, why there is none, or None where no chosen check asks.
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


def content(path: str, *, limit: int = MAX_FILE) -> str:
    """A file's text; bytes that are no UTF-8 stay as escapes. Raises OSError."""
    with open(path, "rb", buffering=0) as stream:
        pieces: list[bytes] = []
        size = 0
        while size < limit:
            piece = stream.read(min(65536, limit - size))
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    return b"".join(pieces).decode("utf-8", "backslashreplace")


def content_or(path: str, default: str = "") -> str:
    """A file's text without the blanks around it, ``default`` where it cannot be read."""
    try:
        return content(path).strip()
    except OSError:
        return default


def integer_or_none(path: str) -> int | None:
    """The whole number in a file of /proc or /sys, None where there is none."""
    try:
        return int(content(path).split()[0])
    except (OSError, ValueError, IndexError):
        return None


def unescape(text: str) -> str:
    r"""Undo the octal escapes of mount tables: blank, tab, newline and backslash come as ``\040`` (man 5 fstab)."""
    if "\\" not in text:
        return text
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text
