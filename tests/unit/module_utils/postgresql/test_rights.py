# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What everybody may create, whose rights functions lend, and who may enter the folder with the data."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.rights import (
    TOPIC,
    Definer,
    Folder,
    collect_folder,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import SERVER, ask

FOLDER = Folder("/var/lib/postgresql/17/main", 0o700, os.getuid(), os.getuid())


class Told:
    """A session that knows where its server says its data are."""

    def __init__(self, path: Path, *, over_socket: bool = True) -> None:
        self.path = path
        self.login = SimpleNamespace(over_socket=over_socket)

    def row(self, _query: str) -> dict[str, str]:
        return {"path": str(self.path)}


def folder(path: Path, *, started: int, pid: int | None = None) -> Path:
    """A data directory as a server leaves it while it runs; this very process stands for the server."""
    note = f"{pid or os.getpid()}\n{path}\n{started}\n5432\n/run/postgresql\n*\n"
    (path / "postmaster.pid").write_text(note, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (FOLDER, "ok", "mode 0700"),
        (replace(FOLDER, mode=0o750), "ok", "mode 0750"),
        (replace(FOLDER, mode=0o770), "critical", "others than its owner can change or enter it"),
        (replace(FOLDER, mode=0o701), "critical", "others than its owner can change or enter it"),
        (replace(FOLDER, owner=123456), "critical", "belongs to uid 123456: the server runs as"),
    ],
)
def test_nobody_but_the_server_may_enter(found: Folder, status: str, words: str) -> None:
    (finding,), _metrics = ask(TOPIC, "postgresql.data_directory", parts={"folder": found})

    assert finding.status == status
    assert words in finding.summary


def test_a_folder_is_looked_at_where_the_server_s_own_note_lies_in_it(tmp_path: Path) -> None:
    started = int(SERVER.started.timestamp())
    tmp_path.chmod(0o750)
    session: Any = Told(folder(tmp_path, started=started))

    assert collect_folder(session, SERVER, Settings()) == Folder(str(tmp_path), 0o750, os.getuid(), os.getuid())


def absent(session: Any) -> str:
    with pytest.raises(Absent) as caught:
        collect_folder(session, SERVER, Settings())
    return str(caught.value)


def test_the_same_path_of_another_server_is_not_taken_for_it(tmp_path: Path) -> None:
    long_ago = int(datetime(2020, 1, 1, tzinfo=timezone.utc).timestamp())

    assert "another server" in absent(Told(folder(tmp_path, started=long_ago)))


def test_what_cannot_be_looked_at_is_not_called_fine(tmp_path: Path) -> None:
    assert "network" in absent(Told(tmp_path, over_socket=False))
    assert "does not have its data" in absent(Told(tmp_path / "gone"))
    assert "does not have its data" in absent(Told(tmp_path))
    started = int(SERVER.started.timestamp())
    assert "does not have its data" in absent(Told(folder(tmp_path, started=started, pid=2**22 + 1)))
    (tmp_path / "postmaster.pid").write_text("no number\n", encoding="utf-8")
    assert "does not have its data" in absent(Told(tmp_path))


def test_without_the_right_to_look_become_is_recommended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refused)
    session: Any = Told(tmp_path)
    with suppress(AssertionError), pytest.raises(Absent) as caught:
        collect_folder(session, SERVER, Settings())
    monkeypatch.undo()

    assert caught.value.remedy == "Run the check with become."


def test_places_where_everybody_may_create_are_named() -> None:
    databases = {"shop": {"public_create": ("schema public", "the database itself")}, "Archive": {"public_create": ()}}
    (finding,), _metrics = ask(TOPIC, "postgresql.public_create", databases=databases)

    assert (finding.status, finding.value) == ("warning", 2)
    assert finding.evidence == ("shop: schema public", "shop: the database itself")


def test_functions_of_superusers_come_first() -> None:
    plain, mighty = Definer("public.pay()", "app", False), Definer('public."Grant"(text)', "postgres", True)
    databases = {"a": {"definer": (plain,)}, "b": {"definer": (mighty,)}}
    (finding,), _metrics = ask(TOPIC, "postgresql.security_definer", databases=databases)

    assert (finding.status, finding.value) == ("info", 2)
    assert finding.evidence == ('b: public."Grant"(text) of superuser postgres', "a: public.pay() of app")
    assert "1 of a superuser" in finding.summary
