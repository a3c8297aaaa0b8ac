# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's form on disk and its proof: canonical JSON lines, each hashed over the one before.

Needs nothing but the standard library, so that an auditor can verify a copy anywhere. Layout::

    <journal>/<run id>/run.json          who ran what, when and from where
    <journal>/<run id>/<host>.jsonl      a line a record; the first line's ``previous`` is the hash of run.json
    <journal>/<run id>/head.json         each host's last hash and count, and the head of the run closed before it
    <journal>/head.json                  a copy of the newest head, so that the newest run cannot vanish unseen
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

SCHEMA = 1
RUN_FILE = "run.json"
HEAD_FILE = "head.json"
SUFFIX = ".jsonl"
MAX_NAME = 120
_RUN_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


def canonical(document: Mapping[str, Any]) -> bytes:
    """A document as the one byte string that is hashed: sorted keys, no spaces, ASCII escapes, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the canonical form without its own ``hash``."""
    return hashlib.sha256(canonical({key: value for key, value in document.items() if key != "hash"})).hexdigest()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its ``hash``."""
    return {**document, "hash": digest(document)}


def host_file(host: str) -> str:
    """The file name of a host: whatever the name holds, it cannot leave the folder or collide with another."""
    name = host.encode("utf-8", "surrogatepass")
    quoted = quote(name, safe="-_@:+.")
    if not 0 < len(quoted) <= MAX_NAME or quoted.startswith("."):
        quoted = f"{quoted.lstrip('.')[: MAX_NAME - 17]}~{hashlib.sha256(name).hexdigest()[:16]}"
    return quoted + SUFFIX


def runs(journal: Path) -> list[str]:
    """The ids of all runs, oldest first."""
    if not journal.is_dir():
        return []
    return sorted(entry.name for entry in journal.iterdir() if (entry / RUN_FILE).is_file())


@dataclass(frozen=True)
class Problem:
    """Where a journal is broken: ``line`` counts from 1 and is 0 where the file as a whole is meant."""

    run: str
    file: str
    line: int
    message: str

    def worded(self) -> str:
        place = f"{self.run}/{self.file}" + (f" line {self.line}" if self.line else "")
        return f"{place}: {self.message}"


@dataclass
class Verdict:
    """What came of a verification.

    ``open_runs`` were never closed (interrupted or still going); ``torn`` are files of such runs whose last line has
    no end, as a crash leaves it. ``head`` is the hash of the newest head.
    """

    problems: list[Problem] = field(default_factory=list)
    open_runs: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    runs: int = 0
    records: int = 0
    head: str = ""

    def add(self, run: str, file: str, message: str, *, line: int = 0) -> None:
        self.problems.append(Problem(run, file, line, message))


def verify(journal: Path, *, run: str | None = None, expected_head: str | None = None) -> Verdict:
    """Check every line, file and head of a journal, or of one run of it.

    ``expected_head`` is a head as it was noted elsewhere; without it, a journal that somebody wrote anew from the
    beginning cannot be told from the true one.
    """
    verdict = Verdict()
    heads: dict[str, dict[str, Any]] = {}
    for name in _folders(journal):
        if run is not None and name != run:
            continue
        verdict.runs += 1
        head = _verify_run(journal / name, name, verdict)
        if head is None:
            verdict.open_runs.append(name)
        elif head:
            heads[name] = head
    newest = max(heads.values(), key=_number, default={})
    verdict.head = str(newest.get("hash", ""))
    if run is None:
        _verify_links(journal, heads, verdict)
        _verify_newest(journal, newest, verdict)
    if expected_head and expected_head not in {str(head.get("hash")) for head in heads.values()}:
        verdict.add("journal", HEAD_FILE, f"no run has the expected head {expected_head}")
    return verdict


def _folders(journal: Path) -> list[str]:
    """Every folder that is or was a run: one whose ``run.json`` was taken away must not be passed over."""
    return sorted(
        entry.name
        for entry in journal.iterdir()
        if (entry / RUN_FILE).exists() or (entry / HEAD_FILE).exists() or _has_records(entry)
    )


def _has_records(folder: Path) -> bool:
    return _RUN_NAME.fullmatch(folder.name) is not None and any(folder.glob(f"*{SUFFIX}"))


def _number(head: Mapping[str, Any]) -> int:
    number = head.get("number")
    return number if isinstance(number, int) else 0


def _verify_links(journal: Path, heads: Mapping[str, Mapping[str, Any]], verdict: Verdict) -> None:
    followed: dict[str, str] = {}
    for index, head in enumerate(sorted(heads.values(), key=_number)):
        name, before = str(head.get("run")), str(head.get("previous_run") or "")
        if before in followed:
            verdict.add(name, HEAD_FILE, f"claims the place of {followed[before]} in the chain of runs")
        followed[before] = name
        if before in heads:
            if heads[before].get("hash") != head.get("previous_head"):
                verdict.add(before, HEAD_FILE, f"is not the head that {name} was chained to")
        elif before and (journal / before).exists():
            verdict.add(before, HEAD_FILE, f"is missing, but {name} was chained to it")
        elif index > 0:
            # The oldest run may be chained to one that was dropped when its time was over; no other may.
            verdict.add(before or name, RUN_FILE, f"the run was removed, but {name} was chained to it")


def _verify_newest(journal: Path, newest: Mapping[str, Any], verdict: Verdict) -> None:
    path = journal / HEAD_FILE
    if not path.exists():
        if newest:
            verdict.add("journal", HEAD_FILE, "is missing")
        return
    copy = _document(path, "journal", verdict)
    if copy is not None and copy != newest:
        verdict.add(
            str(copy.get("run")), HEAD_FILE, "is missing or not the newest, but the journal's own head.json names it"
        )


def _verify_run(folder: Path, name: str, verdict: Verdict) -> dict[str, Any] | None:
    """The head of a run; None where it was never closed, empty where its head is broken."""
    header = _document(folder / RUN_FILE, name, verdict)
    genesis = ""
    if header is not None:
        genesis = str(header["hash"])
        if header.get("run") != name:
            verdict.add(name, RUN_FILE, f"belongs to the run {header.get('run')!r}")
    closed = (folder / HEAD_FILE).exists()
    head = _document(folder / HEAD_FILE, name, verdict) if closed else None
    ends: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        end = _verify_host(path, name, genesis, closed=closed, verdict=verdict)
        if end["count"] or path.stat().st_size:
            ends[path.name] = end
        verdict.records += int(end["count"])
    if head is not None:
        _verify_head(head, name, genesis, ends, verdict)
        return head
    return {} if closed else None


def _document(path: Path, run: str, verdict: Verdict) -> dict[str, Any] | None:
    """A sealed document; None, with the problem noted, where it is not byte for byte what was written."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        verdict.add(run, path.name, f"cannot be read ({error.strerror})")
        return None
    document = _parsed(raw)
    if document is None:
        verdict.add(run, path.name, "is not a JSON object")
        return None
    if not _is_sealed(document, raw.removesuffix(b"\n")) or not raw.endswith(b"\n"):
        verdict.add(run, path.name, "was changed: its hash does not match its content")
        return None
    return document


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _is_sealed(document: Mapping[str, Any], raw: bytes) -> bool:
    try:
        return canonical(document) == raw and document.get("hash") == digest(document)
    except (ValueError, RecursionError):
        # NaN and the like: nothing that we wrote.
        return False


def _verify_head(
    head: Mapping[str, Any], run: str, genesis: str, ends: Mapping[str, Mapping[str, Any]], verdict: Verdict
) -> None:
    if head.get("run") != run:
        verdict.add(run, HEAD_FILE, f"belongs to the run {head.get('run')!r}")
    if head.get("run_hash") != genesis:
        verdict.add(run, RUN_FILE, "is not the one the run was closed with")
    listed = head.get("hosts")
    listed = listed if isinstance(listed, dict) else {}
    for file, end in ends.items():
        if file not in listed:
            verdict.add(run, file, "was added after the run was closed")
        elif listed[file] != end:
            verdict.add(run, file, "does not end as it did when the run was closed")
    for file in sorted(set(listed) - set(ends)):
        verdict.add(run, file, "was removed")


def _verify_host(path: Path, run: str, genesis: str, *, closed: bool, verdict: Verdict) -> dict[str, Any]:
    previous, count = genesis, 0
    for number, line, whole in _lines(path):
        if not whole and not closed:
            verdict.torn.append(f"{run}/{path.name}")
            break
        record = _parsed(line)
        message = _flaw(record, line, whole=whole, run=run, sequence=count, previous=previous)
        if record is not None and not message and host_file(str(record.get("host"))) != path.name:
            message = f"belongs to the host {record.get('host')!r}"
        if message or record is None:
            verdict.add(run, path.name, message, line=number)
            break
        previous = str(record["hash"])
        count += 1
    return {"last": previous, "count": count}


def _flaw(record: Mapping[str, Any] | None, line: bytes, *, whole: bool, run: str, sequence: int, previous: str) -> str:
    if not whole:
        return "is cut off"
    if record is None:
        return "is not a JSON object"
    if not _is_sealed(record, line):
        return "was changed: its hash does not match its content"
    if record.get("run") != run:
        return f"belongs to the run {record.get('run')!r}"
    if record.get("previous") != previous or record.get("sequence") != sequence:
        return "does not follow the line before it: a line was removed, added or moved"
    return ""


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Lines with their number from 1 and whether they end in a newline."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            yield number, line[:-1] if line.endswith(b"\n") else line, line.endswith(b"\n")
