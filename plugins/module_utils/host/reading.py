# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernel's files are read: whole and bounded."""

from __future__ import annotations

MAX_FILE = 4 * 1024 * 1024


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
