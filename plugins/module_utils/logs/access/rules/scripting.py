# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-site scripting, also by way of header fields that an injected end of line begins."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import (
    NOTICE,
    WARNING,
    Rule,
    rule,
)

#: Event handlers of HTML and SVG.
EVENTS = (
    r"error|load|loadstart|loadend|click|dblclick|mouse[a-z]{2,6}|pointer[a-z]{2,6}"
    r"|focus|focusin|focusout|blur|key(?:down|up|press)|animation[a-z]{3,9}|transition"
    r"[a-z]{3,6}|toggle|begin|end|repeat|start|finish|input|change|submit|reset|select"
    r"|wheel|drag[a-z]{0,5}|drop|copy|paste|cut|resize|scroll|message|hashchange"
    r"|page(?:show|hide)|popstate|(?:before)?unload|afterprint|beforeprint|contextmenu"
    r"|play|canplay|auxclick|search|touch[a-z]{3,6}|invalid|ratechange|storage|bounce"
    r"|show|readystatechange|propertychange|webkit[a-z]{3,20}"
)

#: Functions that injected code calls to show that it runs.
CALLS = (
    r"(?:alert|confirm|prompt|eval|atob|settimeout|setinterval|fetch|import|function"
    r"|print|document\.write|string\.fromcharcode|location\.(?:assign|replace))"
)

RULES: Sequence[Rule] = (
    rule(
        "script",
        "xss",
        r"<\s?/?\s?script(?=[\s/>\x1f]|$)[^\x1f]{0,200}?(?:>|src|$|\x1f)",
    ),
    rule(
        "handler",
        "xss",
        (r"<[a-z!/?%][^\x1f>]{0,300}?[\s/'\"]on(?:" + EVENTS + r")\s?="),
    ),
    rule(
        "handler-any",
        "xss",
        r"<[a-z][^\x1f>]{0,200}?[\s/'\"]on[a-z]{3,24}\s?=\s?[\w'\"`({&]{1,40}[(`=]",
    ),
    rule(
        "handler-broken-out",
        "xss",
        (r"['\"`]\s?/?\s?(?:[a-z]{2,20}=[^\s\x1f]{0,40}\s){0,3}on(?:" + EVENTS + r")\s?="),
    ),
    rule(
        "frame",
        "xss",
        (
            r"<\s?(?:iframe|embed|object|applet|base|frameset|frame|link|meta|form|isindex)\b"
            r"[^\x1f>]{0,200}?(?:src|data|href|srcdoc|code|http-equiv|action|formaction)\s?="
        ),
    ),
    rule(
        "scheme",
        "xss",
        (
            r"(?:j\s?a\s?v\s?a|v\s?b|live)\s?s\s?c\s?r\s?i\s?p\s?t\s?:\s?(?:[^\x1f&]{0,80}"
            r"[(`=\[]|//|void|/\*|%)"
        ),
    ),
    rule(
        "call-broken-out",
        "xss",
        (r"(?:['\"`;>}]|\x1f\))\s?[-+*/^,;)}\s]{0,6}" + CALLS + r"\s?[(`]"),
    ),
    rule(
        "call-indirect",
        "xss",
        r"\[\s?['\"`](?:al|ev|con|pro|loc)[^\]\x1f]{0,40}\]\s?[(`]",
        r"\b(?:top|self|window|parent|globalthis|this)\s?\[\s?['\"`/]",
        r"\bconstructor\s?\(\s?['\"`]",
        r"\beval\s?\(\s?(?:atob|name|location|string)",
    ),
    rule(
        "call",
        "xss",
        r"\b(?:alert|confirm|prompt|eval)\s?[(`]",
        score=WARNING,
        level=2,
    ),
    rule(
        "document",
        "xss",
        r"\bdocument\s?\.\s?(?:cookie|domain|location|write|body)",
        r"\bwindow\s?\.\s?(?:location|name)",
        r"\.innerhtml\s?=",
        score=WARNING,
    ),
    rule(
        "cookie-sent",
        "xss",
        r"(?:https?:)?//[^\x1f\s]{1,80}[+,]\s?document\.cookie",
        r"location\s?=\s?['\"`](?:https?:)?//",
    ),
    rule(
        "data",
        "xss",
        (
            r"\bdata:\s?(?:text/html|application/(?:x-)?javascript|text/javascript|image/svg\+xml)"
            r"[^\x1f]{0,40},"
        ),
    ),
    rule(
        "style",
        "xss",
        r"<\s?style\b[^\x1f]{0,200}(?:expression\s?\(|@import|javascript:|onload)",
        r"style\s?=\s?['\"]?[^\x1f]{0,80}expression\s?\(",
    ),
    rule(
        "entity",
        "xss",
        r"<!\[cdata\[",
        r"<!entity\b",
        r"<!doctype\s\w+\s?\[",
        r"<\?xml\b[^\x1f]{0,100}<!",
    ),
    rule(
        "svg",
        "xss",
        (
            r"<\s?(?:svg|math|details|marquee|video|audio|xss|image|template|noscript|textarea"
            r"|title)(?=[\s/>])"
        ),
        score=WARNING,
    ),
    rule(
        "tag",
        "xss",
        r"<[a-z!/]",
        score=NOTICE,
        level=3,
    ),
    rule(
        "splitting",
        "xss",
        (
            r"\n\s?(?:set-cookie|location|content-(?:type|length)|refresh|x-[\w-]{1,30}|http/1\.\d)\s?"
            r"[: ]"
        ),
    ),
)
