# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is free is known only where this host is the server's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk, look_at_disk

STARTED = 1_760_000_000.25


class Answers:
    """A session that has its answers ready."""

    def __init__(self, directory: Path | None) -> None:
        self.facts = {"directory": None if directory is None else str(directory), "started": STARTED}
        self.places = [{"oid": 1663, "location": ""}, {"oid": 17000, "location": str(directory)}]

    def row(self, _query: str) -> dict[str, Any]:
        return self.facts

    def rows(self, _query: str) -> list[dict[str, Any]]:
        return self.places


def look(directory: Path | None, **options: Any) -> Disk:
    return look_at_disk(Answers(directory), **options)  # type: ignore[arg-type]


def write_pid_file(directory: Path, text: str) -> None:
    (directory / "postmaster.pid").write_text(text)


def test_the_server_s_own_folder_is_known_by_its_start(tmp_path: Path) -> None:
    write_pid_file(tmp_path, f"4711\n{tmp_path}\n{int(STARTED)}\n5432\n/run/postgresql\n*\n  ready\n")
    disk = look(tmp_path)

    facts = os.statvfs(tmp_path)
    assert disk.free(1663) == pytest.approx(facts.f_bavail * facts.f_frsize, rel=0.2)
    assert disk.free(17000) is not None
    assert disk.free(99) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "elsewhere than on this host"),
        ("4711\n/data\n1750000000\n", "is that of another server"),
        ("4711\n", "not that of a running server"),
        ("4711\n/data\nsoon\n", "not that of a running server"),
    ],
)
def test_a_folder_of_the_same_path_on_another_host_is_not_taken_for_it(
    tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        write_pid_file(tmp_path, text)
    disk = look(tmp_path)
    assert words in disk.blind
    assert disk.free(1663) is None
    assert words in disk.lacks(2, 1663, unseen=1)
    assert disk.lacks(1, 1663, unseen=1) == ""


def test_a_folder_that_may_not_be_seen_or_looked_into_is_unknown(tmp_path: Path) -> None:
    assert "pg_read_all_settings" in look(None).blind
    (tmp_path / "file").touch()
    assert "cannot be looked into" in look(tmp_path / "file").blind


def test_what_the_user_vouches_for_goes_before_what_is_seen(tmp_path: Path) -> None:
    disk = look(tmp_path, told=100)
    assert disk.free(1663) == 100
    assert disk.lacks(100, 1663, unseen=0) == ""
    assert disk.lacks(101, 1663, unseen=10**9) == "it takes 101 B of free disk, and there are 100 B"
