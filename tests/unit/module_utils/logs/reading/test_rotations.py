# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is written, rotated, crashed and reviewed in whatever order: no line is missed unsaid, none counted twice."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import State
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import pieces
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import follow
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.spans import text_of

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
KEEP = 6


class World:
    """A log with its writer, its rotation and its reviewer, and a book of what was written and read."""

    def __init__(self, folder: Path, *, style: str, packed: str, by_place: bool) -> None:
        self.folder = folder
        self.by_place = by_place
        self.style = style
        self.packed = packed
        self.live = folder / "app.log"
        self.live.touch()
        self.written: list[str] = []
        self.partial = ""
        self.read: Counter[str] = Counter()
        self.day = 0
        self.excused: set[str] = set()
        self.losses: list[str] = []
        self.acknowledged: str | None = ""
        self.started = False

    # What a program does.

    def write(self, amount: int) -> None:
        for _each in range(amount):
            line = f"{len(self.written):06d} " + "x" * (len(self.written) * 37 % 190)
            self._append(f"{line}\n" if not self.partial else f"{self.partial_rest}\n")
            self.written.append(self.partial or line)
            self.partial = ""

    def write_half(self, _amount: int) -> None:
        """A line whose second half comes later."""
        if not self.partial:
            self.partial = f"{len(self.written):06d} first half and second half"
            self.partial_rest = " and second half"
            self._append(self.partial.removesuffix(self.partial_rest))

    def _append(self, text: str) -> None:
        with self.live.open("a") as stream:
            stream.write(text)

    # What rotation does.

    def rotate(self, amount: int) -> None:
        for _each in range(1 + amount % 3):
            self.write(1)  # ends a half line: a program that is stopped for its rotation has ended its line
            {"rename": self._rename, "copytruncate": self._copy, "dated": self._date, "rewrite": self._rewrite}[
                self.style
            ]()

    def _shift(self) -> Path:
        for number in range(KEEP, 0, -1):
            for end in ("", self.packed):
                old = self.folder / f"app.log.{number}{end}"
                if old.exists() and number == KEEP:
                    old.unlink()
                elif old.exists():
                    self._move_and_pack(old, self.folder / f"app.log.{number + 1}")
        return self.folder / "app.log.1"

    def _move_and_pack(self, old: Path, new: Path) -> None:
        if not self.packed or old.suffix == self.packed:
            old.rename(new if not self.packed else Path(f"{new}{self.packed}"))
            return
        facts = old.stat()
        packed = Path(f"{new}{self.packed}")
        packed.write_bytes(PACK[self.packed](old.read_bytes()))
        os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        old.unlink()

    def _rename(self) -> None:
        self.live.rename(self._shift())
        self.live.touch()

    def _copy(self) -> None:
        shutil.copyfile(self.live, self._shift())
        os.truncate(self.live, 0)

    def _date(self) -> None:
        for old in sorted(self.folder.glob("app.log-????????"))[: -1 if self.packed else 0]:
            self._move_and_pack(old, old)
        self.day += 1
        self.live.rename(self.folder / f"app.log-{20260101 + self.day}")
        self.live.touch()
        for old in sorted(self.folder.glob("app.log-*"))[:-KEEP]:
            old.unlink()

    def _rewrite(self) -> None:
        """Only the last lines are kept, in a new file that takes the old one's place."""
        kept = self.live.read_text().splitlines(keepends=True)[-12:]
        self.excused.update(self.written[: -len(kept)] if kept else self.written)
        new = self.folder / "new"
        new.write_text("".join(kept))
        new.rename(self.live)

    # What the reviewer does, with the state as modules keep it.

    def review(self, amount: int, *, crash: str = "") -> None:
        state = State(self.folder / "state", "log_review", "test", acknowledged=self.acknowledged)
        trail = follow(str(self.live), state.load() or None, first="start", budget=None if amount % 2 else 700)
        lines: list[str] = []
        for number, stretch in enumerate(trail.stretches() if self.by_place else trail.blocks()):
            block = text_of(stretch)
            assert block.endswith(b"\n")
            lines += block.decode().splitlines()
            if crash == "reading" and number == amount % 4:
                trail.close()
                return
        mark = json.loads(json.dumps(trail.mark()))
        if crash == "before state":
            return
        generation = state.save(mark)
        if crash == "before record":
            return
        self.acknowledged = generation
        self.read.update(lines)
        if trail.lost:
            self.losses.append(trail.lost.reason)
            self.excused.update(self.written)
        twice = [line for line, times in self.read.items() if times > 1 and line not in self.excused]
        assert twice == [], f"read twice: {twice}"
        if not trail.behind:
            assert [line for line in self.written if line not in self.read and line not in self.excused] == []
        assert set(self.read) <= {*self.written}

    def crash_reading(self, amount: int) -> None:
        self.review(amount, crash="reading")

    def crash_before_state(self, amount: int) -> None:
        self.review(amount, crash="before state")

    def crash_before_record(self, amount: int) -> None:
        self.review(amount, crash="before record")


ACTIONS = (
    "write",
    "write",
    "write_half",
    "rotate",
    "review",
    "crash_reading",
    "crash_before_state",
    "crash_before_record",
)


@pytest.mark.parametrize("packed", ["", ".gz", ".xz", ".bz2"])
@pytest.mark.parametrize("style", ["rename", "copytruncate", "dated", "rewrite"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20)), max_size=24),
    by_place=st.booleans(),
)
def test_no_line_is_missed_unsaid_and_none_is_counted_twice(
    style: str,
    packed: str,
    by_place: bool,
    actions: list[tuple[str, int]],
    tmp_path_factory: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pieces, "BLOCK", 512)
    monkeypatch.setattr(pieces, "LONGEST", 700)
    world = World(tmp_path_factory.mktemp("logs"), style=style, packed=packed, by_place=by_place)
    # An empty log has nothing to know it by; the inode alone may be given to another file.
    world.write(1)
    world.review(1)
    for name, amount in actions:
        getattr(world, name)(amount)
    world.write(1)
    world.review(1)
    world.review(1)
    rotations = sum(1 + amount % 3 for name, amount in actions if name == "rotate")
    if style != "rewrite" and rotations < KEEP:
        assert world.losses == []
        assert sorted(world.written) == sorted(world.read)
