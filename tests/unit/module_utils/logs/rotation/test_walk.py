# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk for large logs: what counts as one, and where it does not go."""

from __future__ import annotations

import os
import subprocess
from functools import partial

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import Descriptors, OpenFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import collect, evidence, walk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.configuration import Configuration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.evidence import LargeFile
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule


@pytest.fixture
def look(still):
    def look(*roots, exclude=(), seconds=1000.0, entries=1000):
        found = walk.collect_large_files(
            least=8192,
            exclude=exclude,
            seconds=seconds,
            entries=entries,
            clock=still,
            roots=[str(root) for root in roots],
        )
        return found, sorted(os.path.basename(file.path) for file in found.files)

    return look


@pytest.fixture(autouse=True)
def tests_are_not_scratch(monkeypatch):
    """Folders of tests lie in /tmp, where hardly anything is a log."""
    monkeypatch.setattr(evidence, "SCRATCH", ())


def make(path, size=9000, end=b"\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (size - len(end)) + end)
    return path


def test_outside_of_var_log_names_count(tmp_path, look):
    for name in ("a.log", "b.err", "nohup.out", "c.log.1", "abc-json.log", "data.bin", "catalog", "d.log.gz"):
        make(tmp_path / name)
    make(tmp_path / "small.log", size=100)
    assert look(tmp_path)[1] == ["a.log", "abc-json.log", "b.err", "c.log.1", "nohup.out"]


def test_what_is_called_like_a_log_and_ends_in_no_text_is_none(tmp_path, look):
    make(tmp_path / "kafka/00000000000000368769.log", end=b"\n\0\0\x1c\x02\n\xf1")
    make(tmp_path / "chain/000042.log", end=b"\x01no line ends here")
    make(tmp_path / "latin.log", end="café\nétage 3\n".encode("latin-1"))
    with make(tmp_path / "holed.log").open("r+b") as stream:
        # A log that was cut under its writer begins with nothing and ends with lines.
        stream.write(b"\0" * 1000)
    assert look(tmp_path)[1] == ["holed.log", "latin.log"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"LogConfig":{"Type":"json-file","Config":{"max-file":"3","max-size":"10m"}}}', False),
        ('{"LogConfig":{"Type":"json-file","Config":{}}}', True),
        ('{"LogConfig":{"Type":"json-file","Config":{"max-size":"-1"}}}', True),
        ('{"LogConfig":{"Type":"json-file","Config":null}}', True),
        ("[]", True),
        ("no JSON", True),
    ],
)
def test_a_container_whose_log_docker_rotates_itself_is_left_to_it(tmp_path, look, config, said):
    name = "ab" * 32
    make(tmp_path / "containers" / name / f"{name}-json.log")
    make(tmp_path / "containers" / name / f"{name}-json.log.1")
    (tmp_path / "containers" / name / "hostconfig.json").write_text(config)
    assert bool(look(tmp_path)[1]) is said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/var/log/app/odd", "enough"),
        ("/var/log/lastlog", "none"),
        ("/srv/shop/app.log", "enough"),
        ("/opt/tomcat/logs/catalina.out", "enough"),
        ("/srv/simulation/result.out", "a writer is wanted"),
        ("/home/deploy/.pm2/logs/api-out.log", "enough"),
        ("/home/alice/training.log", "a writer is wanted"),
        ("/root/.npm/_logs/2026-01-01-debug-0.log", "enough"),
        ("/tmp/build/logs/make.log", "a writer is wanted"),
        ("/var/tmp/nohup.out", "a writer is wanted"),
        ("/tmp/archive.tar", "none"),
        ("/srv/shop/catalog", "none"),
    ],
)
def test_a_name_says_more_in_some_places_than_in_others(monkeypatch, path, said):
    monkeypatch.setattr(evidence, "SCRATCH", ("/tmp", "/var/tmp"))
    assert evidence.by_name(os.path.basename(path), path) == said


def open_file(file, *, pid, writing=True):
    return OpenFile(pid, "shopd", 3, file.path, *file.key, 9000, 9000, 1, writing)


def test_in_scratch_and_homes_a_log_is_what_a_service_writes_to(monkeypatch):
    files = [
        LargeFile(f"/tmp/{name}.log", 9000, (1, at), True) for at, name in enumerate(("served", "watched", "read"))
    ]
    files.append(LargeFile("/srv/sure.log", 9000, (1, 9)))
    terminals = {1: 0, 2: 34816, 3: 0}
    monkeypatch.setattr(
        evidence, "read_process", lambda pid: Process(pid, "x", "S", 1, 1, 1, 1, terminal=terminals[pid])
    )
    opened = [
        open_file(files[0], pid=1), open_file(files[1], pid=2), open_file(files[2], pid=3, writing=False)
    ]  # fmt: skip

    sure, undecided = evidence.settle(files, Descriptors(tuple(opened)))
    assert [(file.path, file.writer) for file in sure] == [
        ("/tmp/served.log", "shopd (process 1)"),
        ("/srv/sure.log", ""),
    ]
    assert undecided == 0
    assert evidence.settle(files, Descriptors((), unseen=("7",))) == ([files[3]], 3)


def test_a_writer_is_looked_for_where_one_is_wanted(tmp_path, still, monkeypatch):
    log, other = make(tmp_path / "served.log"), make(tmp_path / "other.log")
    monkeypatch.setattr(evidence, "SCRATCH", (str(tmp_path),))
    monkeypatch.setattr(collect, "collect_large_files", partial(walk.collect_large_files, roots=[str(tmp_path)]))
    settings = collect.Settings(least=8192, exclude=(), seconds=1000.0, entries=1000)
    command = ["python3", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with log.open("a") as stream:
        service = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, start_new_session=True
        )
    with service:
        service.stdout.readline()
        found = collect.collect(["large_files"], settings=settings, clock=still).large_files
        service.stdin.close()
    assert [file.path for file in found.files] == [str(log)]
    assert found.files[0].writer == f"python3 (process {service.pid})"
    assert other.exists()


def test_inside_it_everything_counts_but_what_cannot_be_rotated(tmp_path, look, monkeypatch):
    monkeypatch.setattr(evidence, "LOG_FOLDER", str(tmp_path))
    for name in ("messages", "data.bin", "system.journal", "lastlog"):
        make(tmp_path / name)
    assert look(tmp_path)[1] == ["data.bin", "messages"]


def test_links_and_excluded_folders_are_not_walked_and_two_names_are_one_file(tmp_path, look):
    make(tmp_path / "real/a.log")
    os.link(tmp_path / "real/a.log", tmp_path / "real/b.log")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "c.log").symlink_to(tmp_path / "real/a.log")
    make(tmp_path / "archive/d.log")
    make(tmp_path / "node_modules/e.log")
    assert len(look(tmp_path, exclude=[str(tmp_path / "archive")])[1]) == 1
    assert look(tmp_path / "link")[1] == []


def test_a_sparse_file_is_as_large_as_what_it_takes(tmp_path, look):
    with open(tmp_path / "sparse.log", "wb") as stream:
        stream.truncate(10**9)
    assert look(tmp_path)[1] == []


def test_both_bounds_stop_the_walk_and_say_so(tmp_path, look):
    for number in range(5):
        make(tmp_path / f"{number}/a.log")
    assert "the walk stopped in" in look(tmp_path, entries=3)[0].incomplete
    assert "the walk stopped in" in look(tmp_path, seconds=2)[0].incomplete
    assert look(tmp_path)[0].incomplete == ""


def test_a_name_with_control_characters_is_walked_and_cleaned(tmp_path, look):
    make(tmp_path / "a\n\x1b[31m.log")
    assert len(look(tmp_path)[1]) == 1


def test_what_rules_cover_and_what_lies_uncompressed(tmp_path):
    for name in (
        "a.log",
        "a.log.1",
        "a.log.2",
        "a.log.3.gz",
        "b.log",
        "other.log.2",
        "old/c.log.1",
        "old/c.log.2",
        "c.log",
    ):
        make(tmp_path / name)
    rules = [
        Rule("f", 1, (f"{tmp_path}/[ab].log", f"{tmp_path}/none.log"), {"daily": ""}),
        Rule("g", 1, (f"{tmp_path}/c.log",), {"daily": "", "olddir": "old"}),
    ]
    covered = collect.cover(Configuration(rules=rules))
    assert {os.path.basename(path) for path in covered.logs} == {"a.log", "b.log", "c.log", "none.log"}
    assert sorted(os.path.basename(file.path)[:5] for file in covered.uncompressed) == ["a.log", "c.log"]
    assert set(covered.sizes.values()) == {9000}
