# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a request's head before its line is counted: route, status, and whether it asks for a closer look.

A head is ``GET /path?query HTTP/1.1" 200``. It is taken apart once and then looked up, so what is costly (folding,
decoding, rules) is paid for each distinct head and not for each line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import Judge, Verdict
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.decoding import decode_log
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.routes import fold
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.scoring import Scorer

#: What requests without a method, and what was never there, are counted under.
NO_REQUEST = "(no request)"
NOT_FOUND = "(not found)"
OTHER = "(other)"
#: Attacks on what is none of the application's routes.
ATTACKS = "(attacks)"

_METHOD = re.compile(r"[A-Z][A-Z_-]{1,19}")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_PLAIN = re.compile(r"[/\w.~@{}-]*")
_MAX_PATHS = 40_000
_LONGEST_PATH = 400
_SCRIPT = re.compile(r"\.(?:php\d?|phtml|pht|phar|jspx?|aspx?|ashx|cgi|pl|py|sh|exe|war)$", re.IGNORECASE)
#: Answers that say that a route is none of the application's.
_NOTHING_THERE = frozenset({"400", "404", "405", "410"})


@dataclass
class Cell:
    """One route and status, with the numbers of its rows that are not counted yet.

    Attacks have a cell of their own, for the sizes of their answers are not what is usual.
    """

    route: str
    status: str
    attacks: bool = False
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Head:
    """A head that asks for a closer look: what it is, and where its lines are counted."""

    cell: Cell
    verdict: Verdict
    #: What was attacked, fit to be told.
    place: str
    #: "failure" or "success" of a login, "upload", "fetch" of a script from a folder of uploads, "missing", or empty.
    part: str
    path: str
    #: The route that what is missing would be of.
    asked: str = ""


@dataclass(frozen=True)
class Patterns:
    """Which paths are logins and which take uploads."""

    login: re.Pattern[str]
    upload: re.Pattern[str]


def patterns(login: Sequence[str], upload: Sequence[str]) -> Patterns:
    def either(expressions: Sequence[str]) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{one})" for one in expressions) or r"(?!)", re.IGNORECASE)

    return Patterns(either(login), either(upload))


class RouteTable:
    """At most ``limit`` routes; what comes later is told apart by its first segment, and in the end not at all.

    ``remembered`` are routes of earlier runs: what they are asked for exists.
    """

    def __init__(self, limit: int, remembered: Collection[str] = ()) -> None:
        self.limit = limit
        self.remembered = frozenset(remembered)
        self.overflowed = False
        self._known: set[str] = set()
        self._new: list[str] = []
        self._paths: dict[bytes, tuple[str, str]] = {}

    def path(self, raw: bytes) -> tuple[str, str]:
        """A raw path as people read it, and folded."""
        known = self._paths.get(raw)
        if known is None:
            if len(self._paths) > _MAX_PATHS:
                self._paths.clear()
            path = readable(raw)
            known = self._paths[raw[:_LONGEST_PATH]] = (path, fold(path))
        return known

    def known(self, method: str, folded: str) -> str:
        """The route of ordinary requests that this one is of; empty where there is none."""
        route = f"{method} {folded}"
        return route if route in self._known or route in self.remembered else ""

    def route(self, method: str, folded: str, status: str) -> str:
        """The route that a request is counted under."""
        route = f"{method} {folded}"
        if route in self._known:
            return route
        if status in _NOTHING_THERE and route not in self.remembered:
            # Scanners ask for thousands of paths that do not exist; they must not fill the table.
            return NOT_FOUND
        if len(self._known) < self.limit:
            self._known.add(route)
            self._new.append(route)
            return route
        self.overflowed = True
        wider = f"{method} /{folded.split('/', 2)[1] if folded.startswith('/') else ''}/…"
        if wider in self._known or len(self._known) < self.limit + self.limit // 4:
            self._known.add(wider)
            return wider
        return OTHER

    def take_new(self) -> list[str]:
        """The routes that became known since this was asked last."""
        new, self._new = self._new, []
        return new


def read_head(head: bytes) -> tuple[str, bytes, str] | None:
    """Method (empty where it is none), target and status of a head; None where its status is no status."""
    request, _quote, raw_status = head.rpartition(b'" ')
    status = raw_status.decode("latin-1")
    if len(status) != 3 or not status.isdigit() or not status.isascii() or b"\n" in head:
        return None
    method, _space, rest = request.partition(b" ")
    target = rest.rpartition(b" ")[0] or rest
    name = method.decode("latin-1")
    if not target or not (name == "-" or _METHOD.fullmatch(name)):
        return "", request, status
    return name, target, status


def readable(path: bytes) -> str:
    """A raw path without its host, decoded once, clean."""
    if not path.startswith(b"/") and b"://" in path[:12]:
        path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
    path = path[:_LONGEST_PATH]
    if b"%" in path or b"\\" in path:
        path = _PERCENT.sub(lambda found: bytes([int(found[1], 16)]), decode_log(path))
    text = path.partition(b";")[0].decode("utf-8", "replace")
    return text if text.isascii() and text.isprintable() else clean(text, limit=_LONGEST_PATH)


def tellable(path: str) -> str:
    """A path without what an attack may have put into it: plain segments, up to the first that is not.

    Tokens, numbers and the like are folded as in routes, for what is missing today may have been a secret.
    """
    plain = _PLAIN.match(path)
    kept = plain[0] if plain else ""
    return fold(path[:100]) if kept == path else f"{fold(kept[:100].rpartition('/')[0])}/…"


def part_of(method: str, path: str, status: str, known: Patterns) -> str:
    """What a request is to logins and uploads."""
    if status in ("401", "403") and known.login.search(path):
        return "failure"
    if method == "POST" and status[0] in "23" and known.login.search(path):
        return "success"
    if method in ("POST", "PUT") and status[0] in "23" and (known.upload.search(path) or method == "PUT"):
        return "upload"
    if method == "GET" and status[0] == "2" and _SCRIPT.search(path) and known.upload.search(path):
        return "fetch"
    return ""


def script(path: str) -> bool:
    """Whether a path ends like something that a server would run."""
    return _SCRIPT.search(path) is not None


class Reader:
    """Heads into cells: ``look`` is what a table of heads asks on its first meeting with each."""

    def __init__(self, judge: Judge, known: Patterns, limit: int, remembered: Collection[str] = ()) -> None:
        self.judge = Scorer(judge)
        self.known = known
        self.routes = RouteTable(limit, remembered)

    def look(self, head: bytes, cell_of: CellOf) -> Cell | Head | None:
        """A cell for an ordinary head, a Head for one that asks for a closer look, None for no request at all."""
        read = read_head(head)
        if read is None:
            return None
        method, target, status = read
        if not method:
            cell = cell_of(NO_REQUEST, status)
            verdict = self.judge.judge(target, status=status) if target not in (b"", b"-") else None
            return Head(cell, verdict, NO_REQUEST, "", NO_REQUEST) if verdict and verdict.attack else cell
        path, folded = self.routes.path(target.partition(b"?")[0])
        verdict = self.judge.judge(target, status=status, route=f"{method} {folded}", method=method)
        part = part_of(method, path, status, self.known)
        if verdict.attack:
            route = self.routes.known(method, folded)
            place = route or f"{method} {tellable(path)}"
            return Head(cell_of(route or ATTACKS, status, attacks=True), verdict, place, part, path)
        route = self.routes.route(method, folded, status)
        part = part or ("missing" if route == NOT_FOUND else "")
        cell = cell_of(route, status)
        return Head(cell, verdict, route, part, path, f"{method} {folded}") if part else cell


class CellOf:
    """The cells of a pass by route, status, and whether they are of attacks."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str, bool], Cell] = {}

    def __call__(self, route: str, status: str, *, attacks: bool = False) -> Cell:
        cell = self.cells.get((route, status, attacks))
        if cell is None:
            cell = self.cells[route, status, attacks] = Cell(route, status, attacks)
        return cell
