# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of processors and memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.system import GroupMemory

GIB = 1024**3
MIB = 1024**2


@pytest.mark.parametrize(("busy", "status"), [(59, "ok"), (60, "info"), (80, "warning"), (95, "critical")])
def test_processors_by_the_guides_figures(ask_one, healthy, make, busy, status):
    host = replace(healthy, sample=make.sample(1.0, user=busy, idle=100 - busy))
    finding = ask_one(host, "cpu")
    assert (finding.status, finding.value, finding.levels["for"]) == (status, busy, 2)


def test_waiting_for_disks_is_told_and_never_alarms(ask_one, metrics_of, healthy, make):
    host = replace(healthy, sample=make.sample(1.0, iowait=99, idle=1))
    assert ask_one(host, "cpu").status == "ok"
    assert metrics_of(host, "cpu")["host.cpu_iowait", "processors"] == 99


def test_stolen_time_alarms(ask_one, healthy, make):
    assert ask_one(replace(healthy, sample=make.sample(1.0, steal=30, idle=70)), "cpu_steal").status == "critical"


def test_load_is_judged_for_each_processor(ask_one, healthy):
    assert ask_one(replace(healthy, load=(9.0, 4.0, 1.0), processors=8), "load").status == "ok"
    assert ask_one(replace(healthy, load=(9.0, 4.0, 1.0), processors=2), "load").status == "warning"


@pytest.mark.parametrize(("available", "status"), [(16, "ok"), (15, "warning"), (5, "critical")])
def test_memory_is_what_is_not_available(ask_one, healthy, available, status):
    host = replace(healthy, memory={"MemTotal": 100 * GIB, "MemAvailable": available * GIB, "MemFree": 0})
    assert ask_one(host, "memory").status == status


def test_the_largest_programs_are_the_evidence(ask_one, healthy, make):
    running = [make.process(1, "small", resident=MIB), *(make.process(n, "db", resident=GIB) for n in (2, 3))]
    host = replace(healthy, processes=Processes(tuple(running)))
    assert ask_one(host, "memory").evidence == ("db: 2 GiB resident in 2 processes", "small: 1 MiB resident")


def test_a_kernel_that_does_not_tell_what_is_available_is_not_ok(ask_one, healthy):
    assert ask_one(replace(healthy, memory={"MemTotal": 1}), "memory").status == "unknown"


def test_a_containers_own_limit_is_judged_too(ask, healthy):
    host = replace(healthy, group_memory=GroupMemory(used=97, limit=100))
    assert [(one.item, one.status) for one in ask(host, "memory")] == [("memory", "ok"), ("container", "critical")]


def test_swap_in_use_is_quiet_and_swapping_is_not(ask_one, healthy, make):
    host = replace(healthy, memory={**healthy.memory, "SwapTotal": GIB, "SwapFree": 0})
    assert ask_one(host, "swap_activity").status == "ok"
    swapping = replace(host, sample=replace(make.sample(1.0), vmstat={"pswpin": 2000, "pswpout": 1000, "oom_kill": 0}))
    finding = ask_one(swapping, "swap_activity")
    assert (finding.status, finding.unit) == ("critical", "B/s")


def killed(make, total):
    return replace(make.sample(1.0), vmstat={"oom_kill": total})


def test_the_first_run_counts_no_kills_but_says_how_many_there_were(ask_one, healthy, make):
    finding = ask_one(replace(healthy, sample=killed(make, 3)), "oom_kills")
    assert finding.status == "skipped"
    assert finding.summary == "this run is the first to look, the next one compares with it; 3 since boot"


@pytest.mark.parametrize(
    ("boot", "total", "new", "status"),
    [
        ("boot-one", 3, 0, "ok"),
        ("boot-one", 4, 1, "warning"),
        ("boot-one", 8, 5, "critical"),
        ("boot-two", 2, 2, "warning"),
    ],
)
def test_kills_are_those_since_the_last_run(ask_one, remembered, healthy, later, make, boot, total, new, status):
    memory = remembered(replace(healthy, sample=killed(make, 3)))
    finding = ask_one(later(boot=boot, sample=killed(make, total)), "oom_kills", memory=memory)
    assert (finding.value, finding.status) == (new, status)


def test_kills_that_happened_when_other_checks_ran_are_not_lost(ask_one, remembered, healthy, later, make):
    memory = remembered(replace(healthy, sample=killed(make, 3)))
    memory = remembered(later(hours=1, sample=None), memory)
    assert ask_one(later(hours=2, sample=killed(make, 4)), "oom_kills", memory=memory).value == 1


def growing(make, size):
    return Processes((make.process(7, "leaky", resident=size), make.process(8, "calm", resident=GIB)))


def test_a_leak_is_told_by_when_it_fills_the_memory(ask_one, remembered, healthy, later, make):
    memory = remembered(replace(healthy, processes=growing(make, GIB)))
    finding = ask_one(later(hours=24, processes=growing(make, 4 * GIB)), "memory_growth", memory=memory)
    assert (finding.item, finding.value, finding.unit, finding.status) == ("leaky", 2.0, "d", "critical")
    assert finding.levels["for"] == 3
    assert "it grew by 3 GiB a day" in finding.summary


@pytest.mark.parametrize(("hours", "boot"), [(0.5, "boot-one"), (24, "boot-two")])
def test_growth_over_minutes_or_over_a_boot_is_no_trend(ask_one, remembered, healthy, later, make, hours, boot):
    memory = remembered(replace(healthy, processes=growing(make, GIB)))
    host = later(hours=hours, boot=boot, processes=growing(make, 4 * GIB))
    assert ask_one(host, "memory_growth", memory=memory).status == "skipped"


def test_runs_every_few_minutes_still_show_growth(ask_one, remembered, healthy, later, make):
    memory = remembered(replace(healthy, processes=growing(make, GIB)))
    memory = remembered(later(hours=0.5, processes=growing(make, 2 * GIB)), memory)
    assert ask_one(
        later(hours=1, processes=growing(make, 2 * GIB)), "memory_growth", memory=memory
    ).value == pytest.approx(0.25)


def test_a_process_that_is_steady_does_not_leak(ask_one, remembered, healthy, later, make):
    memory = remembered(replace(healthy, processes=growing(make, GIB)))
    assert ask_one(later(processes=growing(make, GIB + 1000)), "memory_growth", memory=memory).status == "ok"


@pytest.mark.parametrize(("check", "kind"), [("cpu", "some"), ("memory", "full"), ("io", "full")])
def test_pressure_is_judged_over_a_minute(ask_one, healthy, check, kind):
    other = "full" if kind == "some" else "some"
    quiet = {**healthy.pressure, check: {(other, "avg60"): 99.0, (kind, "avg10"): 99.0, (kind, "avg60"): 0.0}}
    loud = {**healthy.pressure, check: {(kind, "avg60"): 61.0}}
    assert ask_one(replace(healthy, pressure=quiet), f"pressure_{check}").status == "ok"
    assert ask_one(replace(healthy, pressure=loud), f"pressure_{check}").status == "critical"


def test_a_kernel_without_pressure_is_skipped_with_the_way_to_turn_it_on(ask_one, healthy):
    absent = Absent("the kernel does not measure pressure stalls", remedy="Boot with psi=1.")
    finding = ask_one(replace(healthy, pressure={"io": absent}), "pressure_io")
    assert (finding.status, finding.remedy) == ("skipped", "Boot with psi=1.")
