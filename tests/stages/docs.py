# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write ``docs/checks.md``, and the list of ids that the gate holds names against, from the tables of checks."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterable, Mapping

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.tests.stages.environments import ROOT

PAGE = ROOT / "docs" / "checks.md"
IDS = ROOT / "plugins" / "plugin_utils" / "check_ids.py"
PACKAGE = "ansible_collections.fleetcare.maintenance"
#: Where a subject's table may stand.
ROOMS = ("plugins/module_utils", "plugins/plugin_utils")

_UNITS: Mapping[str, str] = {
    "%": "percent",
    "B": "bytes",
    "B/s": "bytes per second",
    "1/s": "per second",
    "s": "seconds",
    "ms": "milliseconds",
    "d": "days",
    "": "a count",
}

#: What Markdown would take for its own outside code; an underscore inside a word is safe.
_SIGNS = re.compile(r"([\\*<\[|]|\b_|_\b)")

_INTRODUCTION = """\
# Checks

Every question that the collection asks, by subject. This page is made from the tables in the code by `make docs`.

A check without levels states a fact. The levels named are the defaults; `maintenance_levels` changes them by check
id, or by check id and item, and `for: N` asks for N runs in a row before an alarm:

```yaml
maintenance_levels:
  host.memory: {warning: 90, critical: null}
  "host.disk_bytes[/var*]": {warning: 70, for: 2}
```

What could not be looked at is `skipped` or `unknown`, never `ok`.
"""


def catalogue_modules() -> list[str]:
    """Return the dotted names of the modules that define a table, found without importing the others."""
    names = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if _defines_catalogue(ast.parse(path.read_bytes())):
                relative = path.relative_to(ROOT).with_suffix("")
                names.append(".".join((PACKAGE, *relative.parts)))
    return names


def _defines_catalogue(tree: ast.Module) -> bool:
    return any(
        isinstance(node, (ast.Assign, ast.AnnAssign))
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).rsplit(".", 1)[-1] == "Catalogue"
        for node in tree.body
    )


def catalogues() -> dict[str, Catalogue]:
    """Return every subject's table by subject. Raises ValueError where two tables claim one subject."""
    found: dict[str, Catalogue] = {}
    for name in catalogue_modules():
        module = importlib.import_module(name)
        for catalogue in (value for value in vars(module).values() if isinstance(value, Catalogue)):
            if found.setdefault(catalogue.subject, catalogue) is not catalogue:
                raise ValueError(f"{name} makes a second table of subject {catalogue.subject!r}")
    return dict(sorted(found.items()))


def render(tables: Mapping[str, Catalogue]) -> str:
    """Return the page. The same tables give the same page, byte for byte."""
    index = "\n".join(f"* [{subject}](#{subject}): {len(table)}" for subject, table in tables.items())
    sections = "\n".join(_subject(subject, table.values()) for subject, table in tables.items())
    return f"{_INTRODUCTION}\n{index}\n\n{sections}"


_IDS_HEAD = """\
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
\"\"\"The ids of all checks, made from the tables in the code by `make docs`.

The controller holds names against them without importing what asks the questions.
\"\"\"

from __future__ import annotations

CHECK_IDS = (
"""


def render_ids(tables: Mapping[str, Catalogue]) -> str:
    """Return the module that names every check. The same tables give the same text, byte for byte."""
    ids = sorted(check for table in tables.values() for check in table)
    return _IDS_HEAD + "".join(f'    "{check}",\n' for check in ids) + ")\n"


def _subject(subject: str, checks: Iterable[Check]) -> str:
    return "\n".join([f"## {subject}\n", *map(_check, checks)])


def _check(check: Check) -> str:
    return (
        f"### {check.id}\n\n"
        f"**{_text(check.title)}.** {_text(check.meaning)}\n\n"
        f"* Levels: {_text(_levels(check))}\n"
        f"* Source: {_text(check.source)}\n"
        f"* What to do: {_text(check.remedy)}\n"
    )


def _levels(check: Check) -> str:
    unit = _UNITS.get(check.unit, check.unit)
    worded = check.levels.worded(check.unit) if check.levels else ""
    if not worded:
        return f"in {unit}, of the item or an option" if check.unit else "none, it states a fact"
    runs = check.levels.runs if check.levels else 1
    lasting = f", once {runs} runs in a row agree" if runs > 1 else ""
    return f"{worded}{lasting} ({unit})"


def _text(text: str) -> str:
    """Return prose that Markdown shows as it stands; what is in backticks stays code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return _SIGNS.sub(r"\\\1", text.replace("`", "'"))
    return "`".join(piece if number % 2 else _SIGNS.sub(r"\\\1", piece) for number, piece in enumerate(pieces))


def main() -> int:
    """Write both and say what they hold."""
    tables = catalogues()
    PAGE.write_text(render(tables), encoding="utf-8")
    IDS.write_text(render_ids(tables), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {sum(map(len, tables.values()))} checks of {len(tables)} subjects")
    return 0


if __name__ == "__main__":
    sys.exit(main())
