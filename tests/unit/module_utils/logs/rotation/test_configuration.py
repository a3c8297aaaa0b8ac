# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logrotate's configuration as it is in force: inheritance, includes, taboos, and files that are not written yet."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import configuration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import (
    overlap,
    read_configuration,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import parse, written

MAIN = """# a comment
weekly
rotate 4
create
#compress
include {folder}
dateext
/var/log/local.log {{ missingok
}}
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A main file with a folder of rules; whoever runs the test stands in for root."""
    real = configuration._unusable
    monkeypatch.setattr(
        configuration, "_unusable", lambda path: "" if real(path).startswith("belongs to uid") else real(path)
    )
    folder = tmp_path / "logrotate.d"
    folder.mkdir()
    (tmp_path / "logrotate.conf").write_text(MAIN.format(folder=folder))

    def add(name, text, mode=0o644):
        (folder / name).write_text(text)
        os.chmod(folder / name, mode)
        return str(folder / name)

    add.main = str(tmp_path / "logrotate.conf")
    add.folder = str(folder)
    return add


def test_a_rule_inherits_what_stands_before_it_alone(tree):
    tree("shop", '/srv/a.log "/srv/b c.log"\n/srv/d.log {\n daily\n compress\n postrotate\n  x { y\n endscript\n}\n')
    first, second = read_configuration(tree.main).rules
    assert first.patterns == ("/srv/a.log", "/srv/b c.log", "/srv/d.log")
    assert first.settings == {"rotate": "4", "create": "", "daily": "", "compress": ""}
    assert (first.line, first.frequency, first.scripts) == (1, "daily", {"postrotate"})
    assert second.patterns == ("/var/log/local.log",)
    assert second.settings == {"weekly": "", "rotate": "4", "create": "", "dateext": "", "missingok": ""}


@pytest.mark.parametrize("end", ["endscript # done\n}", "endscript }", "\tendscript\n}"])
def test_a_script_ends_as_it_does_for_logrotate(tree, end):
    tree("shop", f"/srv/a.log {{\n postrotate\n  endscripts\n  x\n {end}\n/srv/b.log {{ daily }}\n")
    patterns = [rule.patterns for rule in read_configuration(tree.main).rules]
    assert patterns == [("/srv/a.log",), ("/srv/b.log",), ("/var/log/local.log",)]


def test_what_an_included_file_says_outside_of_rules_holds_for_the_next(tree):
    tree("a", "nocreate\nrotate 9\n")
    tree("b", "/srv/b.log { size 5M\n}\n")
    rules = read_configuration(tree.main).rules
    assert rules[0].settings == {"rotate": "9", "size": "5M"}
    assert rules[1].settings["rotate"] == "9"


def test_a_file_that_is_not_written_yet_is_read_where_it_would_stand(tree):
    tree("a", "rotate 9\n")
    path = f"{tree.folder}/b"
    shown = read_configuration(tree.main, overlay={path: "/srv/b.log { daily\n}\n"})
    assert shown.rules[0].file == path
    assert shown.preludes[path] == {"weekly": "", "create": "", "rotate": "9"}
    assert written(shown.preludes[path]) == "weekly\ncreate\nrotate 9\n"


def test_files_that_logrotate_ignores_are_said(tree):
    tree("shop.bak", "/srv/a.log { daily\n}\n")
    tree("open", "/srv/b.log { daily\n}\n", mode=0o664)
    os.mkdir(f"{tree.folder}/below")
    assert {os.path.basename(path): why for path, why in read_configuration(tree.main).ignored.items()} == {
        "shop.bak": "has a name that logrotate leaves out",
        "open": "can be written to by group or others (mode 0664)",
        "below": "is no regular file",
    }
    assert [rule.patterns[0] for rule in read_configuration(tree.main).rules] == ["/var/log/local.log"]


def test_a_file_that_includes_itself_comes_to_an_end(tree):
    tree("round", f"include {tree.folder}/round\n")
    assert "is included too deep" in read_configuration(tree.main).ignored.values()


def test_without_a_configuration_there_is_no_answer(tmp_path):
    with pytest.raises(Absent, match="there is no"):
        read_configuration(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("/l/a.log", "/l/a.log", "/l/a.log"),
        ("/l/*.log", "/l/none.log", "/l/none.log"),
        ("/l/none.log", "/l/*.log", "/l/none.log"),
        ("/l/*.log", "/l/*.err", ""),
        ("/l/a.log", "/l/b.log", ""),
    ],
)
def test_two_patterns_that_name_one_log(one, other, common):
    assert overlap(one, other) == common


def test_two_globs_that_meet_in_a_log_that_is_there(tmp_path):
    (tmp_path / "ab.log").touch()
    assert overlap(f"{tmp_path}/a*.log", f"{tmp_path}/*b.log") == f"{tmp_path}/ab.log"


LINES = st.sampled_from(
    [
        "weekly",
        "rotate 4",
        "}",
        "{",
        "/a/b.log {",
        '"/x y" {',
        "postrotate",
        "endscript",
        "include /x",
        "su a b",
        "#",
        "daily }",
    ]
)


@given(st.lists(LINES | st.text(max_size=20), max_size=30))
def test_no_text_breaks_the_reader(lines):
    parse("\n".join(lines), file="f", settings={}, include=lambda path: None)


RED_HAT_SYSLOG = """/var/log/cron
/var/log/maillog
/var/log/messages
/var/log/secure
/var/log/spooler
{
    missingok
    sharedscripts
    postrotate
        /usr/bin/systemctl -s HUP kill rsyslog.service >/dev/null 2>&1 || true
    endscript
}
"""
RED_HAT_WTMP = """# no packages own wtmp -- we'll rotate it here
/var/log/wtmp {
    missingok
    monthly
    create 0664 root utmp
    minsize 1M
    rotate 1
}
"""


def test_red_hat_s_rules_for_syslog_and_wtmp(tree):
    tree("rsyslog", RED_HAT_SYSLOG)
    tree("wtmp", RED_HAT_WTMP)
    syslog, wtmp, _local = read_configuration(tree.main).rules
    assert syslog.patterns == tuple(f"/var/log/{name}" for name in ("cron", "maillog", "messages", "secure", "spooler"))
    assert syslog.scripts == {"postrotate"}
    assert (syslog.frequency, syslog.settings["rotate"]) == ("weekly", "4")
    assert (wtmp.patterns, wtmp.frequency) == (("/var/log/wtmp",), "monthly")
    assert (wtmp.settings["create"], wtmp.settings["minsize"], wtmp.settings["rotate"]) == ("0664 root utmp", "1M", "1")
