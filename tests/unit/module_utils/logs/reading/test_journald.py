# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the reading of the journal goes on. Real journals are read in tests/integration/logs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import State
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import journald
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.journald import (
    any_of,
    follow_journal,
    require_journal,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.output import Output

#: 2026-11-25 12:00:00 UTC
NOW = 1_795_608_000


class Journal:
    """A journal as journalctl 252 shows it: of a cursor whose entry is gone, the entry behind it is passed over too."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int]] = []
        self.written = 0
        self.clock = NOW
        self.calls: list[list[str]] = []
        self.during: int | None = None
        self.fails_after: int | None = None

    def write(self, amount: int = 1) -> None:
        for _each in range(amount):
            self.written += 1
            self.clock += 1
            self.entries.append((self.written, self.clock))

    def vacuum(self, amount: int) -> None:
        del self.entries[:amount]

    @staticmethod
    def cursor(entry: tuple[int, int]) -> str:
        return f"s=a1;i={entry[0]:x};b=b2;m=1;t={entry[1] * 10**6:x};x=3"

    def select(self, arguments: list[str]) -> list[tuple[int, int]]:
        option, value = (arguments[0], arguments[1]) if arguments else ("", "")
        if option == "--since":
            return [entry for entry in self.entries if entry[1] >= int(value.removeprefix("@"))]
        if option == "-n":
            return self.entries[-int(value) :]
        if option in ("--cursor", "--after-cursor"):
            if not value.startswith("s="):
                raise MaintenanceError("Failed to seek to cursor: Invalid argument")
            number = int(value.split(";")[1].removeprefix("i="), 16)
            found = [entry for entry in self.entries if entry[0] >= number]
            found = found[1:] if option == "--after-cursor" else found
            return found[:1] if "-n" in arguments else found
        return self.entries

    def entry(self, *arguments: str) -> str | None:
        found = self.select(list(arguments))
        return self.cursor(found[0]) if found else None

    def output(self, argv: list[str], *, timeout: float, budget: int | None, limit: int) -> Any:
        self.calls.append(argv[argv.index("--output-fields") + 2 :])
        answer = SimpleNamespace(cutter=SimpleNamespace(cut_lines=0), stopped=False)

        def blocks() -> Iterator[bytes]:
            spent = 0
            if self.during:
                self.write(self.during)
            for place, entry in enumerate(self.select(self.calls[-1])):
                if place == self.fails_after:
                    break
                line = json.dumps({"__CURSOR": self.cursor(entry), "MESSAGE": f"{entry[0]}"}).encode() + b"\n"
                spent += len(line)
                yield line
                if budget is not None and spent >= budget:
                    answer.stopped = True
                    return
            if self.fails_after is not None:
                raise MaintenanceError("'journalctl' failed: Bad message.")

        answer.blocks = blocks
        return answer


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    made = Journal()
    monkeypatch.setattr(journald, "_entry", made.entry)
    monkeypatch.setattr(journald, "Output", made.output)
    return made


def numbers(blocks: Iterator[bytes]) -> list[int]:
    return [int(json.loads(line)["MESSAGE"]) for block in blocks for line in block.splitlines()]


def read(mark: Any, **options: Any) -> tuple[list[int], dict[str, Any], list[str]]:
    trail = follow_journal(mark, **options)
    return numbers(trail.blocks()), json.loads(json.dumps(trail.mark())), [loss.reason for loss in trail.losses]


def test_the_first_reading_goes_by_time_or_number_and_the_next_by_cursor(journal: Journal) -> None:
    journal.write(10)
    assert read(None, first_time=NOW + 9)[0] == [9, 10]
    assert read(None, first_entries=3)[0] == [8, 9, 10]
    assert read(None, first_entries=None)[0] == list(range(1, 11))
    lines, mark, losses = read(None)
    assert (lines, losses) == ([], [])
    journal.write(2)
    assert read(mark) == ([11, 12], {"cursor": journal.cursor((12, NOW + 12)), "time": NOW + 12}, [])


def test_what_comes_while_it_is_read_is_for_the_next_run(journal: Journal) -> None:
    journal.write(3)
    journal.during = 2
    lines, mark, _losses = read(None, first_entries=None)
    assert lines == [1, 2, 3]
    journal.during = None
    assert read(mark)[0] == [4, 5]


def test_a_journal_whose_last_read_entry_is_gone_has_lost_lines_and_says_between_when(journal: Journal) -> None:
    journal.write(3)
    mark = read(None)[1]
    journal.write(5)
    journal.vacuum(5)
    lines, _mark, losses = read(mark)
    assert lines == [6, 7, 8]
    (said,) = losses
    assert said.startswith("the entry that was read last, of 2026-11-25 12:00:03Z, is no longer in the journal")
    assert said.endswith(", which goes on at 2026-11-25 12:00:06Z")


def test_an_emptied_journal_is_told_and_an_empty_one_is_no_loss(journal: Journal) -> None:
    mark = read(None)[1]
    assert mark == {"cursor": "", "time": 0}
    journal.write(2)
    lines, mark, losses = read(mark)
    assert (lines, losses) == ([1, 2], [])
    journal.vacuum(2)
    assert read(mark)[2] == ["the journal is empty, and was not when it was read last"]


def test_what_the_budget_leaves_is_for_the_next_run(journal: Journal) -> None:
    journal.write(9)
    trail = follow_journal(None, first_entries=None, budget=200)
    some = numbers(trail.blocks())
    assert 1 < len(some) < 9
    assert trail.behind == UNMEASURED
    assert some + read(trail.mark())[0] == list(range(1, 10))


@pytest.mark.parametrize("cursor", ["nonsense", "", None, 7])
def test_a_damaged_cursor_is_no_end_for_the_time_is_known_too(journal: Journal, cursor: Any) -> None:
    journal.write(3)
    mark = read(None)[1]
    journal.write(2)
    damaged = {**mark, "cursor": cursor}
    lines, after, losses = read(damaged)
    if cursor != "":
        # Those of the second in which the last run ended are read again.
        assert lines == [3, 4, 5]
        assert losses == ["what was remembered of the journal is damaged; reading went on by time"]
    assert read(after) == ([], after, [])


@pytest.mark.parametrize("mark", [{"cursor": 7, "time": "x"}, {"cursor": None}, {"time": []}, {"time": float("nan")}])
def test_a_damaged_mark_is_told_and_begun_anew(journal: Journal, mark: Any) -> None:
    journal.write(3)
    lines, _mark, losses = read(mark, first_time=NOW + 2)
    assert lines == [2, 3]
    assert losses == ["what was remembered of the journal is damaged, so it was begun anew"]


def test_a_reading_that_breaks_off_goes_on_behind_what_was_taken(journal: Journal) -> None:
    journal.write(4)
    trail = follow_journal(None, first_entries=None)
    blocks = trail.blocks()
    assert json.loads(next(blocks))["MESSAGE"] == "1"
    assert json.loads(next(blocks))["MESSAGE"] == "2"
    blocks.close()
    assert read(trail.mark())[0] == [3, 4]


def test_a_journalctl_that_fails_half_way_is_told_and_goes_on_behind_what_it_gave(journal: Journal) -> None:
    journal.write(5)
    mark = read(None)[1]
    journal.write(4)
    journal.fails_after = 2
    trail = follow_journal(mark)
    assert numbers(trail.blocks()) == [6, 7]
    assert (trail.trouble, trail.behind) == ("'journalctl' failed: Bad message.", UNMEASURED)
    journal.fails_after = None
    assert read(trail.mark())[0] == [8, 9]


@pytest.mark.parametrize("mark", [None, {"cursor": "s=a1;i=2;b=b2;m=1;t=1;x=3", "time": NOW + 2}])
def test_a_journalctl_that_gives_nothing_and_fails_is_an_error(journal: Journal, mark: Any) -> None:
    journal.write(5)
    journal.fails_after = 0
    trail = follow_journal(mark, first_entries=None)
    with pytest.raises(MaintenanceError, match="Bad message"):
        numbers(trail.blocks())


def test_a_clock_that_goes_back_loses_nothing(journal: Journal) -> None:
    journal.write(3)
    mark = read(None)[1]
    journal.clock -= 3600
    journal.write(2)
    lines, mark, losses = read(mark)
    assert (lines, losses) == ([4, 5], [])
    assert read(mark)[0] == []


ACTIONS = ("write", "write", "vacuum", "review", "break off", "fail", "crash before state", "crash before record")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 9)), max_size=24))
def test_no_entry_is_missed_unsaid_and_none_is_read_twice(
    journal: Journal, actions: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the state as modules keep it, and crashes at every step between reading and recording."""
    journal.__init__()  # type: ignore[misc]
    folder = tmp_path_factory.mktemp("state")
    acknowledged: str | None = ""
    seen: Counter[int] = Counter()
    excused: set[int] = set()

    def review(how: str, amount: int) -> None:
        nonlocal acknowledged
        state = State(folder, "log_review", "test", acknowledged=acknowledged)
        trail = follow_journal(state.load() or None, first_entries=None, budget=None if amount % 2 else 300)
        blocks = trail.blocks()
        if how == "break off":
            next(blocks, None)
            blocks.close()
            return
        journal.fails_after = amount % 4 if how == "fail" else None
        try:
            lines = numbers(blocks)
        except MaintenanceError:
            return
        finally:
            journal.fails_after = None
        if how == "crash before state":
            return
        generation = state.save(json.loads(json.dumps(trail.mark())))
        if how == "crash before record":
            return
        acknowledged = generation
        seen.update(lines)
        if trail.losses:
            excused.update(range(1, journal.written + 1))

    # An empty journal has nothing to know it by; journald itself writes the first entry of every journal.
    for how, amount in [("write", 1), ("review", 1), *actions, ("write", 1), ("review", 1), ("review", 1)]:
        if how == "write":
            journal.write(amount)
        elif how == "vacuum":
            journal.vacuum(amount)
        else:
            review(how, amount)
    assert [number for number, times in seen.items() if times > 1] == []
    assert [number for number in range(1, journal.written + 1) if number not in seen and number not in excused] == []


def test_entries_are_chosen_by_any_of_what_is_named() -> None:
    assert any_of() == ()
    assert any_of(units=["shop", "a.timer"], identifiers=["till"], kernel=True) == (
        "_SYSTEMD_UNIT=shop.service", "+", "_SYSTEMD_UNIT=a.timer", "+", "UNIT=shop.service", "_PID=1", "+",
        "UNIT=a.timer", "_PID=1", "+", "SYSLOG_IDENTIFIER=till", "+", "_TRANSPORT=kernel",
    )  # fmt: skip


def test_a_host_without_a_journal_and_one_whose_journal_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may read the journal of an own session alone would find the system's without errors."""
    monkeypatch.setattr(journald, "which", lambda _name: "/usr/bin/journalctl")
    places = [f"{tmp_path}/*/system.journal"]
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "user-1000.journal").touch()
    with pytest.raises(Absent, match="there is no journal"):
        require_journal(places)
    (tmp_path / "id" / "system.journal").touch()
    require_journal(places)
    monkeypatch.setattr(journald.os, "access", lambda _path, _mode: False)
    with pytest.raises(Absent, match="cannot be read") as absent:
        require_journal(places)
    assert "become" in absent.value.remedy


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journalctl that does what its first argument says."""
    path = tmp_path / "journalctl"
    path.write_text(
        '#!/bin/sh\necho "{}"; [ "$1" = fail ] && { printf "{\\"__CURSOR\\": \\"s"; echo "no such thing" >&2; exit 1; }\n'
        "exec sleep 600\n"
    )
    path.chmod(0o755)
    monkeypatch.setattr(command, "SEARCH_PATH", f"{tmp_path}:/usr/bin:/bin")
    return path


def test_a_program_that_fails_says_why_and_one_that_is_left_is_stopped(program: Path) -> None:
    failing = Output(["journalctl", "fail"], timeout=60).blocks()
    assert next(failing) == b"{}\n"
    # What it had begun to say is no line.
    with pytest.raises(MaintenanceError, match=r"^'journalctl' failed: no such thing\.$"):
        next(failing)
    endless = Output(["journalctl", "go on"], timeout=60).blocks()
    assert next(endless) == b"{}\n"
    endless.close()
