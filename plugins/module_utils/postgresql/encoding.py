# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that may not be in the encoding that they should be in.

What all databases of a cluster share, names and the statements of pg_stat_activity among it, the server hands out as it
was written in another database, with that database's encoding.
"""

from __future__ import annotations

from typing import Any

#: Types whose values are somebody's words.
_TEXTS = ("text", "name", "varchar", "bpchar")


def read_leniently(connection: Any, *, loader: Any) -> None:
    """Have a connection of UTF-8 read what is none with a mark in place of each byte; ``loader`` is the driver's."""

    class Lenient(loader):  # type: ignore[misc]
        def load(self, data: Any) -> str:
            return str(data, "utf-8", "replace")

    for kind in _TEXTS:
        connection.adapters.register_loader(kind, Lenient)
