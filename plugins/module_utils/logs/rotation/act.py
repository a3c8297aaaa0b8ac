# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out what ``log_rotate`` planned: rules written whole or not at all, rotations proved on the file system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Effect, NotNeeded, Step, Unachieved
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import (
    StateError,
    prepare_directory,
    write_atomically,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import (
    MAIN,
    read_configuration,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import dry_run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.plan import (
    ROTATE_SECONDS,
    Decision,
    Log,
    Present,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.trial import objections, trial_file

#: So much of a file's text stands in the result, in lines; the whole of it is in the backup.
MOST_LINES = 60
BACKUPS = "log_rotate"


@dataclass
class Doer:
    """Does one step at a time; ``decisions`` by the path of the rule."""

    decisions: Mapping[str, Decision]
    directory: Path
    ledger: Ledger
    clock: Clock
    read: Callable[[str], Present | None]
    look: Callable[[str], Log | None]

    def __call__(self, step: Step) -> Effect:
        decision = self.decisions[step.target]
        if step.action == "rotate":
            return self._rotate(decision)
        return self._write(decision, remove=step.action == "remove")

    def _write(self, decision: Decision, *, remove: bool) -> Effect:
        """Put the file in its place, or away; back again where logrotate then objects. Raises MaintenanceError."""
        wanted, before = decision.wanted, self.read(decision.path)
        if wanted is None:
            raise AssertionError("a rule is written that nobody wants")
        in_force = decision.path in read_configuration().files
        if (before.text if before else "") == wanted.text and in_force == (before is not None):
            raise NotNeeded("it is so by now")
        if before and not before.ours and not wanted.replace:
            raise MaintenanceError(f"Somebody else has written {decision.path} meanwhile.")
        backup = self._back_up(decision, before)
        try:
            if remove:
                os.unlink(decision.path)
            else:
                put_in_place(decision.path, wanted.text)
        except OSError as error:
            raise MaintenanceError(f"{decision.path} cannot be written: {error.strerror}.") from error
        self._prove(decision, before, remove=remove)
        return Effect(
            before={"lines": _lines(before.text) if before else [], "present": before is not None, "backup": backup},
            after={"lines": _lines(wanted.text), "present": not remove},
        )

    def _back_up(self, decision: Decision, before: Present | None) -> str:
        if before is None:
            return ""
        moment: datetime = self.clock.now()
        path = self.directory / BACKUPS / f"{decision.name}.{moment:%Y%m%dT%H%M%S}"
        try:
            prepare_directory(self.directory)
            prepare_directory(path.parent)
            write_atomically(path, before.text.encode("utf-8", "surrogateescape"), mode=0o600)
        except OSError as error:
            raise StateError(f"The backup {path} cannot be written: {error.strerror}.") from error
        return str(path)

    def _prove(self, decision: Decision, before: Present | None, *, remove: bool) -> None:
        """Ask logrotate about the whole configuration; what it now has against this rule takes the file back."""
        said = dry_run(MAIN)
        name = f"{decision.name}:"
        against = [text for text in (*said.errors, *said.duplicates) if text.startswith(name)]
        in_force = decision.path in read_configuration().files
        if not against and in_force != remove:
            return
        self._take_back(decision, before)
        raise MaintenanceError(
            f"{decision.path} was taken back: {against[0] if against else 'logrotate does not read it'}."
        )

    def _take_back(self, decision: Decision, before: Present | None) -> None:
        try:
            if before is None:
                os.unlink(decision.path)
            else:
                put_in_place(decision.path, before.text)
        except OSError as error:
            raise Unachieved(f"{decision.path} is wrong and cannot be taken back: {error.strerror}.") from error

    def _rotate(self, decision: Decision) -> Effect:
        """Let logrotate rotate this one rule, and look whether it did. Raises MaintenanceError."""
        configuration = read_configuration()
        present = self.read(decision.path)
        if present is None or decision.path not in configuration.files:
            raise MaintenanceError(f"{decision.path} is not in force.")
        if decision.wanted and present.text != decision.wanted.text:
            raise MaintenanceError(f"{decision.path} is not as it is wanted, so nothing is rotated by it.")
        if decision.forced:
            self.ledger.charge(decision.name, now=self.clock.now())
        with trial_file(configuration.preludes[decision.path], f"include {decision.path}\n") as path:
            against = objections(dry_run(path))
            if against:
                raise MaintenanceError(f"logrotate has something against the rule by now: {against[0]}.")
            options = ["--force"] if decision.forced else []
            done = run(["logrotate", *options, path], timeout=ROTATE_SECONDS)
        left = [log for log in decision.logs if not _is_rotated(log, self.look(log.path))]
        if left:
            why = f": {done.first_error()}" if done.rc else ""
            kind = MaintenanceError if len(left) == len(decision.logs) else Unachieved
            raise kind(
                f"{len(left)} of {len(decision.logs)} logs were not rotated, {clean(left[0].path)} among them{why}."
            )
        if done.rc:
            raise Unachieved(f"The logs were rotated, but logrotate ended with {done.rc}: {done.first_error()}.")
        return Effect(
            before={"logs": [_facts(log) for log in decision.logs[:MOST_LINES]]},
            after={"logs": [_facts(self.look(log.path), log.path) for log in decision.logs[:MOST_LINES]]},
        )


def put_in_place(path: str, text: str) -> None:
    """The whole text or the old one, root's and mode 0644, on the disk when this returns. Raises OSError.

    The temporary file lies beside the folder and not in it, for logrotate reads whatever it finds there.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(os.path.dirname(folder), f".{name}.fleetcare-log_rotate")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8", "surrogateescape"))
            stream.flush()
            os.fchown(stream.fileno(), 0, 0)
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_rotated(before: Log, after: Log | None) -> bool:
    """Renamed: another file or none has the name. Copied and cut off: the same file is shorter."""
    if after is None or (after.device, after.inode) != (before.device, before.inode):
        return True
    return after.size < before.size or before.size == 0


def _facts(log: Log | None, path: str = "") -> dict[str, Any]:
    if log is None:
        return {"path": clean(path), "present": False}
    return {"path": clean(log.path), "bytes": log.size, "inode": log.inode}


def _lines(text: str) -> list[str]:
    return [clean(line) for line in text.splitlines()[:MOST_LINES]]
