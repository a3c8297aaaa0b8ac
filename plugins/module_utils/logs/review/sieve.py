# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines worth a look, out of many that are not: a coarse sieve that lets no error through its meshes.

``grep`` sifts several hundred megabytes a second, many times what Python does; where it is missing, a regular expression
takes its place. Both let the same lines pass, and both hold no more than a block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import SEARCH_PATH
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError

_PIPE = 1 << 20
#: ``F_SETPIPE_SZ`` of fcntl(2), which Python has a name for since 3.10.
_SET_PIPE_SIZE = 1031
#: Less than this is sifted here, for to start a program takes longer.
_SMALL = 1 << 20
Numbered = tuple[int, bytes]


def sift(blocks: Iterable[bytes], pattern: str, *, extra: Sequence[re.Pattern[bytes]] = ()) -> Iterator[Numbered]:
    """Number (from 1) and text, without its newline, of each line that matches, and of the line behind each.

    ``pattern`` is an extended regular expression, without regard to case, in the part of the language that grep(1) and
    Python share: words, escapes, groups, ``|``, ``^``, brackets and ``[[:space:]]``. ``extra`` are expressions of Python
    that let a line pass too; grep does not know their language.
    """
    source = iter(blocks)
    begun: list[bytes] = []
    size = 0
    for block in source:
        begun.append(block)
        size += len(block)
        if size > _SMALL:
            break
    grep = shutil.which("grep", path=SEARCH_PATH) if size > _SMALL and not extra else None
    chained = _chain(begun, source)
    return _by_grep(grep, chained, pattern) if grep else _by_python(chained, pattern, extra)


def _chain(begun: list[bytes], source: Iterator[bytes]) -> Iterator[bytes]:
    begun.reverse()
    while begun:
        yield begun.pop()
    yield from source


def _by_python(blocks: Iterable[bytes], pattern: str, extra: Sequence[re.Pattern[bytes]]) -> Iterator[Numbered]:
    wanted = re.compile(pattern.replace("[[:space:]]", r"[ \t\r\v\f]").encode())
    before, behind = 0, False
    for block in blocks:
        number = before
        for number, line in enumerate(block.split(b"\n")[:-1], start=before + 1):
            if wanted.search(line.lower()) or any(one.search(line) for one in extra):
                behind = True
            elif behind:
                behind = False
            else:
                continue
            yield number, line
        before = number


def _by_grep(grep: str, blocks: Iterable[bytes], pattern: str) -> Iterator[Numbered]:
    process = subprocess.Popen(  # pylint: disable=ansible-bad-function
        [grep, "-a", "-n", "-i", "-A", "1", "-E", "-e", pattern],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C", "PATH": SEARCH_PATH},
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError("pipes were asked for")
    feeder = _Feeder(process.stdin, blocks)
    try:
        feeder.start()
        yield from _numbered(process.stdout.fileno())
        feeder.join()
        if feeder.error:
            raise feeder.error
        if process.wait() > 1:
            raise MaintenanceError("'grep' ended with an error while it sifted a log.")
    finally:
        process.kill()
        process.stdout.close()
        feeder.join()
        process.wait()


class _Feeder(threading.Thread):
    """Writes the blocks into a pipe while the other end is read."""

    def __init__(self, pipe: IO[bytes], blocks: Iterable[bytes]) -> None:
        super().__init__(daemon=True)
        self.pipe = pipe
        self.blocks = blocks
        self.error: BaseException | None = None

    def run(self) -> None:
        descriptor = self.pipe.fileno()
        # A smaller pipe is slower and no less right.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE)
        try:
            for block in self.blocks:
                rest = memoryview(block)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        except BrokenPipeError:
            return
        except BaseException as error:
            # It is raised again where the lines are read.
            self.error = error
        finally:
            self.pipe.close()


def _numbered(descriptor: int) -> Iterator[Numbered]:
    kept = b""
    while True:
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        lines = (kept + data).split(b"\n")
        kept = lines.pop()
        for line in lines:
            if line == b"--":
                continue
            digits = 1
            while line[digits : digits + 1].isdigit():
                digits += 1
            yield int(line[:digits]), line[digits + 1 :]
