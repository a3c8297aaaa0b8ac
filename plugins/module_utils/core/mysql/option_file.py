# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of options as MySQL's programs read them. Source: MySQL manual, "Using Option Files".

The file holds a password, so nothing of it is ever shown.
"""

from __future__ import annotations

import re

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError

_MOST_BYTES = 1 << 16
_GROUP = re.compile(r"\[\s*([\w-]+)\s*\]")
_OPTION = re.compile(r"([\w-]+)\s*(?:=\s*(.*))?")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)""")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " "}


def read_client_options(path: str) -> dict[str, str]:
    """The options of the group ``[client]``, with dashes in their names; later ones win. Raises MaintenanceError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read(_MOST_BYTES)
    except OSError as error:
        raise MaintenanceError(f"The file of options {path} cannot be read: {error.strerror}.") from None
    return client_options(text)


def client_options(text: str) -> dict[str, str]:
    """Likewise of the text of such a file; lines that are none of an option are passed over."""
    found: dict[str, str] = {}
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        heading = _GROUP.match(line)
        if heading:
            group = heading.group(1)
        elif group == "client":
            option = _OPTION.fullmatch(line)
            if option:
                found[option.group(1).replace("_", "-")] = _value(option.group(2) or "")
    return found


def _value(raw: str) -> str:
    """A value without its quotes; outside of them ``#`` begins a comment."""
    quoted = _QUOTED.match(raw)
    text = quoted.group("text") if quoted else raw.partition("#")[0].rstrip()
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found.group(1), found.group(1)), text)
