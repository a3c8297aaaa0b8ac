# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers' logs from the Docker Engine API, from where the last run stopped.

Source: Docker Engine API, ContainerList, ContainerInspect and ContainerLogs. The engine's only cursor is a time, and
lines may share it or come out of order, so the mark names the last lines by their fingerprints: they are asked for
again and left out, and where none of them comes back, lines were lost.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED, Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LINE_LIMIT, LineCutter
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.opening import fingerprint

TIMEOUT = 60.0
#: How many lines the mark knows.
KNOWN_LINES = 256
_MOST_JSON = 32 << 20
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
_STAMPS = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:\d\d) ", re.MULTILINE)
_STREAMS = (1, 2)


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class Container:
    """A container: its id, its name without the slash, and whether it has a terminal, so that nothing is framed."""

    id: str
    name: str
    terminal: bool = False


class Engine:
    """The engine behind a socket. Every method raises MaintenanceError with the engine's own words."""

    def __init__(self, path: str) -> None:
        self.path = path

    def containers(self, patterns: Sequence[str]) -> tuple[list[Container], list[str]]:
        """Containers, stopped ones too, whose names match some globs, and the globs that match none."""
        listed = self._json("/containers/json?all=1")
        names = {
            str(name).lstrip("/"): str(entry.get("Id", ""))
            for entry in (listed if isinstance(listed, list) else [])
            for name in entry.get("Names") or []
        }
        chosen = {name: id_ for name, id_ in names.items() if any(fnmatchcase(name, one) for one in patterns)}
        empty = [one for one in patterns if not any(fnmatchcase(name, one) for name in names)]
        return [Container(id_, name) for name, id_ in sorted(chosen.items())], empty

    def has_terminal(self, id_: str) -> bool:
        facts = self._json(f"/containers/{quote(id_)}/json")
        return bool((facts.get("Config") or {}).get("Tty")) if isinstance(facts, dict) else False

    def logs(self, id_: str, *, since: str = "", tail: int | None = None) -> http.client.HTTPResponse:
        """The open answer with a container's log; its caller closes it."""
        query: dict[str, Any] = {"stdout": 1, "stderr": 1, "timestamps": 1, **({"since": since} if since else {})}
        query.update({"tail": tail} if tail is not None else {})
        return self._ask(f"/containers/{quote(id_)}/logs?{urlencode(query)}")

    def _json(self, path: str) -> Any:
        answer = self._ask(path)
        try:
            return json.loads(answer.read(_MOST_JSON))
        except (ValueError, OSError, http.client.HTTPException) as error:
            raise MaintenanceError(f"The Docker engine's answer cannot be read: {error}.") from error
        finally:
            answer.close()

    def _ask(self, path: str) -> http.client.HTTPResponse:
        connection = _Connection(self.path)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            words = getattr(error, "strerror", None) or error
            raise MaintenanceError(f"The Docker engine does not answer at {self.path}: {words}.") from error
        if answer.status >= 400:
            body = answer.read(4096).decode("utf-8", "replace")
            answer.close()
            with contextlib.suppress(ValueError, KeyError, TypeError):
                body = str(json.loads(body)["message"])
            raise MaintenanceError(f"The Docker engine refuses with status {answer.status}: {body.strip()}.")
        return answer


@dataclass
class ContainerTrail:
    """What there is to read of a container's log: like a ``Trail``."""

    engine: Engine
    container: Container
    since: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    tail: int | None = None
    #: What there is is history: it is only looked at for where it ends.
    silent: bool = False
    budget: int | None = None
    limit: int = LINE_LIMIT
    first_seen: bool = False
    losses: list[Loss] = field(default_factory=list)
    lines: int = 0
    cut_lines: int = 0
    behind: int = 0
    _recent: list[tuple[int, str]] = field(default_factory=list)

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole lines without the engine's times. Raises MaintenanceError."""
        left = +self.seen
        wanted = sum(left.values())
        met = 0
        since = _seconds(self.since) if self.since else ""
        answer = self.engine.logs(self.container.id, since=since, tail=self.tail)
        cutters = {stream: LineCutter(limit=self.limit) for stream in (0, *_STREAMS)}
        spent = 0
        try:
            for stream, data in self._frames(answer):
                spent += len(data)
                block = cutters[stream].feed(data)
                if not block:
                    continue
                if left:
                    block, again = self._without_known(block, left)
                    met += again
                self._keep(block)
                if block and not self.silent:
                    self.lines += block.count(b"\n")
                    yield _STAMPS.sub(b"", block)
                if self.budget is not None and spent >= self.budget:
                    self.behind = UNMEASURED
                    break
        except (OSError, http.client.HTTPException) as error:
            raise MaintenanceError(f"The log of container {self.container.name} broke off: {error}.") from error
        finally:
            answer.close()
            self.cut_lines = sum(cutter.cut_lines for cutter in cutters.values())
        if wanted and not met:
            self.losses.append(Loss("none of the lines that were read last is left in the container's log"))

    def _frames(self, answer: http.client.HTTPResponse) -> Iterator[tuple[int, bytes]]:
        """Pieces of the log with the number of their stream, 0 for a terminal's only one."""
        if self.container.terminal:
            while True:
                data = answer.read1(1 << 16)
                if not data:
                    return
                yield 0, data.replace(b"\r\n", b"\n")
        gathered: dict[int, list[bytes]] = {}
        size = 0
        while True:
            header = answer.read(8)
            if len(header) < 8:
                break
            stream, length = header[0], int.from_bytes(header[4:], "big")
            if stream not in _STREAMS:
                stream = _STREAMS[0]
            # Frames hold a line each; a few thousand lines at a time are cheaper to look at.
            while length > 0:
                data = answer.read(min(length, 1 << 16))
                if not data:
                    break
                gathered.setdefault(stream, []).append(data)
                length -= len(data)
                size += len(data)
            if size >= 1 << 16:
                yield from ((number, b"".join(pieces)) for number, pieces in gathered.items())
                gathered, size = {}, 0
        yield from ((number, b"".join(pieces)) for number, pieces in gathered.items())

    def _without_known(self, block: bytes, left: Counter[str]) -> tuple[bytes, int]:
        """The block without the lines that were read by the last run, and how many those are."""
        kept, again = [], 0
        for line in block.splitlines(keepends=True):
            moment = stamp_of(line)
            name = fingerprint(line)
            if moment is not None and left[name] > 0:
                left[name] -= 1
                again += 1
                self._recent.append((moment, name))
                continue
            kept.append(line)
        for name in [name for name, times in left.items() if times <= 0]:
            del left[name]
        return b"".join(kept), again

    def _keep(self, block: bytes) -> None:
        """Remember the last lines, by time: the engine is asked for everything from the oldest of them on."""
        for line in block.splitlines(keepends=True)[-2 * KNOWN_LINES :]:
            moment = stamp_of(line)
            if moment is not None:
                self._recent.append((moment, fingerprint(line)))
        if len(self._recent) > 8 * KNOWN_LINES:
            self._recent = sorted(self._recent)[-4 * KNOWN_LINES :]

    def mark(self) -> dict[str, Any]:
        """Where the next run goes on: the container, a time, and the lines read since then."""
        recent = sorted(self._recent)[-KNOWN_LINES:]
        if not recent:
            names = list(self.seen.elements())
            return {"id": self.container.id, "since": str(self.since), "seen": names}
        # Lines that share the oldest time may have been cut from the list, so the time behind it is the first that
        # is known in full.
        since = recent[0][0]
        if len(self._recent) > len(recent):
            since = next((moment for moment, _name in recent if moment > recent[0][0]), recent[0][0])
        elif self.since:
            # All since then is known, and a line that comes out of order may be older than all that a cut has left.
            since = min(since, self.since)
        return {
            "id": self.container.id,
            "since": str(since),
            "seen": [name for moment, name in recent if moment >= since],
        }


def stamp_of(line: bytes) -> int | None:
    """Nanoseconds since the epoch of the time in front of a line; None where there is none."""
    found = _STAMP.match(line)
    if not found:
        return None
    zone = found.group(3).decode()
    try:
        moment = datetime.fromisoformat(found.group(1).decode() + ("+00:00" if zone == "Z" else zone))
    except ValueError:
        return None
    whole = int((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds())
    return whole * 10**9 + int((found.group(2) or b"0").ljust(9, b"0"))


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


def follow_container(
    engine: Engine,
    container: Container,
    remembered: Mapping[str, Any] | None,
    *,
    first_lines: int | None = None,
    budget: int | None = None,
) -> ContainerTrail:
    """What is new in a container's log. One never seen is begun ``first_lines`` before its end, or at its start.

    Raises MaintenanceError where the engine does not answer.
    """
    whole = Container(container.id, container.name, engine.has_terminal(container.id))
    trail = ContainerTrail(engine, whole, budget=budget)
    try:
        known = remembered or {}
        identity, moment = str(known.get("id", "")), int(str(known.get("since", "0")))
        seen = [str(name) for name in known.get("seen", [])]
    except (ValueError, TypeError):
        identity, moment, seen = "", 0, []
    if not identity:
        trail.first_seen = True
        # Begun at its end, a log is known by its last lines, as it is after a run that read them.
        trail.silent = first_lines == 0
        trail.tail = KNOWN_LINES + 1 if trail.silent else first_lines
        trail.budget = None if trail.silent else budget
    elif identity == container.id:
        trail.since, trail.seen = moment, Counter(seen)
    else:
        # Another container of the same name has a log of its own, and all of it is new.
        trail.losses.append(Loss("the container was made anew, and what the old one wrote last went with it"))
    return trail
