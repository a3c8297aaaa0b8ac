# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request scored: what its rules add up to, and which class it is of.

Most requests never meet a rule: one bytes expression over the target as it was sent tells whether there is anything
that could be an attack. Its answer is about the target alone, so a target is judged once, however often it was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.decoding import (
    MAX_BYTES,
    decode,
    decode_log,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import SEPARATOR, Rule
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.table import RULES

#: Of a target so many bytes are scored, and of its parameters so many.
MAX_TARGET = MAX_BYTES
MAX_PARAMETERS = 64
#: From this score on a request is an attack; the Core Rule Set's own threshold.
THRESHOLD = 5

#: A target without any of these holds nothing that a rule could find: signs, ends of names, words behind a blank or
#: an equals sign, beginnings of paths that scanners ask for, and words.
_SUSPICIOUS = re.compile(
    rb"[%'\"<>()\\;|`${}*~@#\[]|\.\.|//|:/|/[._+]|--"
    rb"|\.(?:php|asp|jsp|cgi|cfm|pl|do|action|bak|old|sql|zip|rar|tar|tgz|gz|7z|pem|key|p12|pfx|jks|kdbx|xml|ya?ml|json|ini"
    rb"|config|dll|axd|exe|sh|py|htm|txt|log|save|orig|swp)"
    rb"|[+ ](?:or|and|union|select|having|order|group|where|from|in|like|rlike|waitfor|sleep|xor|-|/)"
    rb"|=[+ ]?(?:or|and|order|select|cat|ls|rm|head|tail|more|less|nl|tac|vi|cp|find|dir|type|iex|iwr|irm|net|for)[+ ]"
    rb"|/(?:wp|phpm|pma|mya|mysql|dba|admin|typo|joom|drup|mag|cgi|scr|iis|msadc|owa|ecp|auto|exch|man|host|jmx|web|inv"
    rb"|solr|jenk|hud|nag|zab|cac|druid|nacos|geo|conf|jira|rem|dana|glob|vpn|ssl|mgmt|tmui|cit|sdk|ui|axis|str|site|tele"
    rb"|fck|cke|kcf|elf|upl|tim|act|jol|swag|gra|vend|lar|stor|bin|stal|ab2|evox|nmap|nice|send|cred|user/reg|id_|boaf"
    rb"|hnap|gof|gpon|api/j|console|v1/\.|sql|word|latest|instance|server-|debug/|trinity|shell|nikto|acun|nets|test|think"
    rb"|_)"
    rb"|169\.254|-expression|-webrequest|think|invoke|hello\.|jndi|script|passwd|proto__|allow_url|_method=|auto_prep"
    rb"|disable_f|rO0AB|aced0005|classloader|constructor|proc/self",
    re.IGNORECASE,
)
#: What a rule of the class cannot do without, looked for before its rules are tried.
_HINTS = {
    "sqli": re.compile(
        r"['\"`\[{;(]|--|/\*|@@|\b(?:union|select|sleep|benchmark|waitfor|dbms_|order\sby|group\sby|having|case|char"
        r"|extractvalue|updatexml|load_file|into\s|xp_|from|or|and|iif|utl_|procedure|rlike|insert|delete|drop)"
    ),
    "xss": re.compile(r"[<>`\n'\"]|script|data:|document|window|innerhtml|\w\s?[(\[]|on[a-z]{1,24}\s?="),
    "traversal": re.compile(r"\.\.|%00|\\x00|%25?2e|%c[01]|%e0|%25?00|\x00|/\.\.;"),
    "file": re.compile(r"/|\\|:"),
    "rfi": re.compile(r"://|:/|\\\\|169\.254|meta|instance-data|100\.100|fd00|a9fe"),
    "rce": re.compile(
        r"[;|`$&\n{}<>(#!@?=%\[]|__|/bin/|/dev/|\w\s?\(|cmd|powershell|wget|curl|think|invoke|/cgi-bin|java|proto|process"
        r"|class|boaf|hnap|gof|auto_|allow_|disable_|o:\d|ro0ab|aced|rememberme|ignition|_method|eval|setup|apply|current"
        r"|gpon|tmun|device|pics|wanip|shell|hello|suhosin|python|perl|bash|\bnc\b"
    ),
    "log4shell": re.compile(r"\$\{"),
    "scanner": re.compile(r"/"),
    "upload": re.compile(r"\."),
}
_LOOKUP = re.compile(r"\$\{(?:[^${}:]{0,20}:){0,3}-?([^${}:]{0,40})\}")
_AGENT = tuple(rule for rule in RULES if rule.on == "agent")
_REQUEST = tuple(rule for rule in RULES if rule.on != "agent")
_GONE = re.compile(r"4(?!0[17]|2[59])\d\d")


class Hit(NamedTuple):
    rule: str
    kind: str
    score: int


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one request: the sum of its scores, and the classes, the weightiest first."""

    score: int
    kinds: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def attack(self) -> bool:
        return self.score >= THRESHOLD


NOTHING = Verdict(0, (), ())


@dataclass(frozen=True)
class Judge:
    """The rules at a paranoia level; ``allowed`` are route globs with the classes that are not looked for there."""

    paranoia: int = 1
    allowed: Sequence[tuple[str, frozenset[str]]] = ()

    def may_be_attack(self, target: bytes, method: str) -> bool:
        """Whether there is anything in a target that a rule could find; a very long one is worth a look by itself."""
        return (
            self.paranoia >= 3
            or len(target) > MAX_TARGET
            or _SUSPICIOUS.search(target) is not None
            or method in _WRITES
        )

    def judge(self, target: bytes, *, status: str, route: str = "", method: str = "GET") -> Verdict:
        """Score a target as it stands in the log, answered with ``status``; of a long one, the first of each part."""
        if not self.may_be_attack(target, method):
            return NOTHING
        return self.score(target, status=status, route=route, method=method)

    def score(self, target: bytes, *, status: str, route: str, method: str) -> Verdict:
        """What the rules say of a target in which there may be something."""
        gone = _GONE.fullmatch(status) is not None
        allowed = self._allowed(route)
        path, _mark, query = target.partition(b"?")
        pieces = [path, *query.split(b"&", MAX_PARAMETERS)[:MAX_PARAMETERS]] if query else [path]
        if len(target) > MAX_TARGET:
            pieces = _fitted(pieces)
        # A plus is no space in a path, yet much that takes paths apart makes one of it, and so do those who probe.
        path_text = decode(pieces[0], plus=True)
        parts = [path_text, *(decode(piece, plus=True) for piece in pieces[1:])]
        texts = {
            "all": _unnested(SEPARATOR.join(parts)),
            "path": path_text,
            "raw": decode_log(target[:MAX_TARGET]).decode("latin-1").lower(),
        }
        hits = [
            Hit(rule.name, rule.kind, rule.score)
            for kind, hint in _HINTS.items()
            if kind not in allowed and (hint.search(texts["all"]) or hint.search(texts["raw"]))
            for rule in _BY_KIND[kind]
            if rule.level <= self.paranoia and (gone or not rule.missing) and rule.finds(texts[rule.on])
        ]
        if method in _WRITES and "upload" not in allowed and _SCRIPT_NAME.search(path_text) and not gone:
            hits.append(Hit("script-written", "upload", 5))
        return _added_up(hits)

    def judge_agent(self, agent: bytes) -> Verdict:
        """Score a user agent or a referrer."""
        text = _unnested(decode(agent, plus=False))
        return _added_up(
            Hit(rule.name, rule.kind, rule.score) for rule in _AGENT if rule.level <= self.paranoia and rule.finds(text)
        )

    def _allowed(self, route: str) -> frozenset[str]:
        return frozenset(kind for glob, kinds in self.allowed if fnmatchcase(route, glob) for kind in kinds)


_WRITES = frozenset({"PUT", "MOVE", "COPY"})
_SCRIPT_NAME = re.compile(r"\.(?:php\d?|phtml|pht|phar|jspx?|aspx?|ashx|cgi|pl|py|sh|exe|war)(?=$|[/;.\x00])")
_BY_KIND: dict[str, tuple[Rule, ...]] = {kind: tuple(rule for rule in _REQUEST if rule.kind == kind) for kind in _HINTS}


def _fitted(pieces: list[bytes]) -> list[bytes]:
    """Pieces cut to what is scored of a target: the short ones whole, so that a long one in front hides none."""
    room = MAX_TARGET
    for left, piece in zip(range(len(pieces), 0, -1), sorted(pieces, key=len)):
        if len(piece) > room // left:
            return [one[: room // left] for one in pieces]
        room -= len(piece)
    return pieces


def _unnested(text: str) -> str:
    """``${${lower:j}ndi:`` as log4j reads it; the original stays in front, for nesting is a sign by itself."""
    if "${" not in text:
        return text
    resolved = text
    for _turn in range(12):
        if "jndi:" in resolved:
            break
        resolved, times = _LOOKUP.subn(r"\1", resolved)
        if not times:
            break
    return text if resolved == text else f"{text}{SEPARATOR}{resolved}"


def _added_up(hits: Iterable[Hit]) -> Verdict:
    """The sum, a class no more than twice what its weightiest rule gives: ten words of one kind are one attack."""
    by_kind: dict[str, list[Hit]] = {}
    for hit in hits:
        by_kind.setdefault(hit.kind, []).append(hit)
    if not by_kind:
        return NOTHING
    scores = {
        kind: min(sum(hit.score for hit in found), 2 * max(hit.score for hit in found))
        for kind, found in by_kind.items()
    }
    ordered = sorted(scores, key=lambda kind: -scores[kind])
    return Verdict(
        sum(scores.values()),
        tuple(ordered),
        tuple(hit.rule for kind in ordered for hit in by_kind[kind]),
    )
