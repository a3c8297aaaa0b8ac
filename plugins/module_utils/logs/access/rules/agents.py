# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User agents of scanners, and attacks in user agents and referrers."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import NOTICE, Rule, rule

RULES: Sequence[Rule] = (
    rule(
        "shellshock-header",
        "rce",
        r"\(\)\s?\{\s?[^}]{0,40}\}\s?;",
        on="agent",
    ),
    rule(
        "agent",
        "scanner",
        (
            r"\b(?:sqlmap|nikto|nmap\sscripting|masscan|zgrab|nuclei|acunetix|netsparker"
            r"|invicti|wpscan|dirbuster|gobuster|dirsearch|ffuf|fuzz\sfaster|feroxbuster"
            r"|wfuzz|w3af|arachni|openvas|nessus|qualys|havij|zmeu|jorgee|morfeus|muieblackcat"
            r"|whatweb|hydra|metasploit|commix|xsser|burpcollaborator|interactsh|oast\.|skipfish"
            r"|vega/|grendel|paros|webinspect|appscan|jaeles|httpx\s-|naabu|zaproxy|owasp\szap"
            r"|sysscan|gitscanner|l9explore|l9tcpid|leakix|censysinspect|expanse,\sa\spalo"
            r"|internetmeasurement|nmap|xspider|webshag|cgichk|fimap|joomscan|droopescan"
            r"|cmsmap|bbscan|pangolin|sqlninja|bsqlbf|absinthe|mozilla/5\.0\ssf/|hello,?\s?world"
            r"|gbrmss|katana|crlfuzz|dalfox|tsunamisecurityscanner)"
        ),
        on="agent",
    ),
    rule(
        "agent-shellshock",
        "log4shell",
        r"\$\{\s?jndi\s?:",
        r"\$\{[^}]{0,60}\$\{",
        r"\$\{\s?(?:env|lower|upper|sys)\s?:",
        on="agent",
    ),
    rule(
        "agent-sqli",
        "sqli",
        r"['\"]\s?\)*\s?(?:or|and|xor)\s.{0,20}(?:\d\s?=\s?\d|sleep\s?\(|'\s?=\s?')",
        r"\bunion\s(?:all\s)?select\b",
        r"\b(?:pg_sleep|sleep|benchmark)\s?\(\s?\d",
        r"waitfor\sdelay",
        r"extractvalue\s?\(",
        on="agent",
    ),
    rule(
        "agent-xss",
        "xss",
        r"<\s?script\b",
        r"<\w[^>]{0,100}\son[a-z]{3,20}\s?=",
        r"javascript:\s?\w{1,20}\(",
        on="agent",
    ),
    rule(
        "agent-rce",
        "rce",
        r"<\?php\b",
        r"/bin/(?:ba)?sh\b",
        r"[;|`]\s?(?:wget|curl)\s",
        r";\s?cat\s/etc/",
        r"\bphpinfo\s?\(",
        on="agent",
    ),
    rule(
        "agent-library",
        "scanner",
        (
            r"^(?:-|python-requests|go-http-client|libwww-perl|java/|okhttp|aiohttp|scrapy"
            r"|wget|httpclient)"
        ),
        score=NOTICE,
        level=3,
        on="agent",
    ),
)
