# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing and reading the journal on the controller; its form and its proof are ``module_utils/journal/chain.py``.

Locks are taken in one order: the journal's (closing), the run's (shared by those who append), the host file's own. So
hosts do not wait for one another, and nobody appends to a run while it is being closed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import write_atomically
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain

_ACKNOWLEDGED = "acknowledged"
_LOCK = ".lock"
_SHARDS = 64
_TAIL = 64 * 1024
#: What must be free before a repair starts, so that what it did can be written down afterwards.
ROOM = 4 * 1024 * 1024


class JournalError(MaintenanceError):
    """The journal cannot be written or read; a run without a journal must not go on as if it had one."""


class RunClosed(JournalError):
    """The run has its head already: what comes now belongs into another one."""


@contextmanager
def _locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _told(journal: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "Make room or set maintenance_reports_dir to a folder that can be written."
        if what == "read":
            remedy = "Look at who owns it and what happened to it, or set maintenance_reports_dir to another folder."
        raise JournalError(
            f"The journal in {journal} cannot be {what}: {error.strerror or error}.", remedy=remedy
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalError(
            f"The journal in {journal} is damaged: a document in it is not what was written.",
            remedy="Run fleetcare.maintenance.journal_verify to see where, keep a copy, and move the damaged run away.",
        ) from error


def open_run(journal: Path, header: Mapping[str, Any]) -> dict[str, Any]:
    """Create the run's folder with its ``run.json``; the first caller of a run wins, the others read what it wrote."""
    folder = journal / str(header["run"])
    with _told(journal, "written"):
        journal.parent.mkdir(parents=True, exist_ok=True)
        for private in (journal, folder):
            private.mkdir(mode=0o700, exist_ok=True)
        with _locked(folder / _LOCK):
            path = folder / chain.RUN_FILE
            if not path.exists():
                write_atomically(path, chain.canonical(chain.sealed(header)) + b"\n", mode=0o600)
            return _json(path)


def is_open(journal: Path, run: str) -> bool:
    """Whether the run has been begun and not been closed."""
    folder = journal / run
    return (folder / chain.RUN_FILE).exists() and not (folder / chain.HEAD_FILE).exists()


def is_closed(journal: Path, run: str) -> bool:
    """Whether the run has its head."""
    return (journal / run / chain.HEAD_FILE).exists()


def require_room(journal: Path, run: str) -> None:
    """Raise JournalError where what a repair does could not be written down afterwards."""
    with _told(journal, "written"):
        facts = os.statvfs(journal / run)
        if facts.f_bavail * facts.f_frsize < ROOM:
            raise OSError(0, f"less than {ROOM // 1024 // 1024} MiB are free there")
        if not os.access(journal / run, os.W_OK):
            raise OSError(0, "the folder cannot be written by this user")


def append(journal: Path, run: str, host: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Chain a record to the host's file of the run, and have it on disk before returning it as it was written.

    Raises RunClosed once the run has its head.
    """
    folder = journal / run
    path = folder / chain.host_file(host)
    with _told(journal, "written"), _locked(folder / _LOCK, shared=True):
        if (folder / chain.HEAD_FILE).exists():
            raise RunClosed(f"The run {run} in {journal} is closed.", remedy="Start another run.")
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            whole = _chained(descriptor, folder, {**record, "run": run, "host": host})
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(folder)
        return whole


def _chained(descriptor: int, folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    last, start = _last_line(descriptor)
    previous = last["hash"] if last is not None else _json(folder / chain.RUN_FILE)["hash"]
    sequence = last["sequence"] + 1 if last is not None else 0
    whole = chain.sealed({**record, "sequence": sequence, "previous": previous})
    line = memoryview(chain.canonical(whole) + b"\n")
    os.ftruncate(descriptor, start)
    try:
        offset = start
        while line:
            written = os.pwrite(descriptor, line, offset)
            offset += written
            line = line[written:]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, start)
        raise
    return whole


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_line(descriptor: int) -> tuple[dict[str, Any] | None, int]:
    """The last whole line, and where the next one starts: a line that a crash cut off is written over."""
    size = os.fstat(descriptor).st_size
    step, start, data = _TAIL, size, b""
    while start > 0 and data.count(b"\n") < 2:
        start = max(0, size - step)
        data = os.pread(descriptor, size - start, start)
        step *= 4
    end = data.rfind(b"\n") + 1
    if not end:
        return None, 0
    return _parsed(data[: end - 1].rsplit(b"\n", 1)[-1]), start + end


def last_record(journal: Path, run: str, host: str) -> dict[str, Any] | None:
    """The newest record of a host in a run; None where it has none yet. Its cost does not grow with the run."""
    with _told(journal, "read"):
        try:
            descriptor = os.open(journal / run / chain.host_file(host), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _last_line(descriptor)[0]
        finally:
            os.close(descriptor)


def close(journal: Path, run: str) -> dict[str, Any]:
    """Seal the run: write ``head.json`` over all its hosts, chained to the head of the run closed before it.

    Closing a closed run changes nothing and returns its head.
    """
    folder = journal / run
    with _told(journal, "written"), _locked(journal / _LOCK), _locked(folder / _LOCK):
        if (folder / chain.HEAD_FILE).exists():
            return _json(folder / chain.HEAD_FILE)
        before = _newest_head(journal)
        head = chain.sealed(
            {
                "schema": chain.SCHEMA,
                "run": run,
                "number": before.get("number", 0) + 1,
                "run_hash": _json(folder / chain.RUN_FILE)["hash"],
                "hosts": _ends(folder),
                "previous_run": before.get("run", ""),
                "previous_head": before.get("hash", ""),
            }
        )
        # The journal's copy first: a crash in between is made good by the next closing.
        for place in (journal, folder):
            write_atomically(place / chain.HEAD_FILE, chain.canonical(head) + b"\n", mode=0o600)
        return head


def _ends(folder: Path) -> dict[str, dict[str, Any]]:
    ends = {}
    for path in sorted(folder.glob(f"*{chain.SUFFIX}")):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            last, end = _last_line(descriptor)
            # What a crash cut off is no record, and would not verify in a closed run.
            os.ftruncate(descriptor, end)
        finally:
            os.close(descriptor)
        if last is not None:
            ends[path.name] = {"last": last["hash"], "count": last["sequence"] + 1}
    return ends


def _newest_head(journal: Path) -> dict[str, Any]:
    copy = journal / chain.HEAD_FILE
    if not copy.exists():
        heads = [_json(path) for path in journal.glob(f"*/{chain.HEAD_FILE}")]
        return max(heads, key=lambda head: head["number"], default={})
    newest = _json(copy)
    original = journal / str(newest["run"]) / chain.HEAD_FILE
    if original.parent.is_dir() and not original.exists():
        write_atomically(original, copy.read_bytes(), mode=0o600)
    return newest


def runs(journal: Path) -> list[str]:
    """The ids of all runs, oldest first."""
    return chain.runs(journal)


def read_header(journal: Path, run: str) -> dict[str, Any]:
    """``run.json``: who ran what."""
    with _told(journal, "read"):
        return _json(journal / run / chain.RUN_FILE)


def hosts(journal: Path, run: str) -> Iterator[str]:
    """The hosts that have records in a run, in the order of their files.

    A damaged file keeps nobody from the other hosts: it goes by its own name, and reading it raises JournalError.
    """
    with _told(journal, "read"):
        entries = sorted(entry for entry in os.listdir(journal / run) if entry.endswith(chain.SUFFIX))
    for entry in entries:
        host = _host_of(journal / run / entry)
        if host is not None:
            yield host


def _host_of(path: Path) -> str | None:
    try:
        first = next(_records(path), None)
    except (OSError, ValueError, TypeError, RecursionError):
        first = {}
    if first is None:
        return None
    host = str(first.get("host"))
    return host if chain.host_file(host) == path.name else unquote(path.name.removesuffix(chain.SUFFIX))


def read_host(journal: Path, run: str, host: str) -> Iterator[dict[str, Any]]:
    """The records of a host in a run, one at a time; a line that a crash cut off is left out."""
    with _told(journal, "read"):
        yield from _records(journal / run / chain.host_file(host))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield _parsed(line)


def acknowledged(journal: Path, *, host: str, consumer: str, module: str) -> str | None:
    """The state generation of a module that this journal has on record; None where it has never heard of it."""
    with _told(journal, "read"):
        known = _acknowledgements(journal, host).get(consumer)
        entry = known.get(module) if isinstance(known, dict) else None
        return entry if isinstance(entry, str) else None


def acknowledge(journal: Path, *, host: str, consumer: str, module: str, generation: str) -> None:
    """Note the generation whose record is in the journal; ``""`` before the first one may be lost."""
    with _told(journal, "written"):
        folder = journal / _ACKNOWLEDGED
        folder.mkdir(mode=0o700, exist_ok=True)
        file = chain.host_file(host)
        shard = int(hashlib.sha256(file.encode()).hexdigest(), 16) % _SHARDS
        with _locked(folder / f"{_LOCK}-{shard:02d}"):
            known = _acknowledgements(journal, host)
            known.setdefault(consumer, {})[module] = generation
            write_atomically(folder / file, chain.canonical(known) + b"\n", mode=0o600)


def _acknowledgements(journal: Path, host: str) -> dict[str, Any]:
    try:
        return _json(journal / _ACKNOWLEDGED / chain.host_file(host))
    except FileNotFoundError:
        return {}


def _json(path: Path) -> dict[str, Any]:
    return _parsed(path.read_bytes())


def _parsed(raw: bytes) -> dict[str, Any]:
    document = json.loads(raw)
    if not isinstance(document, dict):
        raise TypeError("not a JSON object")
    return document
