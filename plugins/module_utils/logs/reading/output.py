# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The output of a program as blocks of whole lines, while it is written, bounded in bytes and time."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import (
    SEARCH_PATH,
    CommandMissing,
    CommandTimeout,
    which,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LINE_LIMIT, LineCutter

_READ = 1 << 16


class Output:
    """``blocks()`` runs the program. ``cutter`` has counted the lines, ``spent`` the bytes.

    ``stopped``: the budget was spent before the program had said everything.
    """

    def __init__(
        self, argv: Sequence[str], *, timeout: float, budget: int | None = None, limit: int = LINE_LIMIT
    ) -> None:
        self.argv = list(argv)
        self.timeout = timeout
        self.budget = budget
        self.cutter = LineCutter(limit=limit)
        self.spent = 0
        self.stopped = False

    def blocks(self) -> Iterator[bytes]:
        """Raises CommandMissing, CommandTimeout, and MaintenanceError for a program that fails."""
        path = which(self.argv[0])
        if path is None:
            raise CommandMissing(f"The program '{self.argv[0]}' is not installed on this host.")
        clock = Clock()
        ends = clock.monotonic() + self.timeout
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [path, *self.argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "LC_ALL": "C", "PATH": SEARCH_PATH},
            )
            if process.stdout is None:
                raise AssertionError("a pipe was asked for")
            descriptor = process.stdout.fileno()
            try:
                while True:
                    if not select.select([descriptor], [], [], max(0.0, ends - clock.monotonic()))[0]:
                        raise CommandTimeout(self._too_long())
                    data = os.read(descriptor, _READ)
                    if not data:
                        break
                    self.spent += len(data)
                    block = self.cutter.feed(data)
                    if block:
                        yield block
                    if self.budget is not None and self.spent >= self.budget:
                        self.stopped = True
                        return
                try:
                    rc = process.wait(timeout=max(1.0, ends - clock.monotonic()))
                except subprocess.TimeoutExpired:
                    raise CommandTimeout(self._too_long()) from None
                if rc != 0:
                    # What it was about to say when it failed is no line, and nothing goes on behind it.
                    errors.seek(0)
                    words = clean(errors.read(2000).decode("utf-8", "replace").strip())
                    raise MaintenanceError(f"'{self.argv[0]}' failed: {words or f'exit status {rc}'}.")
                last = self.cutter.finish()
                if last:
                    yield last
            finally:
                process.kill()
                process.stdout.close()
                process.wait()

    def _too_long(self) -> str:
        return f"'{self.argv[0]}' did not end within {self.timeout:g} s and was stopped."
