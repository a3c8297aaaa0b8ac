# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's form on disk and its proof: canonical JSON lines, each hashed over the one before.

Needs nothing but the standard library, so that an auditor can verify a copy anywhere. Layout::

    <journal>/<run id>/run.json          who ran what, when and from where
    <journal>/<run id>/<host>.jsonl      a line a record; the first line's ``previous`` is the hash of run.json
    <journal>/<run id>/head.json         each host's last hash and count, and the head of the run before
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

SCHEMA = 1
RUN_FILE = "run.json"
HEAD_FILE = "head.json"
SUFFIX = ".jsonl"
MAX_NAME = 120


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
    quoted = quote(host, safe="-_@:+.")
    if len(quoted) > MAX_NAME or quoted.startswith("."):
        quoted = f"{quoted.lstrip('.')[: MAX_NAME - 17]}~{hashlib.sha256(host.encode()).hexdigest()[:16]}"
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
    """What came of a verification; ``open_runs`` were never closed (interrupted or still going)."""

    problems: list[Problem]
    open_runs: list[str]
    runs: int
    records: int
    head: str


def verify(journal: Path, *, run: str | None = None, expected_head: str | None = None) -> Verdict:
    """Check every line, file and head of a journal, or of one run of it.

    ``expected_head`` is the newest head as it was noted elsewhere; without it, cutting off the newest runs whole
    cannot be seen.
    """
    verdict = Verdict(problems=[], open_runs=[], runs=0, records=0, head="")
    heads: dict[str, str] = {}
    for name in runs(journal):
        if run is not None and name != run:
            continue
        verdict.runs += 1
        head = _verify_run(journal / name, name, verdict)
        if head is None:
            verdict.open_runs.append(name)
            continue
        heads[name] = str(head.get("hash", ""))
        verdict.head = heads[name]
        if run is None:
            _verify_link(journal, name, head, heads, verdict)
    if expected_head and expected_head not in heads.values():
        verdict.problems.append(Problem("journal", HEAD_FILE, 0, f"no run has the expected head {expected_head}"))
    return verdict


def _verify_link(journal: Path, name: str, head: Mapping[str, Any], heads: Mapping[str, str], verdict: Verdict) -> None:
    before = str(head.get("previous_run") or "")
    if not before:
        earlier = [known for known in heads if known < name]
        if earlier:
            verdict.problems.append(Problem(name, HEAD_FILE, 0, f"names no run before it, but {earlier[-1]} is there"))
        return
    oldest = min(heads)
    if before in heads:
        if heads[before] != head.get("previous_head"):
            verdict.problems.append(Problem(before, HEAD_FILE, 0, f"is not the head that {name} was chained to"))
    elif (journal / before).exists():
        verdict.problems.append(Problem(before, HEAD_FILE, 0, f"is missing, but {name} was chained to it"))
    elif name != oldest:
        verdict.problems.append(Problem(before, RUN_FILE, 0, f"the run was removed, but {name} was chained to it"))


def _verify_run(folder: Path, name: str, verdict: Verdict) -> dict[str, Any] | None:
    header = _document(folder / RUN_FILE, name, verdict)
    genesis = ""
    if header is not None:
        genesis = digest(header)
        if header.get("hash") != genesis:
            verdict.problems.append(Problem(name, RUN_FILE, 0, "was changed: its hash does not match"))
        if header.get("run") != name:
            verdict.problems.append(Problem(name, RUN_FILE, 0, f"belongs to the run {header.get('run')!r}"))
    head = _document(folder / HEAD_FILE, name, verdict) if (folder / HEAD_FILE).exists() else None
    ends: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        end = _verify_host(path, name, genesis, closed=head is not None, verdict=verdict)
        ends[path.name] = end
        verdict.records += int(end["count"])
    if head is not None:
        _verify_head(head, name, genesis, ends, verdict)
    return head


def _document(path: Path, run: str, verdict: Verdict) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        verdict.problems.append(Problem(run, path.name, 0, f"cannot be read ({error})"))
        return None
    if not isinstance(document, dict):
        verdict.problems.append(Problem(run, path.name, 0, "is not a JSON object"))
        return None
    return document


def _verify_head(
    head: Mapping[str, Any], run: str, genesis: str, ends: Mapping[str, Mapping[str, Any]], verdict: Verdict
) -> None:
    def problem(file: str, message: str) -> None:
        verdict.problems.append(Problem(run, file, 0, message))

    if head.get("hash") != digest(head):
        problem(HEAD_FILE, "was changed: its hash does not match")
    if head.get("run_hash") != genesis:
        problem(RUN_FILE, "is not the one the run was closed with")
    listed = head.get("hosts")
    listed = listed if isinstance(listed, dict) else {}
    for file, end in ends.items():
        if file not in listed:
            problem(file, "was added after the run was closed")
        elif listed[file] != end:
            problem(file, "does not end as it did when the run was closed")
    for file in listed:
        if file not in ends:
            problem(file, "was removed")


def _verify_host(path: Path, run: str, genesis: str, *, closed: bool, verdict: Verdict) -> dict[str, Any]:
    previous, count = genesis, 0
    for number, line, whole in _lines(path):
        if not whole and not closed:
            break
        message = _flaw(line, whole=whole, run=run, sequence=count, previous=previous)
        if message:
            verdict.problems.append(Problem(run, path.name, number, message))
            break
        previous = str(json.loads(line)["hash"])
        count += 1
    return {"last": previous, "count": count}


def _flaw(line: bytes, *, whole: bool, run: str, sequence: int, previous: str) -> str:
    if not whole:
        return "is cut off"
    try:
        record = json.loads(line)
    except ValueError:
        return "is not JSON"
    if not isinstance(record, dict):
        return "is not a JSON object"
    if record.get("hash") != digest(record) or canonical(record) != line:
        return "was changed: its hash does not match its content"
    if record.get("previous") != previous or record.get("sequence") != sequence:
        return "does not follow the line before it: a line was removed, added or moved"
    if record.get("run") != run:
        return f"belongs to the run {record.get('run')!r}"
    return ""


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Lines with their number from 1 and whether they end in a newline."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            yield number, line.rstrip(b"\n"), line.endswith(b"\n")
