# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of real hosts, and a container's log from the real engine."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.containers import (
    Engine,
    follow_container,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import Loss
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import SOCKET
from ansible_collections.fleetcare.maintenance.tests.images.build import ensure_image
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller

pytestmark = pytest.mark.integration

SHOP = """\
import sys
print("ready with 0 errors", flush=True)
def book():
    raise ValueError("room 7 is taken, password=hunter2")
book()
"""


def one(result: dict[str, Any], check: str) -> dict[str, Any]:
    assert "findings" in result, result
    found = [finding for finding in result["findings"] if finding["check"] == check]
    assert len(found) == 1, found
    return found[0]


def test_the_journal_is_read_from_where_it_was_left(debian_controller: Controller, debian_pair: Fleet) -> None:
    options = {"name": "shop", "journal_units": ["shop"], "journal_identifiers": ["till"], "first": "end"}
    for result in debian_controller.module("log_review", options).values():
        assert one(result, "logs.readable")["status"] == "ok"
    for host in debian_pair.values():
        host.write("/opt/shop.py", SHOP)
        host.execute(
            ["systemd-run", "--unit=shop", "--wait", "--collect", "--quiet", "python3", "/opt/shop.py"], check=False
        )
        for amount in (17, 18):
            host.execute(["logger", "-t", "till", "-p", "user.err", f"payment of {amount} EUR failed"])
        host.execute(["logger", "-t", "other", "-p", "user.err", "nothing of ours"])
        host.execute(["journalctl", "--sync"])
    for result in debian_controller.module("log_review", options).values():
        errors = one(result, "logs.errors")
        shown = " ".join(errors["evidence"])
        assert "2x error: payment of <n> EUR failed" in shown
        assert "1x error: ValueError: room <n> is taken, password=***" in shown
        assert "nothing of ours" not in shown
        assert "0 errors" not in shown
        assert one(result, "logs.new")["value"] >= 2
    for result in debian_controller.module("log_review", options).values():
        assert "; 0 events of" in one(result, "logs.errors")["summary"]
        assert one(result, "logs.lost")["status"] == "ok"


def test_a_marker_comes_out_of_the_journal(debian_controller: Controller) -> None:
    options = {"journal": True, "checks": ["alive"], "alive": {}}
    for result in debian_controller.module("log_review", options).values():
        assert one(result, "logs.alive")["status"] == "ok", result


def test_a_journal_that_was_emptied_is_told(debian_controller: Controller, debian_pair: Fleet) -> None:
    options = {"name": "emptied", "journal_identifiers": ["till"], "first": "end"}
    debian_controller.module("log_review", options)
    for host in debian_pair.values():
        host.execute(["logger", "-t", "till", "-p", "user.err", "before"])
        host.execute(["journalctl", "--sync"])
        host.execute(["journalctl", "--rotate"])
        host.execute(["journalctl", "--vacuum-time=1us"])
        host.execute(["logger", "-t", "till", "-p", "user.err", "after"])
        host.execute(["journalctl", "--sync"])
    for result in debian_controller.module("log_review", options).values():
        assert one(result, "logs.lost")["status"] == "warning"
        assert "after" in " ".join(one(result, "logs.errors")["evidence"])


@pytest.fixture
def writer(engine: None, tmp_path: Path) -> Iterator[str]:
    """A container that puts out a file whenever it is started, with a log that holds little."""
    name = f"fleetcare-log-{uuid.uuid4().hex[:12]}"
    _docker(
        "create", "--name", name, "--log-driver=json-file", "--log-opt=max-size=20k", "--log-opt=max-file=2",
        "--volume", f"{tmp_path}:/data:ro", "--entrypoint=cat", ensure_image("debian13"), "/data/text",
    )  # fmt: skip
    try:
        yield name
    finally:
        _docker("rm", "--force", "--volumes", name)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def write(name: str, folder: Path, text: str) -> None:
    """Let the container put out a text, and come back when it has ended and its log has everything."""
    (folder / "text").write_text(text)
    _docker("start", "--attach", name)


def read(name: str, mark: Any, *, first_lines: int | None = None) -> tuple[list[str], Any, list[Loss]]:
    engine = Engine(SOCKET)
    container = engine.containers([name])[0][0]
    trail = follow_container(engine, container, mark, first_lines=first_lines)
    return b"".join(trail.blocks()).decode().splitlines(), trail.mark(), trail.losses


def test_a_container_s_lines_are_read_once_each(writer: str, tmp_path: Path) -> None:
    write(writer, tmp_path, "one\ntwo\n")
    lines, mark, losses = read(writer, None)
    assert (lines, losses) == (["one", "two"], [])
    assert read(writer, mark)[0] == []
    # Lines of one write share a time, or are out of order; the border between two runs is in the midst of them.
    write(writer, tmp_path, "".join(f"line {number}\n" for number in range(100)))
    again, mark, losses = read(writer, mark)
    assert (again, losses) == ([f"line {number}" for number in range(100)], [])
    assert read(writer, mark) == ([], mark, [])


def test_a_container_s_log_that_is_begun_at_its_end_begins_exactly_there(writer: str, tmp_path: Path) -> None:
    """Nothing of its history is read, not even the lines that share the time of the last one; all that comes is."""
    assert read(writer, None, first_lines=0)[0] == []
    write(writer, tmp_path, "".join(f"history {number}\n" for number in range(400)))
    lines, mark, losses = read(writer, None, first_lines=0)
    assert (lines, losses) == ([], [])
    assert read(writer, mark) == ([], mark, [])
    write(writer, tmp_path, "one\ntwo\n")
    lines, mark, losses = read(writer, mark)
    assert (lines, losses) == (["one", "two"], [])


def test_a_container_that_had_said_nothing_yet_is_read_from_its_first_line(writer: str, tmp_path: Path) -> None:
    _lines, mark, _losses = read(writer, None, first_lines=0)
    write(writer, tmp_path, "one\n")
    assert read(writer, mark)[0] == ["one"]


def test_a_container_s_log_that_was_cut_is_told(writer: str, tmp_path: Path) -> None:
    write(writer, tmp_path, "one\n")
    mark = read(writer, None)[1]
    write(writer, tmp_path, "".join(f"line {number:05d} {'x' * 60}\n" for number in range(1200)))
    lines, _mark, losses = read(writer, mark)
    assert losses
    assert lines[-1].startswith("line 01199")


def test_a_container_that_was_made_anew_is_told(writer: str, tmp_path: Path) -> None:
    write(writer, tmp_path, "one\n")
    mark = {**read(writer, None)[1], "id": "another"}
    lines, _mark, losses = read(writer, mark)
    assert lines == ["one"]
    assert "made anew" in losses[0].reason
