# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy's options: defaults of the guides, nearest folders, and one sentence for each thing that is wrong."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import (
    ARGUMENTS,
    POLICY_ARGUMENTS,
    parse,
)


def entry(**given):
    return {**{name: spec.get("default") for name, spec in POLICY_ARGUMENTS.items()}, "max_bytes": 0, **given}


def options(*policy, **given):
    defaults = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    return {**defaults, "budget_bytes": 50 * 2**30, "policy": list(policy), **given}


APP = entry(**{"class": "application", "paths": ["/var/log/shop"]})


def test_the_guides_days_are_the_defaults():
    policy = parse(
        options(
            APP,
            entry(**{"class": "database", "paths": ["/var/log/mysql"]}),
            entry(**{"class": "system", "paths": ["/var/log/"]}),
        )
    )
    assert {root.kind: root.limits.days for root in policy.roots if root.limits} == {
        "application": 90, "database": 30, "system": 365,
    }  # fmt: skip


def test_the_nearest_folder_decides_and_audit_is_never_ours():
    policy = parse(options(APP, entry(**{"class": "system", "paths": ["/var/log"]})))
    assert policy.root_of("/var/log/shop/a.log.1").kind == "application"
    assert policy.root_of("/var/log/shopping/a.log.1").kind == "system"
    assert policy.root_of("/var/log/audit/audit.log.4").limits is None
    assert policy.root_of("/srv/a.log.1") is None


def test_a_hold_covers_what_lies_below_it():
    policy = parse(options(APP, hold=["/var/log/shop/pay*", "*/dispute"]))
    assert policy.holds("/var/log/shop/payment.log.1")
    assert policy.holds("/var/log/shop/pay/2026/a.log.1")
    assert policy.holds("/srv/dispute/a.log.1")
    assert not policy.holds("/var/log/shop/a.log.1")


@pytest.mark.parametrize(
    "glob", ["/var/log/shop/", "//var/log//shop", "/var/./log/shop/.", "*/shop/", "/", "*", "/var/log/[s]hop"]
)
def test_a_hold_is_read_however_it_is_written(glob):
    assert parse(options(APP, hold=[glob])).holds("/var/log/shop/a.log.1")


@pytest.mark.parametrize("glob", ["[a", "*[a", "*[!a", "*[]", "*[z-a]", "/a/../b", "shop*", "/a\0"])
def test_a_glob_that_can_match_nothing_is_refused(glob):
    for given in ({"hold": [glob]}, {"policy": [{**APP, "exclude": [glob]}]}):
        with pytest.raises(OptionError, match=r"\[0\]' is .*, but must be a glob .*\.$"):
            parse({**options(APP), **given})


@pytest.mark.parametrize(
    "folder",
    ["/home/x/logs", "/var/lib/pgsql/16/data/log", "/usr/local/nginx/logs/old", "/srv/x", "/opt/x/data", "/data"],
)
def test_folders_of_logs_are_taken(folder):
    assert parse(options(entry(**{"class": "system", "paths": [folder]}))).roots[0].path == folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class": "audit", "days": 3}, "policy[0].days"),
        ({"class": "shop"}, "given for class 'shop'"),
        ({"class": " "}, "a name such as"),
        ({"days": 3}, "the floor (keep_days)"),
        ({"days": float("nan")}, "the floor (keep_days)"),
        ({"keep_newest": 0}, "policy[0].keep_newest"),
        ({"keep_days": 0}, "policy[0].keep_days"),
        ({"max_files": -1}, "policy[0].max_files"),
        ({"paths": []}, "at least one folder"),
        ({"paths": ["logs"]}, "absolute path"),
        ({"paths": ["/var/log/../../etc"]}, "without '..'"),
        ({"paths": ["/"]}, "not one of the system's own"),
        ({"paths": ["/etc/shop"]}, "not one of the system's own"),
        ({"paths": ["//var//"]}, "not one of the system's own"),
        ({"paths": ["/home"]}, "not one of the system's own"),
        ({"paths": ["/var/log/journal/abc"]}, "not one of the system's own"),
        *(
            ({"paths": [folder]}, "not one of the system's own")
            for folder in (
                "/var/lib/postgresql",
                "/var/lib/docker",
                "/usr/local",
                "/var/backups/db",
                "/home/x",
                "/var/lib/mysql",
                "/var/lib/docker/overlay2/1/diff/var/log",
                "/snap/x/logs",
                "/var/spool/cron/logs",
                "/tmp",
                "/home/x/blogs",
            )
        ),
        ({"names": ["*"]}, "policy[0].names[0]"),
        ({"names": ["a/b"]}, "policy[0].names[0]"),
        ({"paths": ["/var/log/audit"]}, "nothing is ever removed of audit records"),
        ({"paths": ["/var/log/shop", "/var/log/shop/"]}, "names each folder once"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_in_a_sentence(change, words):
    with pytest.raises(OptionError, match=r"^Option '.*' is .*, but must be .*\.$") as caught:
        parse(options({**APP, **change}))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"policy": []}, "given unless 'journal' is"),
        ({"keep_newest": 0}, "keep_newest"),
        ({"keep_days": 0.5}, "keep_days"),
        ({"budget_files": 5001}, "budget_files"),
        ({"budget_percent": 0}, "budget_percent"),
        ({"hold": ["shop"]}, "hold[0]"),
        ({"journal": {"days": None, "max_bytes": None}}, "days, max_bytes or both"),
        ({"journal": {"days": 2, "max_bytes": None}}, "journal.days"),
        ({"journal": {"days": None, "max_bytes": 1}}, "journal.max_bytes"),
    ],
)
def test_what_is_wrong_with_the_rest_is_said_in_a_sentence(given, words):
    with pytest.raises(OptionError) as caught:
        parse({**options(APP), **given})
    assert words in str(caught.value)
