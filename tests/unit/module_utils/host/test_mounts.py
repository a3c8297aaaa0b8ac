# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mount tables, and what is worth watching in them."""

from __future__ import annotations

import errno
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import (
    Mount,
    choose,
    parse_mountinfo,
    parse_nodev,
    unescape,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import mounts
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.bounded import bounded
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.mounts import Space, parse_fstab, read_space


def escaped(path):
    for sign, code in (("\\", "\\134"), (" ", "\\040"), ("\t", "\\011"), ("\n", "\\012"), ("#", "\\043")):
        path = path.replace(sign, code)
    return path


PATHS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1).map(lambda text: "/" + text)


@given(PATHS)
def test_what_the_kernel_escapes_is_read_back(path):
    assert unescape(escaped(path)) == path


@given(
    point=PATHS,
    source=PATHS,
    optional=st.sampled_from(["", "shared:1 ", "shared:1 master:2 "]),
    flag=st.sampled_from(["ro", "rw"]),
)
def test_every_mount_line_is_read(point, source, optional, flag):
    line = f"27 1 254:0 / {escaped(point)} {flag},relatime {optional}- ext4 {escaped(source)} rw,errors=remount-ro\n"
    assert parse_mountinfo(line) == [Mount("254:0", "/", point, "ext4", source, flag == "ro", False)]


@given(st.text())
def test_no_text_breaks_the_readers(text):
    parse_mountinfo(text)
    parse_fstab(text)
    parse_nodev(text)


@pytest.mark.parametrize("release", ["12", "13"])
def test_a_containers_own_file_systems_are_found_and_its_engines_files_are_not(make, release):
    found = parse_mountinfo(make.real(f"mountinfo_debian{release}.txt"))
    nodev = parse_nodev(make.real("filesystems.txt"))
    watched = choose(
        [one for one in found if not one.point.startswith("/etc/")], nodev=nodev, exclude=["/proc/*", "/sys/*"]
    )
    assert [one.point for one in watched] == ["/", "/dev", "/dev/shm", "/run", "/run/lock", "/tmp"]
    assert watched[0].kind == "overlay"


def line(device, root, point, kind="ext4", flags="rw", source="/dev/sda1"):
    return f"30 1 {device} {root} {point} {flags} - {kind} {source} {flags}"


def test_a_device_is_watched_once_at_its_whole_and_shortest_mount():
    table = "\n".join(
        [
            line("8:1", "/www", "/srv"),
            line("8:1", "/", "/mnt/long/path"),
            line("8:1", "/", "/data"),
            line("8:2", "/sub", "/only/bound"),
        ]
    )
    assert [one.point for one in choose(parse_mountinfo(table), nodev=frozenset(), exclude=[])] == [
        "/data",
        "/only/bound",
    ]


def test_a_mount_that_is_covered_by_a_later_one_is_not_seen():
    table = "\n".join([line("8:1", "/", "/data"), line("8:2", "/", "/data", kind="xfs")])
    assert [(one.device, one.kind) for one in parse_mountinfo(table)] == [("8:2", "xfs")]


@pytest.mark.parametrize("kind", ["squashfs", "iso9660", "autofs", "fuse.lxcfs", "fusectl", "proc", "devtmpfs"])
def test_what_cannot_run_full_is_not_watched(kind):
    nodev = frozenset({"proc", "fusectl", "autofs"})
    assert choose(parse_mountinfo(line("0:9", "/", "/x", kind=kind)), nodev=nodev, exclude=[]) == []


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "tmpfs", "overlay", "zfs", "nfs4", "cifs", "fuse.sshfs", "9p", "btrfs"]
)
def test_what_can_run_full_is_watched_even_without_a_device(kind):
    nodev = frozenset({"tmpfs", "overlay", "zfs", "nfs4", "cifs", "fuse", "9p"})
    assert choose(parse_mountinfo(line("0:9", "/", "/x", kind=kind)), nodev=nodev, exclude=[])


def test_fstab_leaves_out_comments_and_swap():
    entries = parse_fstab(
        "# /dev/sda1 / ext4\nUUID=1 / ext4 errors=remount-ro 0 1\nUUID=2 none swap sw 0 0\n/dev/b /my\\040disk/ xfs\n"
    )
    assert [(entry.point, entry.options) for entry in entries] == [
        ("/", ("errors=remount-ro",)),
        ("/my disk", ("defaults",)),
    ]


def test_the_reserve_for_root_is_neither_used_nor_free():
    half = Space(size=1000, free=500, available=400, inodes=10, inodes_free=5)
    assert half.used_percent == pytest.approx(100 * 500 / 900)
    assert half.reserved == 100
    assert half.inodes_used_percent == 50
    assert Space(0, 0, 0, 0, 0).used_percent == 100.0


def test_an_answer_that_does_not_come_is_unknown_and_one_that_is_forbidden_is_skipped():
    assert read_space(None, "/nfs").status == "unknown"
    assert read_space(OSError(errno.EACCES, "Permission denied"), "/x").status == "skipped"
    stale = read_space(OSError(errno.ESTALE, "Stale file handle"), "/x")
    assert isinstance(stale, Absent)
    assert (stale.status, stale.message) == ("unknown", "/x cannot be asked: Stale file handle")


def hang_on_nfs(point):
    if point == "/nfs":
        signal.pause()
    if point == "/stale":
        raise OSError(errno.ESTALE, "Stale file handle")
    return [len(point)]


def test_a_dead_server_neither_hangs_nor_hides_the_others():
    answers = bounded({"/nfs": True, "/other": True, "/stale": True, "/": False}, hang_on_nfs, timeout=0.3)
    assert answers["/nfs"] is None
    assert answers["/other"] == [6]
    assert answers["/"] == [1]
    assert answers["/stale"].errno == errno.ESTALE


def where_output_goes(_point):
    return [int(os.readlink(f"/proc/self/fd/{number}") == os.devnull) for number in range(3)]


def test_a_child_that_hangs_does_not_hold_the_modules_output_open():
    assert bounded({"/nfs": True}, where_output_goes, timeout=10) == {"/nfs": [1, 1, 1]}


def test_this_machine_has_a_root_with_space():
    found = mounts.collect_file_systems(exclude=["/proc/*", "/sys/*"], timeout=5)
    root = next(one for one in found.mounted if one.mount.point == "/")
    assert 0 <= root.space.used_percent <= 100
