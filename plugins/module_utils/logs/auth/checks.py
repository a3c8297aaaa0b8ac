# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of ``auth_log_review``: logins, privileges, and what the firewall threw away."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels

_LOGINS = "journal or auth.log: sshd, login, PAM; the patterns of the option applications"
_KERNEL = "kernel messages: IN= OUT= SRC= DST= PROTO= DPT="

CHECKS: tuple[Check, ...] = (
    Check(
        id="logs.auth_failures",
        title="Failed logins an hour",
        meaning="Refused attempts of all addresses together, counted once each however many lines tell of it.",
        remedy="Allow keys alone (PasswordAuthentication no), and let the firewall admit who needs it.",
        source=_LOGINS,
        levels=Levels(info=60, warning=600, critical=6000),
    ),
    Check(
        id="logs.auth_brute_force",
        title="Failures of one address in a short time",
        meaning="The most attempts of a single address within span_minutes: somebody tries passwords.",
        remedy="Block the address, or let fail2ban or PerSourcePenalties (OpenSSH 9.8) do it; name yours in "
        "networks_allowed.",
        source=_LOGINS,
        levels=Levels(info=10, warning=60, critical=600),
    ),
    Check(
        id="logs.auth_spray",
        title="Users that one address tried",
        meaning="One address tries many users with a few passwords each, which no count of failures for a user shows.",
        remedy="Block the address; look whether any of the users is one of yours and has a weak password.",
        source=_LOGINS,
        levels=Levels(info=5, warning=20),
    ),
    Check(
        id="logs.auth_distributed",
        title="Addresses that tried one user",
        meaning="Many addresses share the work of guessing one user's password, each staying below every limit.",
        remedy="Forbid passwords for this user (Match User), or admit it from known networks alone (AllowUsers).",
        source=_LOGINS,
        levels=Levels(info=20, warning=100),
    ),
    Check(
        id="logs.auth_success_after_failures",
        title="Logins that came after failures",
        meaning="An address failed several times and was then let in by the same kind of proof: a password was "
        "guessed, or its owner mistyped it. Failures of two days count, but not those before the last success.",
        remedy="Ask the user. If it was not them: docs/runbooks/under-attack.md, from its beginning.",
        source=_LOGINS,
        levels=Levels(info=3, critical=5),
    ),
    Check(
        id="logs.auth_new_network",
        title="Logins from networks that are new for a user",
        meaning="A user was let in from a /24 (IPv6: /48) from which they had not come within networks_days.",
        remedy="Ask the user; name networks that belong to you in networks_allowed.",
        source=_LOGINS + "; compared with what earlier runs remembered",
        levels=Levels(warning=1),
    ),
    Check(
        id="logs.auth_root_login",
        title="Logins of root by password",
        meaning="Root was let in by a password, over the network or at a console: who it was is not known.",
        remedy="Set PermitRootLogin prohibit-password, and let people log in as themselves and use sudo.",
        source=_LOGINS,
        levels=Levels(warning=1),
    ),
    Check(
        id="logs.auth_sudo_failures",
        title="Refused sudo and su",
        meaning="Somebody on the host tried to become somebody else and was refused, or is not in sudoers.",
        remedy="Ask the user; a service account that does it has been taken over.",
        source="journal or auth.log: sudo, su",
        levels=Levels(info=1, warning=5),
    ),
    Check(
        id="logs.auth_accounts",
        title="Changes of users, groups and passwords",
        meaning="Accounts were added, removed or changed, as far as the tools of the shadow suite log it.",
        remedy="Compare with what was ordered.",
        source="journal or auth.log: useradd, usermod, groupadd, gpasswd, passwd, chage",
        levels=Levels(info=1),
    ),
    Check(
        id="logs.auth_privileges",
        title="Accounts that became as mighty as root",
        meaning="A user got UID 0 or joined root, sudo, wheel, admin, adm, docker, lxd, libvirt, disk or shadow.",
        remedy="Find out who ordered it; 'gpasswd --delete <user> <group>' takes it back.",
        source="journal or auth.log: useradd, usermod, gpasswd",
        levels=Levels(warning=1),
    ),
    Check(
        id="logs.auth_forged",
        title="Lines that were made to deceive",
        meaning="Somebody without privilege wrote to the journal in the name of sshd, sudo or the kernel, or told of "
        "logins and passwords that only root can know of, or put a line of sshd into the name of a user or a "
        "certificate. Such lines are not believed.",
        remedy="Look who it was: the journal names the sender's uid, and the connection its address. A service that is "
        "not root and asks PAM for passwords is named here too.",
        source="systemd.journal-fields(7): _UID, _COMM, _EXE",
        levels=Levels(warning=1),
    ),
    Check(
        id="logs.auth_unparsed",
        title="Lines of login services that were not understood",
        meaning="The share of lines that the other answers are short of, with those that have no time and sender in a "
        "form that is known.",
        remedy="Look at the evidence; a message that matters belongs into the collection, and a form of syslog into "
        "docs/logs.md.",
        source="journal or auth.log",
        unit="%",
        levels=Levels(info=2, warning=20),
    ),
    Check(
        id="logs.firewall_blocked",
        title="Packets that the firewall threw away an hour",
        meaning="As far as its rules log them, and within the limit that they set for logging.",
        remedy="Look at sources and ports in the evidence; a source of your own is a rule that is missing.",
        source=_KERNEL,
        levels=Levels(info=600, warning=6000),
    ),
    Check(
        id="logs.firewall_listener_hit",
        title="Blocked ports behind which something listens, and that are new",
        meaning="Somebody knocks at a port that is blocked and open on the host itself: the firewall is all that "
        "stands in between. Ports that earlier runs have told of do not count.",
        remedy="Bind the service to loopback, so that a mistake in the firewall does not expose it.",
        source=_KERNEL + "; /proc/net/tcp, tcp6, udp, udp6",
        levels=Levels(info=1),
    ),
    Check(
        id="logs.firewall_outgoing",
        title="Packets of the host itself that the firewall threw away",
        meaning="Something on the host tries to reach what it should not: a missing rule, or a program not yours.",
        remedy="Find the program: 'ss -tnp' or 'journalctl _TRANSPORT=kernel'; add the rule, or follow "
        "docs/runbooks/under-attack.md.",
        source=_KERNEL,
        levels=Levels(info=1, warning=100),
    ),
)
