# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One refused login is one attempt, in however many lines it is told."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import (
    journal,
    make_review,
    sshd,
)

KEY = "ED25519 SHA256:TX/isXpFw/OuMLAeO/+xhRfw7Mgww/D8U7FAOjCTB5I"
FROM = "from 192.0.2.1 port 4"


@pytest.mark.parametrize(
    ("lines", "attempts"),
    [
        ([f"Invalid user x {FROM}", f"Failed password for invalid user x {FROM} ssh2"], 1),
        ([f"Invalid user x {FROM}", *[f"Failed password for invalid user x {FROM} ssh2"] * 3], 3),
        ([f"Invalid user x {FROM}", "Connection closed by invalid user x 192.0.2.1 port 4 [preauth]"], 1),
        ([f"Failed password for x {FROM} ssh2", "Connection closed by authenticating user x 192.0.2.1 port 4"], 1),
        (["Connection closed by authenticating user x 192.0.2.1 port 4 [preauth]"], 1),
        (["error: PAM: Authentication failure for x from 192.0.2.1"] * 3, 3),
        (
            [
                "error: PAM: Authentication failure for x from 192.0.2.1",
                f"Failed keyboard-interactive/pam for x {FROM} ssh2",
            ]
            * 3,
            3,
        ),
        (
            [
                f"Invalid user x {FROM}",
                *[
                    "error: PAM: Authentication failure for illegal user x from 192.0.2.1",
                    f"Failed keyboard-interactive/pam for invalid user x {FROM} ssh2",
                ]
                * 3,
            ],
            3,
        ),
        ([f"Failed publickey for x {FROM} ssh2: {KEY}"] * 4, 1),
        (
            ["User x from 192.0.2.1 not allowed because not listed in AllowUsers", f"Failed password for invalid user x {FROM} ssh2"],
            1,
        ),
        ([f"message repeated 4 times: [ Failed password for x {FROM} ssh2]"], 4),
        (
            [
                "error: maximum authentication attempts exceeded for root from 192.0.2.1 port 4 ssh2 [preauth]",
                "Disconnecting authenticating user root 192.0.2.1 port 4: Too many authentication failures [preauth]",
            ],
            1,
        ),
    ],
)  # fmt: skip
def test_attempts_of_one_connection(lines, attempts):
    review = make_review()
    for line in lines:
        sshd(review, line)
    assert review.failures == attempts
    assert review.sources.known("192.0.2.1").attempts == attempts
    assert sum(review.methods.values()) == attempts


def test_connections_do_not_share_their_attempts():
    review = make_review()
    for pid in ("1", "2", "3"):
        sshd(review, f"Invalid user x {FROM}", pid=pid)
    assert review.failures == 3


def test_a_server_that_keeps_quiet_leaves_the_count_to_pam():
    review = make_review()
    words = "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root"
    sshd(review, f"pam_unix(sshd:auth): {words}")
    sshd(review, "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root")
    assert review.failures == 0
    assert review.sources.known("192.0.2.1").failures == 3
    assert review.sources.known("192.0.2.1").worst.most == 3


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_real_afternoon(suite):
    """As counted by process: its failures by password, or one where it logged any other way of not getting in."""
    review = make_review()
    for line in journal(suite):
        review.take(line)
    # trixie's sshd turned seven connections away, which bookworm's let try.
    assert review.failures == {"bookworm": 32, "trixie": 25}[suite]
    assert (
        dict(review.logins)
        == {
            "bookworm": {"password": 4, "publickey": 2, "keyboard-interactive": 1},
            "trixie": {"password": 3, "publickey": 1, "keyboard-interactive": 1},
        }[suite]
    )
    assert review.dropped == {"bookworm": 0, "trixie": 7}[suite]
    assert review.unparsed.number == 0
    # "Accepted password for root from 6.6.6.6", which alice sent with logger.
    assert [words for _when, words in review.forged] == [
        "uid 1001 as sshd: Accepted password for root from 6.6.6.6 port 1 ssh2", "uid 1001 as sshd: hello",
    ]  # fmt: skip
    assert review.sources.known("6.6.6.6") is None
