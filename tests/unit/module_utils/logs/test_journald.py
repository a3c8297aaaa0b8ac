# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's files and limits, and which archived files a policy lets go."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import (
    Archived,
    Folder,
    collect_folders,
    in_order,
    most_use,
    parse_configuration,
    parse_size,
    read_configuration,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import (
    archived as read_name,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.moments import UNSAID, last_change
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import JournalLimits
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.vacuum import APART, Room, plan

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
MIB = 1024**2


@pytest.mark.parametrize(
    ("name", "head"),
    [
        # Names of systemd 252 and 257.
        (
            "system@154cc68e0dc34c96bd3a702998cac0cc-0000000000000001-00066116b41b0f1f.journal",
            "2026-11-25T09:46:39.110943",
        ),
        ("system@00066116b41b0f1f-0123456789abcdef.journal~", "2026-11-25T09:46:39.110943"),
        ("system.journal", None),
        ("user-1000.journal", None),
        ("system@154cc68e0dc34c96bd3a702998cac0cc.journal", None),
        ("system@154cc68e0dc34c96bd3a702998cac0cc-0000000000000001-ffffffffffffffff.journal", None),
    ],
)
def test_the_first_entry_stands_in_the_name_of_an_archived_file(name, head):
    found = read_name(name, changed=NOW, used=1)
    assert (found.head.replace(tzinfo=None).isoformat() if found else None) == head


def test_folders_are_read_with_what_they_take(tmp_path):
    folder = tmp_path / "abc"
    folder.mkdir()
    (folder / "system.journal").write_bytes(b"x" * 8192)
    (folder / "system@00066116b41b0f1f-0123456789abcdef.journal~").write_bytes(b"x" * 4096)
    (folder / "notes").write_bytes(b"x" * 4096)
    (found,) = collect_folders((str(tmp_path), str(tmp_path / "none")))
    assert (found.path, len(found.archived), found.active) == (
        str(folder),
        1,
        (folder / "system.journal").stat().st_blocks * 512,
    )


def test_settings_of_drop_ins_win_by_name(tmp_path):
    vendor, admin = tmp_path / "usr", tmp_path / "etc"
    for folder in (vendor, admin):
        (folder / "journald.conf.d").mkdir(parents=True)
    (vendor / "journald.conf").write_text("[Journal]\nSystemMaxUse=1G\n")
    (admin / "journald.conf").write_text("[Journal]\n#SystemMaxUse=2G\nStorage=auto\n[Other]\nSystemMaxUse=9G\n")
    (vendor / "journald.conf.d/50-a.conf").write_text("[Journal]\nSystemMaxUse=3G\n")
    (admin / "journald.conf.d/50-a.conf").write_text("[Journal]\nSystemMaxUse=4G\n")
    (admin / "journald.conf.d/60-b.conf").write_text("[Journal]\nMaxRetentionSec=\n")
    assert read_configuration((str(vendor), str(admin))) == {
        "Storage": "auto", "SystemMaxUse": "4G", "MaxRetentionSec": "",
    }  # fmt: skip


def test_sizes_and_the_limit_that_nobody_set():
    assert [parse_size(text) for text in ("500M", "1.5G", "1024", "2 TB", "", "x", "-1")] == [
        500 * MIB, 1536 * MIB, 1024, 2 * 1024**4, None, None, None,
    ]  # fmt: skip
    assert most_use({}, prefix="System", size=10 * 1024 * MIB) == (1024 * MIB, False)
    assert most_use({}, prefix="System", size=100 * 1024 * MIB) == (4 * 1024 * MIB, False)
    assert most_use({"SystemMaxUse": "2G"}, prefix="System", size=1) == (2 * 1024 * MIB, True)


@given(st.text())
def test_no_text_breaks_the_reader(text):
    parse_configuration(text)
    parse_size(text)
    read_name(text, changed=NOW, used=1)


def archived(*days, used=8 * MIB):
    """Files whose last entries are so many days old; each begins where the one before it ends."""
    starts = [days[0] + 10, *days[:-1]]
    return tuple(
        Archived(f"system@{place}", NOW - timedelta(days=start), NOW - timedelta(days=day), used)
        for place, (start, day) in enumerate(zip(starts, days))
    )


def going(limits, *days, active=8 * MIB):
    return [file.name for file in plan(Folder("/j", archived(*days), active), limits, now=NOW).going]


def test_a_file_is_as_old_as_its_last_entry():
    assert going(JournalLimits(30, None, 7), 60, 31, 20, 1) == ["system@0", "system@1"]
    assert going(JournalLimits(30, None, 7), 29, 20) == []


def test_a_size_reaches_no_further_than_the_floor():
    limits = JournalLimits(None, 16 * MIB, 7)
    assert going(limits, 40, 30, 20, 10) == ["system@0", "system@1", "system@2"]
    found = plan(Folder("/j", archived(40, 5, 4), 8 * MIB), limits, now=NOW)
    assert [file.name for file in found.going] == ["system@0"]
    assert "but was written to within 7 days" in found.kept


def test_a_clock_that_was_set_back_does_not_turn_the_order_of_the_entries():
    def file(sequence, days, source="a" * 32):
        return Archived(str(sequence), NOW - timedelta(days=days), NOW - timedelta(days=50), MIB, source, sequence)

    files = in_order([file(3, 10), file(1, 20), file(2, 90)])
    assert [one.sequence for one in files] == [1, 2, 3]
    found = plan(Folder("/j", files, 0), JournalLimits(30, None, 7), now=NOW)
    assert [one.sequence for one in found.going] == [1, 2, 3]
    # The third begins before the first: journalctl could not be told to keep it and to remove the first.
    kept = (*in_order([file(1, 20), file(2, 90)]), Archived("3", NOW - timedelta(days=60), NOW, MIB, "a" * 32, 3))
    assert plan(Folder("/j", kept, 0), JournalLimits(30, None, 7), now=NOW).going == ()


def test_two_files_that_begin_at_once_go_together_or_not_at_all():
    first, second = archived(60, 20)
    close = Archived(second.name, first.head + APART / 2, second.changed, second.used)
    assert plan(Folder("/j", (first, close), 0), JournalLimits(30, None, 7), now=NOW).going == ()


@given(st.lists(st.floats(0, 400), min_size=1, max_size=20), st.floats(7, 400), st.none() | st.integers(0, 200 * MIB))
def test_nothing_younger_than_the_floor_ever_goes(days, limit, most):
    folder = Folder("/j", tuple(sorted(archived(*sorted(days, reverse=True)), key=lambda file: file.head)), MIB)
    found = plan(folder, JournalLimits(limit, most, 7), now=NOW)
    assert found.going == folder.archived[: len(found.going)]
    assert all(NOW - file.changed >= timedelta(days=7) for file in found.going)


def test_a_hold_or_the_budget_ends_what_is_removed_of_the_journal():
    files = tuple(
        Archived(f"{number}.journal", NOW - timedelta(days=300 - number), NOW - timedelta(days=200), 8 * MIB)
        for number in range(5)
    )
    folder, limits = Folder("/j", files, 0), JournalLimits(days=90, most_bytes=None, least_days=7)
    assert len(plan(folder, limits, now=NOW, room=Room(5, 40 * MIB)).going) == 5
    held = plan(folder, limits, now=NOW, holds=lambda path: "x holds it" if path == "/j/2.journal" else "")
    assert (len(held.going), held.waits) == (2, False)
    assert held.kept == "2.journal is older than 90 days, but x holds it"
    for room, amount in ((Room(3, None), 3), (Room(9, 20 * MIB), 2), (Room(9, 1), 0), (Room(0, None), 0)):
        found = plan(folder, limits, now=NOW, room=room)
        assert (len(found.going), found.waits) == (amount, True)
        assert "what is left of the budget of this run is" in found.kept


@pytest.mark.parametrize(("seconds", "year"), [(400_000_000_000, 9999), (-(10**12), 9999), (0, 1970)])
def test_a_time_that_no_calendar_has_is_no_time_at_all(seconds, year):
    moment = last_change(seconds * 10**9)
    assert moment.year == year
    assert (moment == UNSAID) == (year == 9999)
