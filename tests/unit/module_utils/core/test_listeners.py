# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import (
    Listener,
    collect,
    holders,
    parse_table,
)

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 18512 1 0000000000000000 100 0 0 10 0
   1: 00000000:C350 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 18513 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1388 0100007F:D431 01 00000000:00000000 00:00000000 00000000   106        0 18514 1 0000000000000000 20 4 0 10 -1
"""
ZEROS = "0" * 32
TCP6 = f"""\
  sl  local_address  remote_address  st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0BB9 {ZEROS}:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21000 1
"""


def test_only_listening_sockets_count_and_port_5000_is_not_50000() -> None:
    found = parse_table(TCP, protocol="tcp")
    assert [(entry.address, entry.port, entry.inode, entry.uid) for entry in found] == [
        ("127.0.0.1", 5000, 18512, 106),
        ("0.0.0.0", 50000, 18513, 0),
    ]
    assert found[0].loopback
    assert found[1].wildcard


def test_ipv6_addresses_are_read_in_host_byte_order() -> None:
    (entry,) = parse_table(TCP6, protocol="tcp")
    assert (entry.address, entry.port, entry.loopback) == ("::1", 3001, True)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.53", True), ("::ffff:127.0.0.1", True), ("::ffff:127.0.0.53", True), ("::ffff:10.0.0.1", False)],
)
def test_every_address_of_the_loopback_net_is_loopback(address, loopback) -> None:
    assert Listener("tcp", address, 80, inode=1, uid=0).loopback is loopback


def test_a_socket_of_this_process_is_found_with_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (entry,) = [one for one in collect(owners=True) if one.port == port and one.protocol == "tcp"]
    assert entry.pid == os.getpid()
    assert entry.process


def process(proc, pid, name, *inodes):
    folder = proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(name + "\n")
    for descriptor, inode in enumerate(inodes):
        (folder / str(descriptor)).symlink_to(f"socket:[{inode}]")


def test_every_holder_of_a_socket_is_named(tmp_path) -> None:
    process(tmp_path, 1, "systemd", 7, 8)
    process(tmp_path, 90, "app\x1b[31m", 7)
    process(tmp_path, 91, "other", 9)
    found = holders({7, 8, 10}, proc=str(tmp_path))
    assert found.names == {7: ("app", "systemd"), 8: ("systemd",)}
    assert found.complete
    assert found.of(Listener("tcp", "::", 80, inode=8, uid=0)) == ("systemd",)


def test_a_process_that_may_not_be_looked_into_is_not_forgotten(tmp_path, monkeypatch) -> None:
    process(tmp_path, 90, "app", 7)

    def refuse(path):
        raise PermissionError(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert not holders({7}, proc=str(tmp_path)).complete


def test_nobody_is_asked_for_no_socket(tmp_path) -> None:
    assert holders(set(), proc=str(tmp_path / "absent")).names == {}


def test_a_place_reads_like_an_address() -> None:
    assert Listener("tcp", "127.0.0.1", 80, inode=1, uid=0).place == "tcp 127.0.0.1:80"
    assert Listener("udp", "::", 53, inode=1, uid=0).place == "udp [::]:53"
