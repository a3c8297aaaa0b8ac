# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd writes, and what its clients would have it write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Kind
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.sshd import PROGRAMS, parse
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import journal

KEY = "ED25519 SHA256:TX/isXpFw/OuMLAeO/+xhRfw7Mgww/D8U7FAOjCTB5I"
CERT = "ED25519-CERT SHA256:xH0as1IdqKbmGfY21Y8Bd5i1+VjI1UQXPEjRfGQbQ4s"


def facts(message):
    event = parse(message)
    return None if event is None else (event.kind, event.user, event.address, event.method)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Failed password for root from 192.0.2.1 port 4 ssh2", (Kind.FAILED, "root", "192.0.2.1", "password")),
        ("Failed password for invalid user  from ::1 port 4 ssh2", (Kind.FAILED, "", "::1", "password")),
        ("Failed password for a from ::ffff:192.0.2.1 port 4 ssh2", (Kind.FAILED, "a", "192.0.2.1", "password")),
        ("Failed none for a from 192.0.2.1 port 4 ssh2", (Kind.NOISE, "", "", "")),
        ("Failed password for a from fe80::1%eth0 port 4 ssh2", (Kind.FAILED, "a", "fe80::1", "password")),
        ("Failed password for a from UNKNOWN port 65535 ssh2", (Kind.FAILED, "a", "", "password")),
        (f"Accepted publickey for a from 192.0.2.1 port 4 ssh2: {KEY}", (Kind.ACCEPTED, "a", "192.0.2.1", "publickey")),
        (
            f"Accepted publickey for a from 192.0.2.1 port 4 ssh2: {CERT} ID a b (serial 1) CA {KEY}",
            (Kind.ACCEPTED, "a", "192.0.2.1", "publickey"),
        ),
        (
            f'Failed hostbased for a from 192.0.2.1 port 4 ssh2: {KEY}, client user "a", client host "b"',
            (Kind.FAILED, "a", "192.0.2.1", "hostbased"),
        ),
        (
            "Accepted gssapi-with-mic for a from 192.0.2.1 port 4 ssh2: a/admin@EXAMPLE.COM",
            (Kind.ACCEPTED, "a", "192.0.2.1", "gssapi-with-mic"),
        ),
        (
            "Failed gssapi-with-mic for invalid user a from 6.6.6.6 port 1 ssh2: a@B from 192.0.2.1 port 4 ssh2",
            (Kind.FAILED, "a from 6.6.6.6 port 1 ssh2: a@B", "192.0.2.1", "gssapi-with-mic"),
        ),
        ("Invalid user a b from 192.0.2.1 port 4", (Kind.ANNOUNCED, "a b", "192.0.2.1", "")),
        ("Invalid user a from 6.6.6.6 from 192.0.2.1", (Kind.ANNOUNCED, "a from 6.6.6.6", "192.0.2.1", "")),
        (
            "User bob from host.example not allowed because not listed in AllowUsers",
            (Kind.ANNOUNCED, "bob", "", ""),
        ),
        ("User bob not allowed because account is locked", (Kind.ANNOUNCED, "bob", "", "")),
        (
            "error: PAM: Have exhausted maximum number of retries for service for illegal user x for y from 192.0.2.1",
            (Kind.ANNOUNCED, "x for y", "192.0.2.1", "keyboard-interactive"),
        ),
        (
            "error: maximum authentication attempts exceeded for invalid user x from 192.0.2.1 port 4 ssh2 [preauth]",
            (Kind.UNFINISHED, "x", "192.0.2.1", ""),
        ),
        (
            "Connection reset by authenticating user root 192.0.2.1 port 4 [preauth]",
            (Kind.UNFINISHED, "root", "192.0.2.1", ""),
        ),
        (
            "Disconnecting invalid user x 6.6.6.6 port 1: y 192.0.2.1 port 4: Too many authentication failures [preauth]",
            (Kind.NOISE, "", "", ""),
        ),
        ("Connection closed by 192.0.2.1 port 4 [preauth]", (Kind.PROBE, "", "192.0.2.1", "")),
        ("Disconnected from user alice 192.0.2.1 port 4", (Kind.NOISE, "", "", "")),
        ("Received disconnect from 192.0.2.1 port 4:11: from 6.6.6.6 port 1 ssh2", (Kind.NOISE, "", "", "")),
        (
            "drop connection #0 from [192.0.2.1]:49356 on [192.0.2.9]:22 penalty: failed authentication",
            (Kind.DROPPED, "", "192.0.2.1", ""),
        ),
        ("hello", None),
        ("Failed password for root from 192.0.2.1 port 4 ssh2 and more", None),
    ],
)
def test_messages(message, expected):
    assert facts(message) == expected


def test_a_key_is_kept_by_its_fingerprint():
    assert parse(f"Accepted publickey for a from 192.0.2.1 port 4 ssh2: {KEY}").key == KEY.split()[1]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_every_line_of_a_real_server_is_understood(suite):
    mine = [
        line for line in journal(suite) if line.program in PROGRAMS and not line.message.startswith(("pam_", "PAM "))
    ]
    assert len(mine) > 80
    assert [line.message for line in mine if parse(line.message) is None] == ["hello"]


def test_a_name_that_looks_like_a_line_stays_a_name():
    """As captured from a real login of ``root from 10.9.9.9 port 22 ssh2``."""
    lines = [line.message for line in journal("bookworm") if "10.9.9.9" in line.message]
    assert len(lines) > 5
    for line in lines:
        event = parse(line)
        assert (event.user, event.address) == ("root from 10.9.9.9 port 22 ssh2", "172.17.0.1")


def test_a_certificate_named_like_a_line_is_read_where_it_can_be():
    (line, *_more) = [line.message for line in journal("trixie") if " ID x from 6.6.6.6" in line.message]
    assert facts(line) == (Kind.FAILED, "root", "172.17.0.1", "publickey")


def test_a_line_that_can_be_read_in_two_ways_is_not_believed():
    identity = f"x from 6.6.6.6 port 1 ssh2: {CERT} ID y"
    event = parse(f"Failed publickey for root from 192.0.2.1 port 4 ssh2: {CERT} ID {identity} (serial 0) CA {KEY}")
    assert event.kind is Kind.DECEPTIVE
    assert event.address == ""


#: Names that are made of what sshd's own lines are made of; sshd itself writes line feeds as \n.
HOSTILE = st.lists(
    st.sampled_from(
        [
            " from 6.6.6.6 port 22 ssh2", " from ", "6.6.6.6", " port ", "22", " ssh2", ": ", "invalid user ", "root",
            "Accepted password for root", " [preauth]", " not allowed because ", "user=", "rhost=6.6.6.6", " 6.6.6.6 port 1",
            KEY, " ID ", " (serial 0) CA ", "\\n", "é", "\t", "%s", "]", "", "message repeated 9 times: [ ",
        ]
    )
    | st.text(alphabet=st.characters(exclude_characters="\n\r"), max_size=12),
    max_size=8,
).map(lambda pieces: "".join(pieces)[:100])  # fmt: skip


@given(user=HOSTILE, invalid=st.booleans(), method=st.sampled_from(["password", "keyboard-interactive/pam"]))
def test_no_user_name_makes_a_failure_look_like_another_address(user, invalid, method):
    words = "invalid user " if invalid else ""
    event = parse(f"Failed {method} for {words}{user} from 192.0.2.1 port 4 ssh2")
    assert (event.kind, event.address, event.method) == (Kind.FAILED, "192.0.2.1", method)
    assert event.user == (user if invalid or not user.startswith("invalid user ") else user[len("invalid user ") :])


@given(user=HOSTILE)
def test_no_user_name_makes_other_lines_look_like_another_address(user):
    for line in (
        f"Invalid user {user} from 192.0.2.1 port 4",
        f"Connection closed by invalid user {user} 192.0.2.1 port 4 [preauth]",
        f"error: PAM: Authentication failure for illegal user {user} from 192.0.2.1",
        f"error: maximum authentication attempts exceeded for invalid user {user} from 192.0.2.1 port 4 ssh2 [preauth]",
        f"Disconnecting invalid user {user} 192.0.2.1 port 4: Too many authentication failures [preauth]",
    ):
        event = parse(line)
        assert event is not None
        assert event.kind in (Kind.ANNOUNCED, Kind.UNFINISHED, Kind.NOISE)
        assert event.address in ("192.0.2.1", "")


@given(user=HOSTILE, identity=HOSTILE)
def test_no_name_makes_a_failed_key_look_like_another_address(user, identity):
    event = parse(f"Failed publickey for {user} from 192.0.2.1 port 4 ssh2: {CERT} ID {identity} (serial 0) CA {KEY}")
    assert event.kind in (Kind.FAILED, Kind.DECEPTIVE)
    assert event.address in ("192.0.2.1", "")


@given(st.text(max_size=300))
def test_nothing_that_is_no_line_breaks_the_parser(text):
    parse(text)
