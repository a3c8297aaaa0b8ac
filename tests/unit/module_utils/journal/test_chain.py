# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain

RUNS = ("20260101T000000Z-00000000", "20260102T000000Z-11111111", "20260103T000000Z-22222222")
HOSTS = ("app1", "db1")


def document(content):
    return chain.canonical(chain.sealed(content)) + b"\n"


def build(journal, *, close=RUNS):
    """Three runs of two hosts with three records each, sealed the way the controller seals them."""
    before: dict[str, str] = {}
    for number, run in enumerate(RUNS, start=1):
        folder = journal / run
        folder.mkdir(parents=True)
        header = chain.sealed({"run": run, "user": "ops"})
        (folder / "run.json").write_bytes(chain.canonical(header) + b"\n")
        ends = {}
        for host in HOSTS:
            previous, lines = header["hash"], []
            for sequence in range(3):
                content = {"run": run, "host": host, "sequence": sequence, "previous": previous, "summary": "83.5 %"}
                lines.append(document(content))
                previous = json.loads(lines[-1])["hash"]
            (folder / f"{host}.jsonl").write_bytes(b"".join(lines))
            ends[f"{host}.jsonl"] = {"last": previous, "count": 3}
        if run not in close:
            continue
        head = chain.sealed(
            {
                "run": run, "number": number, "run_hash": header["hash"], "hosts": ends,
                "previous_run": before.get("run", ""), "previous_head": before.get("hash", ""),
            }
        )  # fmt: skip
        for place in (folder, journal):
            (place / "head.json").write_bytes(chain.canonical(head) + b"\n")
        before = head
    return journal


@pytest.fixture
def journal(tmp_path):
    return build(tmp_path / "journal")


def problems(journal, **options):
    return [problem.worded() for problem in chain.verify(journal, **options).problems]


def edit(path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def test_a_whole_journal_verifies_and_names_its_newest_head(journal):
    verdict = chain.verify(journal)
    assert (verdict.problems, verdict.open_runs, verdict.torn) == ([], [], [])
    assert (verdict.runs, verdict.records) == (3, 18)
    assert verdict.head == json.loads((journal / RUNS[2] / "head.json").read_bytes())["hash"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build(tmp_path_factory.mktemp("whole") / "journal")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipping_any_bit_of_any_file_is_noticed(whole, data):
    path = data.draw(st.sampled_from(sorted(path for path in whole.rglob("*") if path.is_file())))
    original = path.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    changed = original[position] ^ (1 << data.draw(st.integers(0, 7)))
    try:
        path.write_bytes(original[:position] + bytes([changed]) + original[position + 1 :])
        assert problems(whole), f"{path.name} at {position}"
    finally:
        path.write_bytes(original)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_cutting_any_file_anywhere_is_noticed(whole, data):
    path = data.draw(st.sampled_from(sorted(path for path in whole.rglob("*") if path.is_file())))
    original = path.read_bytes()
    try:
        path.write_bytes(original[: data.draw(st.integers(0, len(original) - 1))])
        assert problems(whole)
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("position", range(0, 700, 7))
def test_in_an_open_run_a_flipped_byte_shows_too(tmp_path, position):
    """Only the end of the last line looks like what a crash leaves, and is told as such."""
    journal = build(tmp_path / "journal", close=())
    path = journal / RUNS[1] / "db1.jsonl"
    raw = bytearray(path.read_bytes())
    raw[position % len(raw)] ^= 1
    path.write_bytes(bytes(raw))
    verdict = chain.verify(journal)
    assert verdict.problems or verdict.torn


def swap(lines):
    lines[0], lines[1] = lines[1], lines[0]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (lambda lines: lines.pop(0), 1, "does not follow the line before it"),
        (lambda lines: lines.pop(1), 2, "does not follow the line before it"),
        (lambda lines: lines.pop(2), 0, "does not end as it did when the run was closed"),
        (lambda lines: lines.insert(1, lines[0]), 2, "does not follow the line before it"),
        (lambda lines: lines.append(lines[2]), 4, "does not follow the line before it"),
        (lambda lines: lines.append(b"\n"), 4, "is not a JSON object"),
        (lambda lines: lines.append(b"[" * 300_000 + b"\n"), 4, "is not a JSON object"),
        (lambda lines: lines.append(b'{"hash":NaN}\n'), 4, "was changed: its hash does not match its content"),
        (lambda lines: lines.append(b"junk"), 4, "is cut off"),
        (lambda lines: lines.__setitem__(1, lines[1].replace(b"83.5", b"38.5")), 2, "was changed"),
        (lambda lines: lines.__setitem__(1, lines[1].replace(b'"run"', b' "run"')), 2, "was changed"),
        (swap, 1, "does not follow the line before it"),
        (lambda lines: lines.clear(), 0, "was removed"),
    ],
)
def test_the_first_broken_line_is_named(journal, change, line, words):
    edit(journal / RUNS[1] / "db1.jsonl", change)
    first = chain.verify(journal).problems[0]
    assert (first.run, first.file, first.line) == (RUNS[1], "db1.jsonl", line)
    assert words in first.message


def test_a_record_that_was_written_anew_with_its_hash_still_breaks_the_chain(journal):
    def rewrite(lines):
        record = json.loads(lines[1])
        lines[1] = document({**{key: value for key, value in record.items() if key != "hash"}, "summary": "2 %"})

    edit(journal / RUNS[0] / "app1.jsonl", rewrite)
    first = chain.verify(journal).problems[0]
    assert (first.file, first.line) == ("app1.jsonl", 3)


def test_a_line_added_with_all_its_hashes_is_noticed_in_a_closed_run(journal):
    def forge(lines):
        last = json.loads(lines[-1])
        lines.append(document({**last, "sequence": 3, "previous": last["hash"]}))

    edit(journal / RUNS[2] / "db1.jsonl", forge)
    assert problems(journal) == [f"{RUNS[2]}/db1.jsonl: does not end as it did when the run was closed"]


def test_files_that_were_removed_added_or_swapped_are_named(journal):
    (journal / RUNS[0] / "app1.jsonl").unlink()
    shutil.copy(journal / RUNS[1] / "db1.jsonl", journal / RUNS[1] / "db9.jsonl")
    app, db = (journal / RUNS[2] / f"{host}.jsonl" for host in HOSTS)
    app_lines = app.read_bytes()
    app.write_bytes(db.read_bytes())
    db.write_bytes(app_lines)
    found = problems(journal)
    assert f"{RUNS[0]}/app1.jsonl: was removed" in found
    assert f"{RUNS[1]}/db9.jsonl line 1: belongs to the host 'db1'" in found
    assert f"{RUNS[2]}/app1.jsonl line 1: belongs to the host 'db1'" in found


def test_a_file_of_another_run_does_not_fit(journal):
    shutil.copy(journal / RUNS[0] / "db1.jsonl", journal / RUNS[1] / "db1.jsonl")
    assert problems(journal)[0] == f"{RUNS[1]}/db1.jsonl line 1: belongs to the run {RUNS[0]!r}"


@pytest.mark.parametrize("run", RUNS[1:])
def test_a_run_that_was_removed_from_the_middle_or_the_end_is_missed(journal, run):
    shutil.rmtree(journal / run)
    assert any(run in worded for worded in problems(journal))


def test_the_oldest_runs_may_go_when_their_time_is_over(journal):
    shutil.rmtree(journal / RUNS[0])
    assert problems(journal) == []
    assert problems(journal, run=RUNS[1]) == []


@pytest.mark.parametrize("file", ["run.json", "head.json"])
def test_a_run_whose_header_or_head_was_removed_is_not_passed_over(journal, file):
    (journal / RUNS[1] / file).unlink()
    assert any(worded.startswith(f"{RUNS[1]}/{file}") for worded in problems(journal))


def test_an_open_run_whose_header_was_removed_is_not_passed_over(tmp_path):
    journal = build(tmp_path / "journal", close=RUNS[:2])
    assert problems(journal) == []
    (journal / RUNS[2] / "run.json").unlink()
    assert any(worded.startswith(f"{RUNS[2]}/run.json: cannot be read") for worded in problems(journal))


def test_what_is_no_run_is_none_of_its_business(journal):
    (journal / "acknowledged").mkdir()
    (journal / "acknowledged" / "app1.jsonl").write_text("{}\n")
    assert problems(journal) == []


def test_runs_that_change_places_are_noticed(journal):
    one, other = journal / RUNS[0], journal / RUNS[1]
    one.rename(journal / "aside")
    other.rename(one)
    (journal / "aside").rename(other)
    assert f"{RUNS[0]}/run.json: belongs to the run {RUNS[1]!r}" in problems(journal)


def test_a_run_that_was_put_between_is_noticed(journal):
    forged = "20260102T120000Z-99999999"
    shutil.copytree(journal / RUNS[2], journal / forged)
    for path in (journal / forged).iterdir():
        path.write_bytes(path.read_bytes().replace(RUNS[2].encode(), forged.encode()))
    assert any(forged in worded for worded in problems(journal))


def test_the_journals_own_head_must_be_the_newest(journal):
    shutil.copy(journal / RUNS[1] / "head.json", journal / "head.json")
    assert problems(journal)[0].startswith(f"{RUNS[1]}/head.json: is missing or not the newest")
    (journal / "head.json").unlink()
    assert problems(journal) == ["journal/head.json: is missing"]


def test_a_head_noted_elsewhere_must_still_be_there(journal):
    head = json.loads((journal / RUNS[1] / "head.json").read_bytes())["hash"]
    assert problems(journal, expected_head=head) == []
    assert problems(journal, expected_head="0" * 64) == [f"journal/head.json: no run has the expected head {'0' * 64}"]


def test_open_runs_are_told_and_are_no_problem(tmp_path):
    verdict = chain.verify(build(tmp_path / "journal", close=RUNS[:2]))
    assert (verdict.problems, verdict.open_runs) == ([], [RUNS[2]])


def test_an_empty_host_file_is_what_a_full_disk_leaves_and_no_problem(journal):
    (journal / RUNS[1] / "db9.jsonl").touch()
    assert problems(journal) == []


@given(st.text(max_size=400), st.text(max_size=400))
def test_no_two_hosts_share_a_file_and_none_leaves_the_folder(one, other):
    for host in (one, other):
        name = chain.host_file(host)
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")
        assert len(name) < 130
        assert name.isascii()
    assert (chain.host_file(one) == chain.host_file(other)) is (one == other)
