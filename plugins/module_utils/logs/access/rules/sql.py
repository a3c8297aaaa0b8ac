# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Injection into SQL, into the query objects of document databases, and into LDAP filters."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import (
    NOTICE,
    WARNING,
    Rule,
    rule,
)

#: A constant of SQL.
CONSTANT = r"(?:\d{1,9}|'[^'\x1f]{0,20}'?|\"[^\"\x1f]{0,20}\"?)"

#: What compares two of them.
COMPARES = r"\s?(?:=|<=>|<>|!=|>|<|\blike\b)\s?"

#: How the rest of a statement is cut off.
COMMENTED = r"(?:--(?=$|[\x1f\s+-])|--\s?$|#\s?(?=$|\x1f)|/\*|;\s?--|;%00)"

#: How a value is ended from within; of several parentheses the last one will do.
BROKEN_OUT = r"['\"`)\d]\s{0,2}"
#: What may stand between two words: spaces, parentheses, and comments to the end of a line.
GAP = r"(?:[\s(]|(?:#|--)[^\n\x1f]{0,80}\n)*"
#: A number may run into it, as in ``1e0union``.
UNION = r"(?<![a-z_])union\b" + GAP

RULES: Sequence[Rule] = (
    rule(
        "union",
        "sqli",
        (
            UNION + r"(?:(?:all|distinct)\b)?" + GAP + r"select\b" + GAP + r"(?:\d|\*|null\b|@@"
            r"|'|\"|char\(|0x|[\w.`@]{1,60}\s?(?:,|\(|--|#|\bfrom\b))"
        ),
    ),
    rule(
        "union-bare",
        "sqli",
        UNION + r"(?:all\b)?" + GAP + r"select\b",
        level=2,
    ),
    rule(
        "tautology",
        "sqli",
        (
            BROKEN_OUT
            + r"(?:or|and|xor|\|\||&&)[\s(!~+-]{0,8}(?:not\s)?\(?"
            + CONSTANT
            + r"\)?"
            + COMPARES
            + r"[('\"\d]"
        ),
    ),
    rule(
        "tautology-word",
        "sqli",
        (
            r"(?:['\"`]\s?\)*\s?(?:or|and|\|\||&&)\s?\(?\s?(?:true|false|not\s|null|\d|\w{1,20}\s"
            r"(?:is|like|in|between)\s|exists\b)|['\"`\d)]\s?(?:or|\|\|)\s?(?:true|not\sfalse)\s?"
            r"(?:--|#|$|\x1f))"
        ),
    ),
    rule(
        "tautology-bare",
        "sqli",
        (r"\b(?:or|and)\s" + CONSTANT + COMPARES + r"['\"\d]"),
        score=WARNING,
        level=2,
    ),
    rule(
        "value-tautology",
        "sqli",
        (r"=\s?\)*\s?(?:or|and|having|\|\|)\s\(?" + CONSTANT + r"\)?" + COMPARES + r"(?:['\"\d(]|\w{1,20}\()"),
        (r"\b(?:or|and)\s" + CONSTANT + COMPARES + CONSTANT + r"\s?\)*\s?(?:--|#|/\*|;)"),
        r"=\s?order\sby\s\d{1,6}\s?(?:$|\x1f|--|#)",
    ),
    rule(
        "ldap",
        "sqli",
        r"\*?\)?\([|&!]\s?\(\w{1,30}[~<>]?=",
        r"\)\(\w{1,30}=\*\)?",
        r"\*\)\(\w{1,30}=",
    ),
    rule(
        "value-select",
        "sqli",
        r"=\s?select\s.{0,80}(?:\(|@@|\bfrom\b)",
        level=2,
    ),
    rule(
        "quote-comment",
        "sqli",
        (r"['\"`]\s?\)*\s?" + COMMENTED),
    ),
    rule(
        "number-comment",
        "sqli",
        r"=\d{1,9}\s?\)*\s?(?:--|/\*)",
        score=WARNING,
        level=2,
    ),
    rule(
        "empty-equals",
        "sqli",
        r"'\s?(?:or|and|\|\||=)\s?''?\s?(?:=|like|\+)\s?'",
    ),
    rule(
        "stacked",
        "sqli",
        (
            r";\s?(?:drop\s(?:table|database|view|user|schema)\b|delete\sfrom\b|insert\sinto\b"
            r"|update\s\w{1,40}\sset\b|alter\s(?:table|user|role)\b|truncate\stable\b|create\s"
            r"(?:table|user|database|function)\b|exec(?:ute)?[\s(]\(?(?:master|xp_|sp_|immediate)"
            r"|declare\s@|waitfor\sdelay|select\s?[\s(]\w{0,30}\(|shutdown\b\s?(?:--|;|with))"
        ),
    ),
    rule(
        "delay",
        "sqli",
        (
            r"(?:(?:\b(?:and|or|select|if|then|else|xor|when|where|by)\b|[;|&,('\"`=)*/+-]"
            r"|\x1f)\s?[\s(+!~-]{0,6}(?:sleep|pg_sleep|benchmark)\s?\(\s?[\d(]|waitfor\sdelay\s"
            r"['\"]|dbms_(?:pipe\.receive_message|lock\.sleep)\s?\()"
        ),
    ),
    rule(
        "function",
        "sqli",
        (
            r"\b(?:extractvalue|updatexml|load_file|utl_inaddr\.\w+|utl_http\.request|xmltype"
            r"|dbms_\w+\.\w+|json_keys)\s?\([^)]"
        ),
        r"\bxp_cmdshell\b",
        r"\binto\s(?:out|dump)file\s?['\"]",
        r"\bprocedure\sanalyse\s?\(",
        r"(?:from|join)\s(?:information_schema|pg_catalog|mysql|sys|master|msdb)\.{1,2}\w",
        r"\bfrom\s(?:sqlite_master|sysobjects|dual|pg_shadow|pg_user)\b",
    ),
    rule(
        "extract",
        "sqli",
        (
            r"\b(?:ascii|ord|hex|char_length|length|substr|substring|mid|left|cast|convert"
            r"|concat|concat_ws|group_concat|ifnull|exp)\s?\([^)]{0,60}(?:\(\s?select\b|@@"
            r"|\buser\s?\(|\bdatabase\s?\(|\bversion\s?\(|0x[0-9a-f]{2,}|\bselect\b.{1,80}\bfrom\b)"
        ),
    ),
    rule(
        "subselect",
        "sqli",
        r"\(\s?select\b.{1,200}?\bfrom\b",
        r"['\"`)\d]\s?(?:\|\||\+|-|\*)\s?\(\s?select\b",
        r"\bexists\s?\(\s?select\b",
    ),
    rule(
        "select",
        "sqli",
        (
            r"\bselect\s(?:\*|[\w.@`]{1,40}\(|(?:distinct|top\s\d+)\s|[\w.`]{1,40}\s?,).{0,120}\bfrom\s"
            r"[\w.`\[\"]"
        ),
        score=WARNING,
    ),
    rule(
        "select-prose",
        "sqli",
        r"\bselect\b.{1,120}\bfrom\b",
        r"\binsert\sinto\b",
        r"\bdelete\sfrom\b",
        r"\bdrop\stable\b",
        score=NOTICE,
        level=3,
    ),
    rule(
        "statement",
        "sqli",
        r"\binsert\sinto\b.{1,80}\b(?:values|select)\b",
        r"\bdelete\sfrom\s\w+\s?(?:where|;|--|$)",
        r"\bdrop\s(?:table|database)\s\w+",
        score=WARNING,
        level=2,
    ),
    rule(
        "order-by",
        "sqli",
        (
            r"(?:['\"`)]\s?(?:order|group)\sby\s\d{1,6}\b|\b(?:order|group)\sby\s\d{1,6}\s?"
            r"(?:--|#|/\*))"
        ),
    ),
    rule(
        "having",
        "sqli",
        (BROKEN_OUT + r"having\s" + CONSTANT + COMPARES + r"['\"\d]"),
    ),
    rule(
        "case",
        "sqli",
        r"\bcase\swhen\b.{1,80}\bthen\b.{1,80}\bend\b",
        r"\bif\s?\(\s?\d+\s?=\s?\d+\s?,",
        r"\biif\s?\(\d",
    ),
    rule(
        "char",
        "sqli",
        r"\bchar\s?\(\s?\d+(?:\s?,\s?\d+){2,40}",
        r"\bchr\s?\(\d+\)\s?\|\|",
    ),
    rule(
        "concatenated",
        "sqli",
        r"'\s?(?:\|\||\+)\s?(?:\(?\s?select\b|\w{1,30}\s?\(|')",
    ),
    rule(
        "fingerprint",
        "sqli",
        r"@@(?:version|datadir|hostname|global|basedir)\b",
        r"\band\s(?:\d+|ascii)\s?\(",
        r"\brlike\s?\(",
        r"['\"]\s?(?:rlike|regexp)\s",
    ),
    rule(
        "fingerprint-functions",
        "sqli",
        r"(?<![\w.])(?:database|version|current_user|session_user|schema)\s?\(\s?\)",
        score=WARNING,
        level=2,
    ),
    rule(
        "quoted-or",
        "sqli",
        r"['\"`]\s?\)*\s(?:or|and)\s",
        score=WARNING,
        level=2,
    ),
    rule(
        "quote",
        "sqli",
        r"['`]",
        score=NOTICE,
        level=3,
    ),
    rule(
        "operator",
        "sqli",
        r"\[\$(?:ne|eq|gt|lt|gte|lte|regex|where|in|nin|exists|or|and|not|options)\]",
        r"\{\s?['\"]?\$(?:ne|eq|gt|lt|gte|lte|regex|where|in|nin|exists|or|and)['\"]?\s?:",
        r"'\s?\|\|\s?'?\d?'?\s?==",
    ),
)
