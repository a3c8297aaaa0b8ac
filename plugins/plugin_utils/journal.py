# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing and reading the journal on the controller; its form and its proof are ``module_utils/journal/chain.py``."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import write_atomically
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain

_ACKNOWLEDGED = "acknowledged"
_TAIL = 64 * 1024


class JournalError(MaintenanceError):
    """The journal cannot be written or read; a run without a journal must not go on as if it had one."""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _told(journal: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"The journal in {journal} cannot be {what}: {error.strerror or error}.",
            remedy="Make room or set maintenance_reports_dir to a folder that can be written.",
        ) from error


def open_run(journal: Path, header: Mapping[str, Any]) -> dict[str, Any]:
    """Create the run's folder with its ``run.json``; the first caller of a run wins, the others read what it wrote."""
    folder = journal / str(header["run"])
    with _told(journal, "written"):
        journal.parent.mkdir(parents=True, exist_ok=True)
        for private in (journal, folder):
            private.mkdir(mode=0o700, exist_ok=True)
        with _locked(folder / ".lock"):
            path = folder / chain.RUN_FILE
            if not path.exists():
                write_atomically(path, chain.canonical(chain.sealed(header)) + b"\n", mode=0o600)
            return _json(path)


def append(journal: Path, run: str, host: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Chain a record to the host's file of the run, and have it on disk before returning it as it was written."""
    folder = journal / run
    path = folder / chain.host_file(host)
    with _told(journal, "written"), _locked(folder / ".lock"):
        last = _last_line(path)
        previous = last["hash"] if last else _json(folder / chain.RUN_FILE)["hash"]
        sequence = last["sequence"] + 1 if last else 0
        whole = chain.sealed({**record, "run": run, "host": host, "sequence": sequence, "previous": previous})
        _write_line(path, chain.canonical(whole) + b"\n")
        return whole


def _write_line(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        start = _whole_size(path)
        os.ftruncate(descriptor, start)
        try:
            view = memoryview(line)
            offset = start
            while view:
                written = os.pwrite(descriptor, view, offset)
                offset += written
                view = view[written:]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, start)
            raise
    finally:
        os.close(descriptor)


def _whole_size(path: Path) -> int:
    """Bytes up to and including the last newline: a line that a crash cut off is written over."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        end = size
        while end > 0:
            start = max(0, end - _TAIL)
            stream.seek(start)
            at = stream.read(end - start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
    return 0


def _last_line(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    end = _whole_size(path)
    if not end:
        return None
    with path.open("rb") as stream:
        start, data = end, b""
        while start > 0 and data.count(b"\n") < 2:
            start = max(0, start - _TAIL)
            stream.seek(start)
            data = stream.read(end - start)
    return dict(json.loads(data.rstrip(b"\n").rsplit(b"\n", 1)[-1]))


def last_record(journal: Path, run: str, host: str) -> dict[str, Any] | None:
    """The newest record of a host in a run; None where it has none yet."""
    with _told(journal, "read"):
        return _last_line(journal / run / chain.host_file(host))


def close(journal: Path, run: str) -> dict[str, Any]:
    """Seal the run: write ``head.json`` over all its hosts, chained to the head of the run closed before it."""
    folder = journal / run
    with _told(journal, "written"), _locked(journal / ".lock"), _locked(folder / ".lock"):
        hosts = {}
        for path in sorted(folder.glob(f"*{chain.SUFFIX}")):
            last = _last_line(path)
            if last:
                hosts[path.name] = {"last": last["hash"], "count": last["sequence"] + 1}
        before = _newest_head(journal, run)
        head = chain.sealed(
            {
                "schema": chain.SCHEMA,
                "run": run,
                "run_hash": _json(folder / chain.RUN_FILE)["hash"],
                "hosts": hosts,
                "previous_run": before.get("run", ""),
                "previous_head": before.get("hash", ""),
            }
        )
        write_atomically(folder / chain.HEAD_FILE, chain.canonical(head) + b"\n", mode=0o600)
        return head


def _newest_head(journal: Path, run: str) -> dict[str, Any]:
    for earlier in reversed(chain.runs(journal)):
        path = journal / earlier / chain.HEAD_FILE
        if earlier < run and path.exists():
            return _json(path)
    return {}


def runs(journal: Path) -> list[str]:
    """The ids of all runs, oldest first."""
    return chain.runs(journal)


def read_header(journal: Path, run: str) -> dict[str, Any]:
    """``run.json``: who ran what."""
    with _told(journal, "read"):
        return _json(journal / run / chain.RUN_FILE)


def hosts(journal: Path, run: str) -> Iterator[str]:
    """The hosts that have records in a run, in the order of their files."""
    with _told(journal, "read"):
        for entry in sorted(os.listdir(journal / run)):
            if entry.endswith(chain.SUFFIX):
                first = next(_records(journal / run / entry), None)
                if first is not None:
                    yield str(first["host"])


def read_host(journal: Path, run: str, host: str) -> Iterator[dict[str, Any]]:
    """The records of a host in a run, one at a time; a line that a crash cut off is left out."""
    with _told(journal, "read"):
        yield from _records(journal / run / chain.host_file(host))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield json.loads(line)


def acknowledged(journal: Path, *, host: str, consumer: str, module: str) -> str | None:
    """The state generation of a module that this journal has on record; None where it has never heard of it."""
    entry = _acknowledgements(journal, host).get(consumer, {}).get(module)
    return entry if isinstance(entry, str) else None


def acknowledge(journal: Path, *, host: str, consumer: str, module: str, generation: str) -> None:
    """Note the generation whose record is in the journal; ``""`` before the first one may be lost."""
    with _told(journal, "written"):
        folder = journal / _ACKNOWLEDGED
        folder.mkdir(mode=0o700, exist_ok=True)
        with _locked(folder / ".lock"):
            known = _acknowledgements(journal, host)
            known.setdefault(consumer, {})[module] = generation
            path = folder / chain.host_file(host)
            write_atomically(path, chain.canonical(known) + b"\n", mode=0o600)


def _acknowledgements(journal: Path, host: str) -> dict[str, Any]:
    try:
        return _json(journal / _ACKNOWLEDGED / chain.host_file(host))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise JournalError(f"The acknowledgements of {host!r} in {journal} cannot be read: {error}.") from error


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes()))
