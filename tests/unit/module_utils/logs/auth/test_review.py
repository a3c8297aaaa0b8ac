# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of many lines: bursts, sprays, successes after failures, networks, forgeries; and how much is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import Line
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import TOLD, remember, sources
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import read_networks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.tally import Burst, Few, Tally
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import (
    CATALOGUE,
    NOW,
    journal,
    make_review,
    sshd,
)

KEY = "ED25519 SHA256:TX/isXpFw/OuMLAeO/+xhRfw7Mgww/D8U7FAOjCTB5I"
START = NOW - 7200


def fail(review, number, *, address="203.0.113.9", user="root", every=1.0, start=START, first_pid=1000):
    for at in range(number):
        line = f"Failed password for {user} from {address} port 4 ssh2"
        sshd(review, line, when=start + at * every, pid=str(first_pid + at))


def succeed(review, *, user="root", address="203.0.113.9", method="password", when=START + 600, pid="9"):
    extra = f": {KEY}" if method == "publickey" else ""
    sshd(review, f"Accepted {method} for {user} from {address} port 4 ssh2{extra}", when=when, pid=pid)


def test_brute_force_is_the_most_within_the_span(ask, review):
    fail(review, 30, every=30.0)
    fail(review, 25, address="198.51.100.4", every=1.0)
    (finding,) = ask("auth_brute_force", review)
    assert (finding.status, finding.value) == ("info", 25)
    assert finding.summary.startswith("Most failures of one address within 10 min: 25 (info from 10, ")
    assert finding.evidence[0] == "198.51.100.4: 25 until 2026-11-25 10:00:24Z, 25 in all"
    assert finding.evidence[1].startswith("203.0.113.9: 20 until ")


def test_failures_at_the_console_are_for_pam_to_tell(ask, review):
    words = "pam_unix(login:auth): authentication failure; logname=LOGIN uid=0 euid=0 tty=/dev/tty1 ruser= rhost="
    for number in range(4):
        review.take(Line(START + number, "login", f"{words}  user=root", pid="77", uid=0, comm="login"))
        review.take(
            Line(START + number, "login", f"FAILED LOGIN ({number + 1}) on '/dev/tty1' FOR 'root', x", pid="77")
        )
    (finding,) = ask("auth_failures", review)
    assert "4 in" in finding.summary
    assert "users: root: 4" in finding.evidence


def test_slow_guessing_is_no_burst_and_counts_all_the_same(ask, review):
    fail(review, 100, every=72.0)
    (burst,) = ask("auth_brute_force", review)
    (rate,) = ask("auth_failures", review)
    assert (burst.status, rate.value) == ("ok", 50)
    assert "100 in 2 h by 1 address" in rate.summary
    assert rate.evidence[1] == "203.0.113.9: 100 failures, 50 an hour, users: 'root'"


def test_spray_and_its_opposite(ask, review):
    for number in range(30):
        fail(review, 1, user=f"user{number}", first_pid=number)
        fail(review, 1, user="admin", address=f"198.51.100.{number}", first_pid=100 + number)
    (spray,) = ask("auth_spray", review)
    (distributed,) = ask("auth_distributed", review)
    assert (spray.status, spray.value) == ("warning", 30)
    assert spray.evidence[0].startswith("203.0.113.9: 30 users such as 'user0', 'user1'")
    assert (distributed.status, distributed.value) == ("info", 30)
    assert distributed.evidence == ("admin: 30 addresses, 30 attempts",)


def test_success_after_failures_is_critical_and_tells_what_followed(ask, review):
    fail(review, 12)
    succeed(review)
    review.take(Line(START + 700, "sudo", "root : PWD=/ ; USER=root ; COMMAND=/usr/bin/id -u secret", uid=0))
    review.take(Line(START + 800, "useradd", "new user: name=toor, UID=0, GID=0, home=/root", uid=0))
    (finding,) = ask("auth_success_after_failures", review)
    assert (finding.status, finding.item, finding.value) == ("critical", "root from 203.0.113.9", 12)
    assert finding.evidence == (
        "2026-11-25 10:10:00Z let in, 1 login in all",
        "2026-11-25 10:11:40Z sudo as root: /usr/bin/id",
        "2026-11-25 10:13:20Z user toor added",
    )


def test_typing_errors_are_no_attack(ask, review):
    fail(review, 2)
    succeed(review)
    (finding,) = ask("auth_success_after_failures", review)
    assert (finding.status, finding.summary) == ("ok", "None of 1 login came after failures of its address")


def test_each_success_starts_anew(ask, review):
    """Somebody who mistypes twice a day is not an attacker after three days."""
    for day in range(4):
        fail(review, 2, first_pid=day * 10)
        succeed(review, when=START + day)
    assert ask("auth_success_after_failures", review)[0].status == "ok"


def test_passwords_that_failed_say_nothing_of_a_key_that_was_accepted(ask, review):
    """Behind one address of an office there are many people."""
    fail(review, 50)
    succeed(review, user="alice", method="publickey")
    assert ask("auth_success_after_failures", review)[0].status == "ok"


def test_failures_of_the_run_before_count(ask):
    first = make_review()
    fail(first, 12)
    memory = first.memory
    memory.add_failures([("203.0.113.9", 12, 0, START)], since=START - 1)
    review = make_review(memory=memory.as_data())
    succeed(review)
    assert ask("auth_success_after_failures", review)[0].value == 12
    long_ago = make_review(memory={"failures": {"203.0.113.9": [12, 0, START - 200_000]}})
    succeed(long_ago)
    assert ask("auth_success_after_failures", long_ago)[0].status == "ok"


def test_new_networks_are_told_once_and_only_after_a_first_look(ask):
    first = make_review()
    succeed(first, user="alice", address="192.0.2.7", method="publickey")
    (learning,) = ask("auth_new_network", first)
    assert learning.status == "ok"
    assert learning.summary == "First run: 1 network of 1 user remembered, to be compared with from now on"
    second = make_review(memory=first.memory.as_data())
    for address in ("192.0.2.250", "198.51.100.1", "198.51.100.2", "2001:db8:1:2::3"):
        succeed(second, user="alice", address=address, method="publickey")
    (finding,) = ask("auth_new_network", second)
    assert (finding.status, finding.value) == ("warning", 2)
    assert finding.evidence[1] == f"2026-11-25 10:10:00Z alice from 198.51.100.1 by publickey, {KEY.split()[1]}"
    third = make_review(memory=second.memory.as_data())
    succeed(third, user="alice", address="198.51.100.3", method="publickey")
    assert ask("auth_new_network", third)[0].status == "ok"


def test_root_by_password_is_told_and_by_key_is_not(ask, review):
    succeed(review, method="publickey")
    assert ask("auth_root_login", review)[0].status == "ok"
    succeed(review)
    (finding,) = ask("auth_root_login", review)
    assert (finding.status, finding.evidence) == (
        "warning",
        ("2026-11-25 10:10:00Z root by password from 203.0.113.9",),
    )


def test_allowed_networks_and_users_are_counted_and_not_judged(ask):
    review = make_review(
        networks_allowed=read_networks(["203.0.113.0/24"], option="networks_allowed"), users_allowed=("probe*",)
    )
    fail(review, 20)
    fail(review, 5, user="probe1", address="198.51.100.4", first_pid=2000)
    (finding,) = ask("auth_failures", review)
    assert "25 in 2 h by 0 addresses; 25 of allowed networks and users not judged" in finding.summary
    assert ask("auth_brute_force", review)[0].value == 0


def test_who_writes_in_the_name_of_sshd_is_told_and_not_believed(ask, review):
    forged = Line(START, "sshd", "Accepted password for root from 6.6.6.6 port 1 ssh2", uid=1001, comm="logger")
    review.take(forged)
    review.take(Line(START, "sudo", "root : PWD=/ ; USER=root ; COMMAND=/bin/sh", uid=1001, comm="logger"))
    review.take(
        Line(START, "sudo", "root : PWD=/ ; USER=root ; COMMAND=/bin/sh", uid=1001, comm="sudo", exe="/home/a/sudo")
    )
    assert not review.logins
    assert not review.commands
    (finding,) = ask("auth_forged", review)
    assert (finding.status, finding.value) == ("warning", 3)
    review.take(
        Line(START, "sudo", "a : PWD=/ ; USER=root ; COMMAND=/bin/sh", uid=1001, comm="sudo", exe="/usr/bin/sudo")
    )
    assert review.commands == 1


def test_lines_that_are_not_understood_are_told(ask, review):
    sshd(review, "something new from a coming version")
    sshd(review, "Server listening on :: port 22.")
    sshd(review, "Server listening on :: port 23.")
    (finding,) = ask("auth_unparsed", review)
    assert (finding.status, finding.value) == ("warning", 33.33)
    assert finding.evidence == ("2026-11-25 11:00:00Z sshd: something new from a coming version",)


def test_how_an_announced_login_failed_is_told_once_it_is_known(ask, review):
    for pid in ("1", "2", "3"):
        sshd(review, "Invalid user test from 203.0.113.9 port 4", pid=pid)
    sshd(review, "Failed password for invalid user test from 203.0.113.9 port 4 ssh2", pid="1")
    sshd(review, f"Failed publickey for invalid user test from 203.0.113.9 port 4 ssh2: RSA SHA256:{'A' * 43}", pid="2")
    (finding,) = ask("auth_failures", review)
    assert finding.evidence[0] == "by method: no password 1, password 1, publickey 1"
    sshd(review, "Failed password for invalid user test from 203.0.113.9 port 4 ssh2", pid="3")
    (finding,) = ask("auth_failures", review)
    assert finding.evidence[0] == "by method: password 2, publickey 1"


def test_services_of_which_pam_alone_tells(ask, review):
    words = "authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=a rhost=203.0.113.9  user=a"
    review.take(Line(START, "auth", f"pam_unix(dovecot:auth): {words}"))
    (finding,) = ask("auth_failures", review)
    assert finding.evidence[0] == "by method: dovecot 1"


def test_everything_is_bounded_and_what_was_let_go_is_told(ask, review):
    fail(review, 40)
    for number in range(20_000):
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        fail(review, 1, address=address, user=f"u{number}", first_pid=number + 5000)
    assert len(review.sources) <= 4000
    assert len(review.accounts) <= 4000
    assert next(review.sources.heaviest())[0] == "203.0.113.9"
    (finding,) = ask("auth_failures", review)
    assert "20040 in 2 h by " in finding.summary
    assert "or more addresses" in finding.summary
    (spray,) = ask("auth_spray", review)
    assert spray.status == "ok"


def test_one_address_with_more_users_than_are_told_apart(ask, review):
    for number in range(500):
        fail(review, 1, user=f"u{number}", first_pid=number)
    (finding,) = ask("auth_spray", review)
    assert finding.value == 100
    assert finding.summary.endswith("; 100 or more: more are not told apart")


def test_a_real_journal_answered(ask):
    review = make_review()
    for line in journal("bookworm"):
        review.take(line)
    (success,) = ask("auth_success_after_failures", review)[:1]
    assert success.status == "critical"
    assert success.item == "alice from 172.17.0.1"
    (sudo,) = ask("auth_sudo_failures", review)
    assert sudo.value == 5
    assert "mallory, sudo as root: user NOT in sudoers: /usr/bin/id" in "".join(sudo.evidence)


def make_view(ask_view, review):
    return ask_view(review)


def test_what_is_remembered_and_what_the_fleet_is_told(review):
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.view import View

    fail(review, 12)
    fail(review, 1, address="198.51.100.4")
    for number in range(2 * TOLD):
        fail(review, 1, address=f"10.0.{number >> 8}.{number & 255}", first_pid=number + 5000)
    view = View({}, CATALOGUE, LevelBook(), Settings(), review, None, (), (), (), NOW)
    told = sources(view)
    assert told[0] == {"address": "203.0.113.9", "failures": 12, "blocked": 0}
    assert len(told) == TOLD
    kept = remember(review.memory, view)
    assert kept["failures"] == {"203.0.113.9": [12, 0, START + 11]}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["networks", "failures", "ports", "a", "192.0.2.1"]), inner, max_size=4)
        ),
    )
)
def test_damaged_memory_is_no_memory(data):
    review = make_review(memory=data if isinstance(data, dict) else {"networks": data, "failures": data, "ports": data})
    succeed(review)
    fail(review, 3)
    review.memory.as_data()


@given(st.lists(st.integers(min_value=0, max_value=5000), max_size=60))
def test_a_burst_is_never_more_than_all_and_never_less_than_the_most_at_once(times):
    burst = Burst(600)
    for when in sorted(times):
        burst.add(float(when), 1)
    real = max((sum(1 for other in times if start <= other < start + 600) for start in times), default=0)
    fewest = max((sum(1 for other in times if start <= other < start + 540) for start in times), default=0)
    assert fewest <= burst.most <= real


def test_a_tally_keeps_the_heaviest():
    tally: Tally[int, Few] = Tally(lambda: Few(100), weight=lambda few: (len(few), 0.0), capacity=10)
    for number in range(1000):
        entry = tally.at(number % 7 if number % 3 else number)
        entry.add(str(number))
    assert len(tally) <= 20
    assert {key for key, _entry in list(tally.heaviest())[:7]} == set(range(7))
    assert tally.dropped > 300
