# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module remembers on its host between runs: cursors, counters, streaks.

A file for each module and consumer, in a folder that only its owner can enter, written whole to a temporary file,
fsynced and renamed. Each file holds two generations. The controller tells which generation it has in its journal: when
the last run's record never got there, the run before it is the one to go on from, and nothing is lost between the two.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import (
    MaintenanceError,
    OptionError,
)

ROOT_DIRECTORY = "/var/lib/fleetcare-maintenance"
SCHEMA = 1
_CONSUMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


class StateError(MaintenanceError):
    """State cannot be read or written; the check goes on without memory and says so."""


def default_directory() -> str:
    """``/var/lib/fleetcare-maintenance`` for root, the XDG state folder of anybody else."""
    if os.geteuid() == 0:
        return ROOT_DIRECTORY
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "fleetcare-maintenance")


@dataclass
class State:
    """The state of one module for one consumer.

    ``acknowledged``: the generation the journal knows of; ``""`` when the journal knows of none, None when nobody
    can tell (then the newest generation is taken).
    """

    directory: Path
    module: str
    consumer: str
    acknowledged: str | None = None
    generation: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        if "\0" in str(self.directory):
            raise OptionError("state_dir", str(self.directory), "the path of a folder")
        if not _CONSUMER.fullmatch(self.consumer):
            raise OptionError(
                "state_consumer", self.consumer, "1 to 100 letters, digits, dots, dashes, underscores or @"
            )

    @property
    def path(self) -> Path:
        return self.directory / f"{self.module}.{self.consumer}.json"

    def load(self) -> dict[str, Any]:
        """The data of the generation to go on from; empty where there is none. Raises StateError."""
        for generation in self._generations():
            if self.acknowledged is None or generation["id"] == self.acknowledged:
                data = generation["data"]
                return data if isinstance(data, dict) else {}
        return {}

    def save(self, data: dict[str, Any]) -> str:
        """Write ``data`` as the new generation beside the one this run started from; returns its id."""
        started_from = [
            kept for kept in self._generations() if self.acknowledged is None or kept["id"] == self.acknowledged
        ][:1]
        document = {"schema": SCHEMA, "generations": [{"id": self.generation, "data": data}, *started_from]}
        try:
            prepare_directory(self.directory)
            # First, for it is a full disk that a write may have died of.
            clear_leftovers(self.path)
            write_atomically(self.path, json.dumps(document, separators=(",", ":")).encode(), mode=0o600)
        except OSError as error:
            raise StateError(f"State cannot be written to {self.path}: {error.strerror}.") from error
        return self.generation

    def _generations(self) -> list[dict[str, Any]]:
        document = read_trusted(self.path)
        try:
            return [dict(kept) for kept in document["generations"] if {"id", "data"} <= set(kept)] if document else []
        except (ValueError, TypeError, KeyError):
            return []


def read_trusted(path: Path) -> Any:
    """The JSON document of a plain file that is ours, not followed through a link; None where there is none.

    ``{}`` stands for a file that is not JSON. Raises StateError for a file that cannot be read or is somebody else's.
    """
    data = read_own(path)
    if data is None:
        return None
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    return {} if document is None else document


def read_own(path: Path) -> bytes | None:
    """The bytes of a plain file that is ours, not followed through a link; None where there is none.

    Raises StateError for a file that cannot be read or is somebody else's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"State cannot be read from {path}: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            raise StateError(f"State in {path} is not a plain file of uid {os.geteuid()} and is not trusted.")
        return stream.read()


def prepare_directory(directory: Path) -> None:
    """Make the state folder, or see that it is ours; mode 0700. Raises StateError, OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_open_to_others(directory):
        os.chmod(directory, 0o700)


def is_open_to_others(directory: Path) -> bool:
    """Whether a folder still has to be closed before it takes state. Raises OSError, or StateError where it may not be.

    A folder that holds something and is open to others is in use by them: to close ``/var/lib`` would stop the host.
    """
    facts = os.lstat(directory)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise StateError(f"State folder {directory} does not belong to uid {os.geteuid()} and is not trusted.")
    mode = stat.S_IMODE(facts.st_mode)
    if not mode & 0o077:
        return False
    if os.listdir(directory):
        raise StateError(
            f"State folder {directory} is open to others (mode {mode:04o}) and is not empty.",
            remedy="Name a folder for state alone, or set its mode to 0700 if it is one.",
        )
    return True


def write_atomically(path: Path, data: bytes, *, mode: int) -> None:
    """Temporary file in the same folder, fsync, rename, fsync of the folder: the old content or the new, never half."""
    descriptor, temporary = _held_temporary(path)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            # While it is held: what nobody holds is cleared away.
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _held_temporary(path: Path) -> tuple[int, str]:
    """A new temporary file, locked for as long as it is open, so that others see that its writer lives."""
    while True:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        # Where a file system has no locks, nobody gets one to clear with either.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)


def clear_leftovers(path: Path) -> None:
    """Remove what writes of this very file left that were killed. Raises nothing: what stays does no harm."""
    named = re.compile(re.escape(f".{path.name}.") + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in filter(named.fullmatch, os.listdir(folder)):
                _clear(name, folder)
        finally:
            os.close(folder)


def _clear(name: str, folder: int) -> None:
    """Remove a plain file of ours that nobody holds, and that has no other name."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid() and facts.st_nlink == 1:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(facts, os.stat(name, dir_fd=folder, follow_symlinks=False)):
                os.unlink(name, dir_fd=folder)
    except OSError:
        # Its writer lives, or was done meanwhile.
        return
    finally:
        os.close(descriptor)
