# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written, refused, rotated and left: decided from what was seen."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors, OpenFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.act import _is_rotated
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import Configuration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.dryrun import Considered, DryRun
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.plan import (
    Decision,
    Log,
    Present,
    decide_rotation,
    decide_rule,
    is_ours,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rule import MARK, Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule

FINE = DryRun((), (), (), (), (), (), (), "")
WANTED = Wanted("shop", ("/srv/shop/a.log",), f"{MARK}\nx\n", leaves_file=False, tells=False, replace=False)
MIB = 1024**2


def writer(path="/srv/shop/a.log", *, writing=True):
    return Descriptors((OpenFile(812, "shopd", 3, path, 1, 2, 10, 4096, 1, writing),))


def look(path):
    """Every log is there, and is the one that a writer has open."""
    return Log(path, 1, 2, 10, 10 * MIB)


def decide(wanted=WANTED, present=None, *, rules=(), descriptors=None, said=FINE, ignored=None):
    asked = []

    def tried(path, text):
        asked.append(text)
        return said

    files = [wanted.path] if present and ignored is None else []
    configuration = Configuration(rules=list(rules), files=files, ignored=ignored or {})
    found = decide_rule(wanted, present, configuration, descriptors or Descriptors(()), tried, look)
    return found, asked


def rule(file, *patterns):
    return Rule(file, 3, patterns, {})


def test_a_rule_that_is_not_there_is_written_after_a_trial():
    found, asked = decide()
    assert (found.write.action, found.write.target, found.write.reversible) == ("write", "/etc/logrotate.d/shop", True)
    assert asked == [WANTED.text]


def test_a_rule_that_is_as_it_is_wanted_is_left_alone():
    found, asked = decide(present=Present(WANTED.text, True))
    assert (found.write, found.refusal, asked) == (None, "", [])


@pytest.mark.parametrize("ignored", [{WANTED.path: "can be written to by group or others (mode 0666)"}, {}])
def test_a_rule_that_logrotate_does_not_read_is_not_as_it_is_wanted(ignored):
    found, _asked = decide(present=Present(WANTED.text, True), ignored=ignored)
    why = ignored.get(WANTED.path, "is not included")
    assert (found.write.action, found.write.reason) == ("write", f"logrotate does not read it: it {why}")


def test_a_rule_of_somebody_else_is_replaced_only_when_asked_to():
    theirs = Present("/srv/shop/a.log { daily\n}\n", False)
    assert "set replace" in decide(present=theirs)[0].refusal
    wanted = Wanted("shop", WANTED.paths, WANTED.text, leaves_file=False, tells=False, replace=True)
    assert decide(wanted, theirs)[0].write.reason == "it differs from what is wanted"
    gone = Wanted("shop", (), "", leaves_file=True, tells=False, replace=False)
    assert "set replace" in decide(gone, theirs)[0].refusal
    assert decide(gone, Present(WANTED.text, True))[0].write.action == "remove"
    assert decide(gone)[0].write is None


def test_a_log_of_another_rule_is_refused_and_one_of_the_old_rule_is_not():
    found, asked = decide(rules=[rule("/etc/logrotate.d/rsyslog", "/var/log/*.log", "/srv/shop/*.log")])
    assert found.refusal == (
        "/etc/logrotate.d/rsyslog line 3 rotates /srv/shop/a.log already, and a log may stand in one rule alone"
    )
    assert (found.write, asked) == (None, [])
    assert decide(rules=[rule("/etc/logrotate.d/shop", "/srv/shop/a.log")])[0].write


@pytest.mark.parametrize("given", [{"leaves_file": True}, {"tells": True}])
def test_a_program_that_holds_its_log_open_has_to_learn_of_it(given):
    assert "shopd (process 812) holds /srv/shop/a.log open" in decide(descriptors=writer())[0].refusal
    wanted = Wanted(
        "shop", WANTED.paths, WANTED.text, **{"leaves_file": False, "tells": False, "replace": False, **given}
    )
    assert decide(wanted, descriptors=writer())[0].write
    assert decide(descriptors=writer(writing=False))[0].write
    blind = Descriptors((), ("mysqld",))
    assert "1 process hold open may not be seen" in decide(descriptors=blind)[0].refusal
    assert decide(wanted, descriptors=blind)[0].write


def test_a_program_in_a_container_has_the_same_file_open_by_another_path():
    assert "shopd (process 812) holds /srv/shop/a.log open" in decide(descriptors=writer("/app/a.log"))[0].refusal
    other = Descriptors((OpenFile(812, "shopd", 3, "/srv/shop/a.log", 1, 3, 10, 4096, 1, True),))
    assert decide(descriptors=other)[0].write, "the path is that of another file, in a container of its own"


def test_what_logrotate_objects_to_is_not_written():
    said = DryRun(("unknown user 'x'",), (), (), (), (), (), (), "")
    found, _asked = decide(said=said)
    assert (found.write, found.refusal) == (None, "unknown user 'x'")


def considered(**fates):
    return tuple(Considered("p", f"/l/{name}.log", fate) for name, fate in fates.items())


def rotation(fates, *, sizes=None, forced=False, copies=False, pause="", free=10 * 1024 * MIB):
    sizes = sizes or {}
    decision = Decision("shop", "/etc/logrotate.d/shop")
    decide_rotation(
        decision,
        said=DryRun((), (), (), (), (), (), considered(**fates), ""),
        forced=forced,
        look=lambda path: Log(path, 1, hash(path), sizes.get(path[3:-4], 5), free),
        copies=copies,
        pause=pause,
    )
    return decision


def test_what_is_due_by_its_own_rule_is_rotated_and_nothing_else():
    found = rotation({"a": "due", "b": "not due", "c": "missing", "d": "skipped"})
    assert [log.path for log in found.logs] == ["/l/a.log"]
    assert found.rotate.estimate == {"logs": 1, "bytes": 5}
    assert rotation({"b": "not due"}).kept == "none of its logs is due"


def test_a_forced_rotation_takes_all_that_hold_something_and_keeps_its_pause():
    found = rotation({"a": "due", "b": "not due", "c": "missing"}, sizes={"a": 0}, forced=True)
    assert [log.path for log in found.logs] == ["/l/b.log"]
    assert rotation({"a": "not due"}, sizes={"a": 0}, forced=True).kept == "none of its logs holds anything"
    assert rotation({"a": "not due"}, forced=True, pause="wait").kept == "wait"


def test_a_copy_that_does_not_fit_is_not_begun():
    kept = rotation({"a": "due"}, sizes={"a": 900 * MIB}, copies=True, free=950 * MIB).kept
    assert kept.startswith("copies of its logs take 900 MiB and 950 MiB is free")
    assert rotation({"a": "due"}, sizes={"a": 900 * MIB}, free=MIB).rotate


@pytest.mark.parametrize(
    ("after", "rotated"),
    [
        (None, True),
        (Log("/l/a.log", 1, 8, 500, 0), True),
        (Log("/l/a.log", 1, 7, 0, 0), True),
        (Log("/l/a.log", 1, 7, 500, 0), False),
        (Log("/l/a.log", 1, 7, 900, 0), False),
    ],
)
def test_a_rotation_shows_in_the_file_system(after, rotated):
    assert _is_rotated(Log("/l/a.log", 1, 7, 500, 0), after) is rotated


def test_whose_a_file_is_stands_in_its_first_line():
    assert is_ours(f"{MARK}\n/x {{\n}}\n")
    assert not is_ours(f"# older\n{MARK}\n")
