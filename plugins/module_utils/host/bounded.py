# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that may never come back: asked in children that are killed, and left behind when even that fails."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable, Mapping

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock


def bounded(
    questions: Mapping[str, bool], ask: Callable[[str], list[int]], *, timeout: float, clock: Clock | None = None
) -> dict[str, list[int] | OSError | None]:
    """``ask`` each question: in place where its value is false, in a child of its own where it is true.

    All children run at the same time and share ``timeout`` seconds; None stands for no answer in time. A child in
    uninterruptible sleep cannot be killed: it is not waited for and goes away when its server or disk comes back.
    """
    answers: dict[str, list[int] | OSError | None] = {}
    children = {question: _start(question, ask) for question, risky in questions.items() if risky}
    for question, risky in questions.items():
        if not risky:
            try:
                answers[question] = ask(question)
            except OSError as error:
                answers[question] = error
    clock = clock or Clock()
    until = clock.monotonic() + timeout
    for question, (pid, pipe) in children.items():
        answers[question] = _finish(pid, pipe, seconds=max(0.0, until - clock.monotonic()))
    return answers


def _start(question: str, ask: Callable[[str], list[int]]) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        os.close(reader)
        _let_go_of_output()
        try:
            document: dict[str, object] = {"answer": ask(question)}
        except OSError as error:
            document = {"errno": error.errno}
        os.write(writer, json.dumps(document).encode())
    finally:
        os._exit(0)


def _let_go_of_output() -> None:
    """A child that hangs must not hold our output open: the connection waits until the last writer has closed it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)


def _finish(pid: int, pipe: int, *, seconds: float) -> list[int] | OSError | None:
    try:
        ready, _write, _error = select.select([pipe], [], [], seconds)
        raw = os.read(pipe, 65536) if ready else b""
    finally:
        os.close(pipe)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.waitpid(pid, 0 if raw else os.WNOHANG)
    if not raw:
        return None
    document = json.loads(raw)
    if "answer" in document:
        return [int(figure) for figure in document["answer"]]
    number = int(document["errno"] or 0)
    return OSError(number, os.strerror(number))
