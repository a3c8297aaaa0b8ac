# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the reading of a container's log goes on. The real engine is read in tests/integration/logs."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import State
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import containers
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.containers import (
    Container,
    Engine,
    follow_container,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED

SHOP = Container("c1", "shop")
#: 2026-11-25 12:00:00 UTC, in nanoseconds.
NOON = 1_795_608_000 * 10**9


class Written(Engine):
    """An engine with one container: entries of nanoseconds, stream and text, in the order they were written."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self.entries: list[tuple[int, int, str]] = []
        self.number = 0
        self.time = NOON

    def write(self, amount: int, *, step: int = 1000) -> None:
        """Lines of both streams; those of one write share a time, and now and then one is out of order."""
        for _each in range(amount):
            self.number += 1
            self.time += step if self.number % 3 else 0
            late = 2 * step if self.number % 7 == 0 else 0
            self.entries.append((self.time - late, 1 + self.number % 2, f"line {self.number}"))

    def has_terminal(self, id_: str) -> bool:
        return False

    def logs(self, id_: str, *, since: str = "", tail: int | None = None) -> Any:
        whole, _dot, fraction = since.partition(".")
        least = int(whole or 0) * 10**9 + int(fraction or 0)
        # The engine looks for the last lines first and then at their times.
        chosen = self.entries if tail is None else self.entries[len(self.entries) - min(tail, len(self.entries)) :]
        frames = b""
        for stamp, stream, text in chosen:
            if stamp >= least:
                moment = datetime.fromtimestamp(stamp // 10**9, timezone.utc)
                line = f"{moment:%Y-%m-%dT%H:%M:%S}.{stamp % 10**9:09d}Z {text}\n".encode()
                frames += bytes([stream, 0, 0, 0]) + len(line).to_bytes(4, "big") + line
        return io.BytesIO(frames)


@pytest.fixture
def engine() -> Written:
    return Written()


def read(engine: Written, mark: Any, **options: Any) -> tuple[list[str], dict[str, Any], list[str]]:
    trail = follow_container(engine, SHOP, mark, **options)
    lines = b"".join(trail.blocks()).decode().splitlines()
    return lines, json.loads(json.dumps(trail.mark())), [loss.reason for loss in trail.losses]


@pytest.mark.parametrize("history", [0, 1, 255, 256, 257, 258, 700])
def test_a_log_that_is_begun_at_its_end_begins_exactly_there(engine: Written, history: int) -> None:
    engine.write(history)
    lines, mark, losses = read(engine, None, first_lines=0)
    assert (lines, losses) == ([], [])
    assert read(engine, mark)[0] == []
    engine.write(3)
    new = [f"line {history + number}" for number in (1, 2, 3)]
    lines, mark, losses = read(engine, mark)
    assert (sorted(lines), losses) == (sorted(new), [])
    assert read(engine, mark)[0] == []


def test_lines_that_share_the_time_of_the_last_one_are_history_too(engine: Written) -> None:
    engine.write(300, step=0)
    engine.write(300)
    mark = read(engine, None, first_lines=0)[1]
    assert read(engine, mark)[0] == []


def test_a_log_that_was_cut_after_it_was_begun_at_its_end_is_told(engine: Written) -> None:
    engine.write(5)
    mark = read(engine, None, first_lines=0)[1]
    engine.write(5)
    del engine.entries[:7]
    lines, _mark, losses = read(engine, mark)
    assert (len(lines), losses) == (3, ["none of the lines that were read last is left in the container's log"])


def test_a_line_out_of_order_that_is_older_than_all_that_a_cut_left_is_read(engine: Written) -> None:
    engine.write(1)
    mark = read(engine, None)[1]
    engine.write(5)
    del engine.entries[:4]
    _lines, mark, losses = read(engine, mark)
    assert losses
    engine.write(1)
    assert engine.entries[-1][0] < engine.entries[0][0]
    assert read(engine, mark)[::2] == (["line 7"], [])


def test_what_the_budget_leaves_is_read_by_the_next_runs(engine: Written) -> None:
    engine.write(9000)
    mark, lines = None, []
    for _run in range(20):
        trail = follow_container(engine, SHOP, mark, budget=1 << 16)
        lines += b"".join(trail.blocks()).decode().splitlines()
        mark = trail.mark()
        if not trail.behind:
            break
        assert trail.behind == UNMEASURED
    assert Counter(lines) == Counter(f"line {number}" for number in range(1, 9001))


ACTIONS = ("write", "write", "cut", "review", "crash before state", "crash before record")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 40)), max_size=24))
def test_no_line_is_missed_unsaid_and_none_is_read_twice(
    actions: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the state as modules keep it, a mark that knows few lines, and crashes between reading and recording."""
    monkeypatch.setattr(containers, "KNOWN_LINES", 12)
    engine, folder = Written(), tmp_path_factory.mktemp("state")
    acknowledged: str | None = ""
    seen: Counter[str] = Counter()
    excused: set[str] = set()

    def review(how: str) -> None:
        nonlocal acknowledged
        state = State(folder, "log_review", "test", acknowledged=acknowledged)
        lines, mark, losses = read(engine, state.load() or None)
        if how == "crash before state":
            return
        generation = state.save(mark)
        if how == "crash before record":
            return
        acknowledged = generation
        seen.update(lines)
        if losses:
            excused.update(f"line {number}" for number in range(1, engine.number + 1))

    for how, amount in [("write", 1), ("review", 1), *actions, ("write", 1), ("review", 1), ("review", 1)]:
        if how == "write":
            engine.write(amount)
        elif how == "cut":
            del engine.entries[:amount]
        else:
            review(how)
    assert [line for line, times in seen.items() if times > 1] == []
    written = {f"line {number}" for number in range(1, engine.number + 1)}
    assert written - set(seen) - excused == set()
