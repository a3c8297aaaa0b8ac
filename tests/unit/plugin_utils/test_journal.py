# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import resource
import stat
from unittest import mock

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import journal

RUN = "20260101T000000Z-00000000"
LATER = "20260102T000000Z-00000000"
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "reports" / "journal"
    journal.open_run(place, {"run": RUN, "who": "first"})
    return place


def record(text="fine", **more):
    return {"status": "ok", "summary": text, **more}


def write(place, run, host, amount):
    for number in range(amount):
        journal.append(place, run, host, record(f"{host} {number}", pid=os.getpid()))


def in_processes(*calls):
    workers = [FORK.Process(target=call[0], args=call[1:]) for call in calls]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def lines(place, host, run=RUN):
    return (place / run / chain.host_file(host)).read_bytes().splitlines(keepends=True)


def test_what_is_written_is_read_back_and_private(folder):
    first = journal.append(folder, RUN, "db1", record("first"))
    second = journal.append(folder, RUN, "db1", record("secönd", value=1.5))
    assert [first["sequence"], second["sequence"]] == [0, 1]
    assert second["previous"] == first["hash"]
    assert first["previous"] == journal.read_header(folder, RUN)["hash"]
    assert list(journal.read_host(folder, RUN, "db1")) == [first, second]
    assert journal.last_record(folder, RUN, "db1") == second
    assert list(journal.hosts(folder, RUN)) == ["db1"]
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_first_to_open_a_run_says_who_it_was(folder):
    assert journal.open_run(folder, {"run": RUN, "who": "second"})["who"] == "first"


def test_a_host_without_records_has_no_last_one(folder):
    assert journal.last_record(folder, RUN, "db1") is None
    assert journal.last_record(folder, "no such run", "db1") is None


def test_processes_that_write_at_once_make_one_whole_chain(folder):
    """Eight on one file and four on files of their own; none loses a line."""
    in_processes(
        *[(write, folder, RUN, "shared", 40) for _process in range(8)],
        *[(write, folder, RUN, f"own{number}", 40) for number in range(4)],
    )
    assert len(list(journal.read_host(folder, RUN, "shared"))) == 320
    journal.close(folder, RUN)
    verdict = chain.verify(folder)
    assert (verdict.problems, verdict.records, verdict.open_runs) == ([], 480, [])


def test_processes_that_open_and_close_at_once_agree(tmp_path):
    place = tmp_path / "journal"

    def one(number):
        journal.open_run(place, {"run": RUN, "who": number})
        try:
            write(place, RUN, f"host{number}", 3)
        except journal.RunClosed:
            return
        journal.close(place, RUN)

    in_processes(*[(one, number) for number in range(8)])
    assert chain.verify(place).problems == []


@pytest.mark.parametrize("left", [b'{"half', b"", b"\n"])
def test_a_line_that_a_crash_cut_off_is_written_over(folder, left):
    write(folder, RUN, "db1", 2)
    path = folder / RUN / chain.host_file("db1")
    whole = path.read_bytes()
    if left != b"\n":
        with path.open("ab") as stream:
            stream.write(left)
    else:
        # The newline itself is what the crash cut off: the line counts as never written.
        path.write_bytes(whole[:-1])
    assert chain.verify(folder).problems == []
    assert chain.verify(folder).torn == ([] if left == b"" else [f"{RUN}/db1.jsonl"])
    journal.append(folder, RUN, "db1", record("after"))
    read = list(journal.read_host(folder, RUN, "db1"))
    assert [entry["sequence"] for entry in read] == list(range(len(read)))
    assert read[-1]["summary"] == "after"
    assert chain.verify(folder).problems == []


def test_a_run_closes_over_a_line_that_was_cut_off(folder):
    write(folder, RUN, "db1", 2)
    with (folder / RUN / "db1.jsonl").open("ab") as stream:
        stream.write(b'{"half')
    journal.close(folder, RUN)
    assert chain.verify(folder).problems == []


def test_a_closed_run_takes_no_record_and_closing_it_again_changes_nothing(folder):
    write(folder, RUN, "db1", 1)
    head = journal.close(folder, RUN)
    with pytest.raises(journal.RunClosed, match="is closed"):
        journal.append(folder, RUN, "db1", record())
    journal.open_run(folder, {"run": LATER})
    later = journal.close(folder, LATER)
    assert journal.close(folder, RUN) == head
    assert (later["previous_run"], later["previous_head"]) == (RUN, head["hash"])
    assert chain.verify(folder).problems == []


def test_runs_are_chained_in_the_order_in_which_they_close(folder):
    """The earlier run may well be the longer one."""
    journal.open_run(folder, {"run": LATER})
    later = journal.close(folder, LATER)
    earlier = journal.close(folder, RUN)
    assert (earlier["previous_run"], earlier["number"]) == (LATER, later["number"] + 1)
    verdict = chain.verify(folder)
    assert (verdict.problems, verdict.head) == ([], earlier["hash"])


def test_two_runs_at_once_do_not_mix(folder):
    journal.open_run(folder, {"run": LATER})
    in_processes((write, folder, RUN, "db1", 30), (write, folder, LATER, "db1", 30))
    in_processes((journal.close, folder, RUN), (journal.close, folder, LATER))
    verdict = chain.verify(folder)
    assert (verdict.problems, verdict.records) == ([], 60)


def test_a_crash_between_the_two_copies_of_a_head_is_made_good(folder):
    write(folder, RUN, "db1", 1)
    head = journal.close(folder, RUN)
    (folder / RUN / chain.HEAD_FILE).unlink()
    journal.open_run(folder, {"run": LATER})
    assert journal.close(folder, LATER)["previous_head"] == head["hash"]
    assert chain.verify(folder).problems == []


def test_a_lost_copy_of_the_newest_head_is_found_again_among_the_runs(folder):
    journal.close(folder, RUN)
    (folder / chain.HEAD_FILE).unlink()
    journal.open_run(folder, {"run": LATER})
    assert journal.close(folder, LATER)["number"] == 2
    assert chain.verify(folder).problems == []


HOSTILE = ["../../x", "/etc/passwd", ".", "..", ".hidden", "a/b", "a\\b", "ü", "x" * 5000, "\x1b[31m", "a\nb", "\udcff",
           "%2e%2e", "CON", "~", "x.jsonl", "[::1]:22", " "]  # fmt: skip


def test_hostile_names_stay_in_the_folder_and_apart(folder):
    for host in HOSTILE:
        journal.append(folder, RUN, host, record())
        journal.acknowledge(folder, host=host, consumer="c", module="m", generation=host[:3])
    assert sorted(journal.hosts(folder, RUN)) == sorted(HOSTILE)
    files = list(folder.rglob("*.jsonl"))
    assert {path.parent for path in files} == {folder / RUN, folder / "acknowledged"}
    assert len(files) == 2 * len(HOSTILE)
    assert all(len(path.name) <= 127 and not path.name.startswith(".") for path in files)
    for host in HOSTILE:
        assert journal.acknowledged(folder, host=host, consumer="c", module="m") == host[:3]
    journal.close(folder, RUN)
    assert chain.verify(folder).problems == []


def test_acknowledgements_are_of_a_host_a_consumer_and_a_module(folder):
    place = {"host": "db1", "consumer": "me", "module": "log_review"}
    assert journal.acknowledged(folder, **place) is None
    journal.acknowledge(folder, generation="", **place)
    assert journal.acknowledged(folder, **place) == ""
    journal.acknowledge(folder, generation="g1", **place)
    journal.acknowledge(folder, generation="g2", **{**place, "module": "host_check"})
    assert journal.acknowledged(folder, **place) == "g1"
    assert journal.acknowledged(folder, **{**place, "consumer": "you"}) is None
    assert journal.acknowledged(folder, **{**place, "host": "db2"}) is None


def note(place, number):
    journal.acknowledge(place, host="db1", consumer="me", module=f"m{number}", generation=str(number))


def test_acknowledgements_of_many_processes_are_all_kept(folder):
    in_processes(*[(note, folder, number) for number in range(12)])
    known = [journal.acknowledged(folder, host="db1", consumer="me", module=f"m{number}") for number in range(12)]
    assert known == [str(number) for number in range(12)]


def test_a_file_that_may_not_grow_ends_in_a_sentence_and_nothing_half_written(folder):
    write(folder, RUN, "db1", 1)
    before = lines(folder, "db1")

    def cramped():
        size = (folder / RUN / "db1.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
        with pytest.raises(journal.JournalError, match=r"cannot be written: File too large\. Make room or set"):
            journal.append(folder, RUN, "db1", record("x" * 1000))

    in_processes((cramped,))
    assert lines(folder, "db1") == before
    journal.append(folder, RUN, "db1", record("room again"))
    assert chain.verify(folder).problems == []


@pytest.mark.parametrize("failing", ["fsync", "pwrite"])
def test_a_disk_that_fills_up_while_writing_leaves_the_line_before(folder, failing):
    write(folder, RUN, "db1", 1)
    before = lines(folder, "db1")
    with (
        mock.patch(f"os.{failing}", side_effect=OSError(28, "No space left on device")),
        pytest.raises(journal.JournalError, match="No space left on device"),
    ):
        journal.append(folder, RUN, "db1", record())
    assert lines(folder, "db1") == before


def test_a_folder_that_is_in_the_way_ends_in_a_sentence(tmp_path):
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(journal.JournalError, match=r"^The journal in .* cannot be written: .*Make room or set"):
        journal.open_run(tmp_path / "reports" / "journal", {"run": RUN})


def test_a_link_where_a_record_should_go_is_not_followed(folder, tmp_path):
    target = tmp_path / "target"
    target.write_text("mine\n")
    (folder / RUN / "db1.jsonl").symlink_to(target)
    with pytest.raises(journal.JournalError):
        journal.append(folder, RUN, "db1", record())
    assert target.read_text() == "mine\n"


@pytest.mark.parametrize("damage", [b"junk\n", b"[]\n", b"{}\n", b"null\n", b"\xff\n", b"[" * 200_000 + b"\n"])
def test_a_damaged_file_ends_in_a_sentence_that_names_the_module_for_it(folder, damage):
    (folder / RUN / "db1.jsonl").write_bytes(damage)
    with pytest.raises(journal.JournalError, match="journal_verify"):
        journal.append(folder, RUN, "db1", record())
    (folder / "acknowledged").mkdir()
    (folder / "acknowledged" / "db1.jsonl").write_bytes(damage)
    if damage != b"{}\n":
        with pytest.raises(journal.JournalError, match="journal_verify"):
            journal.acknowledged(folder, host="db1", consumer="c", module="m")


def test_a_repair_does_not_start_where_it_could_not_be_written_down(folder):
    journal.require_room(folder, RUN)
    full = mock.Mock(f_bavail=1, f_frsize=4096)
    with (
        mock.patch("os.statvfs", return_value=full),
        pytest.raises(journal.JournalError, match="less than 4 MiB are free"),
    ):
        journal.require_room(folder, RUN)


def test_appending_reads_the_end_of_a_file_and_not_what_is_there(folder):
    """The cost of a record does not grow with the run: of a file of many lines only the tail is read."""
    write(folder, RUN, "db1", 1)
    path = folder / RUN / "db1.jsonl"
    with path.open("ab") as stream:
        for number in range(1, 20_000):
            last = chain.sealed(record("x" * 100, run=RUN, host="db1", sequence=number, previous="p"))
            stream.write(chain.canonical(last) + b"\n")
    read = []
    true_pread = os.pread

    def counting(descriptor, amount, offset):
        read.append(amount)
        return true_pread(descriptor, amount, offset)

    with mock.patch("os.pread", counting):
        assert journal.append(folder, RUN, "db1", record())["sequence"] == 20_000
        newest = journal.last_record(folder, RUN, "db1")
        assert newest is not None
        assert newest["sequence"] == 20_000
    assert path.stat().st_size > 4_000_000
    assert sum(read) <= 2 * 64 * 1024


def test_other_hosts_files_are_not_looked_at(folder):
    for number in range(300):
        write(folder, RUN, f"host{number}", 1)
    with mock.patch("os.listdir", side_effect=AssertionError), mock.patch("os.scandir", side_effect=AssertionError):
        journal.append(folder, RUN, "host7", record())
        journal.last_record(folder, RUN, "host7")


def test_a_record_of_megabytes_is_followed_by_the_next(folder):
    journal.append(folder, RUN, "db1", record("x" * 10_000_000))
    assert journal.append(folder, RUN, "db1", record())["sequence"] == 1
    assert chain.verify(folder).problems == []
