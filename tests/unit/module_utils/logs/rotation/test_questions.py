# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a host's rotation: a healthy one, and each thing that can be wrong with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors, OpenFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.journald import Archived, Folder
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.check import QUESTIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import Configuration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import DryRun, parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.evidence import LargeFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.schedule import Schedule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.status import Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.view import (
    Covered,
    Generation,
    Journal,
    Snapshot,
    Space,
    View,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.walk import LargeFiles

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
MIB, GIB = 1024**2, 1024**3
SPOILT = parse((Path(__file__).parent / "fixtures/debug-3.22.txt").read_text())
SHOP = Rule("/etc/logrotate.d/shop", 1, ("/srv/shop/*.log",), {"daily": "", "rotate": "5"})
LOG = "/srv/shop/a.log"


def rule(**settings):
    return replace(SHOP, settings=settings)


@pytest.fixture
def healthy():
    return Snapshot(
        configuration=Configuration(rules=[SHOP], files=["/etc/logrotate.conf", SHOP.file]),
        covered=Covered({LOG: SHOP}, (), {LOG: 10}, {(1, 2): LOG}),
        dry_run=DryRun((), (), (), (), (), (), (), "/var/lib/logrotate/status"),
        status=Status("/var/lib/logrotate/status", NOW - timedelta(hours=5), {LOG: NOW - timedelta(days=1)}),
        schedule=Schedule("logrotate.timer"),
        large_files=LargeFiles((), 1000),
        descriptors=Descriptors((opened(LOG, writing=False),)),
        journal=Journal((Folder("/var/log/journal/a", (), 8 * MIB),), {}, True, 100 * GIB, 50 * GIB),
        space=Space("/var/log", 100 * GIB, 50 * GIB),
    )


def opened(path, *, used=4096, links=1, writing=True, pid=812, inode=2):
    return OpenFile(pid, "shopd", 3, path, 1, inode, used, used, links, writing)


def ask(snapshot, *checks, book=None):
    view = View(memory={}, catalogue=CATALOGUE, book=book or LevelBook(), host=snapshot, now=NOW)
    findings, metrics = answer(view, QUESTIONS, frozenset(f"logs.{check}" for check in checks), item="logrotate")
    assert all(isinstance(metric, Metric) for metric in metrics)
    return findings


def said(snapshot, *checks):
    return [(finding.status, finding.item, finding.summary) for finding in ask(snapshot, *checks)]


def test_a_healthy_host_is_healthy(healthy):
    findings = ask(healthy, *(check.split(".")[1] for check in QUESTIONS))
    assert {finding.check for finding in findings} == set(QUESTIONS)
    assert {finding.status for finding in findings} == {"ok"}


@pytest.mark.parametrize(
    ("check", "status", "words"),
    [
        ("rotation_errors", "critical", "logrotate reports 4 errors: broken:3 bad rotation count 'many'"),
        (
            "rotation_duplicates",
            "warning",
            "1 log named by two rules: twice:1 duplicate log entry for /var/log/dpkg.log",
        ),
        ("rotation_missing", "warning", "3 logs named without missingok and not there: /srv/dup/gone.log"),
        ("rotation_folders", "critical", "/srv/open/a.log"),
    ],
)
def test_what_logrotate_says_is_passed_on(healthy, check, status, words):
    ((found, item, summary),) = said(replace(healthy, dry_run=SPOILT), check)
    assert (found, item) == (status, "logrotate")
    assert words in summary


def test_who_may_not_ask_says_so(healthy):
    absent = Absent("only root may see all that logrotate would do", remedy="Run the check with become.")
    assert said(replace(healthy, dry_run=absent), "rotation_errors") == [
        ("skipped", "logrotate", "only root may see all that logrotate would do")
    ]
    hidden = Descriptors((), ("mysqld",))
    assert [one[0] for one in said(replace(healthy, descriptors=hidden), "rotation_reopen", "deleted_open")] == [
        "skipped", "skipped",
    ]  # fmt: skip


def test_ignored_files(healthy):
    ignored = {
        "/etc/logrotate.d/a": "can be written to by group or others (mode 0664)",
        "/b": "has a name that logrotate leaves out",
    }
    found = said(replace(healthy, configuration=Configuration(ignored=ignored)), "rotation_files")
    assert [one[:2] for one in found] == [("info", "/b"), ("warning", "/etc/logrotate.d/a")]


def test_a_program_that_is_not_told_of_a_rename(healthy):
    writing = replace(healthy, descriptors=Descriptors((opened(LOG),)))
    assert said(writing, "rotation_reopen") == [
        ("warning", LOG, f"shop renames {LOG}, and does not tell shopd (process 812)")
    ]
    for good in (rule(copytruncate=""), replace(SHOP, scripts={"postrotate"})):
        covered = Covered({LOG: good}, (), {}, {(1, 2): LOG})
        assert said(replace(writing, covered=covered), "rotation_reopen")[0][0] == "ok"


def test_a_program_in_a_container_is_known_by_the_file_and_not_by_its_path(healthy):
    inside = replace(healthy, descriptors=Descriptors((opened("/app/logs/a.log"),)))
    assert said(inside, "rotation_reopen")[0][:2] == ("warning", LOG)
    other = replace(healthy, descriptors=Descriptors((opened(LOG, inode=3),)))
    assert said(other, "rotation_reopen")[0][0] == "ok"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"daily": ""}, "keeps no old log"),
        ({"daily": "", "rotate": "-1"}, "for ever"),
        ({"size": "1M", "rotate": "3", "dateext": ""}, "may rotate twice a day"),
        ({"rotate": "3"}, "neither a period nor a size"),
    ],
)
def test_settings_that_work_against_a_rule(healthy, settings, words):
    configuration = Configuration(rules=[rule(**settings)])
    ((status, item, summary),) = said(replace(healthy, configuration=configuration), "rotation_options")
    assert (status, item) == ("info", "/srv/shop/*.log")
    assert words in summary


def test_settings_that_are_right(healthy):
    for settings in (
        {"rotate": "-1", "maxage": "90", "daily": ""},
        {"size": "1M", "rotate": "3", "dateext": "", "dateformat": "-%Y%m%d-%s"},
        {"hourly": "", "rotate": "3", "dateext": ""},
    ):
        assert (
            said(replace(healthy, configuration=Configuration(rules=[rule(**settings)])), "rotation_options")[0][0]
            == "ok"
        )


def test_uncompressed_logs_are_measured(healthy):
    covered = Covered({}, (Generation("/l/a.log.2", 900 * MIB), Generation("/l/a.log.3", 200 * MIB)), {})
    (finding,) = ask(replace(healthy, covered=covered), "rotation_uncompressed")
    assert (finding.status, finding.value, finding.evidence[0]) == ("warning", 1100 * MIB, "/l/a.log.2: 900 MiB")


@pytest.mark.parametrize(("days", "status"), [(1, "ok"), (3, "warning"), (9, "critical")])
def test_the_age_of_the_last_run(healthy, days, status):
    written = replace(healthy.status, written=NOW - timedelta(days=days))
    assert said(replace(healthy, status=written), "rotation_age")[0][0] == status
    never = Status("/s", None, {}, since=NOW - timedelta(days=days))
    found = said(replace(healthy, status=never), "rotation_age")[0]
    assert found[0] == status
    assert "has not run yet since it was installed" in found[2]


def test_a_status_of_the_future_says_nothing_of_the_last_run(healthy):
    """The clock went back; a run that is told as just now may be long ago."""
    ahead = replace(healthy.status, written=NOW + timedelta(days=3))
    status, _item, words = said(replace(healthy, status=ahead), "rotation_age")[0][:3]
    assert status == "unknown"
    assert words.startswith("the status file of logrotate was written 3 d in the future")
    little = replace(healthy.status, written=NOW + timedelta(minutes=5))
    assert said(replace(healthy, status=little), "rotation_age")[0][0] == "ok"


def test_a_log_is_overdue_after_two_periods_and_a_day(healthy):
    def with_entry(days, settings=None, size=10):
        return replace(
            healthy,
            status=replace(healthy.status, entries={LOG: NOW - timedelta(days=days)}),
            covered=Covered({LOG: rule(**(settings or {"daily": ""}))}, (), {LOG: size}),
        )

    assert said(with_entry(4), "rotation_overdue")[0][:2] == ("warning", "logrotate")
    assert said(with_entry(3), "rotation_overdue")[0][0] == "ok"
    assert said(with_entry(14, {"weekly": ""}), "rotation_overdue")[0][0] == "ok"
    assert said(with_entry(16, {"weekly": ""}), "rotation_overdue")[0][0] == "warning"
    for excuse in ({"size": "1M"}, {"daily": "", "minsize": "1M"}, {"daily": "", "minage": "9"}):
        assert said(with_entry(99, excuse), "rotation_overdue")[0][0] == "ok"
    assert said(with_entry(99, size=0), "rotation_overdue")[0][0] == "ok"


def test_the_schedule(healthy):
    dead = Schedule("", "logrotate.timer is masked", "exit-code, exit status 1")
    assert said(replace(healthy, schedule=dead), "rotation_schedule") == [
        ("critical", "logrotate", "nothing starts logrotate: logrotate.timer is masked"),
        ("critical", "logrotate.service", "the last run of logrotate failed (exit-code, exit status 1)"),
    ]
    assert said(replace(healthy, schedule=Schedule("logrotate.timer", "x")), "rotation_schedule")[0][0] == "warning"


def test_large_logs_that_nothing_rotates(healthy):
    covered = Covered({LOG: SHOP}, (), {LOG: GIB})
    files = [
        LargeFile(LOG, GIB),
        LargeFile("/srv/shop/a.log.2", GIB),
        LargeFile("/srv/shop/b-20260101.log", GIB),
        LargeFile("/srv/other/b.log", 20 * MIB),
        LargeFile("/srv/other/b.log.1", 6 * GIB),
    ]
    found = said(replace(healthy, covered=covered, large_files=LargeFiles(tuple(files), 9)), "large_files")
    assert [one[:2] for one in found] == [("warning", "/srv/other/b.log"), ("critical", "/srv/other/b.log.1")]


def test_large_logs_are_found_without_logrotate_too(healthy):
    alone = replace(
        healthy, covered=Absent("there is no /etc/logrotate.conf"), large_files=LargeFiles((LargeFile(LOG, GIB),), 9)
    )
    assert said(alone, "large_files")[0][:2] == ("warning", LOG)


def test_a_walk_that_was_cut_short_is_never_ok(healthy):
    cut = LargeFiles((), 9, unreadable=2, incomplete="the walk stopped in /srv after 9 entries")
    assert said(replace(healthy, large_files=cut), "large_files") == [
        ("info", "walk", "the walk stopped in /srv after 9 entries; 2 folders may not be entered")
    ]


def test_what_may_be_a_log_is_never_ok_and_who_writes_to_one_is_told(healthy):
    files = (LargeFile("/tmp/shop.log", 20 * MIB, writer="shopd (process 812)"),)
    found = said(replace(healthy, large_files=LargeFiles(files, 9, undecided=2)), "large_files")
    assert found[0][1:] == (
        "/tmp/shop.log",
        "not rotated by any rule: 20 MiB (warning from 16 MiB, critical from 5 GiB); shopd (process 812) writes to it",
    )
    assert found[1] == ("info", "walk", "2 large files may be logs, for who writes to them may not be seen")


def test_many_large_logs_are_summed_up(healthy):
    files = tuple(LargeFile(f"/srv/{number}.log", 20 * MIB) for number in range(25))
    found = said(replace(healthy, large_files=LargeFiles(files, 99)), "large_files")
    assert len(found) == 21
    assert found[-1] == ("warning", "others", "5 more large logs (100 MiB) without a rule")


def test_deleted_files_count_once_and_by_their_holder(healthy):
    gone = [
        opened("/srv/a.log", used=90 * MIB, links=0, inode=5),
        opened("/srv/b.log", used=20 * MIB, links=0, inode=6),
    ]
    child = opened("/srv/a.log", used=90 * MIB, links=0, inode=5, pid=813)
    (finding,) = ask(replace(healthy, descriptors=Descriptors((*gone, child))), "deleted_open")
    assert (finding.status, finding.item, finding.value) == ("warning", "shopd (812)", 110 * MIB)
    assert finding.evidence[0] == "/srv/a.log: 90 MiB, descriptor 3"


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"persistent": False}, "info", "lost with every boot"),
        ({"settings": {"SystemMaxUse": "60G"}}, "warning", "half of its file system or more"),
        ({"settings": {"SystemMaxUse": "1G"}, "folders": (Folder("/j", (Archived("a", NOW, NOW, 2 * GIB),), MIB),)}, "warning", "and takes 2 GiB"),
    ],
)  # fmt: skip
def test_limits_of_the_journal(healthy, change, status, words):
    ((found, _item, summary),) = said(replace(healthy, journal=replace(healthy.journal, **change)), "journal_limits")
    assert found == status
    assert words in summary


def test_shares_of_the_file_system(healthy):
    full = replace(healthy, space=Space("/var/log", 100 * GIB, 4 * GIB))
    assert said(full, "partition_free")[0][0] == "critical"
    large = replace(healthy.journal, folders=(Folder("/j", (), 16 * GIB),))
    assert said(replace(healthy, journal=large), "journal_use")[0][0] == "warning"
