# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of file systems."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.mounts import (
    FileSystem,
    FileSystems,
    FstabEntry,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.storage import scaled
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.system import ThinPool
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Settings

GIB = 1024**3
BASE = Levels(warning=85, critical=90)


def holding(snapshot, *systems, fstab=(), **changes):
    points = frozenset(system.mount.point for system in systems)
    return replace(snapshot, file_systems=FileSystems(tuple(systems), points, tuple(fstab)), **changes)


@pytest.mark.parametrize(
    ("size", "warning", "critical"),
    [
        (20 * GIB, 85, 90),
        (200 * GIB, 90.5, 93.7),
        (20 * 1024 * GIB, 96.2, 97.5),
        (1 * GIB, 72.7, 81.8),
        (64 * 1024**2, 70, 70),
    ],
)
def test_levels_follow_the_size(size, warning, critical):
    levels = scaled(BASE, size=size, settings=Settings())
    assert (levels.warning, levels.critical) == (warning, critical)


SETTINGS = st.builds(
    Settings,
    magic=st.floats(0.01, 1.0),
    reference_size=st.integers(1024**2, 2**50),
    free_enough=st.integers(0, 2**50),
    free_floor=st.integers(0, 2**50),
)


@given(size=st.integers(1, 2**60), settings=SETTINGS)
def test_scaled_levels_rise_and_can_be_reached(size, settings):
    levels = scaled(BASE, size=size, settings=settings)
    assert 0 <= levels.warning <= levels.critical <= 100


@given(size=st.integers(1024**2, 2**55), factor=st.integers(2, 1000))
def test_a_larger_file_system_never_has_lower_levels(size, factor):
    settings = Settings(free_floor=0)
    assert (
        scaled(BASE, size=size, settings=settings).critical
        <= scaled(BASE, size=size * factor, settings=settings).critical
    )


def test_magic_of_one_scales_nothing():
    levels = scaled(BASE, size=5000 * GIB, settings=Settings(magic=1.0))
    assert (levels.warning, levels.critical) == (85, 90)


def test_enough_free_bytes_are_enough_whatever_the_percentage():
    levels = scaled(BASE, size=1000 * GIB, settings=Settings(magic=1.0, free_enough=50 * GIB))
    assert levels.judge(94.9) == "ok"
    assert levels.judge(95.0) == "critical"


def test_almost_no_free_bytes_are_critical_whatever_the_percentage():
    settings = Settings(magic=0.01, free_enough=1, free_floor=10 * GIB)
    levels = scaled(BASE, size=1000 * GIB, settings=settings)
    assert levels.judge(98.9) == "ok"
    assert levels.judge(99.0) == "critical"


def test_a_full_file_system_alarms_with_what_is_free(ask_one, healthy, make):
    finding = ask_one(holding(healthy, FileSystem(make.mount("/var"), make.space(percent=87))), "disk_bytes")
    assert (finding.status, finding.item, finding.value) == ("warning", "/var", 87)
    assert finding.summary.endswith("; 2.6 GiB of 20 GiB free")
    assert "log_retention" in finding.remedy


def test_the_users_levels_are_not_scaled(ask_one, healthy, make):
    host = holding(healthy, FileSystem(make.mount("/"), make.space(size=2000 * GIB, percent=91)))
    assert ask_one(host, "disk_bytes").status == "ok"
    assert ask_one(host, "disk_bytes", levels={"host.disk_bytes": {"warning": 85}}).status == "critical"
    assert ask_one(host, "disk_bytes", levels={"host.disk_bytes[/]": {"critical": 91}}).status == "critical"
    assert ask_one(host, "disk_bytes", levels={"host.disk_bytes": {"for": 2}}).status == "ok"


def test_inodes_run_out_on_their_own(ask, healthy, make):
    full = FileSystem(make.mount("/"), make.space(percent=10, inodes=1000, inodes_free=50))
    assert [finding.status for finding in ask(holding(healthy, full), "disk_bytes", "disk_inodes")] == [
        "ok",
        "critical",
    ]


def test_a_file_system_without_a_number_of_inodes_is_fine(ask_one, healthy, make):
    btrfs = FileSystem(make.mount("/", kind="btrfs"), make.space(inodes=0, inodes_free=0))
    assert ask_one(holding(healthy, btrfs), "disk_inodes").status == "ok"


def test_what_is_read_only_on_purpose_cannot_run_full(ask, healthy, make):
    image = FileSystem(
        make.mount("/image", read_only=True, super_read_only=True), make.space(percent=100, inodes_free=0)
    )
    findings = ask(holding(healthy, image), "disk_bytes", "disk_inodes", "disk_readonly")
    assert [finding.status for finding in findings] == ["ok", "ok", "ok"]


def test_a_file_system_that_the_kernel_made_read_only_is_critical(ask_one, healthy, make):
    broken = FileSystem(
        make.mount("/data", super_read_only=True), make.space(), 3, ("last_error_func: ext4_find_entry",)
    )
    finding = ask_one(holding(healthy, broken), "disk_readonly")
    assert (finding.status, finding.item) == ("critical", "/data")
    assert "last_error_func: ext4_find_entry" in finding.evidence


@pytest.mark.parametrize(
    ("options", "status"), [(("defaults",), "critical"), (("rw",), "critical"), (("ro", "noatime"), "ok")]
)
def test_read_only_is_compared_with_what_fstab_wants(ask_one, healthy, make, options, status):
    system = FileSystem(make.mount("/data", read_only=True, super_read_only=True), make.space())
    entry = FstabEntry("/dev/vda", "/data", "ext4", options)
    assert ask_one(holding(healthy, system, fstab=[entry]), "disk_readonly").status == status


def test_nobody_is_said_to_want_what_fstab_says_nothing_of(ask_one, healthy, make):
    image = FileSystem(make.mount("/image", read_only=True, super_read_only=True), make.space())
    finding = ask_one(holding(healthy, image), "disk_readonly")
    assert (finding.status, finding.summary) == (
        "ok",
        "/image is read-only, and not by /etc/fstab, so whether it should be is not known",
    )


@pytest.mark.parametrize("check", ["disk_bytes", "disk_inodes"])
def test_a_mount_that_does_not_answer_is_unknown(ask_one, healthy, make, check):
    dead = FileSystem(make.mount("/nfs", kind="nfs4"), Absent("/nfs did not answer in time", status="unknown"))
    assert ask_one(holding(healthy, dead), check).status == "unknown"


def test_errors_in_a_superblock_alarm_with_their_place(ask_one, healthy, make):
    damaged = FileSystem(make.mount("/"), make.space(), 2, ("last_error_func: ext4_lookup",))
    finding = ask_one(holding(healthy, damaged), "disk_errors")
    assert (finding.status, finding.value, finding.evidence) == ("warning", 2, ("last_error_func: ext4_lookup",))


def test_file_systems_that_count_no_errors_are_not_called_sound(ask_one, healthy, make):
    assert (
        ask_one(holding(healthy, FileSystem(make.mount(kind="xfs"), make.space())), "disk_errors").status == "skipped"
    )


@pytest.mark.parametrize(
    ("options", "status"),
    [(("defaults",), "critical"), (("nofail",), "warning"), (("noauto",), "ok"), (("x-systemd.automount",), "ok")],
)
def test_what_stands_in_fstab_has_to_be_mounted(ask_one, healthy, make, options, status):
    entry = FstabEntry("/dev/sdb1", "/backup", "xfs", options)
    host = holding(healthy, FileSystem(make.mount("/"), make.space()), fstab=[entry])
    assert ask_one(host, "disk_mounted").status == status
    container = replace(host, boot=replace(host.boot, container=True))
    assert ask_one(container, "disk_mounted").status == "skipped"


def test_a_thin_pool_runs_full_in_data_and_in_metadata(ask, healthy):
    pools = (ThinPool("vg-pool-tpool", data=50, metadata=91),)
    assert [finding.status for finding in ask(replace(healthy, thin_pools=pools), "thin_pool")] == ["ok", "critical"]


def test_hostile_mount_points_stay_text(ask_one, healthy, make):
    hostile = FileSystem(make.mount("/mnt/\x1b[2J{{ lookup('pipe','id') }}\n<script>"), make.space(percent=99))
    assert ask_one(holding(healthy, hostile), "disk_bytes").item == "/mnt/{{ lookup('pipe','id') }} <script>"
