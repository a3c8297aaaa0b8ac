# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the reading of a MySQL server's table goes on. The real server is read in tests/integration/logs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import State
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import mysql
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql import follow_table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql_table import Entry, Facts

#: 2026-11-25 12:00:00 UTC, in microseconds.
NOON = 1_795_608_000 * 10**6
SECOND = 10**6


class Server:
    """A server with its file and its table, and the one rule for their times that the real one has."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.clock = self.started = NOON
        self.number = 0
        self.file: list[tuple[int, str]] = []
        self.table: list[Entry] = []
        self.latest = 0
        #: What is called between two pages.
        self.meanwhile: list[Any] = []
        self.closed = False

    def write(self, amount: int) -> None:
        """Entries, some at the same microsecond by the clock."""
        for _each in range(amount):
            self.number += 1
            self.clock += SECOND if self.number % 3 else 0
            self.file.append((self.clock, f"line {self.number}"))
            self._add(*self.file[-1])

    def _add(self, stamp: int, text: str) -> None:
        self.latest = stamp if stamp > self.latest else self.latest + 1
        self.table.append(Entry(self.latest, "0", "Error", "MY-010045", "Server", text))

    def set_back(self, amount: int) -> None:
        # Neither this nor a start takes whole seconds: an entry is not given the very time of one that is gone.
        self.clock -= amount * 10 * SECOND + SECOND // 1000

    def expire(self, amount: int) -> None:
        del self.table[:amount]

    def rotate(self) -> None:
        """It takes longer than the microsecond in which two entries would be told apart by one file alone."""
        self.file.clear()
        self.clock += SECOND

    def lose(self, amount: int) -> list[str]:
        """The power fails before the end of the file is on the disk; what is lost by that."""
        lost = [text for _stamp, text in self.file[-amount:]]
        del self.file[-amount:]
        # Behind a clock that was set back at the same time a new entry could be given the very time of a lost one.
        self.clock = max(self.clock, self.latest)
        self.restart()
        return lost

    def restart(self) -> None:
        """The table is filled from what is in the file."""
        self.table, self.latest = [], 0
        self.clock += SECOND + 31 * SECOND // 1000
        self.started = self.clock
        for stamp, text in self.file:
            self._add(stamp, text)
        self.write(2)

    def page(self, since: int, most: int) -> list[Entry]:
        if self.meanwhile:
            self.meanwhile.pop()()
        return [one for one in self.table if one.stamp >= since][:most]

    def newest(self, most: int) -> list[Entry]:
        return self.table[-most:]

    def begin_of_last(self, entries: int) -> int:
        return self.table[-entries].stamp if entries <= len(self.table) else 1_000_000

    def close(self) -> None:
        self.closed = True

    @property
    def facts(self) -> Facts:
        return Facts(self.name, "stderr", ("log_sink_internal",), 2, "", self.clock, self.started, self.latest)


@pytest.fixture
def server() -> Server:
    return Server()


def read(server: Server, mark: Any, **options: Any) -> tuple[list[str], dict[str, Any], list[str]]:
    trail = follow_table(server, server.facts, mark, **options)
    lines = b"".join(trail.blocks()).decode().splitlines()
    assert trail.lines == len(lines)
    assert server.closed
    told = [loss.reason for loss in trail.losses]
    return [line.split("[Server] ")[1] for line in lines], json.loads(json.dumps(trail.mark())), told


def lines(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


@pytest.mark.parametrize("history", [0, 1, 31, 32, 33, 2500])
def test_every_entry_is_read_once(server: Server, history: int) -> None:
    server.write(history)
    whole, mark, losses = read(server, None)
    assert (whole, losses) == (lines(1, history), [])
    assert read(server, mark) == ([], mark, [])
    server.write(3)
    new, mark, losses = read(server, mark)
    assert (new, losses) == (lines(history + 1, history + 3), [])
    assert read(server, mark)[0] == []


@pytest.mark.parametrize("history", [0, 1, 40])
def test_a_table_that_is_begun_at_its_end_gives_nothing_of_its_history(server: Server, history: int) -> None:
    server.write(history)
    whole, mark, losses = read(server, None, first_rows=0)
    assert (whole, losses) == ([], [])
    server.write(2)
    assert read(server, mark)[0] == lines(history + 1, history + 2)


@pytest.mark.parametrize(("rows", "first"), [(3, 8), (10, 1), (11, 1)])
def test_a_table_is_begun_some_entries_before_its_end(server: Server, rows: int, first: int) -> None:
    server.write(10)
    assert read(server, None, first_rows=rows)[0] == lines(first, 10)


def test_a_table_that_went_on_past_the_mark_is_told(server: Server) -> None:
    server.write(5)
    mark = read(server, None)[1]
    server.write(9)
    server.expire(7)
    new, mark, losses = read(server, mark)
    assert new == lines(8, 14)
    gone = "the entry that was read last, of 2026-11-25 12:00:04Z, is no longer in the table"
    assert losses == [f"{gone}, and begins at 2026-11-25 12:00:06Z"]
    assert read(server, mark) == ([], mark, [])


def test_entries_that_were_read_and_expired_are_no_loss(server: Server) -> None:
    server.write(40)
    mark = read(server, None)[1]
    server.write(2)
    server.expire(39)
    assert read(server, mark)[::2] == (lines(41, 42), [])


def test_a_restart_that_fills_the_table_from_the_file_is_no_loss(server: Server) -> None:
    server.write(5)
    mark = read(server, None)[1]
    server.write(2)
    server.restart()
    assert read(server, mark)[::2] == (lines(6, 9), [])


def test_a_restart_without_a_file_is_told(server: Server) -> None:
    server.write(5)
    mark = read(server, None)[1]
    server.file.clear()
    server.restart()
    new, _mark, losses = read(server, mark)
    assert new == lines(6, 7)
    assert "which the server made anew when it was started at 2026-11-25 12:00:05Z" in losses[0]


def test_an_empty_table_after_a_full_one_is_told(server: Server) -> None:
    server.write(5)
    mark = read(server, None)[1]
    server.expire(5)
    new, mark, losses = read(server, mark)
    assert (new, len(losses)) == ([], 1)
    server.restart()
    assert read(server, mark)[::2] == (lines(6, 7), [])


def test_a_clock_that_was_set_back_hides_nothing(server: Server) -> None:
    server.write(5)
    mark = read(server, None)[1]
    server.clock -= 3600 * SECOND
    server.write(3)
    new, mark, losses = read(server, mark)
    assert (new, losses) == (lines(6, 8), [])
    server.restart()
    assert read(server, mark)[::2] == (lines(9, 10), [])


def test_a_clock_that_was_set_back_before_a_start_without_a_file_is_told(server: Server) -> None:
    server.write(5)
    mark = read(server, None)[1]
    server.clock -= 3600 * SECOND
    server.file.clear()
    server.restart()
    new, mark, losses = read(server, mark)
    assert new == lines(6, 7)
    assert "the server's clock was set back" in losses[0]
    assert read(server, mark) == ([], mark, [])


def test_a_file_that_lost_its_end_is_told_and_nothing_is_read_twice(server: Server) -> None:
    server.write(50)
    mark = read(server, None)[1]
    del server.file[45:]
    server.clock += 60 * SECOND
    server.restart()
    new, _mark, losses = read(server, mark)
    assert new == lines(51, 52)
    assert losses[0].endswith("nor may be some after it")


def test_what_is_older_than_the_mark_is_not_read_again(server: Server) -> None:
    server.write(50)
    mark = read(server, None)[1]
    del server.table[10:]
    new, mark, losses = read(server, mark)
    assert new == []
    assert losses[0].endswith("all that is there is older")
    server.write(1)
    assert read(server, mark)[::2] == (lines(51, 51), [])


def test_another_server_at_the_address_is_told_and_both_go_on(server: Server) -> None:
    other = Server("b")
    server.write(5)
    other.write(3)
    mark = read(server, None)[1]
    new, mark, losses = read(other, mark)
    assert new == lines(1, 3)
    assert losses[0].startswith("another server answers here")
    server.write(1)
    assert read(server, mark)[::2] == (lines(6, 6), [])


def test_entries_that_are_overwritten_while_they_are_read_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "PAGE", 5)
    server.write(20)

    def overrun() -> None:
        server.expire(12)

    server.meanwhile = [overrun, lambda: None]
    new, _mark, losses = read(server, None)
    assert new == [*lines(1, 5), *lines(13, 20)]
    assert losses == ["entries were overwritten while the table was read"]


def test_what_is_written_while_it_is_read_is_for_the_next_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "PAGE", 5)
    server.write(12)
    server.meanwhile = [lambda: server.write(4)] * 9
    new, mark, losses = read(server, None)
    assert (new, losses) == (lines(1, 12), [])
    server.meanwhile = []
    assert read(server, mark)[0] == lines(13, server.number)


def test_what_the_budget_leaves_is_read_by_the_next_runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "PAGE", 10)
    server.write(95)
    mark, seen = None, []
    for _run in range(30):
        trail = follow_table(server, server.facts, mark, budget=1)
        block = b"".join(trail.blocks()).decode()
        seen += [line.split("[Server] ")[1] for line in block.splitlines()]
        mark = trail.mark()
        if not trail.behind:
            break
        assert trail.behind == UNMEASURED
    assert seen == lines(1, 95)


@pytest.mark.parametrize(
    "mark",
    [
        {"servers": 3},
        {"servers": {"a": 3}},
        {"servers": {"a": ["x"]}},
        {"servers": {"a": ["-4 x"]}},
        {"servers": {"a": ["9" * 30]}},
        {"cursor": ""},
    ],
)
def test_a_damaged_mark_begins_anew_and_is_told(server: Server, mark: Any) -> None:
    server.write(2)
    new, mark, losses = read(server, mark)
    assert new == lines(1, 2)
    assert losses == ["what was remembered of the server is damaged, so its log was begun anew"]
    assert read(server, mark) == ([], mark, [])


DONE: dict[str, Callable[[Server, int], object]] = {
    "write": Server.write,
    "expire": Server.expire,
    "restart": lambda server, _amount: server.restart(),
    "rotate": lambda server, _amount: server.rotate(),
    "clock back": Server.set_back,
}
CALM = ("write", "write", "review", "crash before state", "crash before record", "restart", "clock back")
WILD = (*CALM, "expire", "rotate", "lose the end")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=st.lists(st.tuples(st.sampled_from(CALM), st.integers(1, 40)), max_size=24)
    | st.lists(st.tuples(st.sampled_from(WILD), st.integers(1, 40)), max_size=24)
)
def test_no_entry_is_missed_unsaid_and_none_is_read_twice(
    actions: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the state as modules keep it, small pages, a mark that knows few entries, and crashes at every step."""
    monkeypatch.setattr(mysql, "PAGE", 7)
    monkeypatch.setattr(mysql, "KNOWN_ROWS", 6)
    server, folder = Server(), tmp_path_factory.mktemp("state")
    acknowledged: str | None = ""
    seen: Counter[str] = Counter()
    excused: set[str] = set()
    told: list[str] = []

    def review(how: str) -> None:
        nonlocal acknowledged
        state = State(folder, "log_review", "test", acknowledged=acknowledged)
        new, mark, losses = read(server, state.load() or None)
        if how == "crash before state":
            return
        generation = state.save(mark)
        if how == "crash before record":
            return
        acknowledged = generation
        seen.update(new)
        told.extend(losses)
        if losses:
            excused.update(lines(1, server.number))

    for how, amount in [("write", 1), ("review", 1), *actions, ("write", 1), ("review", 1), ("review", 1)]:
        if how == "lose the end":
            # What was in memory alone can be seen by nobody.
            excused.update(server.lose(amount))
        elif how in DONE:
            DONE[how](server, amount)
        else:
            review(how)
    set_back = any("clock was set back" in one for one in told)
    assert set_back or [line for line, times in seen.items() if times > 1] == []
    assert set(lines(1, server.number)) - set(seen) - excused == set()
    if {how for how, _amount in actions} <= set(CALM):
        assert told == []
