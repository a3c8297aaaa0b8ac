# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts to test against: containers with systemd and sshd on the bridge of the local Docker engine.

From Python::

    with hosts(["a", "b"], image="debian12", directory=tmp_path) as fleet:
        fleet.write_inventory(tmp_path / "hosts.json")
        fleet["a"].execute(["systemctl", "is-active", "cron"])

From a playbook or a shell (the containers then outlive the command, until ``stop``)::

    containers.py start --owner molecule --directory DIR a=debian12 b=debian13
    containers.py stop --owner molecule

Every container carries the label ``fleetcare-test``; its value is the owner. A process's containers go
when its ``with`` ends, or, if it was killed, when the next one starts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.fleetcare.maintenance.tests.images.build import ImageError, ensure_image

LABEL = "fleetcare-test"
USER = "maint"
START_SECONDS = 90.0
POLL_SECONDS = 0.2
AT_ONCE = 4


class ContainerError(RuntimeError):
    """A container cannot be had; the text says which and why."""


@dataclass(frozen=True)
class Host:
    """One running container. ``address`` is on the bridge: reachable from this machine alone."""

    name: str
    image: str
    container: str
    address: str

    def execute(self, argv: Sequence[str], *, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` inside as root, past SSH; raise ContainerError when it fails and ``check`` is set."""
        done = subprocess.run(
            ["docker", "exec", "--interactive", self.container, *argv],
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise ContainerError(f"{' '.join(argv)} on {self.name} ended with {done.returncode}: {done.stderr}")
        return done

    def write(self, path: str, text: str, *, mode: str = "0644") -> None:
        """Write a file inside, making the directories above it."""
        self.execute(["mkdir", "-p", str(Path(path).parent)])
        self.execute(["tee", path], stdin=text)
        self.execute(["chmod", mode, path])

    def pause(self) -> None:
        """Freeze every process: connections hang, as with a machine that has died."""
        _docker("pause", self.container)

    def unpause(self) -> None:
        """Undo ``pause``."""
        _docker("unpause", self.container)

    def stop(self) -> None:
        """Switch the host off: connections are refused or find no route."""
        _docker("kill", self.container)


@dataclass(frozen=True)
class Fleet(Mapping[str, Host]):
    """Running hosts by name, and what it takes to reach them over SSH."""

    members: dict[str, Host]
    key: Path
    known_hosts: Path
    variables: dict[str, object] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Host:
        return self.members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def ssh_arguments(self) -> list[str]:
        """Return the options that make ssh use this fleet's key and host keys and nothing of the user's."""
        return [
            "-F", "/dev/null", "-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "StrictHostKeyChecking=yes",
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
        ]  # fmt: skip

    def inventory(
        self, *, groups: Mapping[str, Sequence[str]] | None = None, variables: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """Return an inventory for Ansible's yaml plugin: every host, ``groups`` of them, extra ``variables``."""
        return {
            "all": {
                "hosts": {name: {"ansible_host": host.address} for name, host in self.members.items()},
                "vars": {
                    "ansible_user": USER,
                    "ansible_become": True,
                    "ansible_python_interpreter": "/usr/bin/python3",
                    "ansible_ssh_private_key_file": str(self.key),
                    "ansible_ssh_common_args": " ".join(self.ssh_arguments()),
                    **(variables or {}),
                },
                "children": {group: {"hosts": {name: {} for name in names}} for group, names in (groups or {}).items()},
            }
        }

    def write_inventory(
        self,
        path: Path,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> Path:
        """Write ``inventory`` to ``path`` (JSON, which the yaml plugin reads; end it in .yml) and return it."""
        path.write_text(json.dumps(self.inventory(groups=groups, variables=variables), indent=2) + "\n")
        return path


@contextmanager
def hosts(
    names: Sequence[str] | Mapping[str, str],
    *,
    directory: Path,
    image: str = "debian12",
    systemd: bool = True,
    options: Sequence[str] = (),
) -> Iterator[Fleet]:
    """Start a host for each name and remove them all at the end, whatever happens.

    ``names`` may map each name to its own image. ``directory`` takes the key and known_hosts. Without
    ``systemd`` only sshd runs, which is the cheapest. ``options`` go to ``docker run`` as they are.
    """
    owner = _own_label()
    remove_leftovers()
    try:
        yield start(
            names if isinstance(names, Mapping) else dict.fromkeys(names, image),
            owner=owner, directory=directory, systemd=systemd, options=options,
        )  # fmt: skip
    finally:
        stop(owner)


def start(
    names: Mapping[str, str], *, owner: str, directory: Path, systemd: bool = True, options: Sequence[str] = ()
) -> Fleet:
    """Start the hosts named (name to image) for ``owner`` and wait until SSH lets people in on all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    key = _make_key(directory)
    tags = {image: ensure_image(image) for image in sorted(set(names.values()))}

    def launch(name: str) -> Host:
        return _launch(
            name, image=names[name], tag=tags[names[name]], owner=owner, key=key, systemd=systemd, options=options
        )

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        members = {host.name: host for host in pool.map(launch, names)}
    deadline = time.monotonic() + START_SECONDS
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(_await_host_keys(list(members.values()), deadline=deadline))
    if systemd:
        for host in members.values():
            _await_boot(host, deadline=deadline)
    return Fleet(members=members, key=key, known_hosts=known_hosts)


def stop(owner: str) -> None:
    """Remove every container of ``owner`` with its volumes."""
    _remove(_listed(f"{LABEL}={owner}"))


def remove_leftovers() -> None:
    """Remove the containers of test processes that are no more; a named owner's stay."""
    gone = []
    for line in _docker("ps", "--all", "--filter", f"label={LABEL}", "--format", _ID_AND_OWNER).splitlines():
        container, owner = line.split(" ", 1)
        if owner.startswith("process ") and not _is_running(owner):
            gone.append(container)
    _remove(gone)


def systemd_options() -> list[str]:
    """Return what ``docker run`` needs for systemd as process 1, without --privileged.

    On a host with hybrid control groups systemd gets the unified tree: mounted over the whole of them it
    would move the engine's own groups.
    """
    unified = Path("/sys/fs/cgroup/unified")
    groups = unified if unified.is_dir() else Path("/sys/fs/cgroup")
    options = [
        "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
        "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", f"--volume={groups}:/sys/fs/cgroup:rw",
    ]  # fmt: skip
    return options if unified.is_dir() else [*options, "--cgroupns=host"]


_ADDRESSES = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
_ID_AND_OWNER = '{{.ID}} {{.Label "' + LABEL + '"}}'


def _launch(name: str, *, image: str, tag: str, owner: str, key: Path, systemd: bool, options: Sequence[str]) -> Host:
    authorised = f"--volume={key}.pub:/etc/ssh/test_authorized_keys:ro"
    container = _docker(
        "run", "--detach", f"--hostname={name}", f"--label={LABEL}={owner}", authorised,
        *(systemd_options() if systemd else []), *options, tag, *([] if systemd else ["/usr/local/sbin/plain-sshd"]),
    )  # fmt: skip
    address = _docker("inspect", "--format", _ADDRESSES, container).split(" ")[0]
    if not address:
        raise ContainerError(f"container {name} has no address: {_last_words(container)}")
    return Host(name=name, image=image, container=container, address=address)


def _make_key(directory: Path) -> Path:
    key = directory / "id_ed25519"
    if not key.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", LABEL, "-f", str(key)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return key


def _await_host_keys(waiting: list[Host], *, deadline: float) -> str:
    """Ask every host for its SSH host key until all have answered, and return known_hosts lines."""
    lines: dict[str, str] = {}
    while True:
        missing = [host.address for host in waiting if host.address not in lines]
        if not missing:
            return "".join(f"{line}\n" for line in lines.values())
        scanned = subprocess.run(
            ["ssh-keyscan", "-T", "2", "-t", "ed25519", *missing],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        lines |= {line.split(" ", 1)[0]: line for line in scanned.stdout.splitlines() if " ssh-ed25519 " in line}
        if time.monotonic() > deadline:
            silent = [host for host in waiting if host.address not in lines]
            words = "; ".join(f"{host.name}: {_last_words(host.container)}" for host in silent)
            raise ContainerError(f"no sshd answered within {START_SECONDS:.0f} s on {words}")
        time.sleep(POLL_SECONDS)


def _await_boot(host: Host, *, deadline: float) -> None:
    """Wait until systemd has worked through its queue; a unit that failed is the test's own matter."""
    while True:
        state = host.execute(["systemctl", "is-system-running"], check=False).stdout.strip()
        if state in {"running", "degraded"}:
            return
        if time.monotonic() > deadline:
            raise ContainerError(f"systemd on {host.name} is still '{state}' after {START_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _last_words(container: str) -> str:
    done = subprocess.run(
        ["docker", "logs", "--tail", "5", container],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip() or "it said nothing"


def _own_label() -> str:
    return f"process {os.getpid()} started {_start_ticks(os.getpid())} {time.monotonic_ns()}"


def _is_running(owner: str) -> bool:
    _word, pid, _word, ticks, _serial = owner.split(" ")
    return _start_ticks(int(pid)) == ticks


def _start_ticks(pid: int) -> str:
    """Return when the process began, in clock ticks since boot (proc(5), stat field 22); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _listed(label: str) -> list[str]:
    return _docker("ps", "--all", "--quiet", "--filter", f"label={label}").split()


def _remove(containers: Sequence[str]) -> None:
    """Remove containers; one that another process is removing at the same moment is as good as gone."""
    if not containers:
        return
    done = _run_docker("rm", "--force", "--volumes", *containers)
    gone = ("already in progress", "No such container")
    if any(line and not any(words in line for words in gone) for line in done.stderr.splitlines()):
        raise ContainerError(f"docker rm ended with {done.returncode}: {done.stderr.strip()}")


def _docker(*arguments: str) -> str:
    done = _run_docker(*arguments)
    if done.returncode != 0:
        raise ContainerError(f"docker {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def _run_docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def main(arguments: Sequence[str]) -> int:
    """Start or stop the containers of a named owner; ``start`` prints the inventory as JSON."""
    parser = argparse.ArgumentParser(description="Containers to test against.")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start")
    starting.add_argument("--owner", required=True)
    starting.add_argument("--directory", required=True, type=Path)
    starting.add_argument("hosts", nargs="+", metavar="NAME=IMAGE")
    stopping = commands.add_parser("stop")
    stopping.add_argument("--owner", required=True)
    chosen = parser.parse_args(arguments)
    try:
        stop(chosen.owner)
        if chosen.command == "start":
            fleet = start(
                dict(pair.split("=", 1) for pair in chosen.hosts), owner=chosen.owner, directory=chosen.directory
            )
            print(json.dumps(fleet.inventory()))
    except (ContainerError, ImageError) as error:
        print(f"containers.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
