# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines worth a look, out of many that are not: a coarse sieve that lets no error through its meshes.

``grep`` sifts many times what Python does in a second; where it is missing, a regular expression takes its place. Both
let the same lines pass, and both hold no more than a block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import IO

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import SEARCH_PATH
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import (
    Span,
    Stretch,
    size_of,
    text_of,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.parts import Part, parts_of

_PIPE = 1 << 20
#: ``F_SETPIPE_SZ`` of fcntl(2), which Python has a name for since 3.10.
_SET_PIPE_SIZE = 1031
#: Less than this is sifted here, for to start a program takes longer.
_SMALL = 1 << 20
#: A line of grep's output: ``12:text`` for a match, ``13-text`` for the line behind it.
_OUTPUT = re.compile(rb"(\d+)([:-])(.*)\n")
_MATCH = b":"

#: Number, text, and whether the line matches; one that does not is behind one that does.
Numbered = tuple[int, bytes, bool]
#: What a sieve gives, some lines at a time; once all is given, how many lines there were altogether.
Sifted = Generator[list[Numbered], None, int]


def sift(
    stretches: Iterable[Stretch], pattern: str, *, extra: Sequence[re.Pattern[bytes]] = (), workers: int = 1
) -> Sifted:
    """Each line that matches, and the line behind each: its number from 1 on, and its text without its newline.

    ``pattern`` is an extended regular expression, without regard to case, in the part of the language that grep(1) and
    Python share: words, escapes, groups, ``|``, ``^``, ``$``, brackets and ``[[:space:]]``. ``extra`` are expressions
    of Python that let a line pass too; grep does not know their language. ``workers`` greps share a large log.
    """
    source = iter(stretches)
    begun: list[Stretch] = []
    size = 0
    for stretch in source:
        size += size_of(stretch)
        if size > _SMALL:
            begun.append(stretch)
            break
        # Where it lies can be told until the next is asked for.
        begun.append(text_of(stretch))
    grep = shutil.which("grep", path=SEARCH_PATH) if size > _SMALL and not extra else None
    chained = _chain(begun, source)
    if not grep:
        return _by_python(chained, pattern, extra)
    return _by_several(grep, chained, pattern, workers=workers) if workers > 1 else _by_grep(grep, chained, pattern)


def _chain(begun: list[Stretch], source: Iterator[Stretch]) -> Iterator[Stretch]:
    begun.reverse()
    while begun:
        yield begun.pop()
    yield from source


def _by_python(stretches: Iterable[Stretch], pattern: str, extra: Sequence[re.Pattern[bytes]]) -> Sifted:
    wanted = re.compile(pattern.replace("[[:space:]]", r"[ \t\r\v\f]").encode(), re.MULTILINE)
    before, behind = 0, False
    for block in map(text_of, stretches):
        starts = _matching_lines(wanted, block.lower(), block)
        for one in extra:
            starts |= _matching_lines(one, block, block)
        number, at = before + 1, 0
        passed: list[Numbered] = []
        for start in sorted(starts):
            if start > at and behind:
                passed.append((number, block[at : block.index(b"\n", at)], False))
            number += block.count(b"\n", at, start)
            end = block.index(b"\n", start)
            passed.append((number, block[start:end], True))
            number, at, behind = number + 1, end + 1, True
        if behind and at < len(block):
            passed.append((number, block[at : block.index(b"\n", at)], False))
            behind = False
        yield passed
        before += block.count(b"\n")
    return before


def _matching_lines(wanted: re.Pattern[bytes], text: bytes, block: bytes) -> set[int]:
    """Where the lines begin that match; ``text`` is the block, or the block in small letters."""
    starts: set[int] = set()
    at = 0
    while True:
        found = wanted.search(text, at)
        if not found or found.start() >= len(block):
            return starts
        starts.add(block.rfind(b"\n", 0, found.start()) + 1)
        newline = block.find(b"\n", found.start())
        if newline < 0:
            return starts
        at = newline + 1


def _by_grep(program: str, stretches: Iterable[Stretch], pattern: str) -> Sifted:
    grep = _Grep(program, stretches, pattern)
    try:
        return (yield from grep.lines())
    finally:
        grep.close()


def _by_several(program: str, stretches: Iterable[Stretch], pattern: str, *, workers: int) -> Sifted:
    """A log in parts of whole lines, sifted by several programs at once, and told in the order of its lines."""
    running: deque[tuple[Part, _Grep]] = deque()
    before = told = 0

    def told_by(part: Part, grep: _Grep) -> Sifted:
        nonlocal told
        lines = grep.lines(before)
        try:
            while True:
                passed = next(lines)
                # The first line of a part also ends the part before it, as what lies behind its last line.
                if passed and passed[0][0] <= told:
                    del passed[0]
                if passed:
                    told = passed[-1][0]
                    yield passed
        except StopIteration as end:
            return int(end.value) - bool(part.behind)
        finally:
            grep.close()
            part.close()

    try:
        for part in parts_of(stretches):
            running.append((part, _Grep(program, part.stretches(), pattern)))
            if len(running) == workers:
                before = yield from told_by(*running.popleft())
        while running:
            before = yield from told_by(*running.popleft())
        return before
    finally:
        for part, grep in running:
            grep.close()
            part.close()


class _Grep:
    """A grep at work on lines that are fed to it."""

    def __init__(self, program: str, stretches: Iterable[Stretch], pattern: str) -> None:
        # A line behind the last one, which no log holds: its number tells how many lines there were.
        last = f"~{os.urandom(16).hex()}"
        self.process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [program, "-a", "-n", "-i", "-A", "1", "-E", "-e", f"{pattern}|^{last}$"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C", "PATH": SEARCH_PATH},
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise AssertionError("pipes were asked for")
        self.output = self.process.stdout
        # What passes waits there while the part before this one is told.
        _enlarge(self.output)
        self.feeder = _Feeder(self.process.stdin, stretches, last.encode() + b"\n")
        self.feeder.start()

    def lines(self, before: int = 0) -> Sifted:
        """What passes, numbered behind so many lines; how many there are with these at the end."""
        number = yield from _numbered(self.output.fileno(), before)
        self.feeder.join()
        if self.feeder.error:
            raise self.feeder.error
        if self.process.wait() != 0:
            raise MaintenanceError("'grep' ended with an error while it sifted a log.")
        return number - 1

    def close(self) -> None:
        self.process.kill()
        self.output.close()
        self.feeder.join()
        self.process.wait()


class _Feeder(threading.Thread):
    """Writes lines into a pipe while the other end is read; what lies in a file goes there without being read here."""

    def __init__(self, pipe: IO[bytes], stretches: Iterable[Stretch], last: bytes) -> None:
        super().__init__(daemon=True)
        self.pipe = pipe
        self.stretches = stretches
        self.last = last
        self.error: BaseException | None = None

    def run(self) -> None:
        descriptor = self.pipe.fileno()
        _enlarge(self.pipe)
        try:
            for stretch in self.stretches:
                if isinstance(stretch, Span):
                    _send(descriptor, stretch)
                else:
                    _write(descriptor, stretch)
            _write(descriptor, self.last)
        except BrokenPipeError:
            return
        except BaseException as error:  # noqa: BLE001
            # It is raised again where the lines are read.
            self.error = error
        finally:
            self.pipe.close()


def _enlarge(pipe: IO[bytes]) -> None:
    # A smaller pipe is slower and no less right.
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe.fileno(), _SET_PIPE_SIZE, _PIPE)


def _send(pipe: int, span: Span) -> None:
    """Hand lines from a file to a pipe within the kernel, and what does not go that way from here."""
    at, end = span.offset, span.offset + span.length
    # Some kernels (before 5.12) and file systems cannot.
    with contextlib.suppress(OSError):
        while at < end:
            sent = os.sendfile(pipe, span.descriptor, at, end - at)
            if not sent:
                break
            at += sent
    if at < end:
        rest = Span(span.descriptor, at, end - at).read()
        # A truncation may have cut a line.
        _write(pipe, rest if len(rest) == end - at else rest + b"\n")


def _write(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _numbered(descriptor: int, before: int) -> Sifted:
    """The lines of grep's output but the last, whose number is returned."""
    kept = b""
    last: list[tuple[bytes, bytes, bytes]] = []
    while True:
        data = os.read(descriptor, 1 << 16)
        if not data:
            return before + (int(last[0][0]) if last else 0)
        end = data.rfind(b"\n") + 1
        if not end:
            kept += data
            continue
        found = last + _OUTPUT.findall(kept + data[:end])
        last = [found.pop()]
        yield [(before + int(number), line, sign == _MATCH) for number, sign, line in found]
        kept = data[end:]
