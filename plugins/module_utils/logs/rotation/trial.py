# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trying a rule before it is in place: alone, with the settings it will inherit, in a file that only we can read."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import DryRun, dry_run
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import written

_PREFIX = "fleetcare-logrotate-"
_PLACE = re.compile(rf"^\S*{_PREFIX}\S*:\d+ ")


class NoTrial(MaintenanceError):
    """A trial could not be made: no room for the file, or no logrotate."""


@contextmanager
def trial_file(prelude: Mapping[str, str], body: str) -> Iterator[str]:
    """A configuration of one rule: the settings in force where it stands, and its text or an include of its file.

    A rule that is handed to logrotate by itself loses what /etc/logrotate.conf says: without its 'rotate' the
    rotation of such a rule deletes the log.
    """
    folder = ""
    try:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        path = os.path.join(folder, "rule")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(
                written({name: value for name, value in prelude.items() if name not in ("tabooext", "taboopat")})
            )
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoTrial(
            f"The rule cannot be tried, for the temporary folder cannot be written to: {error.strerror}.",
            remedy="Make room there (TMPDIR, /tmp).",
        ) from error
    try:
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def try_out(prelude: Mapping[str, str], body: str) -> DryRun:
    """What logrotate would do with a rule. Raises MaintenanceError where it cannot be asked."""
    with trial_file(prelude, body) as path:
        return dry_run(path)


def objections(said: DryRun) -> list[str]:
    """What logrotate has against a rule, in its own words; a log that is not there is no objection."""
    # The place in a file that is gone by now helps nobody.
    found = [_PLACE.sub("", text) for text in (*said.errors, *said.duplicates)]
    found += [f"the folder of {log} is open to others: name user and group with run_as" for log in said.insecure]
    return found
