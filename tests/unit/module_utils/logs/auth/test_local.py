# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PAM, sudo, su and the shadow tools."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import local
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Kind
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import journal


def test_pam_tells_address_user_and_number():
    event = local.parse_pam(
        "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
        program="sshd",
    )
    assert (event.kind, event.user, event.address, event.count) == (Kind.PAM, "root", "192.0.2.1", 2)


@given(st.text(max_size=60))
def test_a_user_cannot_name_another_address_to_pam(user):
    event = local.parse_pam(
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user="
        f"{user} rhost=6.6.6.6",
        program="sshd",
    )
    assert event.address == "192.0.2.1"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "   maint : TTY=pts/0 ; PWD=/home/maint ; USER=root ; COMMAND=/usr/bin/mysql -phunter2 ; USER=nobody",
            (Kind.COMMAND, "maint", "root", "/usr/bin/mysql"),
        ),
        (
            "alice : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
            (Kind.COMMAND_REFUSED, "alice", "root", "user NOT in sudoers: /usr/bin/id"),
        ),
        (
            "alice : 3 incorrect password attempts ; PWD=/ ; USER=bob ; COMMAND=list",
            (Kind.COMMAND_REFUSED, "alice", "bob", "3 incorrect password attempts: list"),
        ),
        (
            "alice : command not allowed ; PWD=/a ; b ; USER=root ; COMMAND=/bin/sh",
            (Kind.COMMAND_REFUSED, "alice", "root", "command not allowed: /bin/sh"),
        ),
        ("alice : PWD=/a ; b=c ; USER=root ; COMMAND=/bin/sh", (Kind.COMMAND, "alice", "root", "/bin/sh")),
    ],
)
def test_sudo(message, expected):
    event = local.parse_sudo(message)
    assert (event.kind, event.user, event.target, event.detail) == expected


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("(to root) alice on pts/1", Kind.COMMAND),
        ("FAILED SU (to root) alice on none", Kind.COMMAND_REFUSED),
        ("FAILED su for root by alice", Kind.COMMAND_REFUSED),
        ("Successful su for root by alice", Kind.COMMAND),
    ],
)
def test_su(message, kind):
    event = local.parse_su(message)
    assert (event.kind, event.user, event.target) == (kind, "alice", "root")


def test_root_at_a_console():
    event = local.parse_login("ROOT LOGIN ON tty1")
    assert (event.kind, event.user, event.method) == (Kind.ACCEPTED, "root", "console")
    assert local.parse_login("LOGIN ON tty1 BY alice").kind is Kind.NOISE


@pytest.mark.parametrize(("behind", "address"), [("", ""), (" from '192.0.2.1'", "192.0.2.1")])
def test_root_at_a_console_of_debian_12(behind, address):
    event = local.parse_login(f"ROOT LOGIN  on '/dev/tty1'{behind}")
    assert (event.kind, event.user, event.address, event.detail) == (Kind.ACCEPTED, "root", address, "/dev/tty1")


@pytest.mark.parametrize(
    "message",
    [
        "new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/bash, from=none",
        "add 'alice' to group 'sudo'",
        "user alice added by root to group docker",
        "change user 'alice' UID from '1001' to '0'",
        "members of group sudo set by root to alice,bob",
    ],
)
def test_accounts_that_become_mighty(message):
    assert local.parse_account(message).privileged


def test_changes_of_accounts_of_a_real_host():
    told = [
        event.detail
        for line in journal("trixie")
        if line.program in local.ACCOUNT_PROGRAMS
        for event in [local.parse_pam(line.message, program=line.program) or local.parse_account(line.message)]
        if event.kind is Kind.ACCOUNT
    ]
    assert told == [
        "group alice added", "user alice added", "group bob added", "user bob added", "group mallory added",
        "user mallory added", "password of alice changed", "password of bob changed", "password of root changed",
        "group staff2 added", "alice added to group staff2", "user mallory removed", "password of alice changed",
        "bob added to group staff2", "password of bob changed", "bob: password expiry changed", "group staff2 removed",
        "password of alice changed",
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_nothing_breaks_them(text):
    for parse in (local.parse_sudo, local.parse_su, local.parse_login, local.parse_account):
        parse(text)
        parse(f"a : {text}")
    local.parse_pam(f"pam_unix(sshd:auth): {text}", program="sshd")
