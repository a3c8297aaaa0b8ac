# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a task: their text, and one sentence for each thing that is wrong."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rotate import parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rule import (
    RULE_ARGUMENTS,
    parse_rules,
)

DEFAULTS = {**{name: spec.get("default") for name, spec in RULE_ARGUMENTS.items()}, "max_size": 0}
SHOP = {"name": "shop", "paths": ["/srv/shop/logs/*.log"]}


def rules(*entries):
    return parse_rules([{**DEFAULTS, **entry} for entry in entries])


def test_a_rule_names_every_setting_that_matters():
    (rule,) = rules(
        {
            **SHOP,
            "frequency": "daily",
            "keep": 30,
            "max_size": 104857600,
            "max_age_days": 90,
            "date_names": True,
            "create": "0640 shop adm",
            "run_as": "shop adm",
            "tell": {"unit": "shop.service", "signal": "USR1"},
        }
    )
    assert rule.text == (
        "# Written by fleetcare.maintenance.log_rotate; changes by hand are lost with its next run.\n"
        '"/srv/shop/logs/*.log"\n{\n    daily\n    maxsize 104857600\n    minsize 0\n    minage 0\n'
        "    rotate 30\n    start 1\n    maxage 90\n    missingok\n"
        "    notifempty\n    nomail\n    noolddir\n    nocopy\n    noshred\n    compress\n    delaycompress\n    dateext\n"
        "    dateformat -%Y%m%d-%H%M%S\n    nocopytruncate\n    create 0640 shop adm\n    su shop adm\n"
        "    sharedscripts\n    postrotate\n"
        "        if systemctl --quiet is-active shop.service; then systemctl kill --kill-who=main --signal=USR1 "
        "shop.service; fi\n    endscript\n}\n"
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "../shop"}, "rules[0].name"),
        ({"name": "shop.bak"}, "rules[0].name"),
        ({"name": ""}, "rules[0].name"),
        ({"paths": []}, "rules[0].paths"),
        ({"paths": ["logs/a.log"]}, "rules[0].paths[0]"),
        ({"paths": ["/srv/shop/*.log", "/srv/shop/a.log"]}, "rules[0].paths[1]"),
        ({"paths": ['/srv/a".log']}, "rules[0].paths[0]"),
        ({"paths": ["/srv/a.log\n{"]}, "rules[0].paths[0]"),
        ({"paths": ["/srv/../etc/a.log"]}, "rules[0].paths[0]"),
        ({"paths": ["/srv/logs/*"]}, "rules[0].paths[0]"),
        ({"paths": ["/srv/logs/app.log*"]}, "rules[0].paths[0]"),
        *(
            ({"paths": [path]}, "rules[0].paths[0]")
            for path in (
                "/etc/passwd",
                "/etc/*.conf",
                "/e*/*.log",
                "//etc/app.log",
                "/./etc/app.log",
                "/dev/sda",
                "/var/lib/mysql/ibdata1",
                "/var/l*/mysql/ibdata1",
                "/home/x/.bashrc",
                "/usr/bin/app.log",
                "/srv/x/*.log.?",
                "/srv/x/app.log?",
                "/srv/x/*g",
                "/srv/x/[a-z]*",
                "/srv/x/app*",
                "/srv/x/*.*[a-z0-9]",
                "/srv/x/app.log.1",
                "/srv/x/*.gz",
                "/srv/x/*.log-20260101",
                "/srv/x/*.log.[0-9]",
                "/srv/x/[!z]",
            )
        ),
        ({"keep": 0}, "rules[0].keep"),
        ({"max_age_days": -1}, "rules[0].max_age_days"),
        ({"create": "0640 shop"}, "rules[0].create"),
        ({"create": "0640 shop adm\n}"}, "rules[0].create"),
        ({"create": "0640 shop adm", "copy_truncate": True}, "rules[0].create"),
        ({"run_as": "shop;reboot adm"}, "rules[0].run_as"),
        ({"tell": {"unit": "shop; reboot", "signal": None}}, "rules[0].tell.unit"),
        ({"tell": {"unit": "shop", "signal": "KILL"}}, "rules[0].tell.signal"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_in_a_sentence(change, place):
    with pytest.raises(OptionError, match=r"^Option '.*' is .*, but must be .*\.$") as caught:
        rules({**SHOP, **change})
    assert caught.value.option == place


FINE = [
    "/srv/shop/logs/*.log", "/var/log/httpd/*log", "/var/log/syslog", "/var/log/app?.log", "/var/log/[a-c].err",
    "/var/lib/docker/containers/*/*-json.log", "/var/lib/pgsql/16/data/log/postgresql", "/home/x/app.log",
    "/home/x/logs/worker", "/root/nohup.out", "/var/log/Xorg.0.log", "/opt/x/output.txt", "/srv/x/a b.log",
]  # fmt: skip
ROTATED = [".1", ".12", ".1.gz", ".2.zst", "-20260101", "-20260101.gz", ".20260101"]


@pytest.mark.parametrize("path", FINE)
def test_what_a_rule_may_name_matches_no_rotated_name(path):
    rules({**SHOP, "paths": [path]})
    name = path.rpartition("/")[2]
    logs = {name.replace("*", some).replace("?", "x").replace("[a-c]", "a") for some in ("", "x", "x.log", "app-1")}
    assert all(fnmatchcase(log, name) for log in logs)
    assert not any(fnmatchcase(log + added, name) for log in logs for added in ROTATED)


def test_two_rules_for_one_log_are_refused():
    with pytest.raises(OptionError, match="rule 'shop' names /srv/shop/logs/\\*\\.log"):
        rules(SHOP, {"name": "other", "paths": ["/srv/shop/logs/app.log"]})
    with pytest.raises(OptionError, match="unlike the name"):
        rules(SHOP, {"name": "shop", "paths": ["/srv/x.log"]})


def test_a_rule_that_is_to_go_is_not_rotated():
    options = {"rules": [{**DEFAULTS, "name": "shop", "state": "absent"}], "rotate": [], "force": ["shop"]}
    with pytest.raises(OptionError, match="a rule that is to be there"):
        parse({**options, "force_pause_seconds": 3600})
    with pytest.raises(OptionError, match="force_pause_seconds"):
        parse({**options, "force": [], "force_pause_seconds": 1})
    with pytest.raises(OptionError, match="rotate\\[0\\]"):
        parse({**options, "rotate": ["a/b"], "force": [], "force_pause_seconds": 3600})
