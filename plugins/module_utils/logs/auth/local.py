# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of what changes users and accounts on the host itself: PAM, sudo, su, login and the shadow tools.

Formats: ``log_denial`` and ``new_logline`` of sudo (logging.c, eventlog.c), ``log_syslog`` of su (util-linux,
su-common.c), ``_pam_log`` calls of pam_unix, and the syslog calls of useradd, usermod, gpasswd and passwd (shadow).
"""

from __future__ import annotations

import re

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import (
    NOISE,
    Event,
    Kind,
    address_of,
)

#: Groups that make their members root, or as good as that.
PRIVILEGED_GROUPS = frozenset({"root", "sudo", "wheel", "admin", "adm", "docker", "lxd", "libvirt", "disk", "shadow"})

_PAM_FAILURE = re.compile(
    r"(?:pam_\w+\((?P<service>[^):]*):\w+\): authentication failure;"
    r"|PAM (?P<more>\d{1,4}) more authentication failures?;)"
    r" logname=\S* uid=\d+ euid=\d+ tty=\S* ruser=(?P<ruser>\S*) rhost=(?P<rhost>\S*) {0,2}(?: user=(?P<user>.*))?$",
    re.DOTALL,
)
_PAM_PASSWORD = re.compile(r"pam_unix\((\w[\w-]*):chauthtok\): password changed for (.*)$", re.DOTALL)
_PAM_ANY = re.compile(r"pam_\w+\([^)]*\): |PAM service\(|PAM \d{1,4} more ")

_SUDO = re.compile(r"\s{0,40}(\S+) : (.*)$", re.DOTALL)
#: Why sudo refuses (``log_denial``, ``log_auth_failure`` and their callers). Of any other words none are repeated.
_SUDO_REASONS = re.compile(
    r"(?:user NOT in sudoers|user NOT authorized on host|command not allowed|\d{1,4} incorrect password attempts?"
    r"|a password is required|no tty present and no askpass program specified|sorry, you must have a tty to run sudo"
    r"|a terminal is required to (?:read|authenticate)|unable to read the password|authentication failure"
    r"|authentication server error|account validation failure|account or password is expired|password expired"
    r"|interactive authentication is required)",
    re.IGNORECASE,
)
_CONTINUED = "(command continued)"
_SUDO_PART = re.compile(r"(TTY|PWD|USER|GROUP|CHROOT|TSID|ENV|HOST|COMMAND)=(.*)$", re.DOTALL)

_SU = re.compile(r"(FAILED SU )?\(to (.*)\) (\S+) on (\S+)$", re.DOTALL)
_SU_OLD = re.compile(r"(Successful|FAILED) su for (.*) by (\S+)$", re.DOTALL)
_SU_NOISE = re.compile(r"[+-] \S+ \S+:\S+$")

#: util-linux in capitals, shadow as ``ROOT LOGIN  on '/dev/tty1' from 'host'``.
_ROOT_LOGIN = re.compile(
    r"(?:DIALUP AT \S+|ROOT LOGIN {1,2}(?:ON|on)|ROOT LOGIN) '?([^\s']+)'?(?: (?:FROM|from) '?([^\s']+)'?)?"
)
_LOGIN_NOISE = ("FAILED LOGIN", "LOGIN ON ", "DIALUP AT ", "TOO MANY LOGIN TRIES", "pam_")


def parse_pam(message: str, *, program: str) -> Event | None:
    """What a message of a PAM module says; None for one that is no PAM module's.

    The client's words can only stand behind ``rhost``, so the line is read from its beginning.
    """
    failure = _PAM_FAILURE.match(message)
    if failure:
        return Event(
            Kind.PAM,
            user=failure["user"] or failure["ruser"],
            address=address_of(failure["rhost"]),
            method=failure["service"] or program,
            count=int(failure["more"] or 1),
            # pam_unix names the user where there is one; services repeat what was typed.
            invalid=bool(failure["ruser"]) and not failure["user"],
        )
    changed = _PAM_PASSWORD.match(message)
    if changed:
        return Event(Kind.ACCOUNT, target=changed[2], detail=f"password of {changed[2]} changed")
    return NOISE if _PAM_ANY.match(message) else None


def parse_sudo(message: str) -> Event | None:
    """A command that somebody ran or was refused; of its words only the program is told, the rest may be secret."""
    match = _SUDO.match(message)
    if match and match[2].startswith(_CONTINUED):
        # The rest of a command that was too long for one line: whose it was and what it ran was told in the first.
        return NOISE
    if not match or "=" not in match[2]:
        return NOISE if message.startswith(("pam_", "error", "unable", "a password", "no ")) else None
    user, reason, target, command = match[1], "", "", ""
    for number, part in enumerate(match[2].split(" ; ")):
        named = _SUDO_PART.match(part)
        if named is None and number == 0:
            reason = part.strip()
        elif named is not None and named[1] == "USER":
            target = named[2]
        elif named is not None and named[1] == "COMMAND":
            # Behind this word stands what the user gave, and that may look like any of the others.
            command = named[2].split(" ", 1)[0]
            break
    if reason:
        known = _SUDO_REASONS.match(reason)
        if not known and not command:
            return None
        words = f"{known[0] if known else 'refused'}: {command}"
        return Event(Kind.COMMAND_REFUSED, user=user, method="sudo", target=target, detail=words)
    return Event(Kind.COMMAND, user=user, method="sudo", target=target or "root", detail=command)


def parse_su(message: str) -> Event | None:
    """Somebody became somebody else, or did not."""
    match = _SU.match(message)
    if match:
        kind = Kind.COMMAND_REFUSED if match[1] else Kind.COMMAND
        return Event(kind, user=match[3], method="su", target=match[2], detail=f"su to {match[2]}")
    old = _SU_OLD.match(message)
    if old:
        kind = Kind.COMMAND_REFUSED if old[1] == "FAILED" else Kind.COMMAND
        return Event(kind, user=old[3], method="su", target=old[2], detail=f"su to {old[2]}")
    return NOISE if _SU_NOISE.match(message) or message.startswith("bad su") else None


def parse_login(message: str) -> Event | None:
    """login(1) on a console: failures are PAM's to tell."""
    root = _ROOT_LOGIN.match(message)
    if root and "ROOT" in message[:24]:
        return Event(Kind.ACCEPTED, user="root", address=address_of(root[2] or ""), method="console", detail=root[1])
    return NOISE if message.startswith(_LOGIN_NOISE) else None


#: (how the message reads, what it means in words, which group is the account's, which names a privilege)
_ACCOUNT_LINES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"new user: name=(?P<name>[^,]*), UID=(?P<uid>\d+)"), "user {name} added"),
    (re.compile(r"new group: name=(?P<name>[^,]*), GID="), "group {name} added"),
    (re.compile(r"delete user '(?P<name>.*)'$"), "user {name} removed"),
    (re.compile(r"group '(?P<name>.*)' removed$"), "group {name} removed"),
    (re.compile(r"add '(?P<name>[^']*)' to group '(?P<group>[^']*)'$"), "{name} added to group {group}"),
    (re.compile(r"user (?P<name>\S+) added by (?P<by>\S+) to group (?P<group>\S+)$"), "{name} added to group {group}"),
    (re.compile(r"members of group (?P<group>\S+) set by \S+ to (?P<name>\S+)$"), "members of group {group}: {name}"),
    (re.compile(r"user (?P<name>\S+) removed by (?P<by>\S+) from group (?P<group>\S+)$"), "{name} taken from a group"),
    (re.compile(r"delete '(?P<name>[^']*)' from group '[^']*'$"), "{name} taken from a group"),
    (re.compile(r"change user '(?P<name>[^']*)' UID from '\d+' to '(?P<uid>\d+)'"), "user {name} got UID {uid}"),
    (re.compile(r"change user '(?P<name>[^']*)' (?P<what>\w+)"), "user {name}: {what} changed"),
    (re.compile(r"(?P<what>lock|unlock) user '(?P<name>[^']*)' password"), "password of {name}: {what}"),
    (re.compile(r"password for '?(?P<name>[^' ]*)'? changed by "), "password of {name} changed"),
    (
        re.compile(r"changed (?P<what>password expiry|user information) for '?(?P<name>[^']*)'?$"),
        "{name}: {what} changed",
    ),
)
ACCOUNT_PROGRAMS = frozenset(
    {
        "useradd",
        "userdel",
        "usermod",
        "groupadd",
        "groupdel",
        "groupmod",
        "gpasswd",
        "passwd",
        "chpasswd",
        "chage",
        "newusers",
    }
)


def parse_account(message: str) -> Event:
    """A change of accounts, and whether it makes somebody as mighty as root."""
    for pattern, words in _ACCOUNT_LINES:
        match = pattern.match(message)
        if match:
            facts = match.groupdict()
            mighty = facts.get("uid") == "0" or facts.get("group") in PRIVILEGED_GROUPS
            return Event(Kind.ACCOUNT, target=facts["name"], detail=words.format_map(facts), privileged=mighty)
    # The shadow tools write a line for each file that they touch; what matters is in those above.
    return NOISE
