# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A format as bytes expressions that take a whole block of lines apart in one call.

Two of them. The *quick* one lets each variable run to the first byte of what follows it, which is what the engine does
fastest; it may run over the end of a broken line, so its answer counts only when the ends of lines add up. The *strict* one stays within a line and knows escaped quotes; what it does not match is not a request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.formats import Format, Piece

#: A block's columns, of equal length. A head is what a request is judged by: ``GET /path?query HTTP/1.1" 200``.
NO_COLUMN: Sequence[bytes] = ()


@dataclass
class Columns:
    """The requests of a block, a sequence of bytes for each variable; an empty one where the format lacks it."""

    heads: Sequence[bytes] = NO_COLUMN
    addresses: Sequence[bytes] = NO_COLUMN
    sizes: Sequence[bytes] = NO_COLUMN
    times: Sequence[bytes] = NO_COLUMN
    agents: Sequence[bytes] = NO_COLUMN
    unparsed: int = 0


@dataclass(frozen=True)
class Wanted:
    """Which variable of the format serves as address and as time, empty where none does."""

    address: str
    seconds: str


@dataclass
class Expression:
    """``quick`` and ``strict`` with the place of each column among their groups (from 1)."""

    quick: re.Pattern[bytes]
    strict: re.Pattern[bytes]
    quick_places: dict[str, int]
    strict_places: dict[str, int]
    backslash_quotes: bool
    #: ``request" status`` is one group, and is what a head is.
    whole_head: bool
    width: int = field(init=False)

    def __post_init__(self) -> None:
        self.width = self.quick.groups + 1

    def columns(self, block: bytes) -> Columns:
        """The requests of a block of whole lines."""
        lines = block.count(b"\n")
        if not (self.backslash_quotes and b"\\" in block and b'\\"' in block):
            flat = self.quick.split(block)
            between = b"".join(flat[0 :: self.width])
            unparsed = between.count(b"\n") if between else 0
            # Each match holds at least the end of its line. Where every end of a line is a match's or between two of
            # them, no match holds a second one: no variable has run over the end of its line.
            if len(flat) // self.width + unparsed == lines:
                return self._quick_columns(flat, unparsed)
        return self._strict_columns(self.strict.findall(block), lines)

    def _quick_columns(self, flat: list[bytes], unparsed: int) -> Columns:
        def column(role: str) -> Sequence[bytes]:
            return flat[self.quick_places[role] :: self.width] if role in self.quick_places else NO_COLUMN

        heads = column("head") if self.whole_head else _heads({role: column(role) for role in self.quick_places})
        return Columns(heads, column("address"), column("size"), column("seconds"), column("agent"), unparsed)

    def _strict_columns(self, rows: list[tuple[bytes, ...]], lines: int) -> Columns:
        if not rows:
            return Columns(unparsed=lines)
        every = list(zip(*rows))
        given = {role: every[place - 1] for role, place in self.strict_places.items()}

        def column(role: str) -> Sequence[bytes]:
            return given.get(role, NO_COLUMN)

        return Columns(
            _heads(given),
            column("address"),
            column("size"),
            column("seconds"),
            column("agent"),
            unparsed=lines - len(rows),
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


def build(made: Format, wanted: Wanted) -> Expression:
    """The two expressions of a format."""
    head = _head_span(made.pieces)
    names = {
        "address": wanted.address,
        "seconds": wanted.seconds,
        **{role: role for role in ("size", "agent")},
    }
    quick_names = dict(names)
    strict_names = {**names, **{role: role for role in ("request", "method", "target", "query", "status")}}
    strict_names.update({role: role for role in ("user", "time", "referer")})
    if head is None:
        quick_names = {**quick_names, **{role: role for role in ("request", "method", "target", "query", "status")}}
    quick, quick_places = _expression(made.pieces, quick_names, head=head, strict=False)
    strict, strict_places = _expression(made.pieces, strict_names, head=None, strict=True)
    return Expression(
        quick=re.compile(quick, re.MULTILINE),
        strict=re.compile(strict, re.MULTILINE),
        quick_places=quick_places,
        strict_places=strict_places,
        backslash_quotes=made.backslash_quotes,
        whole_head=head is not None,
    )


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
    if stop == " " and piece.role in _WITH_SPACES:
        return _WITH_SPACES[piece.role]
    if stop == '"' and before.endswith('"') and strict:
        return rb'[^"\\\n]*(?:\\.[^"\\\n]*)*'
    if strict:
        return rb"[^%b\n]*" % re.escape(stop.encode())
    if piece.text in ("$time_local", "%t") and stop == "]":
        # A point does not match the end of a line, and costs as little as a search for the bracket.
        return rb".{26}"
    return rb"[^%b]*" % re.escape(stop.encode())


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
