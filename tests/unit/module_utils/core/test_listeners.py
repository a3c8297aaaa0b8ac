# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import socket

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import collect, parse_table

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 18512 1 0000000000000000 100 0 0 10 0
   1: 00000000:C350 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 18513 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1388 0100007F:D431 01 00000000:00000000 00:00000000 00000000   106        0 18514 1 0000000000000000 20 4 0 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0BB9 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21000 1 0000000000000000 100 0 0 10 0
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


def test_a_socket_of_this_process_is_found_with_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (entry,) = [one for one in collect(owners=True) if one.port == port and one.protocol == "tcp"]
    assert entry.pid == os.getpid()
    assert entry.process
