# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five hundred endpoints behind 50 ms of latency: ``http_check`` against one request after the other.

Each side asks each endpoint once. The peers are ``curl`` started for each URL, as the guides do it, and a loop over
``ansible.builtin.uri``; the latter is measured with fewer endpoints and multiplied, which its row says.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.fleetcare.maintenance.tests.images.controller import ROOT

ENDPOINTS = 500
DELAY_SECONDS = 0.05
ROUNDS = 5
URI_ENDPOINTS = 10
BODY = b'{"status": "ok"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@dataclass(frozen=True)
class Cost:
    """Seconds of wall time, and of CPU time of the processes that asked."""

    wall: float
    cpu: float


@contextmanager
def slow_server() -> Iterator[int]:
    """A local server that thinks for ``DELAY_SECONDS`` before each answer, in a thread; yields its port."""
    ready: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
    started = threading.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(DELAY_SECONDS)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async def serve() -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(respond, "127.0.0.1", 0, backlog=1024)
        ready.append((asyncio.get_running_loop(), over, server.sockets[0].getsockname()[1]))
        started.set()
        async with server:
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    started.wait()
    loop, over, port = ready[0]
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def ask_with_curl(urls: list[str], _directory: Path) -> None:
    for url in urls:
        subprocess.run(
            ["curl", "--fail", "--silent", "--output", os.devnull, "--write-out", "%{time_total}\n", url],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def ask_with_the_module(urls: list[str], directory: Path) -> None:
    """The work of the module in a Python of its own, import included, as on a managed host."""
    program = (
        "import json, sys\n"
        "from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock\n"
        "from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform\n"
        "from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.check import check\n"
        "from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.checks import CATALOGUE\n"
        "from ansible_collections.fleetcare.maintenance.plugins.module_utils.web.endpoint import ARGUMENTS\n"
        "given = json.load(sys.stdin)\n"
        "params = {name: argument.get('default') for name, argument in ARGUMENTS.items()}\n"
        "params.update(levels={}, checks=[], state_consumer='bench', state_acknowledged=None, samples=1, warmup=0)\n"
        "params.update(given)\n"
        "result = perform(check, params=params, check_mode=False, name='http_check', catalogue=CATALOGUE,\n"
        "                 repair=False, clock=Clock())\n"
        "json.dump(result, sys.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps({"endpoints": urls, "state_dir": str(directory / "state")}),
        env={**os.environ, "PYTHONPATH": str(ROOT / ".cache/collections")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    if json.loads(done.stdout)["status"] != "ok":
        raise RuntimeError(f"not every endpoint answered: {json.loads(done.stdout)['summary']}")


def ask_with_tasks(task: dict[str, Any], directory: Path) -> None:
    """One task on this machine, with all that Ansible needs around it."""
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    play["vars"] = {"ansible_python_interpreter": sys.executable}
    (directory / "play.yml").write_text(json.dumps([play]))
    subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "play.yml"],
        cwd=directory,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
        },
        check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def ask_with_uri(urls: list[str], directory: Path) -> None:
    ask_with_tasks({"name": "Ask", "ansible.builtin.uri": {"url": "{{ item }}"}, "loop": urls}, directory)


def ask_with_our_task(urls: list[str], directory: Path) -> None:
    options = {"endpoints": urls, "samples": 1, "warmup": 0}
    ask_with_tasks({"name": "Ask", "fleetcare.maintenance.http_check": options}, directory)


def cost(ask: Callable[[list[str], Path], None], urls: list[str], *, rounds: int) -> Cost:
    """Medians over ``rounds`` after one that is thrown away."""
    seen = []
    for _round in range(rounds + 1):
        with tempfile.TemporaryDirectory() as directory:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.monotonic()
            ask(urls, Path(directory))
            wall = time.monotonic() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seen.append(Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return Cost(statistics.median(one.wall for one in seen[1:]), statistics.median(one.cpu for one in seen[1:]))


def _row(case: str, *, ours: float, peer: float, peer_name: str) -> dict[str, Any]:
    return {
        "case": case,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": peer_name,
        "ratio": round(peer / ours, 1),
        "unit": "s",
    }


def measure(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Rows with seconds of both sides; ``ratio`` is how many times as long the peer takes."""
    with slow_server() as port:
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(ENDPOINTS)]
        ours = cost(ask_with_the_module, urls, rounds=rounds)
        curl = cost(ask_with_curl, urls, rounds=rounds)
        our_task = cost(ask_with_our_task, urls, rounds=rounds)
        few = cost(ask_with_uri, urls[:URI_ENDPOINTS], rounds=rounds)
        none = cost(ask_with_uri, [], rounds=rounds)
    scale = ENDPOINTS / URI_ENDPOINTS
    uri = none.wall + (few.wall - none.wall) * scale
    name = f"ansible.builtin.uri in a loop, extrapolated from {URI_ENDPOINTS}"
    case = f"{ENDPOINTS} HTTP endpoints, {DELAY_SECONDS * 1000:.0f} ms each"
    return [
        _row(f"{case}, wall time", ours=ours.wall, peer=curl.wall, peer_name="curl, one after the other"),
        _row(f"{case}, CPU time", ours=ours.cpu, peer=curl.cpu, peer_name="curl, one after the other"),
        _row(f"{case}, as one task of a playbook", ours=our_task.wall, peer=uri, peer_name=name),
    ]


def main() -> None:
    for row in measure():
        print("| {case} | {ours} {unit} | {peer} {unit} | {peer_name} | {ratio} |".format(**row))


if __name__ == "__main__":
    main()
