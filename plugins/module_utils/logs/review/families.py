# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that have the date in their names are one log: what is remembered of yesterday's is held against today's.

PostgreSQL's collector (``log_filename``), rotatelogs(8), and loggers that begin a file each day or hour.
"""

from __future__ import annotations

import re

#: ``2026-03-06_000000``, ``20260306``, ``2026.03.06-13``, ``2026-03``, ``2026/03/06`` in folders, Unix seconds.
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d(?P<sign>[-_./]?)(?:0[1-9]|1[0-2])(?:(?P=sign)(?:0[1-9]|[12]\d|3[01]))?"
    r"(?:[-_.T]?(?:[01]\d|2[0-3])(?:[-_.:]?[0-5]\d){0,2})?|1\d{9})(?!\d)"
)


def family(source: str) -> str:
    """The name of a log with ``*`` for its date and time; a log without them is a family of its own."""
    return _DATE.sub("*", source) if source.startswith("/") else source
