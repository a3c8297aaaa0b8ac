# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host, run for real."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError


def python(code, **options):
    return command.run([sys.executable, "-c", code], timeout=options.pop("timeout", 30.0), **options)


def test_output_and_exit_status_come_back():
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.rc, done.lines(), done.stderr) == (3, ["out"], "err\n")
    assert done.first_error() == "err"


def test_a_signal_is_a_negative_exit_status():
    assert python("import os; os.kill(os.getpid(), 15)").rc == -15


def test_no_shell_reads_the_arguments():
    assert command.run(["echo", "$(id)", ";", "x"], timeout=5).stdout == "$(id) ; x\n"


def test_output_is_english_and_the_keyboard_is_closed():
    code = "import os, sys; print(os.environ['LC_ALL'], os.environ['LANGUAGE'], repr(sys.stdin.read()))"
    assert python(code).stdout == "C C ''\n"


def test_input_and_environment_are_handed_over():
    done = python("import os, sys; print(sys.stdin.read() + os.environ['TZ'])", stdin=b"in ", env={"TZ": "UTC"})
    assert done.stdout == "in UTC\n"


def test_a_program_that_is_not_there_is_said():
    with pytest.raises(command.CommandMissing, match="'no-such-program' is not installed"):
        command.run(["no-such-program"], timeout=1)
    assert command.which("no-such-program") is None


def test_a_file_that_is_no_program_is_said(tmp_path):
    path = tmp_path / "noise"
    path.write_bytes(b"\x7fELF noise")
    path.chmod(0o755)
    with pytest.raises(MaintenanceError, match="cannot be started"):
        command.run([str(path)], timeout=1)


def test_a_program_that_does_not_end_is_stopped():
    with pytest.raises(command.CommandTimeout, match=r"'sleep' did not end within 0\.1 s"):
        command.run(["sleep", "600"], timeout=0.1)


def test_a_program_that_is_stopped_takes_its_children_along():
    reader, writer = os.pipe()
    family = f"import os, signal; os.fork(); os.write({writer}, b'x'); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", family], pass_fds=[writer], start_new_session=True)
    os.close(writer)
    born = b""
    while len(born) < 2:
        born += os.read(reader, 2)
    with pytest.raises(command.CommandTimeout):
        command._wait(process, timeout=0.01, name="family")
    # The end of the pipe comes when the last of the family that held it has gone.
    ended, _write, _error = select.select([reader], [], [], 30)
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    assert ended
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_chatty_program_is_cut():
    assert len(python("print('x' * 100000)", max_output=1000).stdout) == 1000


def test_a_program_that_floods_the_disk_is_stopped():
    code = "import os\nwhile True: os.write(1, b'x' * 65536)"
    with pytest.raises(command.CommandFlood, match="wrote more than 8000 bytes and was stopped"):
        python(code, max_output=1000)


@pytest.mark.parametrize("given", [None, b"x"])
def test_a_full_temporary_folder_is_said(monkeypatch, given):
    def full(**_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(command.tempfile, "TemporaryFile", full)
    with pytest.raises(
        command.CommandUnfinished, match="temporary folder cannot be written to: No space left on device"
    ):
        command.run(["true"], timeout=5, stdin=given)


def test_input_that_does_not_fit_is_said(monkeypatch):
    full = Path("/dev/full")
    monkeypatch.setattr(command.tempfile, "TemporaryFile", lambda **_options: full.open("r+b", 0))
    with pytest.raises(command.CommandUnfinished, match="No space left on device"):
        command.run(["true"], timeout=5, stdin=b"x")


def test_bytes_that_are_no_text_do_no_harm():
    assert python("import sys; sys.stdout.buffer.write(b'a\\xffb')").stdout == "a\ufffdb"


def test_a_failure_without_a_word_has_one():
    assert python("raise SystemExit(4)").first_error() == "exit status 4 without a word"


def test_tools_of_daemons_are_found_without_sbin_on_the_path():
    assert "/usr/sbin" in command.SEARCH_PATH.split(os.pathsep)
