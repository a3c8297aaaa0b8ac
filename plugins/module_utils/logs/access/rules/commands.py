# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execution of commands, of code and of templates, and of lookups in log4j."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import NOTICE, Rule, rule

#: Programs that are no English words ...
PROGRAMS = (
    r"(?:id|whoami|uname|wget|curl|nc|ncat|netcat|bash|sh|zsh|ksh|dash|nslookup|ifconfig"
    r"|ipconfig|chmod|chown|powershell|pwsh|cmd|cmd\.exe|certutil|bitsadmin|printenv"
    r"|busybox|tasklist|systeminfo|netstat|rundll32|mshta|wmic|tftp|telnet|lsb_release"
    r"|getent|sudo|ps|ls|pwd|cat|dir|env|set|hostname|ping)"
)

#: ... and those that are, and so need an argument that a shell would have.
WORDS = (
    r"(?:cat|ls|echo|ping|type|dir|find|head|tail|more|less|kill|sleep|rm|cp|mv|touch"
    r"|net|python\d?|perl|php|ruby|lua|node|awk|sed|grep|cut|sort|tee|xxd|base64"
    r"|dig|host|which|printf|nl|tac|rev|env|set|export|crontab|gcc|mkfifo|timeout)"
)

BINARIES = r"(?:/(?:usr/)?(?:local/)?s?bin/)?"

RULES: Sequence[Rule] = (
    rule(
        "jndi",
        "log4shell",
        r"\$\{\s?jndi\s?:",
    ),
    rule(
        "lookup",
        "log4shell",
        (
            r"\$\{\s?(?:env|sys|java|main|ctx|lower|upper|date|base64|k8s|docker|web|bundle"
            r"|hostname|sd|map)\s?:"
        ),
        r"\$\{[^}\x1f]{0,40}:-[^}\x1f]{0,20}\}",
        r"\$\{[^}\x1f]{0,60}\$\{",
    ),
    rule(
        "command",
        "rce",
        (r"(?:[;|`\n&]|\$\(|<\(|>\(|%0a)\s?" + BINARIES + PROGRAMS + r"(?=$|[;|&`)'\"<>\\\x1f#\n])"),
    ),
    rule(
        "command-arguments",
        "rce",
        (
            r"(?:[;|`\n&]|\$\(|<\()\s?"
            + BINARIES
            + r"(?:"
            + PROGRAMS
            + r"|"
            + WORDS
            + r")(?:\s|\$\{?ifs\}?(?:\$9)?|<|\t)\s?(?:-{1,2}\w|/\w|\\|https?://|['\"]?/|\$"
            r"|>|\.{1,2}/|\d{1,3}\s?(?:$|[;|&`)\x1f#])|\d{1,3}(?:\.\d{1,3}){3}|\*|[a-z]:\\|"
            r"[\w-]{1,40}(?:\.[\w-]{1,40}){1,6}\s?(?:$|[;|&`)\x1f#]))"
        ),
    ),
    rule(
        "command-output",
        "rce",
        (
            r"(?:[;|`\n&]|\$\()\s?(?:echo|printf|print|expr|type|net|cat|set)\s(?:['\"]?"
            r"[\w.{}$()*+-]{1,80}['\"]?\s?(?:[;|&`)>]|$|\x1f))"
        ),
    ),
    rule(
        "substitution",
        "rce",
        r"\$\{?ifs\b",
        r"\$\(\([^)\x1f]{1,40}\)\)",
        (r"\$\(\s?(?:" + PROGRAMS + r"|" + WORDS + r")\b"),
        (r"`\s?(?:" + PROGRAMS + r"|" + WORDS + r")\b[^`\x1f]{0,100}`"),
    ),
    rule(
        "obfuscated",
        "rce",
        (
            r"[;|`&(\n]\s?(?=[\w/'\"\\$@*?{}]{2,40})(?:/?(?:bin|\?{2,3}|b\?n|usr)/)?(?:[a-z]{0,6}"
            r"(?:''|\"\"|\\|\$@|\$\*|\?)[a-z?]{1,8})(?:[\s$<]|$|\x1f)[^\x1f]{0,20}(?:[/$]"
            r"|$|\x1f)"
        ),
        r"\{(?:cat|ls|wget|curl|echo|bash|nc),[^}\x1f]{1,80}\}",
    ),
    rule(
        "shell",
        "rce",
        r"/bin/(?:ba|z|c|k|da|t?c)?sh\b",
        r"/dev/(?:tcp|udp)/",
        r"\bcmd(?:\.exe)?\s?[/ ]\s?/?[ck]\b",
        r"\bpowershell(?:\.exe)?\s?-(?:e|enc\w*|nop\w*|w\w*|c\w*|ex\w*)\b",
        r"\b(?:nc|ncat)\s-[a-z]{0,6}[ec]\b",
        r"\bbash\s-[ic]\b",
        r"\bpython\d?\s-c\b",
        r"\bperl\s-e\b",
    ),
    rule(
        "download",
        "rce",
        (
            r"\b(?:wget|curl|fetch|tftp|lwp-download)\s(?:-{1,2}[\w-]{1,20}\s(?:\S{1,60}\s)?){0,4}"
            r"['\"]?(?:https?|ftp)://\S{1,200}?(?:[;|&`>]|\s-o|\s\||\.sh\b|\.py\b|\.pl\b"
            r"|\.elf\b|\.bin\b|$|\x1f)"
        ),
    ),
    rule(
        "php",
        "rce",
        r"<\?(?:php\b|=|\s)",
        (
            r"\b(?:shell_exec|passthru|proc_open|pcntl_exec|call_user_func(?:_array)?|create_function"
            r"|file_put_contents|fsockopen|move_uploaded_file|preg_replace\s?\(\s?['\"]/\.\*/e)\s?"
            r"[(=\x1f]"
        ),
        r"\b(?:phpinfo|die)\s?\((?:md5|\d|\)|\s?@)",
        (
            r"\b(?:system|exec|assert|eval|popen|print_r|var_dump|base64_decode|md5|readfile"
            r"|include|highlight_file|print|echo)\s?\(\s?(?:['\"$@]|base64_decode|\w{1,20}\()"
        ),
        r"\ballow_url_include\b",
        r"\bauto_prepend_file\b",
        r"\bdisable_functions\b",
        r"\bsuhosin\.simulation\b",
    ),
    rule(
        "php-framework",
        "rce",
        r"\binvokefunction\b",
        r"think[\\/](?:app|request|container|template)",
        r"\beval-stdin\.php",
        r"_ignition/execute-solution",
        r"\b_method=__construct",
        r"\bhello\.world\b.{0,40}-d",
    ),
    rule(
        "java",
        "rce",
        r"#_?memberaccess",
        r"#context\b",
        r"@(?:java\.lang|ognl)\.",
        r"java\.lang\.(?:runtime|processbuilder|class|system|string)",
        r"getruntime\s?\(",
        r"class\.module\.classloader",
        r"\bprocessbuilder\s?\(",
        r"\bt\(java\.",
        r"\.getclass\s?\(\)",
        r"\bforname\s?\(",
        r"javax\.script",
        r"\bgroovy\b.{0,20}execute\s?\(",
    ),
    rule(
        "template",
        "rce",
        r"(?:\{\{|\{%|\$\{|#\{|<%=|\*\{|@\()\s?['\"]?\d{1,12}['\"]?\s?[*+-]\s?['\"]?\d{1,12}",
        (
            r"\{\{[^}\x1f]{0,120}(?:constructor|__\w+__|config|self\b|request\b|lipsum|cycler"
            r"|joiner|\|attr|dump\(|_self|app\.|system|exec)"
        ),
        r"<%=?\s?(?:system|`|exec|java|file|dir)",
        r"\{%\s?(?:import|include|set|for|if|debug)\b[^\x1f]{0,80}",
        r"<#assign",
        r"\{php\}",
        r"\{system\(",
    ),
    rule(
        "python",
        "rce",
        r"__\s?(?:import|globals|builtins|class|mro|base|subclasses|init|reduce)\s?__",
        r"\bos\s?\.\s?(?:system|popen)\s?\(",
        r"\bsubprocess\s?\.\s?\w+\s?\(",
        r"\b(?:exec|eval)\s?\(\s?(?:compile|open|__)",
    ),
    rule(
        "node",
        "rce",
        r"child_process",
        r"process\s?\.\s?(?:mainmodule|binding|env)\b",
        r"constructor\s?(?:\.|\[\s?['\"]?)\s?(?:constructor|prototype)",
        r"__proto__",
        r"_\$\$nd_func\$\$",
    ),
    rule(
        "shellshock",
        "rce",
        r"\(\)\s?\{\s?[^}\x1f]{0,40}\}\s?;",
    ),
    rule(
        "device",
        "rce",
        (
            r"/(?:boaform|hnap1|goform|setup\.cgi|apply\.cgi|currentsetting\.htm|gponform"
            r"|tmunblock\.cgi|device\.rsp|picsdesc\.xml|wanipcn\.xml|shell\?|cgi-bin/(?:luci/;"
            r"|luci\x1f|\.|webctrl|supervisor|viewcgi|nobody|downloadflile|mainfunction))"
        ),
        on="path",
    ),
    rule(
        "luci",
        "rce",
        r"/cgi-bin/luci/;stok=/locale",
    ),
    rule(
        "ssi",
        "rce",
        r"<!--\s?#\s?(?:exec|include|echo|set|printenv)\b",
    ),
    rule(
        "powershell",
        "rce",
        r"\binvoke-(?:webrequest|expression|restmethod|command|item)\b",
        r"\b(?:iex|iwr|irm)\s?[( ]\s?(?:\(|new-object|iwr|https?:|\$)",
        r"\bnew-object\s(?:system\.)?net\.webclient",
        r"\.download(?:string|file)\s?\(",
        r"\bset-executionpolicy\b",
        r"\bstart-process\s",
        r"\bget-(?:wmiobject|ciminstance)\b",
    ),
    rule(
        "windows",
        "rce",
        r"\bfor\s(?:/[dflr]\s)?[^\x1f%]{0,40}%{1,2}\w\sin\s?\([^\x1f)]{0,100}\)\s?do\b",
        r"%(?:systemroot|windir|comspec|temp|userprofile|appdata)%",
        (
            r"[;|&]\s?(?:net\s(?:localgroup|user|start|view|share|use)|netsh\s\w|reg\s(?:query"
            r"|add)|sc\s(?:query|create)|wmic\s|vssadmin\s)"
        ),
    ),
    rule(
        "bracketed",
        "rce",
        (
            r"/(?:etc|bin|usr|dev|var|opt|root|home|[eb?\[\]!]{1,8}(?:tc|in))/?[\w/?*]{0,20}\["
            r"[^\]\x1f]{1,10}\][\w?*]"
        ),
        r"/\?{2,3}/[\w?*\[\]]{2,12}(?:\s|$|\x1f)",
    ),
    rule(
        "value-command",
        "rce",
        (
            r"=\s?(?:cat|ls|rm|head|tail|more|less|nl|tac|vi|cp|find|dir|type)\s(?:-\w{1,10}\s)?"
            r"(?:/(?:etc|home|var|proc|root|usr|bin|tmp)\b|c:\\)"
        ),
    ),
    rule(
        "serialized",
        "rce",
        r"\bo:\d{1,4}:\"[\w\\]{1,80}\":\d",
        r"\brO0ab",
        r"\baced0005",
        r"\brememberme=deleteme",
        r"!!python/",
        r"!!javax\.",
    ),
    rule(
        "prose",
        "rce",
        r"[;|`]",
        r"&&",
        r"\$\(",
        score=NOTICE,
        level=3,
    ),
)
