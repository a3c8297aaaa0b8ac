# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What no code of the house does: exit on its own, call a shell, put SQL together, swallow faults, read the clock."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.fleetcare.maintenance.tests.contract import tree

MANAGED = ("plugins/modules/", "plugins/module_utils/")
RUNNER = "plugins/module_utils/core/runner.py"
CLOCK = "plugins/module_utils/core/clock.py"
#: Progress on a console is measured where it is shown.
STOPWATCHES = (CLOCK, "plugins/callback/console.py")
MAX_LINES = 400
WALL_CLOCKS = ("time.sleep", "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime")

Rule = Callable[[str], Iterator[str]]

SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP|ALTER|VACUUM|REINDEX|ANALYZE|OPTIMIZE|PURGE|TRUNCATE|EXPLAIN"
    r"|SET|SHOW|WITH) "
)
SHELLS = ("sh", "bash", "dash", "/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash")


def _at(node: ast.AST, what: str) -> str:
    return f"line {getattr(node, 'lineno', '?')}: {what}"


def exits(name: str) -> Iterator[str]:
    """Only the runner ends a module."""
    for callee, call in tree.calls(name):
        ends = callee.rsplit(".", 1)[-1] in ("exit_json", "fail_json", "fail_from_exception") and name != RUNNER
        if ends or callee in ("sys.exit", "exit", "quit"):
            yield _at(call, callee)


def shells(name: str) -> Iterator[str]:
    """Programs get a list of arguments, and none of them is a shell."""
    for callee, call in tree.calls(name):
        if callee in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"):
            yield _at(call, callee)
        for keyword in call.keywords:
            if keyword.arg in ("shell", "use_unsafe_shell") and not _is(keyword.value, False):
                yield _at(call, f"{keyword.arg}=")
        if callee.endswith((".run", "run", "Popen", "check_output", "run_command")) and call.args:
            first = call.args[0]
            if isinstance(first, (ast.List, ast.Tuple)) and first.elts and _is(first.elts[0], *SHELLS):
                yield _at(call, "a shell in the argument list")
            if isinstance(first, ast.JoinedStr):
                yield _at(call, "a command line in one string")


def built_sql(name: str) -> Iterator[str]:
    """Values are bound and identifiers quoted by the driver; no statement is put together from pieces."""
    for node in ast.walk(tree.syntax(name)):
        if _beginning_of_built(node) is not None and SQL.match(str(_beginning_of_built(node))):
            yield _at(node, "a statement put together")
    for callee, call in tree.calls(name):
        if callee.rsplit(".", 1)[-1] in ("execute", "executemany", "exec_driver_sql") and call.args:
            first = call.args[0]
            if isinstance(first, (ast.JoinedStr, ast.BinOp)) or _is_format(first):
                yield _at(call, f"{callee} of a statement put together")


def _beginning_of_built(node: ast.AST) -> object:
    if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
        return getattr(node.values[0], "value", None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        return getattr(node.left, "value", None) if isinstance(node.left, ast.Constant) else None
    if _is_format(node):
        return getattr(node.func.value, "value", None)  # type: ignore[attr-defined]
    return None


def _is_format(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"


def swallowed(name: str) -> Iterator[str]:
    """Whoever catches everything says what it caught, or lets it go on."""
    for node in ast.walk(tree.syntax(name)):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _speaks(node):
            yield _at(node, "catches everything and says nothing")
    for callee, call in tree.calls(name):
        if callee.rsplit(".", 1)[-1] == "suppress" and any(_is_broad(argument) for argument in call.args):
            yield _at(call, "suppresses everything")


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(one) for one in caught.elts)
    return caught is None or tree.dotted(caught) in ("Exception", "BaseException")


def _speaks(handler: ast.ExceptHandler) -> bool:
    inner = [node for statement in handler.body for node in ast.walk(statement)]
    uses = any(isinstance(node, ast.Name) and node.id == handler.name for node in inner)
    return uses or any(isinstance(node, ast.Raise) for node in inner)


def clocks(name: str) -> Iterator[str]:
    """Time comes from the clock handed in, so that a test can say what time it is."""
    if name == CLOCK:
        return
    stopwatches = () if name in STOPWATCHES else ("time.monotonic", "time.perf_counter", "time.process_time")
    for callee, call in tree.calls(name):
        if callee in (*WALL_CLOCKS, *stopwatches) or re.search(r"\b(datetime|date)\.(now|utcnow|today)$", callee):
            yield _at(call, callee)


def debris(name: str) -> Iterator[str]:
    """Nothing is printed, broken into, evaluated, or left for later."""
    for callee, call in tree.calls(name):
        if callee in (
            "print",
            "breakpoint",
            "eval",
            "exec",
            "pickle.loads",
            "pickle.load",
            "yaml.load",
            "marshal.loads",
        ):
            yield _at(call, callee)
    for node in ast.walk(tree.syntax(name)):
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc):
            yield _at(node, "NotImplementedError")
        if isinstance(node, ast.FunctionDef) and _is_stub(node):
            yield _at(node, f"{node.name} is a stub")


def _is_stub(function: ast.FunctionDef) -> bool:
    """Whether there is nothing in it, not even the reason why."""
    return all(
        isinstance(one, ast.Pass) or (isinstance(one, ast.Expr) and _is(one.value, ...)) for one in function.body
    )


def length(name: str) -> Iterator[str]:
    """A file fits a head. Documentation inside a module does not count."""
    documentation = sum(
        node.value.end_lineno - node.value.lineno
        for node in tree.syntax(name).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and node.value.end_lineno
    )
    lines = len(tree.text(name).splitlines()) - documentation
    if lines > MAX_LINES:
        yield f"{lines} lines"


def _is(node: ast.AST, *values: object) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is value or node.value == value for value in values)


RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (exits, MANAGED),
    (shells, ("plugins/",)),
    (built_sql, ("plugins/",)),
    (swallowed, ("plugins/",)),
    (clocks, ("plugins/",)),
    (debris, ("plugins/",)),
    (length, ("plugins/",)),
)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        pytest.param(rule, name, id=f"{rule.__name__}-{name}")
        for rule, rooms in RULES
        for name in tree.python_files(*rooms)
    ],
)
def test_the_code_keeps_the_rule(rule: Rule, name: str) -> None:
    assert list(rule(name)) == []


IMPATIENT = ("time.sleep", "pytest.skip", "pytest.xfail", "pytest.importorskip", "unittest.skip")
MARKS = ("pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "pytest.mark.flaky")


@pytest.mark.parametrize("name", [name for name in tree.python_files("tests/") if "/test_" in name])
def test_a_test_neither_sleeps_nor_skips(name: str) -> None:
    found = [_at(call, callee) for callee, call in tree.calls(name) if callee in IMPATIENT]
    marked = [_at(node, tree.dotted(node)) for node in ast.walk(tree.syntax(name)) if tree.dotted(node) in MARKS]
    assert found + marked == []


@pytest.mark.parametrize("name", [name for name in tree.python_files("tests/") if "/test_" in name])
def test_every_test_is_collected(name: str) -> None:
    functions = [node.name for node in ast.walk(tree.syntax(name)) if isinstance(node, ast.FunctionDef)]
    assert [function for function in functions if function.startswith("_test")] == []
    top = [node.name for node in tree.syntax(name).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert any(function.startswith(("test_", "Test")) for function in top), "no test in a file of tests"
    assert sorted({function for function in top if top.count(function) > 1}) == [], "defined twice: the first is lost"
