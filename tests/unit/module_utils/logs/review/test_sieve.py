# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes the sieve, by grep and by Python, of lines that are handed over and of lines that lie in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import Span
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import parts, sieve
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import FORMATS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.severity import own_level


def everything(sifted: sieve.Sifted) -> list[sieve.Numbered]:
    return counted(sifted)[0]


def counted(sifted: sieve.Sifted) -> tuple[list[sieve.Numbered], int]:
    """What passed a sieve, and how many lines it saw."""
    passed: list[sieve.Numbered] = []
    while True:
        try:
            passed += next(sifted)
        except StopIteration as end:
            return passed, end.value


def spans_of(descriptor: int, at: int, sizes: Iterable[int]) -> list[Span]:
    spans = []
    for size in sizes:
        spans.append(Span(descriptor, at, size))
        at += size
    return spans


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
@given(
    st.lists(
        st.sampled_from(
            [b"[error] x", b"calm", b"", b"  indented", b"FATAL: y", b"\xff\xfe", b"Traceback (most recent call last):",
             b"preferred", b"12:error", b"12-calm", b"--", b',ERROR,', b'"PRIORITY" : "3"', b"]: #011at", b"\0err\0",
             b"fatal", b"so FATAL\xff", b"catalina", b"organic", b"organic x", b"unhandled promise rejection"]
        ),
        max_size=30,
    ),
    st.integers(1, 60),
)  # fmt: skip
def test_grep_and_python_let_the_same_lines_pass(
    tmp_path_factory: pytest.TempPathFactory, form: object, lines: list[bytes], step: int
) -> None:
    pattern = form.sieve  # type: ignore[attr-defined]
    data = [b"".join(line + b"\n" for line in lines[at : at + step]) for at in range(0, len(lines), step)]
    by_python = counted(sieve._by_python(iter(data), pattern, ()))
    assert by_python == counted(sieve._by_grep("/usr/bin/grep", iter(data), pattern))
    assert by_python[1] == len(lines)
    path = tmp_path_factory.mktemp("sieve") / "app.log"
    path.write_bytes(b"before\n" + b"".join(data))
    with path.open("rb") as log:
        spans = spans_of(log.fileno(), 7, [len(part) for part in data])
        assert by_python == counted(sieve._by_grep("/usr/bin/grep", iter(spans), pattern))
        assert by_python == counted(sieve._by_python(iter(spans), pattern, ()))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(st.sampled_from([b"[error] x", b"calm", b"", b"[error] y", b"  indented"]), min_size=1, max_size=30),
    step=st.integers(1, 8),
    kinds=st.lists(st.booleans(), min_size=30, max_size=30),
    full=st.integers(1, 60),
    workers=st.integers(2, 4),
)
def test_several_at_once_let_the_same_lines_pass_as_one(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    step: int,
    kinds: list[bool],
    full: int,
    workers: int,
) -> None:
    data = [b"".join(line + b"\n" for line in lines[at : at + step]) for at in range(0, len(lines), step)]
    path = tmp_path_factory.mktemp("sieve") / "app.log"
    path.write_bytes(b"".join(data))
    with path.open("rb") as log, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "IN_FILE", full)
        patch.setattr(parts, "IN_MEMORY", full)
        spans = spans_of(log.fileno(), 0, [len(part) for part in data])
        mixed = [span if lies else text for span, text, lies in zip(spans, data, kinds)]
        one = counted(sieve._by_python(iter(data), "error", ()))
        assert one == counted(sieve._by_several("/usr/bin/grep", iter(mixed), "error", workers=workers))
        assert one[1] == len(lines)


def test_several_at_once_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"[error] x\n" * 700_000)
    before = len(os.listdir("/proc/self/fd"))
    with path.open("rb") as log, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "IN_FILE", 1 << 20)
        spans = spans_of(log.fileno(), 0, [1_000_000] * 7)
        lines = sieve.sift(spans, "error", workers=3)
        assert next(lines)[0] == (1, b"[error] x", True)
        lines.close()
        assert counted(sieve.sift(spans, "error", workers=3))[1] == 700_000
    assert len(os.listdir("/proc/self/fd")) == before


_PARTS = [
    "fatal", "FATAL", "panic", "Kernel panic ", "panic: ", "alert", "emerg", "emergency", "crit", "Critical", "SEVERE",
    "err", "Error", "ERROR", "Unhandled ", "unhandled promise ", "rejection", "exception", "Uncaught ", "TypeError",
    "Traceback (most recent call last):", "segfault at 0", "Segmentation fault", "core dumped", "Out of memory: ",
    "oom-kill", "kernel BUG at ", "BUG: unable to handle ", "I/O error", "EXT4-fs error (", "fail: ",
    "thread 'main' panicked at ", "terminate called after throwing ", "[2026-11-25 10:00:00] a.ERROR: ",
    "java.lang.IllegalStateException", "E1125 10:00:00.000000       1 server.go:7] x",
    "level=", '"severity": "', "[", "]", ":", " ", "- ", "\xe9", "x", "7",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PARTS), max_size=6))
def test_whatever_gives_itself_the_level_of_an_error_passes_the_sieve(parts: list[str]) -> None:
    line = "".join(parts).encode("latin-1")
    if own_level(line) in ("error", "fatal"):
        # klog's own format is plain text.
        for name in ("text",) if line.startswith(b"E1125") else ("text", "json", "journal", "mysql"):
            assert everything(sieve.sift(iter([line + b"\n"]), FORMATS[name].sieve)) == [(1, line, True)]


def test_a_log_that_is_truncated_while_it_is_sifted_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"[error] x\n" * 300_000)
    with path.open("rb") as log:

        def spans() -> Iterator[Span]:
            yield Span(log.fileno(), 0, 2_000_000)
            os.truncate(path, 2_500_007)
            yield Span(log.fileno(), 2_000_000, 1_000_000)

        passed, lines = counted(sieve.sift(spans(), FORMATS["text"].sieve))
    assert lines == 250_001
    assert [text for _number, text, _matches in passed] == [b"[error] x"] * 250_000 + [b"[error]"]


def test_a_grep_that_is_killed_is_told(tmp_path: Path) -> None:
    program = tmp_path / "grep"
    program.write_text('#!/bin/sh\n/bin/grep "$@" | head -n 3\nkill -9 $$\n')
    program.chmod(0o755)
    with pytest.raises(MaintenanceError, match="ended with an error"):
        everything(sieve._by_grep(str(program), iter([b"[error] x\n" * 9]), "error"))


def test_what_goes_wrong_while_reading_comes_out_where_the_lines_do() -> None:
    def broken() -> Iterable[bytes]:
        yield b"[error] x\n" * 200_000
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        everything(sieve.sift(broken(), FORMATS["text"].sieve))


def test_a_reader_that_stops_leaves_nothing_behind() -> None:
    lines = sieve.sift((b"[error] x\n" * 7000 for _block in range(1000)), FORMATS["text"].sieve)
    assert next(lines)[0] == (1, b"[error] x", True)
    lines.close()
