# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing one rotated file: looked at again by descriptors, written down, removed, looked for.

Between plan and deed others may swap a folder for a link, put another file in the place, write to it or open it. The
folder is reached anew from the root without following links, both have to be the ones that were planned, and the name
is removed from the folder that was looked at, whatever its path leads to by then.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock, Deadline, iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Effect, NotNeeded, Step, Unachieved
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention import vacuum
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.manifest import Manifest
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.walk import (
    Found,
    NoFolder,
    hold_of,
    hold_over,
    markers,
    open_folder,
    place_of,
)

#: How long a look at all open files stands for the next removals, in seconds.
FRESH = 0.5
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1024 * 1024


@dataclass
class Doer:
    """Does one step at a time. ``files``, ``vacuums`` and ``kinds`` are what was planned, by the target of the step."""

    files: Mapping[str, Found]
    vacuums: Mapping[str, vacuum.Vacuum]
    kinds: Mapping[str, str]
    manifest: Manifest
    clock: Clock
    deadline: Deadline
    look: Callable[[], Descriptors]
    checksum: bool = False
    _open: Descriptors = field(default_factory=lambda: Descriptors(()))
    _looked: float = float("-inf")

    def __call__(self, step: Step) -> Effect:
        """Raises NotNeeded where the file is another by now, MaintenanceError where it could not be removed."""
        if step.action == "vacuum":
            return self._vacuum(self.vacuums[step.target])
        found = self.files[step.target]
        try:
            folder = open_folder(found.place.path)
        except NoFolder as error:
            raise NotNeeded(f"{error.message.rstrip('.')} by now") from None
        try:
            return self._remove(folder, found, reason=step.reason)
        finally:
            os.close(folder)

    def _remove(self, folder: int, found: Found, *, reason: str) -> Effect:
        if place_of(folder, found.place.path) != found.place:
            raise NotNeeded("its folder is another one by now")
        facts: dict[str, Any] = {
            "path": found.path,
            "class": self.kinds[found.path],
            "bytes": found.size,
            "mtime": iso(found.changed),
            "reason": reason,
        }
        if self.checksum:
            facts["sha256"] = self._checksum(folder, found)
        self.manifest.write("removing", facts, now=self.clock.now())
        try:
            self._require_unchanged(folder, found)
            os.unlink(found.name, dir_fd=folder)
        except NotNeeded as error:
            self.manifest.write("kept", {"path": found.path, "reason": str(error)}, now=self.clock.now())
            raise
        except OSError as error:
            self.manifest.write("kept", {"path": found.path, "reason": str(error.strerror)}, now=self.clock.now())
            raise MaintenanceError(f"It could not be removed: {error.strerror}.") from error
        if _identity(folder, found.name) == (found.device, found.inode):
            raise MaintenanceError("It was removed, and is there all the same.")
        try:
            self.manifest.write("removed", {"path": found.path}, now=self.clock.now())
        except StateError as error:
            raise Unachieved(f"It was removed, and that is not written down: {error}") from error
        return Effect(
            before={key: facts[key] for key in ("class", "bytes", "mtime", "sha256") if key in facts},
            after={"present": False},
        )

    def _require_unchanged(self, folder: int, found: Found) -> None:
        """The last look before the deed. Raises NotNeeded."""
        descriptors = self._descriptors()
        if descriptors.hidden:
            raise NotNeeded(f"which files {descriptors.hidden} hold open may not be seen by now")
        holder = descriptors.holder(found.device, found.inode)
        if holder:
            raise NotNeeded(f"{holder} has it open by now")
        try:
            facts = os.stat(found.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise NotNeeded("it is gone by now") from None
        if not stat.S_ISREG(facts.st_mode) or (facts.st_dev, facts.st_ino) != (found.device, found.inode):
            raise NotNeeded("another file has its name by now")
        if (facts.st_size, facts.st_mtime_ns) != (found.size, found.changed_ns):
            raise NotNeeded("it was written to meanwhile")
        if facts.st_nlink != 1:
            raise NotNeeded("it has a second name by now")
        if hold_over(folder, found.place.path) or any(_identity(folder, marker) for marker in markers(found)):
            raise NotNeeded("it is held by now")

    def _descriptors(self) -> Descriptors:
        if self.clock.monotonic() - self._looked > FRESH:
            self._open = self.look()
            self._looked = self.clock.monotonic()
        return self._open

    def _checksum(self, folder: int, found: Found) -> str:
        try:
            descriptor = os.open(found.name, _FILE, dir_fd=folder)
        except OSError as error:
            raise NotNeeded(f"it cannot be read by now: {error.strerror}") from None
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            facts = os.fstat(stream.fileno())
            if (facts.st_dev, facts.st_ino) != (found.device, found.inode):
                raise NotNeeded("another file has its name by now")
            digest = hashlib.sha256()
            while True:
                piece = stream.read(_CHUNK)
                if not piece:
                    return digest.hexdigest()
                digest.update(piece)
                if self.deadline.passed():
                    raise NotNeeded("the window closed while its checksum was taken")

    def _vacuum(self, planned: vacuum.Vacuum) -> Effect:
        if hold_of(planned.folder.path):
            raise NotNeeded("it is held by now")
        names = [file.name for file in planned.going]
        facts = {"path": planned.folder.path, "class": "journal", "bytes": planned.used, "files": names}
        self.manifest.write("removing", facts, now=self.clock.now())
        after = vacuum.carry_out(planned, clock=self.clock)
        left = {file.name for file in after.archived}
        missed = [name for name in names if name in left]
        self.manifest.write("removed", {"path": planned.folder.path, "left": missed}, now=self.clock.now())
        if missed:
            raise Unachieved(f"{len(missed)} of {len(names)} archived files are there all the same.")
        return Effect(
            before={"bytes": planned.folder.used, "archived": len(planned.folder.archived)},
            after={"bytes": after.used, "archived": len(after.archived)},
        )


def _identity(folder: int, name: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
