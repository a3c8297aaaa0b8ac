# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parser reads which program's lines, and whether a line comes from whom it claims to come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import local, sshd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import (
    NOISE,
    Event,
    Kind,
    Line,
)

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
_SETUID = frozenset(
    {
        "sudo",
        "su",
        "su-l",
        "login",
        "passwd",
        "gpasswd",
        "chage",
        "newusers",
        "chfn",
        "chsh",
        "doas",
        "newgrp",
        "pkexec",
        "polkit-agent-helper-1",
        "unix_chkpwd",
    }
)
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/nix/store/", "/run/wrappers/")
_LOCAL = ("/usr/local/",)
#: ``su-l`` is su, ``sshd-session`` is sshd, and ``sudo.ws`` is sudo.
_STEM = re.compile(r"[^.-]*")
#: Errors that a line may cause in what reads it. None is known to; one that does must not end the review.
ODD = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)


class Sender(Enum):
    """Who sent a line, as far as the kernel told the journal."""

    #: Root, or nobody can tell: what a file of syslog holds may come from anybody who can run logger(1).
    BELIEVED = "believed"
    #: A program that says its name, runs as an ordinary user and is not root: a session of sshd, a service, anybody.
    ORDINARY = "ordinary"
    #: In the name of a set-uid program by a process that had ended before the journal asked for its name.
    NAMELESS = "nameless"
    #: Somebody else than the line says.
    STRANGER = "stranger"


def ours(program: str) -> bool:
    """Whether the program is one whose every line is read."""
    return program in _READERS


def sender(line: Line) -> Sender:
    """Who sent a line, judged without a look at its words."""
    if line.uid in (None, 0):
        return Sender.BELIEVED
    setuid = line.program in _SETUID
    if not line.comm:
        return Sender.NAMELESS if setuid else Sender.STRANGER
    stem = _stem(line.program)
    # A process may call itself whatever it likes (prctl(2)); the path of its program is the kernel's own knowledge.
    named = _stem(line.comm) == stem[:15] and (not line.exe or _stem(line.exe.rpartition("/")[2]) == stem)
    placed = not line.exe or (line.exe.startswith(_SYSTEM) and not line.exe.startswith(_LOCAL))
    if not named or not placed:
        return Sender.STRANGER
    return Sender.BELIEVED if setuid else Sender.ORDINARY


def read(line: Line, message: str) -> Event | None:
    """The event of a message; NOISE for a program that is not asked, None for one that should be known and is not."""
    try:
        if message.startswith(("pam_", "PAM ")):
            return local.parse_pam(message, program=line.program)
        reader = _READERS.get(line.program)
        return reader(message) if reader else NOISE
    except ODD:
        return None


def forged(who: Sender, line: Line, event: Event | None) -> bool:
    """Whether what a line says is not to be believed for who sent it.

    The process that serves a session runs as its user, and so do many services; who was let in and who was not, root
    alone says.
    """
    if who is Sender.BELIEVED or event is NOISE:
        return False
    if event is None:
        return who is Sender.STRANGER and ours(line.program)
    # sudo and su have often gone when their last words come; logins and changes of accounts are not theirs to tell.
    return not (who is Sender.NAMELESS and (event.kind in _COMMANDS or (event.kind is Kind.PAM and not event.address)))


def shown(line: Line, message: str) -> str:
    """A message for people to see, without what may be a secret.

    Commands under sudo are given passwords; and who types theirs where the name belongs is no user that there is.
    """
    if line.program in _SECRETIVE:
        return "(words not shown)"
    return _NO_USER.sub(r"\1 (name not shown)\2", message)


#: Programs of whose words none are shown: any may be part of what somebody typed.
_SECRETIVE = frozenset({"sudo", "su", "su-l", "doas", "pkexec"})
_NO_USER = re.compile(r"(?i)\b((?:invalid|illegal|unknown) user)\b.*?( from | \[|$)", re.DOTALL)
_COMMANDS = frozenset({Kind.COMMAND, Kind.COMMAND_REFUSED})


def _stem(name: str) -> str:
    found = _STEM.match(name)
    return found[0] if found else name
