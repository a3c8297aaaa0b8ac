# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters, virtual environments and copies of the checkout that the stages run in."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
COLLECTION = "ansible_collections/fleetcare/maintenance"
# The pip that each ansible-core's own test tool asks for when it makes an environment.
SANITY_PIP = {"2.17": "23.1.2", "2.19": "24.2", "2.21": "25.2"}


class SetupError(RuntimeError):
    """A stage's surroundings cannot be made; the text says which and why."""


def find_interpreter(version: str) -> Path | None:
    """Return the real interpreter of a Python version such as ``3.12``, past any version manager's shim."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    on_path = shutil.which(f"python{version}", path=path_without_shims())
    for candidate in [on_path, *installed]:
        if candidate and _can_make_environments(Path(candidate)):
            return Path(candidate).resolve()
    return None


def path_without_shims() -> str:
    """Return PATH without the folders of shims, which start another program than the one named."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).name != "shims")


def _can_make_environments(python: Path) -> bool:
    argv = [str(python), "-c", "import ensurepip, venv"]
    return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


@dataclass(frozen=True)
class Environment:
    """A virtual environment beside the main one: a release of ansible-core on a release of Python."""

    core: str
    pythons: tuple[str, ...]
    # A managed host's Python never runs a controller: there ansible-core is only its module_utils.
    managed: bool = False

    @property
    def name(self) -> str:
        """Return what it is called in a summary."""
        return f"core {self.core} on Python {self.python_version or ' or '.join(self.pythons)}"

    @property
    def python_version(self) -> str | None:
        """Return the first of its Pythons that this machine has."""
        return next((version for version in self.pythons if find_interpreter(version)), None)

    @property
    def folder(self) -> Path:
        """Return where it lives."""
        return CACHE / "environments" / f"core{self.core}-py{self.python_version}"

    def ensure(self) -> Path:
        """Make it unless it stands as wanted, and return its folder of programs."""
        version = self.python_version
        python = find_interpreter(version) if version else None
        if python is None:
            raise SetupError(f"no Python {' or '.join(self.pythons)} on this machine")
        requirements = [ROOT / "requirements-units.txt", *([] if self.managed else [ROOT / "requirements.txt"])]
        key = hashlib.sha256(b"".join(path.read_bytes() for path in requirements)).hexdigest()[:16]
        stamp = self.folder / f".stamp-{key}"
        with locked(self.folder.name):
            if not stamp.exists():
                shutil.rmtree(self.folder, ignore_errors=True)
                run([str(python), "-m", "venv", str(self.folder)])
                self._install(requirements)
                stamp.touch()
        return self.folder / "bin"

    def _install(self, requirements: Sequence[Path]) -> None:
        pip = [str(self.folder / "bin/python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        core = f"ansible-core=={self.core}.*"
        wanted = [word for path in requirements for word in ("-r", str(path))]
        if self.managed:
            run([*pip, *wanted, "PyYAML", "jinja2", "cryptography"])
            run([*pip, "--no-deps", "--ignore-requires-python", core])
        else:
            run([*pip, core, *wanted])


def sanity_copy(core: str) -> Path:
    """Bring a copy of the checkout as git sees it to where ansible-test wants it, and return that folder.

    What ansible-test itself keeps there (``tests/output``, with environments that take a minute) stays.
    """
    target = CACHE / "sanity" / core / COLLECTION
    wanted = [name for name in tracked_files() if (ROOT / name).is_file()]
    _remove_others(target, keep={*wanted, ".git", "tests/output"})
    for name in wanted:
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, destination, follow_symlinks=False)
    # A repository of its own, or the outer one's would say that everything below .cache is ignored.
    run(["git", "init", "-q", str(target)])
    return target


def _remove_others(target: Path, *, keep: set[str]) -> None:
    kept_folders = {str(parent) for name in keep for parent in Path(name).parents}
    for folder, subfolders, files in os.walk(target):
        for name in [*subfolders, *files]:
            path = Path(folder, name)
            relative = str(path.relative_to(target))
            if relative in kept_folders:
                continue
            if name in subfolders:
                subfolders.remove(name)
            if relative not in keep:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def tracked_files() -> list[str]:
    """Return the files of the checkout: what git tracks, and what is new and not ignored."""
    argv = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    return sorted({name for name in done.stdout.split("\0") if name})


def sanity_home(core: str) -> Path:
    """Return a home folder for ansible-test in which it finds the pip that it would otherwise download.

    It fetches a bootstrap script from a host of its own; the package index has the same pip.
    """
    home = CACHE / "sanity/home"
    home.mkdir(parents=True, exist_ok=True)
    for name in (".config", ".cache"):
        real = Path.home() / name
        if real.is_dir() and not (home / name).is_symlink():
            (home / name).symlink_to(real)
    version = SANITY_PIP[core]
    folder = home / ".ansible/test/cache"
    folder.mkdir(parents=True, exist_ok=True)
    with locked("sanity-home"):
        wheel = folder / f"pip-{version}-py3-none-any.whl"
        if not wheel.exists():
            pip = [str(CACHE / "venv/bin/python"), "-m", "pip"]
            run([*pip, "download", "-qq", "--no-deps", "--dest", str(folder), f"pip=={version}"])
        script = folder / f"get_pip_{version.replace('.', '_')}.py"
        script.write_text(_GET_PIP.format(wheel=str(wheel), version=version))
    return home


_GET_PIP = """\
# Stands in for the bootstrap script of the same name: runs pip out of its own wheel.
import runpy
import sys

sys.path.insert(0, {wheel!r})
wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
if not any(word.startswith("pip=") for word in wanted):
    wanted.append("pip=={version}")
sys.argv = ["pip", "install", "--upgrade", "--force-reinstall"] + wanted
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def sanity_path(programs: Path) -> str:
    """Return a PATH with the programs of an environment and every real Python that ansible-test may want."""
    found = [find_interpreter(f"3.{minor}") for minor in range(9, 15)]
    folders = [str(programs), *(str(python.parent) for python in found if python), path_without_shims()]
    return os.pathsep.join(folders)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time through, on this checkout, for ``name``."""
    (CACHE / "locks").mkdir(parents=True, exist_ok=True)
    with (CACHE / "locks" / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(argv: Sequence[str]) -> None:
    """Run a set-up command quietly; raise SetupError with the end of its output when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-10:])
        raise SetupError(f"{' '.join(argv[:5])} … ended with {done.returncode}:\n{tail}")
