# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parser reads which program's lines, and whether a line comes from whom it claims to come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import local, sshd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import NOISE, Event, Line

_READERS: Mapping[str, Callable[[str], Event | None]] = {
    **dict.fromkeys(sshd.PROGRAMS, sshd.parse),
    "sudo": local.parse_sudo,
    "su": local.parse_su,
    "su-l": local.parse_su,
    "login": local.parse_login,
    **dict.fromkeys(local.ACCOUNT_PROGRAMS, local.parse_account),
    # What logind and PAM's helper say, the programs that they work for say as well.
    **dict.fromkeys(("systemd-logind", "systemd-user", "unix_chkpwd"), lambda _message: NOISE),
}
#: Programs that ordinary users start and that become root themselves: the kernel names the user as the sender.
_SETUID = frozenset({"sudo", "su", "su-l", "login", "passwd", "gpasswd", "chage", "newusers"})
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/nix/store/", "/run/wrappers/")
_LOCAL = ("/usr/local/",)


def ours(program: str) -> bool:
    """Whether the program is one whose every line is read."""
    return program in _READERS


def read(line: Line, message: str) -> Event | None:
    """The event of a message; NOISE for a program that is not asked, None for one that should be known and is not."""
    if message.startswith(("pam_", "PAM ")):
        return local.parse_pam(message, program=line.program)
    reader = _READERS.get(line.program)
    return reader(message) if reader else NOISE


def forged(line: Line, event: Event | None) -> bool:
    """Whether a line was sent by somebody who is not the program that it names.

    Only the journal can tell: what a syslog file holds may come from anybody who can run logger(1).
    """
    if line.uid in (None, 0) or event is NOISE or not ours(line.program):
        return False
    if _stranger(line):
        return True
    # The process that serves a session runs as its user; who was let in and who was not, root alone says.
    return event is not None and line.program not in _SETUID


def _stranger(line: Line) -> bool:
    named = not line.comm or line.comm == line.program[:15] or line.program.startswith(f"{line.comm}-")
    placed = not line.exe or (line.exe.startswith(_SYSTEM) and not line.exe.startswith(_LOCAL))
    return not named or not placed
