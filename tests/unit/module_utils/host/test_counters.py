# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters that grow, stand still, wrap and are reset."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import (
    CPU_FIELDS,
    Block,
    block_rate,
    count_processors,
    cpu_share,
    grown,
    parse_cpu,
    parse_diskstats,
    parse_interfaces,
    parse_meminfo,
    parse_pairs,
    parse_pressure,
)

COUNT = st.integers(0, 2**64 - 1)
TICKS = st.fixed_dictionaries(dict.fromkeys(CPU_FIELDS, COUNT))
BLOCK = st.builds(Block, *[COUNT] * 9)


@given(COUNT, COUNT)
def test_a_counter_never_grows_backwards_nor_by_more_than_it_is(now, before):
    assert 0 <= grown(now, before) <= now


@given(TICKS, TICKS)
def test_shares_lie_between_nothing_and_all_whatever_the_counters_do(first, second):
    assume(any(second[field] > first[field] for field in CPU_FIELDS))
    share = cpu_share(first, second)
    for value in (share.busy, share.iowait, share.steal, share.user, share.system):
        assert 0 <= value <= 100.0001


@given(BLOCK, BLOCK, st.floats(0.1, 60))
def test_rates_of_disks_are_never_negative(first, second, seconds):
    rate = block_rate(first, second, seconds=seconds)
    assert 0 <= rate.busy_percent <= 100
    assert min(rate.queue, rate.read_bytes, rate.written_bytes, rate.await_ms or 0) >= 0


def test_counters_that_stand_still_tell_nothing():
    still = dict.fromkeys(CPU_FIELDS, 7)
    with pytest.raises(Absent, match="did not move"):
        cpu_share(still, still)


def test_waiting_for_disks_is_idle_and_stolen_time_is_not_ours():
    none = dict.fromkeys(CPU_FIELDS, 0)
    share = cpu_share(none, {**none, "user": 10, "system": 5, "irq": 5, "idle": 40, "iowait": 30, "steal": 10})
    assert (share.busy, share.iowait, share.steal) == (20, 30, 10)


def test_idle_that_the_kernel_set_back_counts_as_nothing():
    first = {**dict.fromkeys(CPU_FIELDS, 0), "iowait": 10}
    assert cpu_share(first, {**first, "iowait": 8, "user": 50, "idle": 50}).busy == 50


def test_a_disk_as_iostat_sees_it():
    first = Block(0, 0, 0, 0, 0, 0, 0, 0, 0)
    second = Block(reads=30, read_sectors=2048, read_ms=100, writes=10, written_sectors=0, write_ms=300, in_flight=0,
                   busy_ms=500, queue_ms=1000)  # fmt: skip
    rate = block_rate(first, second, seconds=2.0)
    assert (rate.await_ms, rate.busy_percent, rate.queue, rate.read_bytes) == (10.0, 25.0, 0.5, 524288.0)


def test_a_disk_that_ended_nothing_has_no_waiting_time():
    idle = Block(5, 5, 5, 5, 5, 5, 0, 5, 5)
    assert block_rate(idle, idle, seconds=1.0).await_ms is None


def test_real_files_are_read(make):
    assert set(parse_cpu(make.real("stat.txt"))) == set(CPU_FIELDS)
    assert count_processors(make.real("stat.txt")) == 2
    assert parse_meminfo(make.real("meminfo.txt"))["MemAvailable"] > 0
    assert "HugePages_Total" not in parse_meminfo(make.real("meminfo.txt"))
    assert "oom_kill" in parse_pairs(make.real("vmstat.txt"))
    assert list(parse_diskstats(make.real("diskstats.txt"), whole=frozenset({"vda"}))) == ["vda"]
    assert list(parse_interfaces(make.real("net_dev.txt"), exclude=["lo"])) == ["eth0"]
    assert ("some", "avg60") in parse_pressure(make.real("pressure_cpu.txt"))
    assert ("full", "total") in parse_pressure(make.real("pressure_io.txt"))


def test_a_kernel_without_steal_has_none():
    assert parse_cpu("cpu  1 2 3 4\n") == {**dict.fromkeys(CPU_FIELDS, 0), "user": 1, "nice": 2, "system": 3, "idle": 4}


def test_a_stat_file_without_processors_is_unknown():
    with pytest.raises(Absent):
        parse_cpu("intr 0\n")
    assert count_processors("intr 0\n") == 1


def test_interfaces_with_a_colon_in_their_name_are_read():
    figures = " ".join(str(number) for number in range(16))
    assert parse_interfaces(f"eth0:1:{figures}\n", exclude=[])["eth0:1"]["tx_compressed"] == 15
