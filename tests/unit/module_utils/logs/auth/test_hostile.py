# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that were written to stop the review, to slow it down, or to have it believe what nobody with a right said."""

from __future__ import annotations

import re
import sys

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import firewall, local, senders, sshd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import MAX_MESSAGE, Line
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import MAX_TIMES, unrepeated
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import NOW
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import sshd as say

if sys.version_info >= (3, 11):
    from re import _constants as constants
    from re import _parser as parser
else:
    import sre_constants as constants
    import sre_parse as parser

START = NOW - 7200
PAM = "authentication failure; logname= uid=0 euid=0 tty=ftp ruser= rhost=198.51.100.7  user=root"
KEY = "ED25519 SHA256:TX/isXpFw/OuMLAeO/+xhRfw7Mgww/D8U7FAOjCTB5I"


def more(digits):
    return f"PAM {digits} more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.9"


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 400, "1" + "0" * 17, "10000"])
def test_an_absurd_number_of_failures_is_not_understood(ask, review, digits):
    review.take(Line(START, "foo", more(digits)))
    say(review, "Server listening on :: port 22.")
    assert ask("auth_failures", review)[0].value == 0
    assert ask("auth_unparsed", review)[0].value == 50


def test_a_line_says_no_more_than_so_many_times_that_it_was_repeated():
    assert unrepeated("message repeated 999999999 times: [ x]") == ("x", MAX_TIMES)


@pytest.mark.parametrize("error", [OverflowError, ValueError, IndexError, TypeError, RecursionError])
def test_an_error_in_one_line_ends_neither_the_review_nor_the_count(ask, review, monkeypatch, error):
    def raising(_message, **_more):
        raise error("too large")

    monkeypatch.setattr(local, "parse_pam", raising)
    say(review, more(2))
    say(review, "Failed password for root from 203.0.113.9 port 4 ssh2")
    assert review.failures == 1
    assert ask("auth_unparsed", review)[0].value == 50


def patterns():
    for module in (sshd, local, firewall):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", value
    for number, (pattern, _words) in enumerate(local._ACCOUNT_LINES):
        yield f"local account {number}", pattern


def unbounded(tree):
    """How many repeats of any character without an end there are, each of which multiplies the others' work."""
    found = 0
    for kind, argument in tree:
        if kind in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            _least, most, inner = argument
            dots = sum(1 for inside, _argument in inner if inside is constants.ANY)
            found += dots if most is constants.MAXREPEAT else 0
            found += unbounded(inner)
        elif kind is constants.SUBPATTERN:
            found += unbounded(argument[-1])
        elif kind is constants.BRANCH:
            found += max(unbounded(branch) for branch in argument[1])
    return found


def test_no_pattern_takes_the_square_of_a_line():
    seen = dict(patterns())
    assert len(seen) > 25
    assert {name for name, one in seen.items() if unbounded(parser.parse(one.pattern, one.flags)) > 1} == set()


def test_the_count_of_repeats_can_fail():
    assert unbounded(parser.parse("user (.*) added by (?:x|.*?)$")) == 2


def test_no_more_than_so_much_of_a_message_is_looked_at(review, monkeypatch):
    seen = []
    monkeypatch.setattr(senders, "read", lambda _line, message: seen.append(len(message)))
    review.take(Line(START, "sshd", "PAM: " + " for " * 200_000))
    assert seen == [MAX_MESSAGE]


def test_keys_of_which_much_is_said_are_read_as_before():
    words = f"Accepted publickey for a from 192.0.2.1 port 4 ssh2: {KEY}"
    signed = f" (serial 1) CA {KEY}"
    client = ', client user "", client host ""'
    for end in ("", f" ID {signed}", f" ID a{signed}{signed}", client, f" ID a{signed}{client}{client}"):
        assert sshd.parse(words + end).key == KEY.split()[1]
    for end in (
        " ",
        f" ID{signed}",
        signed,
        f" ID a{signed} ",
        client[:-1],
        ', client user ", client host "',
        f"{client}x",
    ):
        assert sshd.parse(words + end) is None


@pytest.mark.parametrize(
    ("program", "comm", "exe"),
    [
        ("vsftpd", "logger", "/usr/bin/logger"),
        ("vsftpd", "", ""),
        ("vsftpd", "vsftpd", "/usr/sbin/vsftpd"),
        ("sshd", "sshd", "/usr/sbin/sshd"),
        ("sudo", "logger", "/usr/bin/logger"),
        # A process may call itself what it likes.
        ("sudo", "sudo", "/usr/bin/python3.11"),
        ("sudo", "sudo", "/home/a/sudo"),
        ("sudo", "", ""),
    ],
)
def test_who_is_not_root_reports_no_failure_and_no_new_password(ask, review, program, comm, exe):
    for number in range(200):
        line = Line(START + number, program, f"pam_unix({program}:auth): {PAM}", str(number), 1000, comm, exe)
        review.take(line)
    words = "pam_unix(passwd:chauthtok): password changed for root"
    review.take(Line(START, program, words, uid=1000, comm=comm, exe=exe))
    assert (review.failures, review.changes.number, len(review.sources)) == (0, 0, 0)
    (finding,) = ask("auth_forged", review)
    assert (finding.status, finding.value) == ("warning", 201)
    assert finding.evidence[1].endswith(f"uid 1000 as {program}: pam_unix({program}:auth): {PAM}")


@pytest.mark.parametrize(
    ("program", "comm", "exe"),
    [
        ("sudo", "sudo", "/usr/bin/sudo"),
        ("sudo", "sudo", "/usr/bin/sudo.ws"),
        ("sudo", "sudo", ""),
        # sudo and su have often gone when the journal asks who they were.
        ("sudo", "", ""),
    ],
)
def test_programs_that_become_root_are_believed(review, program, comm, exe):
    words = "a : user NOT in sudoers ; PWD=/ ; USER=root ; COMMAND=/bin/sh"
    review.take(Line(START, program, words, uid=1000, comm=comm, exe=exe))
    assert (review.refused.number, review.forged.number) == (1, 0)


def test_a_password_that_its_owner_changed_is_no_forgery(review):
    words = "pam_unix(passwd:chauthtok): password changed for alice"
    review.take(Line(START, "passwd", words, uid=1000, comm="passwd", exe="/usr/bin/passwd"))
    assert (review.changes.number, review.forged.number) == (1, 0)


def test_a_service_that_is_root_is_believed_and_so_is_a_file(review):
    review.take(Line(START, "vsftpd", f"pam_unix(vsftpd:auth): {PAM}", uid=0, comm="vsftpd"))
    review.take(Line(START, "vsftpd", f"pam_unix(vsftpd:auth): {PAM}"))
    assert (review.failures, review.forged.number) == (2, 0)
