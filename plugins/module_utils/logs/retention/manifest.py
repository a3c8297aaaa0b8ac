# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of removals: a line on the disk before each deed and one after it, a file a month, never rewritten."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError, prepare_directory

FOLDER = "log_retention"


@dataclass(frozen=True)
class Manifest:
    """``<directory>/log_retention/<year>-<month>.jsonl``, mode 0600."""

    directory: Path

    def path(self, now: datetime) -> Path:
        return self.directory / FOLDER / f"{now:%Y-%m}.jsonl"

    def write(self, event: str, facts: Mapping[str, Any], *, now: datetime) -> None:
        """Append a line and have it on the disk when this returns. Raises StateError; then nothing of it is left."""
        line = json.dumps({"time": iso(now), "event": event, **facts}, separators=(",", ":")).encode() + b"\n"
        path = self.path(now)
        try:
            prepare_directory(self.directory)
            prepare_directory(path.parent)
            descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StateError(f"The manifest {path} cannot be written: {error.strerror}.") from error
        try:
            _append(descriptor, line, path)
        except OSError as error:
            raise StateError(
                f"The manifest {path} cannot be written: {error.strerror}.",
                remedy="Make a little room there; nothing is removed without its line in the manifest.",
            ) from error
        finally:
            os.close(descriptor)


def _append(descriptor: int, line: bytes, path: Path) -> None:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        raise StateError(f"The manifest {path} is not a plain file of uid {os.geteuid()} and is not trusted.")
    end = facts.st_size
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        # A run was killed, or the disk was full, in the middle of a line.
        line = b"\n" + line
    try:
        written = os.write(descriptor, line)
        if written < len(line):
            os.write(descriptor, line[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise
