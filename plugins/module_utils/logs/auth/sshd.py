# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of OpenSSH's server, read the way it writes them.

Formats are those of openssh-portable: ``auth_log``, ``auth_maxtries_exceeded``, ``getpwnamallow`` and
``allowed_user`` in auth.c, ``sshpkt_fmt_connection_id`` and ``sshpkt_vfatal`` in packet.c, ``sshpam_query`` in
auth-pam.c, ``drop_connection`` in sshd.c, and the preamble that ``mm_answer_pwnamallow`` sets in monitor.c.

A user's name is the client's to choose, up to 100 bytes, and spaces in it are written as they are: an attacker logs in
as ``root from 192.0.2.1 port 22 ssh2``. So address and port are taken from the end of the line, where sshd puts its
own. After the address of a login by key there is more, and the name inside a certificate is the client's to choose
too: such a line is read only where it can be read in a single way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import (
    NOISE,
    Event,
    Kind,
    address_of,
)

#: sshd itself, and the processes of a connection since OpenSSH 9.8 and 10.0.
PROGRAMS = frozenset({"sshd", "sshd-session", "sshd-auth"})

_VERDICTS = {"Failed": Kind.FAILED, "Accepted": Kind.ACCEPTED}
_VERDICT = re.compile(r"(Accepted|Failed|Postponed|Partial) (\S+) for (invalid user )?", re.DOTALL)
_FROM = re.compile(r" from (\S+) port \d+ ssh2(?=: |$)", re.DOTALL)
_FINGERPRINT = r"(?:SHA256:[A-Za-z0-9+/]{43}=?|MD5:[0-9a-f:]{47}|\(null\))"
_KEY = re.compile(rf"[A-Za-z0-9@.+-]+ ({_FINGERPRINT})")
_SIGNED = re.compile(rf" \(serial \d{{1,20}}\) CA [A-Za-z0-9@.+-]+ {_FINGERPRINT}")
#: ``: alice@EXAMPLE.COM`` behind a login by Kerberos (auth2_record_info).
_PRINCIPAL = re.compile(r": [^\s:]{1,255}")
_IDENTITY = " ID "
_CLIENT_USER, _CLIENT_HOST = ', client user "', '", client host "'
#: Methods whose proof is a key, about which more stands behind the address.
_KEY_METHODS = frozenset({"publickey", "hostbased"})
#: Bytes of a name that sshd writes, of which each may become four characters.
MAX_USER = 100

_INVALID = re.compile(r"Invalid user (.*) from (\S+)(?: port \d+)?$", re.DOTALL)
_NOT_ALLOWED = re.compile(r"User (.*?)(?: from (\S+))? not allowed because ", re.DOTALL)
_REFUSED = re.compile(r"ROOT LOGIN REFUSED FROM (\S+)")
#: Words of pam_strerror(3), of which one has a "for" of its own; the name behind them ends at the last "from".
_PAM = re.compile(
    r"PAM: (?:Have exhausted maximum number of retries for service|(?:(?! for ).){1,80}) for "
    r"(illegal user )?(.*) from (\S+)$",
    re.DOTALL,
)
_MAXIMUM = re.compile(
    r"maximum authentication attempts exceeded for (invalid user )?(.*) from (\S+) port \d+ ssh2$", re.DOTALL
)
_ENDED = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from|Connection from) "
    r"(?:(authenticating|invalid) user (.*) )?(\S+) port \d+(?: timed out)?$",
    re.DOTALL,
)
#: The user's name stands before the address, and words of the client may stand behind it.
_DISCONNECTING = re.compile(r"Disconnecting (authenticating|invalid) user (.*) (\S+) port \d+: ", re.DOTALL)
_CUT = re.compile(r" \S+ port \d+: ")
_PROBE = re.compile(
    r"(?:Did not receive identification string from |Unable to negotiate with |banner exchange: Connection from "
    r"|ssh_dispatch_run_fatal: Connection from |probed from |scanned from )(\S+?)(?::? |$)"
)
_BAD_BANNER = re.compile(r"Bad protocol version identification .* from (\S+)(?: port \d+)?$", re.DOTALL)
_DROPPED = re.compile(r"drop connection #\d+ from \[([^\]]*)\]:\d+ on ")
_SUFFIXES = (" [preauth]", " [postauth]")
_LEVELS = ("error: ", "fatal: ")

#: How messages begin that say nothing of who was let in and who was not.
_HARMLESS = (
    "Accepted certificate ID ", "Accepted key ", "Address ", "Attempt to write login records", "Authorized to ",
    "Bad packet length", "Certificate ", "Changed root directory", "Close session:", "Closing connection to ",
    "Connection closed by ", "Connection from ", "Connection reset by ", "Corrupted MAC", "Could not load ",
    "Disconnected from ", "Disconnecting ", "Environment: ", "Exiting on signal", "Forced command", "Found matching ",
    "Missing privilege separation", "Nasty PTR record", "PAM service(", "PAM: ", "Partial ", "Postponed ",
    "Read error from remote host", "Received SIGHUP", "Received disconnect from ", "Received signal ",
    "Received window change", "Server listening on ", "Session process ", "Set /proc/self/oom_score_adj",
    "Starting session: ", "Timeout before authentication for ", "Transferred: ", "User child is on pid ",
    "Write failed", "banner exchange:", "beginning MaxStartups throttling", "channel ", "client_loop", "connect_to ",
    "exited MaxStartups throttling", "kex_exchange_identification: ", "kex_protocol_error", "kex_input_", "mm_",
    "monitor_", "lastlog_", "matched ", "message authentication code incorrect", "padding error",
    "reprocess config line", "reverse mapping checking", "rexec line", "send_error: ", "session process ", "srclimit_",
    "ssh_dispatch_run_fatal: ", "ssh_packet_", "subsystem request for ", "syslogin_", "Unable to negotiate ",
    "userauth_pubkey: ", "Maxstartups logging", "PerSourcePenalties logging", "Kerberos", "refused local port forward",
    "refused streamlocal", "rcvd ", "sftp-server",
)  # fmt: skip


def parse(message: str) -> Event | None:
    """What a message of sshd says; None for one that is not known. Messages of PAM are not sshd's."""
    if message.endswith(_SUFFIXES):
        message = message[: message.rindex(" [")]
    if message.startswith(_LEVELS):
        message = message[message.index(" ") + 1 :]
    # By the first word, for trying every pattern on every line is what would cost.
    for pattern, make in _READERS.get(message.split(" ", 1)[0], ()):
        match = pattern.match(message)
        if match:
            return make(match)
    return NOISE if message.startswith(_HARMLESS) else None


def _verdict(verdict: re.Match[str]) -> Event | None:
    kind, method, invalid = _VERDICTS.get(verdict[1]), verdict[2], bool(verdict[3])
    if kind is None or method == "none":
        return NOISE
    message = verdict.string
    by_key = method in _KEY_METHODS
    readings: list[tuple[str, str, str]] = []
    for place in _FROM.finditer(message, verdict.end() - 1):
        user, extra = message[verdict.end() : place.start()], message[place.end() :]
        # Behind the address of a password nothing stands: what is not at the end is part of the name.
        if not extra or (method.startswith("gssapi-") and _PRINCIPAL.fullmatch(extra)):
            readings.append((user, place[1], ""))
        elif by_key and len(user) <= MAX_USER * 4:
            fingerprint = _fingerprint(extra)
            if fingerprint:
                readings.append((user, place[1], fingerprint))
    if not readings:
        return None
    if len(readings) > 1:
        return Event(Kind.DECEPTIVE, detail=message)
    user, address, fingerprint = readings[0]
    return Event(kind, user=user, address=address_of(address), method=method, key=fingerprint, invalid=invalid)


def _fingerprint(extra: str) -> str:
    """The key that is told behind ``: ``, empty where that is not all there is.

    ``<type> <fingerprint>[ ID <identity> (serial <n>) CA <type> <fingerprint>][, client user "..", client host ".."]``
    Identity, user and host are the client's to choose, so every place is tried at which one could end; in one pass,
    for they are also chosen to be slow.
    """
    key = _KEY.match(extra, 2)
    if not key:
        return ""
    # What is said of the client is the last there is, and ends with a quote.
    host = extra.rfind(_CLIENT_HOST, 0, -1) if extra.endswith('"') else -1
    ends = [key.end()]
    if extra.startswith(_IDENTITY, key.end()):
        ends += [signed.end() for signed in _SIGNED.finditer(extra, key.end() + len(_IDENTITY))]
    for end in ends:
        if end == len(extra) or (extra.startswith(_CLIENT_USER, end) and host >= end + len(_CLIENT_USER)):
            return key[1]
    return ""


def _announced(match: re.Match[str]) -> Event:
    return Event(Kind.ANNOUNCED, user=match[1], address=address_of(match[2] or ""), invalid=True)


def _not_allowed(match: re.Match[str]) -> Event:
    """There is such a user, although sshd calls it invalid from here on."""
    return Event(Kind.ANNOUNCED, user=match[1], address=address_of(match[2] or ""))


def _root_refused(match: re.Match[str]) -> Event:
    return Event(Kind.ANNOUNCED, user="root", address=address_of(match[1]))


def _pam(match: re.Match[str]) -> Event:
    address = address_of(match[3])
    return Event(Kind.ANNOUNCED, match[2], address, method="keyboard-interactive", invalid=bool(match[1]))


def _maximum(match: re.Match[str]) -> Event:
    return Event(Kind.UNFINISHED, match[2], address_of(match[3]), detail="maximum attempts", invalid=bool(match[1]))


def _ended(match: re.Match[str]) -> Event:
    address = address_of(match[3])
    if match[1]:
        return Event(Kind.UNFINISHED, match[2], address, invalid=match[1] == "invalid")
    return Event(Kind.PROBE, address=address) if address else NOISE


def _disconnecting(match: re.Match[str]) -> Event:
    if len(_CUT.findall(match.string)) > 1:
        return NOISE
    return Event(Kind.UNFINISHED, match[2], address_of(match[3]), invalid=match[1] == "invalid")


def _probe(match: re.Match[str]) -> Event:
    return Event(Kind.PROBE, address=address_of(match[1]))


def _dropped(match: re.Match[str]) -> Event:
    return Event(Kind.DROPPED, address=address_of(match[1]))


_Reader = tuple[re.Pattern[str], Callable[[re.Match[str]], Union[Event, None]]]
#: What reads a message, by its first word.
_READERS: Mapping[str, Sequence[_Reader]] = {
    **dict.fromkeys(("Accepted", "Failed", "Postponed", "Partial"), ((_VERDICT, _verdict),)),
    "Invalid": ((_INVALID, _announced),),
    "User": ((_NOT_ALLOWED, _not_allowed),),
    "ROOT": ((_REFUSED, _root_refused),),
    "PAM:": ((_PAM, _pam),),
    "maximum": ((_MAXIMUM, _maximum),),
    **dict.fromkeys(("Connection", "Disconnected"), ((_ENDED, _ended),)),
    "Disconnecting": ((_DISCONNECTING, _disconnecting),),
    **dict.fromkeys(("Did", "Unable", "banner", "ssh_dispatch_run_fatal:", "probed", "scanned"), ((_PROBE, _probe),)),
    "Bad": ((_BAD_BANNER, _probe),),
    "drop": ((_DROPPED, _dropped),),
}
