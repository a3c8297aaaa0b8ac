# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens where: the kernel's socket tables and, as far as we may look, the processes behind them.

Sources: proc(5) (``/proc/net/tcp``, ``tcp6``, ``udp``, ``udp6``, ``/proc/<pid>/fd``), include/net/tcp_states.h.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean

TABLES = ("tcp", "tcp6", "udp", "udp6")
# TCP_LISTEN, and TCP_CLOSE, which is what an unconnected UDP socket shows.
_LISTENING = {"tcp": "0A", "udp": "07"}
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")


@dataclass(frozen=True)
class Listener:
    """One socket that takes connections or datagrams; ``inode`` leads to the processes that hold it."""

    protocol: str
    address: str
    port: int
    uid: int
    inode: int

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def any(self) -> bool:
        return ipaddress.ip_address(self.address).is_unspecified

    @property
    def place(self) -> str:
        """``tcp 127.0.0.1:5432``, ``udp [::]:53``."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.protocol} {host}:{self.port}"


@dataclass(frozen=True)
class Owners:
    """Process names by socket inode; ``complete`` is False where other users' processes could not be looked into."""

    names: dict[int, tuple[str, ...]]
    complete: bool

    def of(self, listener: Listener) -> tuple[str, ...]:
        return self.names.get(listener.inode, ())


def listeners(root: Path = Path("/proc/net")) -> list[Listener]:
    """All listening sockets of this network namespace, in a steady order; a table that is absent is empty."""
    found: set[Listener] = set()
    for table in TABLES:
        with contextlib.suppress(FileNotFoundError):
            found.update(parse_table((root / table).read_text(encoding="ascii", errors="replace"), table))
    return sorted(found, key=lambda one: (one.port, one.protocol, one.address, one.inode))


def parse_table(text: str, table: str, *, byteorder: str = sys.byteorder) -> list[Listener]:
    """The listening sockets in one table; lines that are not understood are passed over."""
    protocol = table[:3]
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTENING[protocol]:
            with contextlib.suppress(ValueError):
                raw, _colon, port = fields[1].partition(":")
                found.append(
                    Listener(
                        protocol=protocol,
                        address=_address(raw, byteorder=byteorder),
                        port=int(port, 16),
                        uid=int(fields[7]),
                        inode=int(fields[9]),
                    )
                )
    return found


def _address(raw: str, *, byteorder: str) -> str:
    """An address from the table: 32-bit words in the host's own byte order."""
    data = bytes.fromhex(raw)
    if byteorder == "little":
        data = b"".join(data[start : start + 4][::-1] for start in range(0, len(data), 4))
    address = ipaddress.ip_address(data)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def owners(wanted: Iterable[int], root: Path = Path("/proc")) -> Owners:
    """Which processes hold the sockets with these inodes."""
    missing = set(wanted)
    names: dict[int, set[str]] = {}
    complete = True
    if missing:
        for entry in os.scandir(root):
            if entry.name.isdigit():
                held, seen = _sockets(Path(entry.path))
                complete = complete and seen
                for inode in held & missing:
                    names.setdefault(inode, set()).add(_name(Path(entry.path)))
    return Owners({inode: tuple(sorted(found)) for inode, found in names.items()}, complete)


def _sockets(process: Path) -> tuple[set[int], bool]:
    """The socket inodes a process holds, and whether we were allowed to look."""
    held: set[int] = set()
    try:
        for entry in os.scandir(process / "fd"):
            with contextlib.suppress(OSError):
                match = _SOCKET.fullmatch(os.readlink(entry.path))
                if match:
                    held.add(int(match[1]))
    except PermissionError:
        return held, False
    except OSError:
        # The process has gone, and its sockets with it.
        return held, True
    return held, True


def _name(process: Path) -> str:
    try:
        return clean((process / "comm").read_text(encoding="utf-8", errors="replace"), limit=64)
    except OSError:
        return "?"
