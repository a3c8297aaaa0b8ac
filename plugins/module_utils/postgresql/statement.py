# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A statement as it may be shown: its shape without its literals, which can be anybody's data."""

from __future__ import annotations

import re

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, shorten

#: Lexical structure as in the PostgreSQL manual, chapter 4.1; what is cut off in the middle ends with the text,
#: and so does a text with a backslash before a quote, of which only standard_conforming_strings tells where it ends.
_LITERALS = re.compile(
    r"""
      --[^\n]*
    | /\*.*?(?:\*/|\Z)
    | [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | (?:[uU]&|[bBxXnN])?'(?:[^'\\]|''|\\(?!'))*(?:'|\\'.*|\Z)
    | \$(?P<tag>[A-Za-z_\x80-\uffff][\w\x80-\uffff]*|)\$.*?(?:\$(?P=tag)\$|\Z)
    | (?P<name>"(?:[^"]|"")*(?:"|\Z)|[A-Za-z_\x80-\uffff][\w\x80-\uffff$]*|\$\d+)
    | (?:\d\w*(?:\.\d\w*)?|\.\d\w*)(?:(?<=[eE])[+-]\d+)?
    """,
    re.VERBOSE | re.DOTALL,
)
LIMIT = 200


def without_literals(statement: str, *, limit: int = LIMIT) -> str:
    """The statement in one line, every text and number as ``?``, comments left out."""

    def hidden(match: re.Match[str]) -> str:
        word = match[0]
        if match["name"] is not None:
            return word
        return " " if word.startswith(("--", "/*")) else "?"

    return shorten(clean(" ".join(_LITERALS.sub(hidden, statement).split())), limit=limit)
