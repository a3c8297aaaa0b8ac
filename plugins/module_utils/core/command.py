# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host: argv lists only, English output, bounded in time and bytes, never waiting for a keyboard."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

# Daemons' tools live in sbin, which is not on the PATH of an ordinary login.
SEARCH_PATH = os.pathsep.join(
    dict.fromkeys(
        [
            *filter(None, os.environ.get("PATH", "").split(os.pathsep)),
            "/usr/local/sbin",
            "/usr/sbin",
            "/sbin",
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
        ]
    )
)
MAX_OUTPUT = 8 * 1024 * 1024
#: A program that writes more than this many times what is read of it is stopped before it fills the disk.
FLOOD = 8
LOOK_SECONDS = 0.1
KILL_SECONDS = 5.0


class CommandMissing(MaintenanceError):
    """The program is not on this host."""


class CommandUnfinished(MaintenanceError):
    """The program did not run to its end, so what it would have said is not known."""


class CommandTimeout(CommandUnfinished):
    """The program did not end in time and was killed with all its children."""


class CommandFlood(CommandUnfinished):
    """The program wrote far more than anybody reads and was killed with all its children."""


@dataclass(frozen=True)
class Completed:
    """How a program ended: ``rc`` is negative for a signal; output is text, cut at the cap."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def first_error(self) -> str:
        """The first line a person would read to learn why it failed."""
        for line in (*self.stderr.splitlines(), *self.stdout.splitlines()):
            if line.strip():
                return clean(line)
        return f"exit status {self.rc} without a word"


def which(program: str) -> str | None:
    """The program's path, looked for in sbin folders too; None where the host has none."""
    return shutil.which(program, path=SEARCH_PATH)


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    max_output: int = MAX_OUTPUT,
) -> Completed:
    """Run a program to its end.

    Raises CommandMissing, CommandTimeout after ``timeout`` seconds, CommandFlood for output of more than
    ``FLOOD * max_output`` bytes (both kill the whole process group), CommandUnfinished where the temporary folder is
    full or cannot be used, and MaintenanceError for a file that the kernel does not start.
    Output goes to unlinked temporary files, so a chatty program cannot fill our memory: ``max_output`` bytes are read.
    """
    path = which(argv[0])
    if path is None:
        raise CommandMissing(f"The program '{argv[0]}' is not installed on this host.")
    full_env = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", "PATH": SEARCH_PATH, **(env or {})}
    with ExitStack() as stack:
        out, err, given = _temporary_files(stack, stdin or b"", name=argv[0])
        try:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [path, *argv[1:]],
                stdin=given if stdin is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=full_env,
                start_new_session=True,
            )
        except OSError as error:
            raise MaintenanceError(f"The program '{path}' cannot be started: {error.strerror}.") from error
        rc = _wait(process, timeout=timeout, name=argv[0], outputs=(out, err), most=FLOOD * max_output)
        return Completed(tuple(argv), rc, _read(out, max_output), _read(err, max_output))


def _temporary_files(stack: ExitStack, given: bytes, *, name: str) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """Files for output, errors and input, the last of them filled and wound back. Raises CommandUnfinished."""
    try:
        # No buffer, so that a full disk shows here and not when the file is closed.
        files = [stack.enter_context(tempfile.TemporaryFile(buffering=0)) for _file in range(3)]  # noqa: SIM115
        out, err, source = files
        rest = memoryview(given)
        while rest:
            rest = rest[source.write(rest) :]
        source.seek(0)
    except OSError as error:
        raise CommandUnfinished(
            f"'{name}' cannot be run, for the temporary folder cannot be written to: {error.strerror or error}.",
            remedy="Make room there (TMPDIR, /tmp), or let this user write to it.",
        ) from error
    return out, err, source


def _wait(
    process: subprocess.Popen[bytes],
    *,
    timeout: float,
    name: str,
    outputs: Sequence[IO[bytes]] = (),
    most: int = FLOOD * MAX_OUTPUT,
) -> int:
    """Wait for the end, and look now and then how much has been written."""
    clock = Clock()
    deadline = clock.monotonic() + timeout
    try:
        while True:
            left = max(0.0, deadline - clock.monotonic())
            try:
                return process.wait(timeout=min(left, LOOK_SECONDS))
            except subprocess.TimeoutExpired:
                if any(os.fstat(stream.fileno()).st_size > most for stream in outputs):
                    raise CommandFlood(f"'{name}' wrote more than {most} bytes and was stopped.") from None
                if left <= LOOK_SECONDS:
                    raise CommandTimeout(f"'{name}' did not end within {timeout:g} s and was stopped.") from None
    except BaseException:
        _kill_group(process)
        raise


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Not even a kill ends a program that waits for a dead disk or server; it must not take us with it.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=KILL_SECONDS)


def _read(stream: IO[bytes], limit: int) -> str:
    stream.seek(0)
    data = stream.read(limit)
    return data.decode("utf-8", "replace")
