# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all: written beside their place in a stream, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

_BUFFER = 1 << 20


class OutputFile:
    """A text file under construction; nobody sees it under its name before :meth:`publish`. Raises OSError."""

    def __init__(self, path: Path, *, mode: int = 0o640) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        self._temporary = Path(name)
        os.fchmod(descriptor, mode)
        self._stream: IO[str] = open(  # noqa: SIM115 - it lives as long as this object
            descriptor, "w", encoding="utf-8", errors="replace", newline="\n", buffering=_BUFFER
        )
        self.write = self._stream.write

    def append(self, other: Part) -> None:
        """The text of a part, without taking it into memory."""
        shutil.copyfileobj(other.rewound(), self._stream, _BUFFER)

    def publish(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        os.replace(self._temporary, self.path)
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Leave no trace; a file that has been published stays."""
        with contextlib.suppress(OSError):
            self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()


class Part:
    """Text that is collected before its place in a file has come; it lies in an unlinked file beside the target."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stream = tempfile.TemporaryFile(  # noqa: SIM115 - it lives as long as this object
            "w+", encoding="utf-8", errors="replace", newline="\n", buffering=_BUFFER, dir=folder
        )
        self.write = self._stream.write

    def rewound(self) -> IO[str]:
        self._stream.seek(0)
        return self._stream

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()


def point_latest(source: Path, latest: Path) -> None:
    """Make ``latest`` the same file as ``source``: a hard link where the file system has them, else a copy."""
    temporary = latest.with_name(f".{latest.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)
        os.replace(temporary, latest)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    # Renaming a file onto another link of itself does nothing and leaves the first name behind.
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    sync_folder(latest.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
