# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log may be anything, and in any state: what cannot be read is told, and costs neither memory nor time."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import Trail, follow
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.lines import LineCutter
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.worded import packed_words

NOBODY = 65534


def read(trail: Trail) -> bytes:
    return b"".join(trail.blocks())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\ntwo\n")
    return path


def marked(log: Path) -> dict[str, Any]:
    trail = follow(str(log), None, first="start")
    assert read(trail)
    return trail.mark()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "is a pipe"),
        (lambda path: path.symlink_to("/etc/passwd"), "symbolic link"),
        (lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5)), "is a device"),
    ],
)
def test_what_is_no_plain_file_is_not_read_and_the_place_is_kept(log: Path, make: Any, word: str) -> None:
    mark = marked(log)
    log.unlink()
    make(log)
    trail = follow(str(log), mark)
    assert read(trail) == b""
    assert word in trail.unreadable
    assert not trail.gone
    assert trail.mark() == mark


def test_a_log_that_is_gone_is_told_once(log: Path) -> None:
    mark = marked(log)
    log.unlink()
    trail = follow(str(log), mark)
    assert trail.gone
    assert trail.lost
    assert "is gone" in trail.lost.reason
    again = follow(str(log), trail.mark())
    assert again.gone
    assert again.lost is None
    log.write_text("anew\n")
    assert read(follow(str(log), again.mark())) == b"anew\n"


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Whoever runs the tests, without root's right to read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_permission_that_is_lost_is_told_and_the_place_is_kept(log: Path, tmp_path: Path) -> None:
    mark = marked(log)
    log.write_text("one\ntwo\nthree\n")
    log.chmod(0)
    for folder in (tmp_path, *(parent for parent in list(tmp_path.parents)[:-2] if parent.owner() == tmp_path.owner())):
        folder.chmod(0o755)
    with ordinary_user():
        trail = follow(str(log), mark)
        assert "permission denied" in trail.unreadable
        assert trail.mark() == mark
    log.chmod(0o600)
    assert read(follow(str(log), mark)) == b"three\n"


def test_a_link_in_a_folder_that_others_can_write_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "app.log").write_text("secret\n")
    open_to_others = tmp_path / "open"
    open_to_others.mkdir()
    open_to_others.chmod(0o777)
    (open_to_others / "logs").symlink_to(secret)
    trail = follow(str(open_to_others / "logs" / "app.log"), None, first="start")
    assert read(trail) == b""
    assert "others can change" in trail.unreadable
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "logs").symlink_to("../secret")
    assert read(follow(str(ours / "logs" / "app.log"), None, first="start")) == b"secret\n"


def test_an_older_piece_that_is_a_link_is_not_followed(log: Path, tmp_path: Path) -> None:
    mark = marked(log)
    (tmp_path / "app.log.1").symlink_to("/etc/passwd")
    trail = follow(str(log), mark)
    assert read(trail) == b""
    assert trail.lost is None


def test_a_log_that_shrinks_while_it_is_read_is_told_by_the_next_run(log: Path) -> None:
    log.write_bytes(b"".join(b"%07d\n" % number for number in range(40000)))
    trail = follow(str(log), None, first="start")
    blocks = trail.blocks()
    next(blocks)
    os.truncate(log, 0)
    rest = b"".join(blocks)
    assert len(rest) < 320000
    log.write_text("anew\n")
    after = follow(str(log), trail.mark())
    assert read(after) == b"anew\n"
    assert after.lost
    assert "emptied or written anew" in after.lost.reason


def test_a_log_that_is_written_anew_while_it_is_read_is_told(log: Path) -> None:
    log.write_bytes(b"".join(b"%07d\n" % number for number in range(40000)))
    trail = follow(str(log), None, first="start")
    blocks = trail.blocks()
    next(blocks)
    log.write_bytes(b"".join(b"x%06d\n" % number for number in range(40000)))
    list(blocks)
    assert trail.lost
    assert "while it was read" in trail.lost.reason


def test_a_new_log_with_the_number_of_the_old_one_is_not_mistaken_for_it(log: Path) -> None:
    mark = marked(log)
    descriptor = os.open(log, os.O_WRONLY)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"other\nlines\n")
    os.close(descriptor)
    trail = follow(str(log), mark)
    assert read(trail) == b"other\nlines\n"
    assert trail.lost is not None


def test_a_clock_that_goes_back_changes_nothing(log: Path, tmp_path: Path) -> None:
    mark = marked(log)
    log.rename(tmp_path / "app.log.1")
    log.write_text("three\n")
    os.utime(log, (1, 1))
    os.utime(tmp_path / "app.log.1", (2_000_000_000, 2_000_000_000))
    trail = follow(str(log), mark)
    assert read(trail) == b"three\n"
    assert trail.lost is None


def test_a_copy_of_the_log_is_not_read(log: Path, tmp_path: Path) -> None:
    mark = marked(log)
    log.write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "app.log.1").write_bytes(log.read_bytes())
    trail = follow(str(log), mark)
    assert read(trail) == b"three\n"
    assert trail.lost is None


def test_what_is_written_to_the_renamed_log_is_read_too(log: Path, tmp_path: Path) -> None:
    """A daemon writes to the old file until it is told to open the new one."""
    mark = marked(log)
    with log.open("ab") as daemon:
        log.rename(tmp_path / "app.log.1")
        log.write_bytes(b"new\n")
        daemon.write(b"late\nhal")
        daemon.flush()
        first = follow(str(log), mark)
        assert read(first) == b"late\nnew\n"
        daemon.write(b"f\n")
    second = follow(str(log), first.mark())
    assert read(second) == b"half\n"
    assert second.lost is None


def test_a_budget_leaves_the_rest_for_the_next_run(log: Path) -> None:
    lines = b"".join(b"%07d\n" % number for number in range(100000))
    log.write_bytes(lines)
    mark, parts = None, []
    for _run in range(20):
        trail = follow(str(log), mark, first="start", budget=200000)
        parts.append(read(trail))
        mark = trail.mark()
        if not trail.behind:
            break
    assert len(parts) > 3
    assert b"".join(parts) == lines


def test_a_budget_that_ends_with_the_log_leaves_nothing(log: Path) -> None:
    log.write_bytes(b"0123456\n" * 8192)
    trail = follow(str(log), None, first="start", budget=65536)
    assert len(read(trail)) == 65536
    assert (trail.behind, trail.packed) == (0, [])


def test_of_packed_pieces_that_are_left_is_told_what_is_known(log: Path, tmp_path: Path) -> None:
    luck = random.Random(1)
    mark = marked(log)
    log.rename(tmp_path / "app.log.2")
    texts = [b"".join(b"%030x\n" % luck.getrandbits(120) for _line in range(20000)) for _piece in range(2)]
    for number, text in zip((2, 1), texts):
        whole = b"one\ntwo\n" + text if number == 2 else text
        (tmp_path / f"app.log.{number}.gz").write_bytes(gzip.compress(whole, 1))
        (tmp_path / f"app.log.{number}").unlink(missing_ok=True)
        os.utime(tmp_path / f"app.log.{number}.gz", ns=(10**9 * (10 - number),) * 2)
    log.write_bytes(b"three\n")
    sizes = {place.name: place.stat().st_size for place in tmp_path.glob("*.gz")}
    parts, left = [], []
    for _run in range(40):
        trail = follow(str(log), mark, budget=200_000)
        parts.append(read(trail))
        mark = trail.mark()
        left.append((trail.behind, packed_words(trail.packed)))
        if not trail.behind:
            break
    assert b"".join(parts) == b"".join(texts) + b"three\n"
    # What is known is the size of the files, and how much text of them was read.
    second, first = sizes["app.log.2.gz"], sizes["app.log.1.gz"]
    words = f"app.log.2.gz with {quantity(second, 'B')}, of whose text 256 KiB were read"
    words = f"packed among that: {words}; app.log.1.gz with {quantity(first, 'B')}"
    assert left[0] == (second + first + 6, words)
    assert {behind for behind, _words in left} <= {second + first + 6, first + 6, 6, 0}
    assert left[-1] == (0, "")


def test_a_packed_piece_that_is_gone_is_lost_and_nobody_knows_how_much(log: Path, tmp_path: Path) -> None:
    mark = marked(log)
    log.unlink()
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\n" + b"line\n" * 100_000))
    log.write_text("three\n")
    trail = follow(str(log), mark, budget=1000)
    read(trail)
    (tmp_path / "app.log.1.gz").unlink()
    lost = follow(str(log), trail.mark()).lost
    assert lost is not None
    assert (lost.reason, lost.bytes) == ("app.log.1.gz is gone before all of it had been read", None)


def test_a_packed_piece_whose_beginning_was_not_whole_yet_is_read_to_its_end(log: Path, tmp_path: Path) -> None:
    """Its first bytes are looked at once more while it is being unpacked."""
    luck = random.Random(1)
    mark = marked(log)
    log.unlink()
    text = b"".join(b"%030x\n" % luck.getrandbits(120) for _line in range(20000))
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\n" + text, 1))
    log.write_bytes(b"three\n")
    trail = follow(str(log), mark)
    assert read(trail) == text + b"three\n"
    assert trail.lost is None


def test_a_damaged_mark_is_told(log: Path) -> None:
    trail = follow(str(log), {"places": [{"name": 7}]}, first="start")
    assert read(trail) == b"one\ntwo\n"
    assert trail.lost
    assert "damaged" in trail.lost.reason


def test_a_damaged_packed_piece_is_told(log: Path, tmp_path: Path) -> None:
    mark = marked(log)
    log.unlink()
    (tmp_path / "app.log.1.gz").write_bytes(b"\x1f\x8b\x08\x00 no gzip at all")
    log.write_text("three\n")
    trail = follow(str(log), mark)
    assert read(trail) == b"three\n"
    assert trail.lost is not None


def test_a_hole_costs_nothing(log: Path) -> None:
    mark = marked(log)
    with log.open("r+b") as stream:
        stream.truncate(0)
        stream.seek(50 << 30)
        stream.write(b"after the hole\n")
    trail = follow(str(log), mark)
    assert read(trail).strip(b"\0") == b"after the hole\n"
    assert trail.lost is not None


_LONG_LINE = """
import resource, sys
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import follow
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trail = follow(sys.argv[1], None, first="start")
sizes = [len(block) for block in trail.blocks()]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(max(sizes), trail.lines, trail.cut_lines, trail.cut_bytes, grown)
"""


def test_a_line_of_a_hundred_megabytes_costs_no_memory(log: Path) -> None:
    size = 100 << 20
    with log.open("wb") as stream:
        stream.write(b"before\n")
        for _piece in range(100):
            stream.write(b"x" * (1 << 20))
        stream.write(b"\nafter\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _LONG_LINE, str(log)], capture_output=True, text=True, check=True, env=environment
    )
    largest, lines, cut_lines, cut_bytes, grown = map(int, done.stdout.split())
    assert (lines, cut_lines, cut_bytes) == (3, 1, size - 65536)
    assert largest < 200_000
    assert grown < 8 * 1024  # KiB


def test_a_long_line_that_goes_on_is_given_once(log: Path) -> None:
    log.write_bytes(b"one\n" + b"x" * 200_000)
    first = follow(str(log), None, first="start")
    assert read(first) == b"one\n" + b"x" * 65536 + b"\n"
    with log.open("ab") as stream:
        stream.write(b"x" * 200_000 + b"\ntwo\n")
    second = follow(str(log), first.mark())
    assert read(second) == b"two\n"


@given(st.lists(st.binary(max_size=60), max_size=12), st.integers(1, 20), st.integers(1, 9))
def test_cutting_gives_every_line_once_and_none_too_long(lines: list[bytes], step: int, limit: int) -> None:
    lines = [line.replace(b"\n", b"").replace(b"\0", b".") for line in lines]
    data = b"".join(line + b"\n" for line in lines)
    cutter = LineCutter(limit=limit)
    blocks = [cutter.feed(data[at : at + step]) for at in range(0, len(data), step)]
    assert b"".join(blocks) == b"".join(line[:limit] + b"\n" for line in lines)
    assert all(block.endswith(b"\n") for block in blocks if block)
    assert cutter.lines == len(lines)
    assert cutter.cut_lines == sum(len(line) > limit for line in lines)
    assert cutter.cut_bytes == sum(max(0, len(line) - limit) for line in lines)


@given(st.binary(max_size=4000))
def test_any_bytes_at_all_are_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "app.log"
    path.write_bytes(data)
    trail = follow(str(path), None, first="start")
    whole = data[: data.rfind(b"\n") + 1]
    assert read(trail).replace(b"\0", b"") == whole.replace(b"\0", b"")
    assert follow(str(path), trail.mark()).lost is None


def test_random_starts_begin_with_a_whole_line(log: Path) -> None:
    source = random.Random(7)
    lines = [b"y" * source.randrange(200) + b"\n" for _line in range(500)]
    log.write_bytes(b"".join(lines))
    for _try in range(50):
        text = read(follow(str(log), None, first=source.randrange(40000)))
        assert text == b"" or text.splitlines(keepends=True) == lines[-text.count(b"\n") :]
