# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that rotation gives: which files beside a log are its older pieces, and in which order they were written.

Sources: logrotate(8) (``start``, ``dateext``, ``dateformat``, ``extension``, ``compressext``), rotatelogs(8), the file
appenders of Log4j and Python's ``logging.handlers``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Suffix to the way it is packed; ``Z`` is what compress(1) writes and nothing here reads.
COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".lzma": "xz", ".zst": "zstd"}
_PACKED = "|".join(re.escape(suffix) for suffix in COMPRESSIONS)
#: ``.1``, ``-20261125``, ``-2026-11-25_03-00``, ``.2026-11-25.2``, ``-1764028800``, ``.old``
_MARK = r"(?:[._-]\d{1,14}(?:[-_.:T]?\d{1,9}){0,6}|\.old|\.bak|~)"
_ENDS_ROTATED = re.compile(rf"{_MARK}(?:{_PACKED})?$|(?:{_PACKED})$")


@dataclass(frozen=True)
class RotatedName:
    """A name beside a log that rotation gave it: ``number`` for ``.1`` and the like, else ``date``, digits alone.

    ``inner``: that stands in front of the extension, where programs with several workers put the worker's number too.
    """

    name: str
    compression: str
    number: int | None
    date: tuple[int, ...]
    inner: bool = False

    @property
    def may_be_live(self) -> bool:
        """Whether the name does not tell an older piece from the log of another worker: ``worker-1.log``."""
        return self.inner and self.number is not None

    @property
    def plain(self) -> str:
        """The name without what packing adds: ``log.1`` and ``log.1.gz`` are one piece."""
        return next((self.name[: -len(end)] for end in COMPRESSIONS if self.name.endswith(end)), self.name)


def is_rotated(name: str) -> bool:
    """Whether a name looks like the older piece of a log: packed, or with a number or date behind it."""
    return bool(_ENDS_ROTATED.search(name))


def rotated_names(live: str, names: Sequence[str]) -> list[RotatedName]:
    """Those of ``names`` that are older pieces of the log ``live``; packed beside plain counts once, as plain."""
    found: dict[str, RotatedName] = {}
    for name in names:
        piece = _read(live, name)
        if piece and (piece.plain not in found or not piece.compression):
            found[piece.plain] = piece
    return list(found.values())


def may_be_live(live: str, name: str) -> bool:
    """Whether ``name`` is an older piece of ``live`` or the log of another worker beside it, and nobody can tell."""
    piece = _read(live, name)
    return piece is not None and piece.may_be_live and not piece.compression


def _read(live: str, name: str) -> RotatedName | None:
    if name == live:
        return None
    packed = next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), "")
    bare = name[: -len(packed)] if packed else name
    compression = COMPRESSIONS.get(packed, "")
    if bare == live:
        return RotatedName(name, compression, None, ())
    stem, dot, extension = live.rpartition(".")
    middle, inner = "", False
    if bare.startswith(live):
        middle = bare[len(live) :]
    elif dot and stem and bare.startswith(stem) and bare.endswith(f".{extension}"):
        middle, inner = bare[len(stem) : -len(extension) - 1], True
    if not re.fullmatch(_MARK, middle):
        return None
    digits = re.findall(r"\d+", middle)
    if len(digits) == 1 and len(digits[0]) <= 4:
        return RotatedName(name, compression, int(digits[0]), (), inner)
    return RotatedName(name, compression, None, tuple(int(part) for part in digits), inner)


def in_order(pieces: Sequence[tuple[RotatedName, int]]) -> list[RotatedName]:
    """Oldest first. Each comes with the time of its last change, which decides only where the names do not.

    Numbers count backwards, dates forwards; names of both kinds in one place are put in order by their times.
    """
    names = [name for name, _changed in pieces]
    if all(name.number is not None for name in names):
        return sorted(names, key=lambda name: -(name.number or 0))
    if all(name.date for name in names) and len({len(name.date) for name in names}) == 1:
        return sorted(names, key=lambda name: name.date)
    return [name for name, _changed in sorted(pieces, key=lambda piece: (piece[1], piece[0].name))]
