# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A format as bytes expressions that take a whole block of lines apart in one call.

A *quick* one lets each variable run to the first byte of what follows it, which is what the engine does fastest, and
takes for granted that nobody is logged in, as is so in most lines. What it leaves is given to the *strict* one, which
stays within a line and knows escaped quotes; what that leaves is no request. Where many are logged in, the quick one
learns it.

A variable could run over the end of a line only where the next line goes on as if it were the same: two broken lines
that complete each other count as one request.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.formats import Format, Piece

#: No answer is larger than so many digits can say.
MAX_DIGITS = 15
#: A block's columns, of equal length. A head is what a request is judged by: ``GET /path?query HTTP/1.1" 200``.
NO_COLUMN: Sequence[bytes] = ()


@dataclass
class Columns:
    """The requests of a block, a sequence of bytes for each variable; an empty one where the format lacks it.

    ``users`` is empty too where no line names one. ``lines`` is how many lines they are of, None: not counted.
    """

    heads: Sequence[bytes] = NO_COLUMN
    addresses: Sequence[bytes] = NO_COLUMN
    sizes: Sequence[bytes] = NO_COLUMN
    times: Sequence[bytes] = NO_COLUMN
    agents: Sequence[bytes] = NO_COLUMN
    users: Sequence[bytes] = NO_COLUMN
    lines: int | None = None


@dataclass(frozen=True)
class Wanted:
    """Which variable of the format serves as address and as time, empty where none does."""

    address: str
    seconds: str


@dataclass(frozen=True)
class Quick:
    """An expression for ``split``, and which of its groups (from 1) holds which column."""

    pattern: re.Pattern[bytes]
    places: dict[str, int]


#: More lines than this share left to the strict expression, and the quick one is changed for one that names users.
_LEFT = 0.05
#: So many blocks with little in them that is a request, and the log is left to the strict one.
_POOR = 4


@dataclass
class Expression:
    """``quick`` is the one in use, ``general`` the one for logs whose users are logged in.

    ``whole_head``: ``request" status`` is one group, and is what a head is.
    """

    quick: Quick
    general: Quick
    strict: re.Pattern[bytes]
    strict_places: dict[str, int]
    backslash_quotes: bool
    whole_head: bool
    #: How many blocks held more of other lines than of requests.
    poor: int = 0

    def columns(self, block: bytes) -> Columns:
        """The requests of a block of whole lines; the others are left out."""
        # What runs to the next blank runs far where there is none, and from every line anew.
        if self.poor >= _POOR or (self.backslash_quotes and b"\\" in block and b'\\"' in block):
            return self._strict_columns(block)
        width = self.quick.pattern.groups + 1
        flat = self.quick.pattern.split(block)
        columns = self._quick_columns(flat, width)
        if b"\n" in b"".join(columns.addresses):
            # A line of one word has become part of the next one's address.
            self.poor += 1
            return self._strict_columns(block)
        between = b"".join(flat[0::width])
        columns.lines = len(columns.heads) + between.count(b"\n")
        self.poor += columns.lines > 2 * len(columns.heads)
        return self._completed(columns, between) if between else columns

    def _quick_columns(self, flat: list[bytes], width: int) -> Columns:
        places = self.quick.places

        def column(role: str) -> Sequence[bytes]:
            return flat[places[role] :: width] if role in places else NO_COLUMN

        heads = column("head") if self.whole_head else _heads({role: column(role) for role in places})
        return Columns(heads, column("address"), column("size"), column("seconds"), column("agent"), column("user"))

    def _completed(self, columns: Columns, between: bytes) -> Columns:
        """The columns with what the quick expression left."""
        rest = self._strict_columns(between)
        found, left = len(columns.heads), len(rest.heads)
        if not left:
            return columns
        if left > _LEFT * (found + left):
            self.quick = self.general
        users = columns.users or [b"-"] * found if rest.users else NO_COLUMN
        return Columns(
            [*columns.heads, *rest.heads],
            [*columns.addresses, *rest.addresses],
            [*columns.sizes, *rest.sizes],
            [*columns.times, *rest.times],
            [*columns.agents, *rest.agents],
            [*users, *rest.users],
            columns.lines,
        )

    def _strict_columns(self, block: bytes) -> Columns:
        rows = self.strict.findall(block)
        if not rows:
            return Columns()
        # A single group makes texts of the rows; a format has at least request and status.
        every = list(zip(*rows))
        given: dict[str, Sequence[bytes]] = {role: every[place - 1] for role, place in self.strict_places.items()}

        def column(role: str) -> Sequence[bytes]:
            return given.get(role, NO_COLUMN)

        return Columns(
            _heads(given), column("address"), column("size"), column("seconds"), column("agent"), column("user")
        )

    def parse_line(self, block: bytes, at: int) -> dict[str, bytes] | None:
        """All variables that a review uses of the line that begins at ``at``; None where it is no request."""
        match = self.strict.match(block, at)
        if match is None:
            return None
        return {role: match[place] for role, place in self.strict_places.items()}


def _heads(columns: dict[str, Sequence[bytes]]) -> Sequence[bytes]:
    """``GET /path?query HTTP/1.1" 200`` put together from the variables that a format spreads it over."""
    if "request" in columns:
        return list(map(b'" '.join, zip(columns["request"], columns["status"])))
    targets = columns["target"]
    if "query" in columns:
        targets = [_target(path, query) for path, query in zip(targets, columns["query"])]
    methods = columns.get("method") or [b"-"] * len(targets)
    return [b'%b %b HTTP" %b' % row for row in zip(methods, targets, columns["status"])]


def _target(path: bytes, query: bytes) -> bytes:
    if query in (b"", b"-") or b"?" in path:
        return path
    return path + query if query.startswith(b"?") else path + b"?" + query


_HEAD_ROLES = ("request", "method", "target", "query", "status")


def build(made: Format, wanted: Wanted) -> Expression:
    """The expressions of a format."""
    head = _head_span(made.pieces)
    names = {"address": wanted.address, "seconds": wanted.seconds, "size": "size", "agent": "agent"}
    heads = {role: role for role in _HEAD_ROLES}
    named = {role: role for role in ("user", "time", "referer")}
    quick_names = names if head is not None else {**names, **heads}
    nobody = tuple(Piece("", "-") if piece.role == "user" else piece for piece in made.pieces)
    strict, strict_places = _expression(made.pieces, {**names, **heads, **named}, head=None, strict=True)
    return Expression(
        quick=_quick(nobody, quick_names, head),
        general=_quick(made.pieces, {**quick_names, "user": "user"}, head),
        strict=re.compile(strict, re.MULTILINE),
        strict_places=strict_places,
        backslash_quotes=made.backslash_quotes,
        whole_head=head is not None,
    )


def _quick(pieces: Sequence[Piece], names: dict[str, str], head: int | None) -> Quick:
    pattern, places = _expression(pieces, names, head=head, strict=False)
    return Quick(re.compile(pattern, re.MULTILINE), places)


def _head_span(pieces: Sequence[Piece]) -> int | None:
    """Where ``"$request" $status`` begins, so that one group is the head; None where a format has it otherwise."""
    for at in range(len(pieces) - 2):
        request, between, status = pieces[at : at + 3]
        if request.role == "request" and between.text == '" ' and status.role == "status":
            return at
    return None


def _expression(
    pieces: Sequence[Piece], names: dict[str, str], *, head: int | None, strict: bool
) -> tuple[bytes, dict[str, int]]:
    """The expression, and which of its groups holds which column; a role's first variable counts."""
    roles = {role: name for name, role in names.items() if role}
    parts, places, groups = [b"^"], {}, 0
    for at, piece in enumerate(pieces):
        if not piece.role:
            parts.append(re.escape(piece.text.encode()))
            continue
        body = _body(pieces, at, strict=strict)
        name = roles.get(piece.role, "")
        if head == at:
            groups += 1
            places["head"] = groups
            parts.append(b"(" + body)
        elif head is not None and at == head + 2:
            parts.append(body + b")")
        elif name and name not in places:
            groups += 1
            places[name] = groups
            parts.append(b"(" + body + b")")
        else:
            parts.append(body)
    parts.append(b"\r?\n" if strict else b"\n")
    return b"".join(parts), places


def _body(pieces: Sequence[Piece], at: int, *, strict: bool) -> bytes:
    """How a variable is matched: up to the first byte of what follows it."""
    piece = pieces[at]
    following = pieces[at + 1].text if at + 1 < len(pieces) and not pieces[at + 1].role else ""
    before = pieces[at - 1].text if at and not pieces[at - 1].role else ""
    if at + 1 < len(pieces) and pieces[at + 1].role:
        return rb"[^?\s]*"  # Apache's %U before its %q
    if not following:
        return _LAST_STRICT.get(piece.role, rb"[^\n]*?") if strict else rb".*"
    stop = following[0]
    if strict and piece.role in _STRICT_FIGURES:
        return _STRICT_FIGURES[piece.role]
    if strict and piece.role == "user" and following[:2] in (" [", ' "'):
        # Whoever is asked for a name may give one with spaces, and nginx writes them as they are. What comes behind it
        # is in quotes, perhaps with a time in brackets before, and no name can write a quote.
        return rb"[^\n]*?"
    if strict and piece.role == "time" and before.endswith("[") and stop == "]":
        return rb"[^\]\n]{0,%d}" % _LONGEST_TIME
    if piece.blanks and stop == " ":
        return rb"[^ \n]*(?: [^ \n]*){%d}" % piece.blanks
    if stop == " " and piece.role in _WITH_SPACES and piece.text not in ("$msec", "$time_iso8601"):
        return _WITH_SPACES[piece.role]
    if stop == '"' and before.endswith('"') and strict:
        return rb'[^"\\\n]*(?:\\.[^"\\\n]*)*'
    if strict:
        return rb"[^%b\n]*" % re.escape(stop.encode())
    if piece.text in ("$time_local", "%t") and stop == "]":
        # A point does not match the end of a line, and costs as little as a search for the bracket.
        return rb".{26}"
    return rb"[^%b]*%b" % (re.escape(stop.encode()), _POSSESSIVE)


#: What runs to a byte that it cannot hold would find nothing in less of it; Python 3.11 can be told so.
_POSSESSIVE = b"+" if sys.version_info >= (3, 11) else b""
#: Bytes of a time in brackets; that it is bounded keeps a name full of brackets from being slow.
_LONGEST_TIME = 64
_UPSTREAM = rb"[-0-9.]*(?:(?:, | : )[-0-9.]*)*"
_STRICT_FIGURES = {"status": rb"[0-9]{3}", "size": rb"[0-9]+|-", "upstream": _UPSTREAM, "seconds": rb"[0-9.]+|-"}
_STRICT_FIGURES = {role: rb"(?:%b)" % body for role, body in _STRICT_FIGURES.items()}
_LAST_STRICT = _STRICT_FIGURES
#: Variables that hold spaces of their own although a space ends them.
_WITH_SPACES = {
    "time": rb"[^ \n]* [-+0-9]{5}",
    "request": rb"[^ \n]*(?: [^ \n]*){0,2}?",
    "upstream": _UPSTREAM,
    "forwarded": rb"[^ \n]*(?:, [^ \n]*)*",
}
