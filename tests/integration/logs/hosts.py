# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of rotation and retention do to their hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet

T = TypeVar("T")
STATE = "/var/lib/fleetcare-maintenance"
#: Locks its first argument, holds its second open for writing, deletes its third and holds that too; then says so.
HOLDER = """
import fcntl, os, signal, socket, sys
lock = open(sys.argv[1], "w"); fcntl.flock(lock, fcntl.LOCK_EX)
held = [open(path, "a") for path in sys.argv[2:]]
for path, stream in zip(sys.argv[3:], held[1:]):
    stream.write("x" * 30_000_000); stream.flush(); os.unlink(path)
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
ready.send(b"READY=1")
signal.pause()
"""


def sh(fleet: Fleet, script: str) -> Mapping[str, str]:
    """Run a script on every host and return what each printed."""
    return {name: host.execute(["sh", "-c", script]).stdout for name, host in fleet.items()}


def hold(fleet: Fleet, *paths: str, lock: str = "/run/holder.lock", bind: str = "") -> None:
    """Start a program on every host that holds files open, and come back when it does.

    ``bind`` gives it mounts of its own, as ``<folder>:<folder for the program>``.
    """
    mounts = f"--property=BindPaths={bind}" if bind else ""
    sh(
        fleet,
        f"systemd-run --quiet --unit=holder --service-type=notify {mounts} python3 /opt/holder.py {lock} {' '.join(paths)}",
    )


def both(value: T) -> Mapping[str, T]:
    """The same of each host."""
    return {"bookworm": value, "trixie": value}
