# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens where, read from /proc (proc_net(5), proc(5)): no program, no name resolution, exact port numbers."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

_TCP_LISTEN = "0A"
_UDP_UNCONNECTED = "07"
_TABLES = (("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp"))


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket or a bound UDP socket. ``process`` is empty and ``pid`` 0 where that is not visible."""

    protocol: str
    address: str
    port: int
    inode: int
    uid: int
    process: str = ""
    pid: int = 0

    @property
    def loopback(self) -> bool:
        return self.address.startswith(("127.", "::ffff:127.")) or self.address == "::1"

    @property
    def wildcard(self) -> bool:
        return self.address in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    @property
    def place(self) -> str:
        """``tcp 127.0.0.1:5432``, ``udp [::]:53``."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.protocol} {host}:{self.port}"


@dataclass(frozen=True)
class Holders:
    """Every process name by socket inode; ``complete`` is False where some processes could not be looked into."""

    names: Mapping[int, tuple[str, ...]]
    complete: bool

    def of(self, listener: Listener) -> tuple[str, ...]:
        return self.names.get(listener.inode, ())


def parse_table(text: str, *, protocol: str) -> list[Listener]:
    """The listeners in one of /proc/net/{tcp,tcp6,udp,udp6}."""
    listeners = []
    wanted = _TCP_LISTEN if protocol == "tcp" else _UDP_UNCONNECTED
    for line in text.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 10 or columns[3] != wanted:
            continue
        address, _colon, port = columns[1].rpartition(":")
        listeners.append(
            Listener(protocol, _address(address), int(port, 16), inode=int(columns[9]), uid=int(columns[7]))
        )
    return listeners


def _address(raw: str) -> str:
    """Kernel form (32-bit words in host byte order, as hex) to the usual form."""
    words = [int(raw[at : at + 8], 16) for at in range(0, len(raw), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def collect(*, owners: bool, proc: str = "/proc") -> list[Listener]:
    """All listeners of this network namespace; with ``owners`` also whose they are, as far as this user may see."""
    listeners: list[Listener] = []
    for table, protocol in _TABLES:
        try:
            with open(f"{proc}/net/{table}", encoding="ascii") as stream:
                listeners.extend(parse_table(stream.read(), protocol=protocol))
        except FileNotFoundError:
            continue
    if owners and listeners:
        return with_owners(listeners, socket_owners({entry.inode for entry in listeners}, proc=proc))
    return listeners


def with_owners(listeners: Iterable[Listener], owners: Mapping[int, tuple[int, str]]) -> list[Listener]:
    """The listeners with pid and process name where ``owners`` (by socket inode) knows them."""
    return [
        replace(entry, pid=owners[entry.inode][0], process=owners[entry.inode][1]) if entry.inode in owners else entry
        for entry in listeners
    ]


def socket_owners(inodes: set[int], *, proc: str = "/proc") -> dict[int, tuple[int, str]]:
    """Socket inode to (pid, process name), for the processes whose descriptors this user may read."""
    found: dict[int, tuple[int, str]] = {}
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            links = [os.readlink(entry.path) for entry in os.scandir(f"{proc}/{name}/fd")]
        except OSError:
            continue
        mine = {int(link[8:-1]) for link in links if link.startswith("socket:[")} & inodes
        if mine:
            process = (int(name), _process_name(f"{proc}/{name}"))
            found.update(dict.fromkeys(mine - found.keys(), process))
            if len(found) == len(inodes):
                break
    return found


def holders(inodes: set[int], *, proc: str = "/proc") -> Holders:
    """All processes that hold the sockets: with socket activation that is systemd as well as the service."""
    names: dict[int, set[str]] = {}
    complete = True
    for name in os.listdir(proc) if inodes else ():
        if not name.isdigit():
            continue
        try:
            links = {os.readlink(entry.path) for entry in os.scandir(f"{proc}/{name}/fd")}
        except PermissionError:
            complete = False
            continue
        except OSError:
            # The process has gone, and its sockets with it.
            continue
        for inode in inodes & {int(link[8:-1]) for link in links if link.startswith("socket:[")}:
            names.setdefault(inode, set()).add(clean(_process_name(f"{proc}/{name}"), limit=64))
    return Holders({inode: tuple(sorted(found)) for inode, found in names.items()}, complete)


def _process_name(folder: str) -> str:
    try:
        with open(f"{folder}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""
