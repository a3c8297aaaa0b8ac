# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands where in a line: nginx's ``log_format`` and Apache's ``LogFormat`` taken apart into pieces.

Sources: ngx_http_log_module and the variables it logs; mod_log_config, mod_logio.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError

#: What a review can use of a line; every other variable is ``other``.
ROLES = (
    "address", "forwarded", "user", "time", "request", "method", "target", "query", "protocol", "status", "size",
    "referer", "agent", "seconds", "upstream", "other",
)  # fmt: skip

NGINX_VARIABLES: Mapping[str, str] = {
    "remote_addr": "address",
    "http_x_forwarded_for": "forwarded",
    "proxy_add_x_forwarded_for": "forwarded",
    "remote_user": "user",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    "uri": "target",
    "document_uri": "target",
    "args": "query",
    "query_string": "query",
    "server_protocol": "protocol",
    "status": "status",
    "body_bytes_sent": "size",
    "bytes_sent": "size",
    "http_referer": "referer",
    "http_user_agent": "agent",
    "request_time": "seconds",
    "upstream_response_time": "upstream",
}
#: A directive of Apache: its role, and by what its figure is divided to become seconds.
APACHE_DIRECTIVES: Mapping[str, tuple[str, float]] = {
    "h": ("address", 1),
    "a": ("address", 1),
    "u": ("user", 1),
    "r": ("request", 1),
    "m": ("method", 1),
    "U": ("target", 1),
    "q": ("query", 1),
    "H": ("protocol", 1),
    "s": ("status", 1),
    "b": ("size", 1),
    "B": ("size", 1),
    "O": ("size", 1),
    "D": ("seconds", 1e6),
    "T": ("seconds", 1),
    "{s}T": ("seconds", 1),
    "{ms}T": ("seconds", 1e3),
    "{us}T": ("seconds", 1e6),
    "{referer}i": ("referer", 1),
    "{user-agent}i": ("agent", 1),
    "{x-forwarded-for}i": ("forwarded", 1),
}

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
_COMMON = '%h %l %u %t "%r" %>s %b'
#: Names that ``format`` takes instead of a format string. Also what a log without a format is tried against, in this
#: order: the first that fits the most lines.
NAMED: Mapping[str, str] = {
    "combined": COMBINED,
    "combined_time": f"{COMBINED} $request_time",
    "combined_upstream": f"{COMBINED} $request_time $upstream_response_time",
    "combined_labelled": f"{COMBINED} rt=$request_time",
    "main": f'{COMBINED} "$http_x_forwarded_for"',
    "main_time": f'{COMBINED} "$http_x_forwarded_for" $request_time',
    "main_labelled": f'{COMBINED} "$http_x_forwarded_for" rt=$request_time',
    "common": _COMMON,
    "common_time": f"{COMBINED[: COMBINED.index(chr(34) + '$http_referer')]}$request_time",
    "vhost_combined": f'%v:%p {_COMMON} "%{{Referer}}i" "%{{User-Agent}}i"',
    "vhost_common": f"%v {_COMMON}",
}

_NGINX = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_APACHE = re.compile(r"%(%)|%(?:!?\d{3}(?:,\d{3})*)?([<>])?(?:\{([^}]*)\})?(\^?[A-Za-z]{1,2})")
#: ``log_format main '...' '...';`` and ``LogFormat "..." combined``, each also without what stands around the quotes.
_NGINX_DIRECTIVE = re.compile(
    r"\s*(?:log_format\s+\S+\s+(?:escape=\w+\s+)?)?(?P<quoted>'[^']*'(?:\s+'[^']*')*)\s*;?\s*"
)
_APACHE_DIRECTIVE = re.compile(r"\s*(?:LogFormat\s+)?\"(?P<quoted>%(?:[^\"\\]|\\.)*)\"(?:\s+[\w-]+)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """A literal (``role`` empty), or a variable with what it means, its name, and its unit's share of a second.

    ``blanks`` is how many spaces a variable always holds, as Apache's ``%{%F %T}t`` does.
    """

    role: str
    text: str
    divisor: float = 1.0
    blanks: int = 0


@dataclass(frozen=True)
class Format:
    """A line's pieces in order; never two variables without a literal between them, never two literals."""

    pieces: tuple[Piece, ...]
    #: Apache writes a quote inside a quoted variable as ``\\"``, nginx as ``\\x22``; a named format may be of either.
    backslash_quotes: bool

    def roles(self) -> frozenset[str]:
        return frozenset(piece.role for piece in self.pieces if piece.role)

    def divisor(self, role: str) -> float:
        return next((piece.divisor for piece in self.pieces if piece.role == role), 1.0)


def parse(raw: str, *, option: str = "format") -> Format:
    """A format by its name, or the string of ``log_format`` or ``LogFormat``. Raises OptionError."""
    text = NAMED.get(raw, "") or _unwrapped(raw)
    if _NGINX.search(text):
        pieces = _nginx_pieces(text)
    elif _APACHE.search(text):
        pieces = _apache_pieces(text.replace('\\"', '"').replace("\\t", "\t").replace("\\\\", "\\"))
    else:
        raise OptionError(
            option, raw, f"one of {', '.join(NAMED)}, json or auto, or a format string with $variables or %directives"
        )
    made = Format(tuple(_joined(pieces)), backslash_quotes=raw in NAMED or not _NGINX.search(text))
    _require_usable(made, raw, option)
    return made


def _unwrapped(raw: str) -> str:
    """A format as it stands in a server's configuration: without its directive and its quotes, in one piece."""
    nginx = _NGINX_DIRECTIVE.fullmatch(raw)
    if nginx:
        parts = re.findall(r"'([^']*)'", nginx["quoted"])
        return "".join(parts).replace("\\t", "\t")
    apache = _APACHE_DIRECTIVE.fullmatch(raw)
    return apache["quoted"] if apache else raw.strip("\n")


def _nginx_pieces(text: str) -> list[Piece]:
    pieces, at = [], 0
    for match in _NGINX.finditer(text):
        name = match[1] or match[2]
        pieces += [Piece("", text[at : match.start()]), Piece(NGINX_VARIABLES.get(name, "other"), f"${name}")]
        at = match.end()
    return [*pieces, Piece("", text[at:])]


def _apache_pieces(text: str) -> list[Piece]:
    pieces, at = [], 0
    for match in _APACHE.finditer(text):
        pieces.append(Piece("", text[at : match.start()]))
        at = match.end()
        percent, _which, argument, letter = match.groups()
        if percent:
            pieces.append(Piece("", "%"))
        elif letter == "t" and argument is None:
            # Written as [10/Oct/2000:13:55:36 -0700], with its brackets.
            pieces += [Piece("", "["), Piece("time", "%t"), Piece("", "]")]
        else:
            # %{c}a is the peer's address as %a is without mod_remoteip; every other argument makes another variable.
            key = letter if argument is None or letter == "a" else f"{{{argument.lower()}}}{letter}"
            role, divisor = APACHE_DIRECTIVES.get(key, ("other", 1.0))
            blanks = argument.count(" ") if argument and letter == "t" else 0
            pieces.append(Piece(role, match[0], divisor, blanks))
    return [*pieces, Piece("", text[at:])]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Literals that meet become one, empty ones go."""
    joined: list[Piece] = []
    for piece in pieces:
        if not piece.role and joined and not joined[-1].role:
            joined[-1] = Piece("", joined[-1].text + piece.text)
        elif piece.role or piece.text:
            joined.append(piece)
    return joined


def _require_usable(made: Format, raw: str, option: str) -> None:
    for one, following in zip(made.pieces, made.pieces[1:]):
        # Apache's %U%q is a path and what follows it: the query begins with its own question mark.
        if one.role and following.role and not (one.text == "%U" and following.text == "%q"):
            raise OptionError(option, raw, f"a format with something between {one.text} and {following.text}")
    roles = made.roles()
    if "status" not in roles:
        raise OptionError(option, raw, "a format with the status ($status, %>s)")
    if "request" not in roles and "target" not in roles:
        raise OptionError(option, raw, "a format with the request ($request, $request_uri, %r, %U)")
