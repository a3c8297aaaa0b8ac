# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives go from run to run, and never where the code changed. The gate's tests see that Ansible then packs nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible import constants

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import payload
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.payload import KEPT_FOLDER, RUN_FOLDER, Payload

MODULE = "discover"
FULL_NAME = f"ansible_collections.fleetcare.maintenance.plugins.modules.{MODULE}"
ARCHIVE = f"{FULL_NAME}-ZIP_DEFLATED-none"


class Runs:
    """One run of Ansible after another, each with a temporary folder of its own, as Ansible gives it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.monkeypatch = monkeypatch
        self.folder = tmp_path
        self.packed = 0
        self.number = 0
        monkeypatch.setattr(constants, "ANSIBLE_HOME", str(tmp_path / "home"))
        self.begin()

    @property
    def kept(self) -> Path:
        return self.folder / "home" / KEPT_FOLDER

    @property
    def files(self) -> list[Path]:
        return sorted(self.kept.iterdir())

    @property
    def archive(self) -> Path:
        return self.folder / f"run{self.number}" / RUN_FOLDER / ARCHIVE

    def begin(self) -> None:
        self.number += 1
        self.archive.parents[1].mkdir()
        self.monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(self.archive.parents[1]))

    def execute(self) -> bytes:
        """What the action does, with Ansible's part played: borrow, pack where there is no archive, keep."""
        payload = Payload(MODULE)
        payload.borrow()
        if not self.archive.exists():
            self.packed += 1
            self.archive.parent.mkdir(exist_ok=True)
            self.archive.write_bytes(b"archive %d" % self.number)
            self.archive.with_name(f"{ARCHIVE}.lock").touch()
        payload.keep()
        return self.archive.read_bytes()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    return Runs(monkeypatch, tmp_path)


@pytest.fixture
def collection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A collection of three files."""
    root = tmp_path / "collection"
    for name in ("meta/runtime.yml", f"plugins/modules/{MODULE}.py", "plugins/module_utils/core/clock.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("# code\n")
    monkeypatch.setattr(payload, "COLLECTION", root)
    return root


def test_the_next_run_gets_the_archive_and_packs_nothing(runs: Runs) -> None:
    first = runs.execute()
    runs.begin()
    second = runs.execute()

    assert runs.packed == 1
    assert second == first


def test_a_run_that_has_packed_already_is_left_alone(runs: Runs) -> None:
    runs.execute()
    for path in runs.files:
        path.unlink()
    runs.execute()

    assert runs.packed == 1
    assert runs.files == []


def test_what_is_kept_belongs_to_this_user_alone(runs: Runs) -> None:
    runs.execute()

    assert runs.kept.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in runs.files] == [0o600]


def test_other_code_is_packed_anew_and_takes_the_place_of_the_old(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.execute()
    runs.begin()
    monkeypatch.setattr(payload, "fingerprint", lambda _module: b"other code")
    runs.execute()

    assert runs.packed == 2
    assert len(runs.files) == 1
    assert runs.files[0].read_bytes().startswith(b"other code")


def test_code_that_changes_while_it_is_packed_is_not_kept(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((b"before", b"after"))
    monkeypatch.setattr(payload, "fingerprint", lambda _module: next(answers))
    runs.execute()

    assert runs.files == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:-1] + b"?",
        lambda _data: b"",
        lambda data: data[:64],
        lambda _data: b"x",
    ],
    ids=("cut off", "changed", "empty", "head alone", "junk"),
)
def test_a_damaged_archive_is_not_used(runs: Runs, damage: Any) -> None:
    first = runs.execute()
    runs.files[0].write_bytes(damage(runs.files[0].read_bytes()))
    runs.begin()
    second = runs.execute()

    assert runs.packed == 2
    assert second != first


def test_an_archive_behind_a_link_is_not_used(runs: Runs, tmp_path: Path) -> None:
    runs.execute()
    elsewhere = tmp_path / "elsewhere"
    runs.files[0].rename(elsewhere)
    (runs.kept / f"{ARCHIVE}.{payload.ansible_version}").symlink_to(elsewhere)
    runs.begin()
    runs.execute()

    assert runs.packed == 2


def test_a_folder_that_is_open_to_others_is_not_used(runs: Runs) -> None:
    runs.execute()
    runs.kept.chmod(0o777)
    runs.begin()
    runs.execute()

    assert runs.packed == 2


def test_a_home_that_cannot_be_written_is_no_error(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    runs.execute()
    runs.begin()
    runs.execute()

    assert runs.packed == 2


def test_nothing_kept_may_fail_a_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_module: str) -> bytes:
        raise PermissionError("no")

    monkeypatch.setattr(payload, "fingerprint", refuse)
    runs.execute()

    assert runs.packed == 1
    assert runs.files == []


@pytest.mark.parametrize(("ending", "kept"), [("", 1), ("-none", 1), ("-_debugpy", 0), ("-_coverage~_pydevd", 0)])
def test_only_an_archive_without_a_debugger_is_kept(runs: Runs, ending: str, kept: int) -> None:
    payload = Payload(MODULE)
    payload.borrow()
    runs.archive.parent.mkdir()
    (runs.archive.parent / f"{FULL_NAME}-ZIP_STORED{ending}").write_bytes(b"archive")
    payload.keep()

    assert len(runs.files) == kept


@pytest.mark.parametrize(
    "name", ["meta/runtime.yml", f"plugins/modules/{MODULE}.py", "plugins/module_utils/core/clock.py"]
)
def test_every_file_of_code_counts(collection: Path, name: str) -> None:
    before = payload.fingerprint(MODULE)
    facts = (collection / name).stat()
    os.utime(collection / name, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))

    assert payload.fingerprint(MODULE) != before


def test_a_new_file_counts_and_another_module_does_not(collection: Path) -> None:
    before = payload.fingerprint(MODULE)
    (collection / "plugins/modules/other.py").write_text("# code\n")
    same = payload.fingerprint(MODULE)
    (collection / "plugins/module_utils/core/text.py").write_text("# code\n")

    assert same == before
    assert payload.fingerprint(MODULE) != before


@pytest.mark.usefixtures("collection")
def test_code_that_a_playbook_puts_in_the_place_of_ansibles_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = payload.fingerprint(MODULE)
    folder = tmp_path / "module_utils"
    folder.mkdir()
    (folder / "basic.py").write_text("# not Ansible's\n")
    paths = payload.module_utils_loader.print_paths()
    monkeypatch.setattr(payload.module_utils_loader, "print_paths", lambda: f"{folder}{os.pathsep}{paths}")

    assert payload.fingerprint(MODULE) != before
