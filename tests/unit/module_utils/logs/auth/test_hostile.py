# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that were written to stop the review, to slow it down, or to have it believe what nobody with a right said."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import firewall, local, senders, sshd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import MAX_MESSAGE, Line, source_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import sources
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings, read_networks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import MAX_TIMES, unrepeated
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import NOW, make_review
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
    words = "(words not shown)" if program == "sudo" else f"pam_unix({program}:auth): {PAM}"
    assert finding.evidence[1].endswith(f"uid 1000 as {program}: {words}")


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


SECRET = "Hunter2Secret"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sudo", f"alice : (command continued) -u admin:{SECRET} https://x"),
        ("sudo", f"alice : (command continued) --data=a={SECRET} ; USER=root ; COMMAND=/bin/{SECRET}"),
        ("sudo", f"alice : {SECRET}=x"),
        ("sudo", f"alice : {SECRET} ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id {SECRET}"),
        ("sudo", f"{SECRET} of a coming version"),
        ("su", f"{SECRET} of a coming version"),
    ],
)
@pytest.mark.parametrize("uid", [0, 1000])
def test_no_words_of_sudo_and_su_are_shown(ask, review, program, words, uid):
    review.take(Line(START, program, words, uid=uid, comm=program if uid == 0 else "logger"))
    for check in ("auth_unparsed", "auth_forged", "auth_sudo_failures", "auth_accounts"):
        assert not any(SECRET in line for line in ask(check, review)[0].evidence)


def test_the_rest_of_a_long_command_is_neither_a_command_nor_a_riddle(review):
    review.take(Line(START, "sudo", "alice : PWD=/ ; USER=root ; COMMAND=/usr/bin/curl -v"))
    review.take(Line(START, "sudo", f"alice : (command continued) -u admin:{SECRET} https://x"))
    review.take(Line(START, "sudo", f"alice : (command continued) a={SECRET}"))
    assert (review.commands, review.refused.number, review.unparsed.number) == (1, 0, 0)


def fail(review, user, *, number=1, address="203.0.113.9", invalid="invalid user "):
    for at in range(number):
        say(review, f"Failed password for {invalid}{user} from {address} port 4 ssh2", pid=f"{user}{address}{at}")


def evidence(ask, review):
    checks = ("auth_failures", "auth_spray", "auth_distributed")
    return "\n".join(line for check in checks for line in ask(check, review)[0].evidence)


def test_a_password_that_was_typed_for_a_name_is_not_shown(ask, review):
    fail(review, "S3cr3t-Pa55!", number=2)
    fail(review, "hunter2")
    fail(review, "alice", invalid="")
    fail(review, "Oracle")
    told = evidence(ask, review)
    assert "S3cr3t" not in told
    assert "hunter2" not in told
    assert "alice: 1" in told
    assert "Oracle (no such user): 1" in told
    assert "\n2 names of no account not shown, with 3 attempts" in told
    assert "203.0.113.9: 4 users such as 'Oracle', 'alice', 2 names of no account not shown" in told


def test_a_name_that_several_addresses_tried_is_nobodys_password(ask, review):
    fail(review, "reception")
    assert "reception" not in evidence(ask, review)
    fail(review, "reception", address="198.51.100.4")
    assert "reception (no such user): 2" in evidence(ask, review)


def test_who_is_there_and_is_not_let_in_is_shown(ask, review):
    say(review, "User bob from 203.0.113.9 not allowed because not listed in AllowUsers")
    say(review, "Failed password for invalid user bob from 203.0.113.9 port 4 ssh2")
    say(review, "Failed password for invalid user bob from 203.0.113.9 port 4 ssh2")
    assert "users: bob: 2" in evidence(ask, review)


def test_what_was_typed_at_a_service_of_which_pam_tells_is_not_shown(ask, review):
    words = "authentication failure; logname= uid=0 euid=0 tty=ftp ruser={} rhost=203.0.113.9{}"
    review.take(Line(START, "vsftpd", f"pam_unix(vsftpd:auth): {words.format(SECRET, ' ')}"))
    review.take(Line(START, "vsftpd", f"pam_unix(vsftpd:auth): {words.format('alice', '  user=alice')}"))
    told = evidence(ask, review)
    assert SECRET not in told
    assert "'alice'" in told


@pytest.mark.parametrize(
    "words",
    [
        f"input_userauth_request: invalid user {SECRET} [preauth]",
        f"a new line on invalid user {SECRET} from 192.0.2.1",
        f"a new line on illegal user {SECRET}",
    ],
)
def test_no_name_is_shown_in_a_line_that_is_not_understood(ask, review, words):
    say(review, words)
    (line,) = ask("auth_unparsed", review)[0].evidence
    assert SECRET not in line
    assert "legal user (name not shown)" in line.replace("invalid", "illegal")


PREFIX = "2001:db8:1:2::/64"


def test_a_network_of_ipv6_is_one_source(ask, review):
    for number in range(3000):
        line = f"Failed password for u{number % 30} from 2001:db8:1:2:{number:x}:1:2:3 port 4 ssh2"
        say(review, line, pid=str(number), when=START + number / 10)
    assert [address for address, _source in review.sources.heaviest()] == [PREFIX]
    (burst,) = ask("auth_brute_force", review)
    (spray,) = ask("auth_spray", review)
    assert (burst.status, burst.value, spray.value) == ("critical", 3000, 30)
    assert burst.evidence[0].startswith(f"{PREFIX}: 3000 until ")
    assert ask("auth_distributed", review)[0].value == 1
    say(review, "Accepted password for u1 from 2001:db8:1:2::7 port 4 ssh2", when=NOW - 1)
    (success,) = ask("auth_success_after_failures", review)
    assert (success.status, success.item) == ("critical", "u1 from 2001:db8:1:2::7")


def test_failures_of_a_network_are_remembered_from_run_to_run(review):
    memory = review.memory
    memory.add_failures([(PREFIX, 9, 0, START)], since=START - 1)
    kept = make_review(memory=memory.as_data()).memory
    assert kept.failures(PREFIX, since=START) == (9, 0)
    former = make_review(memory={"failures": {"2001:db8:1:2::5": [9, 0, START]}}).memory
    assert former.failures(PREFIX, since=START) == (9, 0)


@pytest.mark.parametrize(
    ("address", "source"),
    [("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("2001:db8:1:2:3:4:5:6", PREFIX), ("fe80::1", "fe80::/64")],
)
def test_who_an_address_counts_as(address, source):
    assert source_of(address) == source


def test_an_allowed_address_of_a_network_is_allowed_alone(ask):
    review = make_review(networks_allowed=read_networks(["2001:db8:1:2::5"], option="networks_allowed"))
    fail(review, "root", number=7, address="2001:db8:1:2::5", invalid="")
    fail(review, "root", number=2, address="2001:db8:1:2::6", invalid="")
    assert ask("auth_brute_force", review)[0].value == 2


def test_blocked_packets_of_a_network_are_one_source():
    blocks = Blocks(Settings(blocked=firewall.BLOCKED))
    for number in range(5):
        packet = f"[UFW BLOCK] IN=eth0 OUT= SRC=2001:db8:1:2::{number} DST=2001:db8::1 PROTO=TCP SPT=1 DPT=23 SYN"
        blocks.take(firewall.parse(packet), START)
    assert [(source, entry.packets) for source, entry in blocks.sources.heaviest()] == [(PREFIX, 5)]


def test_the_report_gets_an_address_that_it_can_read(review):
    fail(review, "root", address="2001:db8:1:2::6", invalid="")
    view = SimpleNamespace(logins=review, kernel=None)
    assert sources(view) == [{"address": "2001:db8:1:2::", "failures": 1, "blocked": 0}]
