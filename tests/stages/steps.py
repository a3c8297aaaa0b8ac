# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each stage of ``make test`` runs, as a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ansible_collections.fleetcare.maintenance.tests.stages.environments import (
    CACHE,
    ROOT,
    Environment,
    sanity_copy,
    sanity_home,
    sanity_path,
    tracked_files,
)

PACKAGE = "ansible_collections.fleetcare.maintenance"
PROGRAMS = Path(sys.executable).parent
#: The release that requirements.txt brings on the oldest Python of a controller.
MAIN_CORE = Environment(core="2.19", pythons=("3.12", "3.11"))
SANITY_CORES = (
    Environment(core="2.17", pythons=("3.11",)),
    MAIN_CORE,
    Environment(core="2.21", pythons=("3.13", "3.12")),
)
OLDEST_CORE, NEWEST_CORE = SANITY_CORES[0], SANITY_CORES[2]
# Tests themselves go unchecked: to hand over what a type forbids is half of what they do.
TYPED_ROOMS = ("plugins", "tests.images", "tests.stages", "tests.benchmarks")
MANAGED_ROOM = "tests/unit/module_utils"
POSTGRESQL = "tests/integration/postgresql"
#: Of the tests on real servers those that change them, which take half of the time: a stage of their own.
REPAIRS = tuple(
    f"test_{name}"
    for name in (
        "vacuum_repair", "repack", "reindex", "index", "repair_faults", "repair_states", "unblock", "unblock_guards",
        "login", "role",
    )
)  # fmt: skip
CONTROLLER_ROOMS = ("action", "callback", "filter", "plugin_utils")
OLDEST_MANAGED = Environment(core="2.17", pythons=("3.9",), managed=True)


@dataclass(frozen=True)
class Command:
    """One program with its folder and what differs in its environment."""

    argv: Sequence[str]
    folder: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One line of the summary. ``make`` prepares what the command needs and returns it.

    ``environment`` is what it runs in; where this machine lacks its Python the step is not run, and the
    summary says so. ``counts_tests`` is set where pytest counts for itself.
    """

    name: str
    make: Callable[[], Command]
    environment: Environment | None = None
    counts_tests: bool = False


@dataclass(frozen=True)
class Stage:
    """A target of the Makefile: its steps, and the groups of ``tests/images/prepare`` they need."""

    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()


def _program(name: str, *arguments: str, **environment: str) -> Step:
    return Step(name, lambda: Command([*name.split(" "), *arguments], environment=environment))


def _pytest(name: str, *paths: str, environment: Environment | None = None) -> Step:
    def make() -> Command:
        programs = environment.ensure() if environment else PROGRAMS
        return Command([str(programs / "python"), "-m", "pytest", "-q", "-o", f"cache_dir={CACHE}/pytest", *paths])

    return Step(name, make, environment=environment, counts_tests=True)


def _sanity(core: Environment) -> Iterator[Step]:
    """Yield ansible-test's sanity tests: all but two for everything, and those two for what they are about.

    Its ``import`` test wants every plugin to import without a third-party library, which is the rule for
    what runs on managed hosts; a controller has requirements.txt. Its ``pylint`` takes longer than all others
    together and finds the same in the tests whatever the core: it reads them once.
    """

    def command(*arguments: str) -> Command:
        path = sanity_path(core.ensure())
        environment = {"HOME": str(sanity_home(core.core)), "PATH": path, "LC_ALL": "C.UTF-8"}
        argv = ["ansible-test", "sanity", "--venv", "--color", "no", *arguments]
        return Command(argv, folder=sanity_copy(core.core), environment=environment)

    parts = {
        "": ("--skip-test", "import", "--skip-test", "pylint"),
        " pylint": ("--test", "pylint", *(() if core is MAIN_CORE else ("plugins/",))),
        " import": ("--test", "import", "plugins/modules/", "plugins/module_utils/", "plugins/doc_fragments/"),
    }
    for name, arguments in parts.items():
        yield Step(f"ansible-test sanity{name}, {core.name}", partial(command, *arguments), environment=core)


def _shellcheck() -> Command:
    def is_shell(name: str) -> bool:
        path = ROOT / name
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            first = handle.readline(80)
        return name.endswith(".sh") or (first.startswith(b"#!") and first.rstrip().endswith((b"bash", b"/sh")))

    return Command(["shellcheck", *filter(is_shell, tracked_files())])


def _collection_docs() -> Command:
    argv = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."]
    return Command(argv, folder=sanity_copy("docs"))


def _galaxy_importer() -> Command:
    script = (
        'rm -rf "$1" && ansible-galaxy collection build --output-path "$1" >/dev/null && '
        'python -m galaxy_importer.main "$1"/*.tar.gz'
    )
    config = CACHE / "galaxy-importer.cfg"
    config.write_text("[galaxy-importer]\nRUN_ANSIBLE_TEST = False\nCHECK_REQUIRED_TAGS = True\n")
    return Command(
        ["bash", "-euc", script, "bash", str(CACHE / "import")],
        folder=sanity_copy("import"),
        environment={"GALAXY_IMPORTER_CONFIG": str(config)},
    )


def _checks_page() -> Command:
    argv = [str(PROGRAMS / "python"), "-m", "ansible_collections.fleetcare.maintenance.tests.stages.docs"]
    return Command(argv, environment={"PYTHONPATH": str(CACHE / "collections")})


STAGES: dict[str, Stage] = {
    "lint": Stage(
        needs=("lint",),
        steps=(
            _program("ruff check"),
            _program("ruff format", "--check"),
            _program("mypy", *(word for room in TYPED_ROOMS for word in ("-p", f"{PACKAGE}.{room}"))),
            _program("yamllint", "--strict", "."),
            Step("shellcheck", _shellcheck),
            _program("ansible-lint", "--profile", "production", "--offline", "--strict", ANSIBLE_LINT_NODEPS="1"),
            Step("antsibull-docs", _collection_docs),
            _program("antsibull-changelog lint"),
            Step("galaxy-importer", _galaxy_importer),
            *(step for core in SANITY_CORES for step in _sanity(core)),
        ),
    ),
    "units": Stage(
        steps=(
            _pytest("units", "tests/unit"),
            # What runs on hosts hardly knows Ansible; under the same Python it need not be asked twice.
            _pytest(f"units, {OLDEST_CORE.name}", "tests/unit", f"--ignore={MANAGED_ROOM}", environment=OLDEST_CORE),
            _pytest(f"units, {NEWEST_CORE.name}", "tests/unit", environment=NEWEST_CORE),
            _pytest(
                "units of managed hosts, Python 3.9",
                "tests/unit",
                *(f"--ignore=tests/unit/{room}" for room in CONTROLLER_ROOMS),
                environment=OLDEST_MANAGED,
            ),
        )
    ),
    "contract": Stage(steps=(_pytest("contract", "tests/contract"),)),
    "integration": Stage(
        needs=("containers",),
        steps=(_pytest("integration", "tests/integration", "--ignore=tests/integration/postgresql"),),
    ),
    "postgresql": Stage(
        needs=("containers",),
        steps=(_pytest("postgresql", POSTGRESQL, *(f"--ignore={POSTGRESQL}/{name}.py" for name in REPAIRS)),),
    ),
    "postgresql_repairs": Stage(
        needs=("containers",),
        steps=(_pytest("postgresql_repairs", *(f"{POSTGRESQL}/{name}.py" for name in REPAIRS)),),
    ),
    "faults": Stage(needs=("containers",), steps=(_pytest("faults", "tests/faults"),)),
    "molecule": Stage(
        needs=("containers",),
        steps=(
            Step(
                "molecule",
                lambda: Command(
                    ["molecule", "test", "--all"],
                    environment={
                        "MOLECULE_GLOB": "molecule/*/molecule.yml",
                        "ANSIBLE_COLLECTIONS_PATH": str(CACHE / "collections"),
                        "PYTHONPATH": str(CACHE / "collections"),
                    },
                ),
            ),
        ),
    ),
    "bench": Stage(
        needs=("containers", "bench"),
        steps=tuple(
            _program(f"python -m {PACKAGE}.tests.benchmarks.run {name}", PYTHONPATH=str(CACHE / "collections"))
            for name in ("http", "report", "daily", "postgresql", "postgresql_vacuum", "access_log", "log_review")
        ),
    ),
    "docs": Stage(steps=(Step("the page of checks", _checks_page),)),
    "images": Stage(
        needs=("containers", "base"),
        steps=(_program("python tests/images/build.py"),),
    ),
}


def child_environment(extra: dict[str, str]) -> dict[str, str]:
    """Return the environment of a step: ours, without what would make it look past its own copy."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MAKEFLAGS", "MFLAGS")}
    return {**inherited, "NO_COLOR": "1", **extra}
