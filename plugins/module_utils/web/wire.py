# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 on the wire without any socket: a request as bytes, and a reader that is fed an answer piece by piece.

RFC 9112. The reader trusts nobody: every part of an answer has a limit, and what passes it or breaks the grammar ends
in a :class:`WireError` with one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.url import Url

MAX_HEAD = 64 * 1024
MAX_FIELDS = 200
MAX_INTERIM = 10
MAX_CHUNK_LINE = 1024
MAX_TRAILERS = 8 * 1024
#: Bytes of framing around chunks that are put up with beyond the size of the body itself.
MAX_FRAMING = 64 * 1024
SNIPPET = 512
AGENT = "fleetcare-maintenance"

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: ([^\x00]*))?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_BEGINNING = b"HTTP/1."


class WireError(Exception):
    """What arrived is not an HTTP answer, or not one that should be read any further."""


def request(
    *, method: str, url: Url, headers: Sequence[tuple[str, str]], body: bytes | None, credentials: str = ""
) -> bytes:
    """A whole request; headers given win over the usual ones. ``credentials`` are those of the Basic scheme."""
    usual = [
        ("Host", url.authority),
        ("User-Agent", AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
    ]
    if credentials:
        usual.append(("Authorization", f"Basic {credentials}"))
    given = {name.lower() for name, _value in headers}
    lines = [f"{method} {url.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (*[one for one in usual if one[0].lower() not in given], *headers)]
    if method == "POST":
        lines.append(f"Content-Length: {len(body or b'')}")
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


@dataclass
class Response:
    """An answer. ``size`` is in bytes without framing; ``oversize`` when reading stopped at the limit.

    ``body`` is kept whole only when it was asked for; ``snippet`` is its beginning.
    """

    status: int
    headers: list[tuple[str, str]]
    size: int = 0
    oversize: bool = False
    body: bytearray = field(default_factory=bytearray)

    @property
    def snippet(self) -> str:
        return bytes(self.body[:SNIPPET]).decode("utf-8", "replace")

    def header(self, name: str) -> str:
        """The first field of a name, or empty."""
        return next((value for one, value in self.headers if one.lower() == name.lower()), "")


class ResponseReader:
    """Fed with what a server sends until it says that the answer is whole."""

    def __init__(self, *, method: str, max_bytes: int, keep_body: bool) -> None:
        self._method = method
        self._max_bytes = max_bytes
        self._kept = max_bytes if keep_body else SNIPPET
        self._buffer = bytearray()
        self._scanned = 0
        self._interim = 0
        self._framing = 0
        self._trailers = 0
        self._left = 0
        self._state = self._head
        self._response: Response | None = None
        self.complete = False

    @property
    def response(self) -> Response:
        """The answer; raises WireError while it has not begun."""
        if self._response is None:
            raise WireError("the connection was closed before an answer came")
        return self._response

    @property
    def begun(self) -> bool:
        """Whether a final status line and its fields have been read."""
        return self._response is not None

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True once the answer is whole. Raises WireError."""
        if not self.complete:
            self._buffer += data
            while not self.complete and self._state():
                pass
        return self.complete

    def end(self) -> None:
        """The server closed the connection. Raises WireError if the answer is not whole."""
        if self.complete:
            return
        if self._response is None:
            if self._buffer:
                raise WireError("the connection was closed in the middle of the response head")
            raise WireError("the connection was closed without an answer")
        if self._state != self._until_close:
            raise WireError(f"the connection was closed in the middle of the body, after {self._response.size} B")
        self.complete = True

    def _head(self) -> bool:
        buffer = self._buffer
        if not _BEGINNING.startswith(bytes(buffer[: len(_BEGINNING)])):
            piece = clean(bytes(buffer[:60]).decode("latin-1"), limit=40)
            raise WireError(f"what arrived does not begin like an HTTP/1.1 answer: {piece}")
        marks = [(buffer.find(mark, max(0, self._scanned - 3)), len(mark)) for mark in (b"\n\r\n", b"\n\n")]
        ends = [at + length for at, length in marks if at >= 0]
        self._scanned = len(buffer)
        if (min(ends) if ends else len(buffer)) > MAX_HEAD:
            raise WireError(f"the response head is longer than {MAX_HEAD // 1024} KiB")
        if not ends:
            return False
        head = bytes(buffer[: min(ends)])
        del buffer[: min(ends)]
        self._scanned = 0
        self._take_head([line.rstrip(b"\r") for line in head.split(b"\n")])
        return True

    def _take_head(self, lines: list[bytes]) -> None:
        match = _STATUS_LINE.fullmatch(lines[0])
        if match is None:
            raise WireError(f"the status line is malformed: {clean(lines[0][:60].decode('latin-1'), limit=60)}")
        status = int(match.group(2))
        headers = _fields([line for line in lines[1:] if line])
        if status < 200 and status != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise WireError(f"more than {MAX_INTERIM} interim answers came and no final one")
            return
        self._response = Response(status, headers)
        self._frame(self._response)

    def _frame(self, response: Response) -> None:
        """How the end of the body is known: RFC 9112 section 6.3."""
        codings = _elements(response, "transfer-encoding")
        lengths = set(_elements(response, "content-length"))
        if self._method == "HEAD" or response.status in (101, 204, 304):
            self.complete = True
        elif codings:
            if codings != ["chunked"]:
                raise WireError(f"the transfer coding was not asked for: {clean(', '.join(codings), limit=60)}")
            self._state = self._chunk_line
        elif lengths:
            self._frame_length(response, lengths)
        else:
            self._state = self._until_close

    def _frame_length(self, response: Response, lengths: set[str]) -> None:
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()) or len(length) > 18:
            raise WireError("Content-Length is not one whole number")
        self._left = int(length)
        self._state = self._counted
        if self._left > self._max_bytes:
            response.size = self._left
            self._stop_short(response)
        elif self._left == 0:
            self.complete = True

    def _take(self, amount: int) -> None:
        response = self.response
        response.size += amount
        if len(response.body) < self._kept:
            response.body += self._buffer[: min(amount, self._kept - len(response.body))]
        del self._buffer[:amount]
        if response.size > self._max_bytes:
            self._stop_short(response)

    def _stop_short(self, response: Response) -> None:
        response.oversize = True
        self.complete = True
        self._buffer.clear()

    def _until_close(self) -> bool:
        self._take(len(self._buffer))
        return False

    def _counted(self) -> bool:
        amount = min(self._left, len(self._buffer))
        self._left -= amount
        self._take(amount)
        if self._left == 0:
            self.complete = True
        return False

    def _line(self, limit: int, complaint: str) -> bytes | None:
        at = self._buffer.find(b"\n", 0, limit)
        if at < 0:
            if len(self._buffer) >= limit:
                raise WireError(complaint)
            return None
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        self._framing += at + 1
        if self._framing > MAX_FRAMING + self.response.size:
            raise WireError("the chunks carry more framing than body")
        return line.rstrip(b"\r")

    def _chunk_line(self) -> bool:
        line = self._line(MAX_CHUNK_LINE, f"a chunk's size line is longer than {MAX_CHUNK_LINE} B")
        if line is None:
            return False
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise WireError(f"a chunk's size is malformed: {clean(line[:40].decode('latin-1'), limit=40)}")
        self._left = int(match.group(1), 16)
        self._state = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        amount = min(self._left, len(self._buffer))
        self._left -= amount
        self._take(amount)
        if self._left or self.complete:
            return False
        self._state = self._chunk_end
        return True

    def _chunk_end(self) -> bool:
        line = self._line(2, "a chunk is longer than it says")
        if line is None:
            return False
        if line:
            raise WireError("a chunk is longer than it says")
        self._state = self._chunk_line
        return True

    def _trailer(self) -> bool:
        line = self._line(MAX_TRAILERS, f"a trailer field is longer than {MAX_TRAILERS // 1024} KiB")
        if line is None:
            return False
        self._trailers += len(line)
        if self._trailers > MAX_TRAILERS:
            raise WireError(f"the trailer fields are longer than {MAX_TRAILERS // 1024} KiB")
        if not line:
            self.complete = True
            return False
        return True


def _fields(lines: Sequence[bytes]) -> list[tuple[str, str]]:
    if len(lines) > MAX_FIELDS:
        raise WireError(f"the response head has more than {MAX_FIELDS} fields")
    found = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise WireError(f"a header field is malformed: {clean(line[:60].decode('latin-1'), limit=60)}")
        found.append((match.group(1).decode("ascii"), match.group(2).decode("latin-1")))
    return found


def _elements(response: Response, name: str) -> list[str]:
    """The elements of a list field, over all its lines, in lower case."""
    values = [value for one, value in response.headers if one.lower() == name]
    return [element.strip().lower() for value in values for element in value.split(",") if element.strip()]
