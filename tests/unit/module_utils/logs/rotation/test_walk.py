# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk for large logs: what counts as one, and where it does not go."""

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import collect, walk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import Configuration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule


@pytest.fixture
def look(still):
    def look(*roots, exclude=(), seconds=1000.0, entries=1000):
        found = walk.collect_large_files(
            least=8192,
            exclude=exclude,
            seconds=seconds,
            entries=entries,
            clock=still,
            roots=[str(root) for root in roots],
        )
        return found, sorted(os.path.basename(file.path) for file in found.files)

    return look


def make(path, size=9000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_outside_of_var_log_names_count(tmp_path, look):
    for name in ("a.log", "b.err", "nohup.out", "c.log.1", "abc-json.log", "data.bin", "catalog", "d.log.gz"):
        make(tmp_path / name)
    make(tmp_path / "small.log", size=100)
    assert look(tmp_path)[1] == ["a.log", "abc-json.log", "b.err", "c.log.1", "nohup.out"]


def test_inside_it_everything_counts_but_what_cannot_be_rotated(tmp_path, look, monkeypatch):
    monkeypatch.setattr(walk, "LOG_FOLDER", str(tmp_path))
    for name in ("messages", "data.bin", "system.journal", "lastlog"):
        make(tmp_path / name)
    assert look(tmp_path)[1] == ["data.bin", "messages"]


def test_links_and_excluded_folders_are_not_walked_and_two_names_are_one_file(tmp_path, look):
    make(tmp_path / "real/a.log")
    os.link(tmp_path / "real/a.log", tmp_path / "real/b.log")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "c.log").symlink_to(tmp_path / "real/a.log")
    make(tmp_path / "archive/d.log")
    make(tmp_path / "node_modules/e.log")
    assert len(look(tmp_path, exclude=[str(tmp_path / "archive")])[1]) == 1
    assert look(tmp_path / "link")[1] == []


def test_a_sparse_file_is_as_large_as_what_it_takes(tmp_path, look):
    with open(tmp_path / "sparse.log", "wb") as stream:
        stream.truncate(10**9)
    assert look(tmp_path)[1] == []


def test_both_bounds_stop_the_walk_and_say_so(tmp_path, look):
    for number in range(5):
        make(tmp_path / f"{number}/a.log")
    assert "the walk stopped in" in look(tmp_path, entries=3)[0].incomplete
    assert "the walk stopped in" in look(tmp_path, seconds=2)[0].incomplete
    assert look(tmp_path)[0].incomplete == ""


def test_a_name_with_control_characters_is_walked_and_cleaned(tmp_path, look):
    make(tmp_path / "a\n\x1b[31m.log")
    assert len(look(tmp_path)[1]) == 1


def test_what_rules_cover_and_what_lies_uncompressed(tmp_path):
    for name in (
        "a.log",
        "a.log.1",
        "a.log.2",
        "a.log.3.gz",
        "b.log",
        "other.log.2",
        "old/c.log.1",
        "old/c.log.2",
        "c.log",
    ):
        make(tmp_path / name)
    rules = [
        Rule("f", 1, (f"{tmp_path}/[ab].log", f"{tmp_path}/none.log"), {"daily": ""}),
        Rule("g", 1, (f"{tmp_path}/c.log",), {"daily": "", "olddir": "old"}),
    ]
    covered = collect.cover(Configuration(rules=rules))
    assert {os.path.basename(path) for path in covered.logs} == {"a.log", "b.log", "c.log", "none.log"}
    assert sorted(os.path.basename(file.path)[:5] for file in covered.uncompressed) == ["a.log", "c.log"]
    assert set(covered.sizes.values()) == {9000}
