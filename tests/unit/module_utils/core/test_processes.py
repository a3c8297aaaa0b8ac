# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process, whatever it calls itself."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import (
    Process,
    parse_stat,
    read_process,
)


@given(st.text(min_size=0, max_size=16))
def test_a_name_may_hold_anything(name):
    tail = " ".join(["S", "1", "0", "0", "34816", *["0"] * 12, "4", "0", "77", "0", "3", *["0"] * 20])
    assert parse_stat(f"42 ({name}) {tail}\n", page=4096) == Process(42, name, "S", 1, 4, 77, 12288, terminal=34816)


@given(st.text())
def test_a_line_that_is_cut_is_nothing(text):
    assert parse_stat(text.replace("(", "").replace(")", ""), page=4096) is None


def test_this_very_process_is_read():
    own = read_process(os.getpid())
    assert (own.pid, own.parent) == (os.getpid(), os.getppid())
    assert own.resident > 1024**2


def test_a_name_that_is_no_text_stays_readable(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_bytes(b"7 (a\xff) S 1 " + b"0 " * 40)
    assert read_process(7, root=tmp_path).name == "a\\xff"


def test_one_that_has_gone_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_process(7, root=tmp_path)
