# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What attacks look like once they are decoded: what a rule is.

The approach is that of the OWASP Core Rule Set (crs-setup.conf, rules 930 to 944): a request's scores add up, and it
counts as an attack from a threshold on. The expressions are our own. They run over the path and the parameters, each
decoded by itself and joined by ``SEPARATOR``, so an ampersand in them was sent encoded. All are linear but for limited
repetitions: no unlimited one stands in another.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

SEPARATOR = "\x1f"
CLASSES = ("sqli", "xss", "traversal", "file", "rfi", "rce", "log4shell", "scanner", "upload")

#: Scores as CRS has them: what is an attack by itself, and what needs company.
CRITICAL, ERROR, WARNING, NOTICE = 5, 4, 3, 2


class Rule(NamedTuple):
    """One rule; it counts from paranoia level ``level`` on.

    ``on``: "all" (path and parameters), "path", "raw" (as sent, in lower case), "agent" (user agent and referrer).
    ``missing``: counts only where the server said that there is no such thing, for elsewhere it may be an application
    of one's own.
    """

    name: str
    kind: str
    level: int
    score: int
    pattern: str
    on: str = "all"
    missing: bool = False

    def finds(self, text: str) -> bool:
        """Whether it is true of a text. Most logs ask few rules, and to make all of them ready takes its time."""
        return _ready(self.pattern).search(text) is not None


@cache
def _ready(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def rule(
    name: str,
    kind: str,
    *alternatives: str,
    score: int = CRITICAL,
    level: int = 1,
    on: str = "all",
    missing: bool = False,
) -> Rule:
    """A rule that any of its alternatives makes true."""
    return Rule(name, kind, level, score, "|".join(alternatives), on, missing)
