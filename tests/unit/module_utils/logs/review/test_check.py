# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reviews one after the other: what is new, what is sudden, what came with a release, and what is told when it fails."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import journald
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import check as review_check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import judge, options
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.review.conftest import Review


def answers(result: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {finding["check"]: (finding["status"], finding["summary"]) for finding in result["findings"]}


def one(result: Mapping[str, Any], check_id: str) -> dict[str, Any]:
    found = [finding for finding in result["findings"] if finding["check"] == check_id]
    assert len(found) == 1, found
    return found[0]


def add(log: Path, text: str, times: int = 1) -> None:
    with log.open("a") as stream:
        stream.write(text * times)


def test_a_quiet_log_is_ok_and_the_first_review_takes_stock(review: Review, log: Path) -> None:
    add(log, "calm\n[error] known 1\n")
    first = review()
    assert one(first, "logs.errors")["status"] == "info"
    assert one(first, "logs.new")["status"] == "skipped"
    second = review()
    assert answers(second)["logs.errors"][0] == "ok"
    assert one(second, "logs.new")["status"] == "ok"
    assert one(second, "logs.spike")["status"] == "skipped"


def test_new_kinds_are_told_once_and_stand_first(review: Review, log: Path) -> None:
    add(log, "[error] known 1\n")
    review()
    add(log, "[error] known 2\n", 50)
    add(log, "[error] never seen 3\n")
    result = review()
    new = one(result, "logs.new")
    assert (new["status"], new["value"], new["evidence"]) == ("warning", 1, ["1x error: [error] never seen <n>"])
    assert one(result, "logs.errors")["evidence"][0].startswith("new, 1x error: [error] never seen")
    assert one(result, "logs.errors")["value"] == pytest.approx(51 / 24, abs=0.001)
    add(log, "[error] never seen 4\n")
    assert one(review(), "logs.new")["status"] == "ok"


def test_the_format_of_a_log_is_remembered(review: Review, log: Path) -> None:
    """By its new lines alone it would be another one, and what is known would be of a new kind."""
    add(
        log,
        "2026-11-25 15:18:03 0 [Note] Starting MariaDB 10.11.18\n2026-11-25 15:18:04 6 [ERROR] Cannot open table 17\n",
    )
    review()
    add(log, "2026-11-26 15:18:04 6 [ERROR] Cannot open table 18\n")
    result = review()
    assert one(result, "logs.new")["status"] == "ok"
    (known,) = one(result, "logs.errors")["evidence"]
    assert known.startswith("1x error: [ERROR] Cannot open table <n> (known since ")


def test_a_rate_far_above_the_usual_is_a_spike(review: Review, log: Path) -> None:
    for _day in range(4):
        add(log, "[error] known 1\n", 10)
        review()
    add(log, "[error] known 1\n", 70)
    spike = one(review(), "logs.spike")
    assert spike["status"] == "warning"
    assert spike["value"] == pytest.approx(7, abs=0.01)
    assert "known" in spike["evidence"][0]


def test_kinds_of_a_release_are_told_until_the_next_one(review: Review, log: Path) -> None:
    add(log, "[error] old 1\n")
    review(release="1")
    add(log, "[error] old 1\n[error] came with two\n")
    assert one(review(release="2"), "logs.release")["value"] == 1
    later = one(review(release="2"), "logs.release")
    assert later["status"] == "warning"
    assert "came with two" in later["evidence"][0]
    assert one(review(release="3"), "logs.release")["status"] == "ok"


def test_fatal_errors_alarm_in_the_first_review_too(review: Review, log: Path) -> None:
    add(log, "panic: out of everything\n")
    assert one(review(), "logs.fatal")["status"] == "warning"


def test_a_fatal_error_that_is_new_is_told_once(review: Review, log: Path) -> None:
    review(first="start")
    with log.open("a") as stream:
        stream.write("ERROR disk quota exceeded\n" * 3 + "FATAL out of shared memory\n" * 2 + "FATAL lost the disk\n")
    result = review()

    fatal, new = one(result, "logs.fatal"), one(result, "logs.new")
    assert (fatal["value"], new["value"]) == (3, 1)
    assert one(result, "logs.errors")["summary"].endswith("; 6 events of 3 kinds in 1 d")
    assert fatal["summary"].endswith("; 2 kinds are new; such as FATAL out of shared memory")
    assert fatal["evidence"] == ["new, 2x fatal: FATAL out of shared memory", "new, 1x fatal: FATAL lost the disk"]
    assert new["evidence"] == ["3x error: ERROR disk quota exceeded"]
    assert new["summary"].endswith("; and 2 fatal ones, told by logs.fatal; such as ERROR disk quota exceeded")

    with log.open("a") as stream:
        stream.write("FATAL lost the tape\nFATAL lost the disk\n")
    result = review()

    assert one(result, "logs.fatal")["summary"].endswith("; 1 kind is new; such as FATAL lost the tape")
    new = one(result, "logs.new")
    assert (new["status"], new["value"]) == ("ok", 0)
    assert new["summary"].endswith("; and 1 fatal one, told by logs.fatal")


@pytest.mark.parametrize("given", [{"checks": ["logs.new"]}, {"levels": {"logs.fatal": {"warning": 5}}}])
def test_a_fatal_error_that_logs_fatal_does_not_tell_is_new_all_the_same(
    review: Review, log: Path, given: dict[str, Any]
) -> None:
    review(first="start")
    with log.open("a") as stream:
        stream.write("FATAL lost the disk\n")

    new = one(review(**given), "logs.new")

    assert (new["status"], new["value"]) == ("warning", 1)
    assert new["evidence"] == ["1x fatal: FATAL lost the disk"]


def test_two_reviews_of_one_log_do_not_eat_each_other_s_lines(review: Review, log: Path) -> None:
    review(name="a")
    review(name="b")
    add(log, "[error] x\n", 30)
    assert one(review(name="a"), "logs.errors")["value"] == pytest.approx(30 / 48, abs=0.01)
    assert one(review(name="b"), "logs.errors")["value"] == pytest.approx(30 / 48, abs=0.01)


def test_a_run_whose_record_was_lost_reads_its_lines_again(review: Review, log: Path) -> None:
    kept = review()["state_generation"]
    add(log, "[error] x\n", 24)
    lost = review(state_acknowledged=kept)
    again = review(state_acknowledged=kept)
    assert "; 24 events of" in one(lost, "logs.errors")["summary"]
    assert "; 24 events of" in one(again, "logs.errors")["summary"]
    assert "0 events of" in one(review(state_acknowledged=again["state_generation"]), "logs.errors")["summary"]


def test_check_mode_finds_the_same_and_remembers_nothing(review: Review, log: Path) -> None:
    review()
    add(log, "[error] x\n", 24)
    predicted = review(check_mode=True, alive={"command": None, "log": str(log), "seconds": 1.0})
    assert "state_generation" not in predicted
    assert one(predicted, "logs.alive")["status"] == "skipped"
    assert one(review(), "logs.new")["value"] == 1


def test_what_is_lost_is_told_and_the_rest_is_read(review: Review, log: Path) -> None:
    add(log, "one\n" * 100)
    review()
    log.write_text("[error] after\n")
    result = review()
    assert one(result, "logs.lost")["status"] == "warning"
    assert "; 1 event of" in one(result, "logs.errors")["summary"]


def test_a_log_that_appears_under_a_known_glob_is_read_from_its_start(review: Review, log: Path) -> None:
    glob = str(log.parent / "*.log")
    review(files=[glob], first="end")
    (log.parent / "other.log").write_text("[error] x\n" * 24)
    findings = review(files=[glob], first="end")["findings"]
    other = [one_ for one_ in findings if one_["check"] == "logs.errors" and one_["item"].endswith("other.log")]
    assert "24 events of" in other[0]["summary"]


def test_a_dated_log_that_was_packed_meanwhile_is_read_to_its_end(review: Review, log: Path) -> None:
    glob = str(log.parent / "day-*.log")
    dated = log.parent / "day-20260302.log"
    dated.write_text("one\n")
    review(files=[glob], first="start")
    add(dated, "[error] at night\n")
    subprocess.run(["gzip", str(dated)], check=True)
    (log.parent / "day-20260303.log").write_text("[error] by day\n")
    result = review(files=[glob])
    errors = one(result, "logs.errors")
    assert errors["item"].endswith("/day-*.log")
    assert "2 events of 2 kinds" in errors["summary"]
    assert one(result, "logs.lost")["status"] == "ok"


def test_logs_with_the_date_in_their_names_are_one_log(review: Review, log: Path) -> None:
    """As PostgreSQL's collector writes them: a new file each day, and yesterday's is deleted after a while."""
    glob, kept = [str(log.parent / "postgresql-*.log")], []
    for day in range(1, 6):
        path = log.parent / f"postgresql-2026-03-{day:02}_000000.log"
        path.write_text(f"2026-03-{day:02} 00:00:00.123 UTC [7] ERROR:  known failure {day}\n" * 12)
        kept.append(path)
        result = review(files=glob)
        assert one(result, "logs.lost")["status"] == "ok"
        if day > 2:
            kept[day - 3].unlink()
    assert one(result, "logs.new")["status"] == "ok"
    assert one(result, "logs.spike")["status"] == "ok"
    path = log.parent / "postgresql-2026-03-06_000000.log"
    path.write_text("2026-03-06 00:00:00.123 UTC [7] ERROR:  disk quota exceeded\n" * 20000)
    add(kept[-1], "2026-03-05 23:59:59.123 UTC [7] ERROR:  known failure 7\n" * 12)
    result = review(files=glob)
    errors = one(result, "logs.errors")
    assert (errors["status"], errors["item"]) == ("critical", str(log.parent / "postgresql-*.log"))
    assert "20012 events of 2 kinds in 1 d" in errors["summary"]
    assert one(result, "logs.new")["evidence"] == ["20000x error: ERROR: disk quota exceeded"]


def test_a_log_that_appears_is_judged_and_one_that_cannot_be_compared_is_named(review: Review, log: Path) -> None:
    glob = str(log.parent / "*.log")
    review(files=[glob])
    (log.parent / "other.log").write_text("[error] brand new\n" * 24000)
    elsewhere = log.parent / "elsewhere"
    elsewhere.write_text("[error] who knows since when\n" * 24000)
    result = review(files=[glob, str(elsewhere)], first="start")
    told = {(found["check"], found["item"].rpartition("/")[2]): found for found in result["findings"]}
    assert told["logs.errors", "other.log"]["status"] == "critical"
    assert told["logs.new", "other.log"]["status"] == "warning"
    assert told["logs.errors", "elsewhere"]["status"] == "info"
    assert told["logs.new", "first reviews"]["status"] == "skipped"
    assert told["logs.new", "first reviews"]["evidence"] == [str(elsewhere)]


def test_logs_of_workers_beside_each_other_are_all_read(review: Review, log: Path) -> None:
    """As pm2 and celery name them: app-1.log beside app.log is no older piece of it."""
    names = [log, *(log.parent / f"app-{number}.log" for number in range(1, 9))]
    for path in names:
        path.write_text("calm\n")
    glob = [str(log.parent / "*.log")]
    review(files=glob)
    for day in range(3):
        for path in names:
            add(path, f"[error] trouble of day {day}\n", 10)
        result = review(files=glob)
        assert [metric["value"] for metric in result["metrics"] if metric["name"] == "logs.events"] == [10] * 9
        assert one(result, "logs.lost")["status"] == "ok"
        new = [found for found in result["findings"] if found["check"] == "logs.new"]
        assert [found["status"] for found in new] == (["warning"] * 9 if day == 0 else ["ok"])


def test_a_named_log_that_was_absent_is_judged_once_it_is_there(review: Review, log: Path) -> None:
    named = str(log.parent / "later.log")
    assert one(review(files=[named], first="end"), "logs.readable")["status"] == "skipped"
    Path(named).write_text("[error] x\n" * 24000)
    assert one(review(files=[named], first="end"), "logs.errors")["status"] == "critical"


def test_logs_that_are_too_many_are_told_with_their_number(
    review: Review, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review_check, "MOST_FILES", 3)
    for name in "abcde":
        (log.parent / f"{name}.log").write_text("[error] x\n")
    result = review(files=[str(log.parent / "*.log"), str(log.parent / "e.log")], first="start")
    told = {found["item"]: found for found in result["findings"] if found["check"] == "logs.readable"}
    assert told["files"]["status"] == "unknown"
    assert told["files"]["summary"].startswith("3 logs more than 3 were not read")
    assert told["all logs"]["summary"].startswith("3 logs read")


def test_a_named_log_that_is_gone_is_told_every_time(review: Review, log: Path) -> None:
    add(log, "[error] a\n")
    review()
    log.unlink()
    result = review()
    assert one(result, "logs.readable")["status"] == "unknown"
    assert one(result, "logs.lost")["status"] == "warning"
    assert "logs.errors" not in answers(result)
    for _run in range(2):
        assert answers(review()) == {"logs.readable": ("unknown", "it is not there, and was there before")}
    add(log, "[error] a\n" * 24)
    assert "; 24 events of" in one(review(), "logs.errors")["summary"]


def test_a_named_log_between_its_rotation_and_its_next_line_is_told_and_read(review: Review, log: Path) -> None:
    add(log, "calm\n" * 100)
    review()
    add(log, "[error] a\n" * 24)
    log.rename(f"{log}.1")
    result = review()
    assert "; 24 events of" in one(result, "logs.errors")["summary"]
    assert {found["status"] for found in result["findings"] if found["check"] == "logs.readable"} == {"ok", "unknown"}


def test_a_rate_is_of_the_time_that_was_read_and_the_backlog_s_of_the_rest(review: Review, log: Path) -> None:
    """A budget for an eighth of a day's lines: 40,000 errors in 24 hours are 1,667 an hour, whoever reads them when."""
    review()
    add(log, f"[error] boom {'x' * 200}\n", 40000)
    rates = [
        one(review(max_bytes=size, hours=hours), "logs.errors")["value"] for size, hours in (("1M", 24), ("2G", 0))
    ]
    assert rates == [pytest.approx(40000 / 24, rel=0.02)] * 2


def test_what_did_not_fit_into_the_first_review_is_no_alarm(review: Review, log: Path) -> None:
    add(log, f"[error] boom {'x' * 200}\n", 12000)
    for _run in range(3):
        assert one(review(first="start", max_bytes="1M"), "logs.errors")["status"] == "info"
    add(log, "[error] boom\n", 24)
    assert one(review(), "logs.errors")["value"] == 1


@pytest.mark.parametrize("size", [1, UNMEASURED])
def test_what_is_left_has_a_figure_only_where_somebody_knows_it(size: int) -> None:
    reading = judge.Reading("journal", behind=size, lines=9)
    found = [one_ for one_ in judge.judge_readings([reading], book=LevelBook({})) if isinstance(one_, Finding)]
    (behind,) = [finding for finding in found if finding.check == "logs.behind"]
    assert behind.status == "info"
    assert (behind.value is None, "1 B" in behind.summary) == ((True, False) if size == UNMEASURED else (False, True))


@pytest.mark.parametrize("size", ["1M", "64K", "end"])
def test_the_first_review_begins_where_it_is_told_to(review: Review, log: Path, size: str) -> None:
    add(log, "[error] x\n", 200_000)
    summary = one(review(first=size), "logs.errors")["summary"]
    events = int(summary.split()[0])
    assert events == {"1M": (1 << 20) // 10, "64K": (1 << 16) // 10, "end": 0}[size]


def test_what_cannot_be_read_is_no_ok(review: Review, log: Path) -> None:
    missing = one(review(files=[str(log.parent / "none.log")]), "logs.readable")
    assert (missing["status"], missing["summary"]) == ("skipped", "it is not there")
    folder = one(review(files=[str(log.parent)]), "logs.readable")
    assert (folder["status"], folder["summary"]) == ("unknown", "it is a folder")
    assert one(review(files=["/nowhere/*.log"]), "logs.readable")["status"] == "skipped"
    engine = one(review(files=[], containers=["web"], docker_socket="/nowhere"), "logs.readable")
    assert engine["status"] == "unknown"
    assert "does not answer at /nowhere" in engine["summary"]


def test_a_journal_that_may_not_be_read_is_no_journal_without_errors(
    review: Review, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing named: the usual files and the journal, or in its place the files of a syslog daemon."""

    def closed() -> None:
        raise Absent("the journal cannot be read")

    monkeypatch.setattr(journald, "require_journal", closed)
    monkeypatch.setattr(options, "USUAL_FILES", ())
    monkeypatch.setattr(options, "SYSLOG_FILES", (str(log.parent / "syslog"), str(log.parent / "messages")))
    (reading,) = review(files=[])["findings"]
    assert (reading["check"], reading["item"], reading["status"]) == ("logs.readable", "journal", "skipped")
    assert reading["summary"].startswith("the journal cannot be read, and there is neither ")
    (log.parent / "messages").write_text("Jun  4 09:24:12 alpine user.err shop: cannot book\n")
    result = review(files=[], first="start")
    assert one(result, "logs.readable")["status"] == "ok"
    assert one(result, "logs.errors")["item"].endswith("/messages")
    assert one(result, "logs.errors")["evidence"] == ["new, 1x error: cannot book"]


def test_a_journal_that_cannot_be_read_on_tells_what_came_before(
    review: Review, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = "s=a1;i={:x};b=b2;m=1;t={:x};x=3"
    newest = cursor.format(9, 1_772_409_600_000_009)

    class Failing:
        cutter, stopped = SimpleNamespace(cut_lines=0), False

        def __init__(self, argv: list[str], **_bounds: Any) -> None:
            self.begun = argv

        def blocks(self) -> Iterator[bytes]:
            for number in (1, 2) if "--after-cursor" not in self.begun else ():
                entry = {"__CURSOR": cursor.format(number, 1_772_409_600_000_000 + number), "PRIORITY": "3"}
                yield json.dumps({**entry, "MESSAGE": "cannot book"}).encode() + b"\n"
            raise MaintenanceError("'journalctl' failed: Bad message.")

    monkeypatch.setattr(journald, "require_journal", lambda: None)
    monkeypatch.setattr(journald, "_entry", lambda *arguments: newest if arguments[0] == "-n" else arguments[1])
    monkeypatch.setattr(journald, "Output", Failing)
    state = log.parent.parent / "state" / "log_review.default.json"
    places = []
    failed = "'journalctl' failed: Bad message."
    for words in (f"it cannot be read on after 2 new lines: {failed}", failed):
        result = review(files=[], journal=True, first="start")
        told = next(one for one in result["findings"] if one["check"] == "logs.readable")
        assert (told["item"], told["status"], told["summary"]) == ("journal", "unknown", words)
        places.append(json.loads(state.read_text())["generations"][0]["data"]["reviews"]["default"]["marks"]["journal"])
        if len(places) == 1:
            assert one(result, "logs.errors")["evidence"] == ["new, 2x error: cannot book"]
    # The second run was given nothing, and stays where it was.
    assert places[0] == places[1]
    assert places[0]["cursor"] == cursor.format(2, 1_772_409_600_000_002)


def test_secrets_and_terminal_sequences_stay_out_of_the_result(review: Review, log: Path) -> None:
    add(log, "[error] login of bob@example.org with password=hunter2 from 203.0.113.9 \x1b]0;x\x07\n")
    text = json.dumps(review(examples=True)) + (log.parent.parent / "state" / "log_review.default.json").read_text()
    assert "hunter2" not in text
    assert "bob@" not in text
    assert "\\u001b" not in text
    assert "203.0.113.9" not in json.dumps(review())


def test_long_lines_are_told(review: Review, log: Path) -> None:
    review()
    add(log, "[error] " + "x" * 70_000 + "\nshort\n")
    odd = one(review(), "logs.skipped_lines")
    assert (odd["status"], odd["value"]) == ("warning", 50)


def test_a_marker_must_come_out_of_the_log(review: Review, log: Path) -> None:
    alive = {"command": ["true", "{marker}"], "log": str(log), "seconds": 1.0}
    silent = one(review(alive=alive, checks=["alive"]), "logs.alive")
    assert silent["status"] == "critical"
    writer = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + chr(10))"
    alive["command"] = ["python3", "-c", writer, str(log), "{marker}"]
    heard = one(review(alive=alive, checks=["alive"]), "logs.alive")
    assert heard["status"] == "ok"
    alive["command"] = ["nowhere-to-be-found", "{marker}"]
    assert one(review(alive=alive, checks=["alive"]), "logs.alive")["status"] == "unknown"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: the kernel refuses to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_state_that_finds_no_room_is_told_and_no_line_is_lost(review: Review, log: Path) -> None:
    review()
    add(log, "[error] x\n", 24)
    with room_for(16):
        full = review()
    assert "cannot be written" in full["state_error"]
    assert "; 24 events of" in one(full, "logs.errors")["summary"]
    assert "24 events of" in one(review(), "logs.errors")["summary"]
    assert "0 events of" in one(review(), "logs.errors")["summary"]
