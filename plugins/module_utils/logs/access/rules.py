# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What attacks look like once they are decoded: a table of rules, each with class, paranoia level and score.

The approach is that of the OWASP Core Rule Set (crs-setup.conf, rules 930 to 944): a request's scores add up, and it
counts as an attack from a threshold on. The expressions are our own. They run over the path and the parameters, each
decoded by itself and joined by ``SEPARATOR``, so an ampersand in them was sent encoded. All are linear: no repetition
stands in another, and what may be long has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

SEPARATOR = "\x1f"
CLASSES = ("sqli", "xss", "traversal", "file", "rfi", "rce", "log4shell", "scanner", "upload")

#: Scores as CRS has them: what is an attack by itself, and what needs company.
CRITICAL, ERROR, WARNING, NOTICE = 5, 4, 3, 2


class Rule(NamedTuple):
    """``on``: "all" (path and parameters), "path", "raw" (as sent, in lower case), "agent" (user agent and referrer).

    ``missing``: counts only where the server said that there is no such thing, for elsewhere it may be an application
    of one's own.
    """

    name: str
    kind: str
    level: int
    score: int
    pattern: re.Pattern[str]
    on: str = "all"
    missing: bool = False


def _rule(
    name: str, kind: str, level: int, score: int, pattern: str, *, on: str = "all", missing: bool = False
) -> Rule:
    return Rule(name, kind, level, score, re.compile(pattern), on, missing)


_END = r"(?=$|[\x1f\s])"
# A constant of SQL, and what compares two of them.
_CONSTANT = r"(?:\d{1,9}|'[^'\x1f]{0,20}'?|\"[^\"\x1f]{0,20}\"?)"
_COMPARES = r"\s?(?:=|<=>|<>|!=|>|<|\blike\b)\s?"
_COMMENTED = r"(?:--(?=$|[\x1f\s+-])|--\s?$|#\s?(?=$|\x1f)|/\*|;\s?--|;%00)"
_BROKEN_OUT = r"(?:['\"`)]|\d)\s?\)*\s?"

_SQLI = [
    _rule(
        "union", "sqli", 1, CRITICAL,
        r"\bunion\b[\s(]*(?:(?:all|distinct)\b)?[\s(]*select\b[\s(]*"
        r"(?:\d|\*|null\b|@@|'|\"|char\(|0x|[\w.`@]{1,60}\s?(?:,|\(|--|#|\bfrom\b))",
    ),
    _rule("union-bare", "sqli", 2, CRITICAL, r"\bunion\b[\s(]*(?:all\b)?[\s(]*select\b"),
    _rule(
        "tautology", "sqli", 1, CRITICAL,
        _BROKEN_OUT + r"(?:or|and|xor|\|\||&&)[\s(!~+-]{0,8}(?:not\s)?\(?" + _CONSTANT + r"\)?" + _COMPARES + r"[('\"\d]",
    ),
    _rule(
        "tautology-word", "sqli", 1, CRITICAL,
        r"(?:['\"`]\s?\)*\s?(?:or|and|\|\||&&)\s?\(?\s?(?:true|false|not\s|null|\d|\w{1,20}\s(?:is|like|in|between)\s|exists\b)"
        r"|['\"`\d)]\s?(?:or|\|\|)\s?(?:true|not\sfalse)\s?(?:--|#|$|\x1f))",
    ),
    _rule("tautology-bare", "sqli", 2, WARNING, r"\b(?:or|and)\s" + _CONSTANT + _COMPARES + r"['\"\d]"),
    _rule("quote-comment", "sqli", 1, CRITICAL, r"['\"`]\s?\)*\s?" + _COMMENTED),
    _rule("number-comment", "sqli", 2, WARNING, r"=\d{1,9}\s?\)*\s?(?:--|/\*)"),
    _rule("empty-equals", "sqli", 1, CRITICAL, r"'\s?(?:or|and|\|\||=)\s?''?\s?(?:=|like|\+)\s?'"),
    _rule(
        "stacked", "sqli", 1, CRITICAL,
        r";\s?(?:drop\s(?:table|database|view|user|schema)\b|delete\sfrom\b|insert\sinto\b|update\s\w{1,40}\sset\b"
        r"|alter\s(?:table|user|role)\b|truncate\stable\b|create\s(?:table|user|database|function)\b"
        r"|exec(?:ute)?[\s(]\(?(?:master|xp_|sp_|immediate)|declare\s@|waitfor\sdelay|select\s?[\s(]\w{0,30}\(|shutdown\b\s?(?:--|;|with))",
    ),
    _rule(
        "delay", "sqli", 1, CRITICAL,
        r"(?:(?:\b(?:and|or|select|if|then|else|xor|when|where|by)\b|[;|,('\"`=)*/+-]|\x1f)\s?[\s(+!~-]{0,6}"
        r"(?:sleep|pg_sleep|benchmark)\s?\(\s?[\d(]|waitfor\sdelay\s['\"]|dbms_(?:pipe\.receive_message|lock\.sleep)\s?\()",
    ),
    _rule(
        "function", "sqli", 1, CRITICAL,
        r"\b(?:extractvalue|updatexml|load_file|utl_inaddr\.\w+|utl_http\.request|xmltype|dbms_\w+\.\w+|json_keys)\s?\([^)]"
        r"|\bxp_cmdshell\b|\binto\s(?:out|dump)file\s?['\"]|\bprocedure\sanalyse\s?\("
        r"|(?:from|join)\s(?:information_schema|pg_catalog|mysql|sys|master|msdb)\.{1,2}\w|\bfrom\s(?:sqlite_master|sysobjects|dual|pg_shadow|pg_user)\b",
    ),
    _rule(
        "extract", "sqli", 1, CRITICAL,
        r"\b(?:ascii|ord|hex|char_length|length|substr|substring|mid|left|cast|convert|concat|concat_ws|group_concat|ifnull|exp)\s?\("
        r"[^)]{0,60}(?:\(\s?select\b|@@|\buser\s?\(|\bdatabase\s?\(|\bversion\s?\(|0x[0-9a-f]{2,}|\bselect\b.{1,80}\bfrom\b)",
    ),
    _rule("subselect", "sqli", 1, CRITICAL, r"\(\s?select\b.{1,200}?\bfrom\b|['\"`)\d]\s?(?:\|\||\+|-|\*)\s?\(\s?select\b|\bexists\s?\(\s?select\b"),
    _rule(
        "select", "sqli", 1, WARNING,
        r"\bselect\s(?:\*|[\w.@`]{1,40}\(|(?:distinct|top\s\d+)\s|[\w.`]{1,40}\s?,).{0,120}\bfrom\s[\w.`\[\"]",
    ),
    _rule("select-prose", "sqli", 3, NOTICE, r"\bselect\b.{1,120}\bfrom\b|\binsert\sinto\b|\bdelete\sfrom\b|\bdrop\stable\b"),
    _rule("statement", "sqli", 2, WARNING, r"\binsert\sinto\b.{1,80}\b(?:values|select)\b|\bdelete\sfrom\s\w+\s?(?:where|;|--|$)|\bdrop\s(?:table|database)\s\w+"),
    _rule("order-by", "sqli", 1, CRITICAL, r"(?:['\"`)]\s?(?:order|group)\sby\s\d{1,4}\b|\b(?:order|group)\sby\s\d{1,4}\s?(?:--|#|/\*))"),
    _rule("having", "sqli", 1, CRITICAL, _BROKEN_OUT + r"having\s" + _CONSTANT + _COMPARES + r"['\"\d]"),
    _rule("case", "sqli", 1, CRITICAL, r"\bcase\swhen\b.{1,80}\bthen\b.{1,80}\bend\b|\bif\s?\(\s?\d+\s?=\s?\d+\s?,|\biif\s?\(\d"),
    _rule("char", "sqli", 1, CRITICAL, r"\bchar\s?\(\s?\d+(?:\s?,\s?\d+){2,40}|\bchr\s?\(\d+\)\s?\|\|"),
    _rule("concatenated", "sqli", 1, CRITICAL, r"'\s?(?:\|\||\+)\s?(?:\(?\s?select\b|\w{1,30}\s?\(|')"),
    _rule("fingerprint", "sqli", 1, CRITICAL, r"@@(?:version|datadir|hostname|global|basedir)\b|\band\s(?:\d+|ascii)\s?\(|\brlike\s?\(|['\"]\s?(?:rlike|regexp)\s"),
    _rule("fingerprint-functions", "sqli", 2, WARNING, r"(?<![\w.])(?:database|version|current_user|session_user|schema)\s?\(\s?\)"),
    _rule("quoted-or", "sqli", 2, WARNING, r"['\"`]\s?\)*\s(?:or|and)\s"),
    _rule("quote", "sqli", 3, NOTICE, r"['`]"),
    _rule(
        "operator", "sqli", 1, CRITICAL,
        r"\[\$(?:ne|eq|gt|lt|gte|lte|regex|where|in|nin|exists|or|and|not|options)\]"
        r"|\{\s?['\"]?\$(?:ne|eq|gt|lt|gte|lte|regex|where|in|nin|exists|or|and)['\"]?\s?:|'\s?\|\|\s?'?\d?'?\s?==",
    ),
]  # fmt: skip

_EVENTS = (
    "error|load|loadstart|loadend|click|dblclick|mouse[a-z]{2,6}|pointer[a-z]{2,6}|focus|focusin|focusout|blur|key(?:down|up|press)"
    "|animation[a-z]{3,9}|transition[a-z]{3,6}|toggle|begin|end|repeat|start|finish|input|change|submit|reset|select|wheel|drag[a-z]{0,5}|drop|copy"
    "|paste|cut|resize|scroll|message|hashchange|page(?:show|hide)|popstate|(?:before)?unload|afterprint|beforeprint|contextmenu|play|canplay"
    "|auxclick|search|touch[a-z]{3,6}|invalid|ratechange|storage|bounce|show|readystatechange|propertychange|webkit[a-z]{3,20}"
)
_CALLS = (
    r"(?:alert|confirm|prompt|eval|atob|settimeout|setinterval|fetch|import|function|print"
    r"|document\.write|string\.fromcharcode|location\.(?:assign|replace))"
)
_XSS = [
    _rule("script", "xss", 1, CRITICAL, r"<\s?/?\s?script(?=[\s/>\x1f]|$)[^\x1f]{0,200}?(?:>|src|$|\x1f)"),
    _rule("handler", "xss", 1, CRITICAL, r"<[a-z!/?%][^\x1f>]{0,300}?[\s/'\"]on(?:" + _EVENTS + r")\s?="),
    _rule("handler-any", "xss", 1, CRITICAL, r"<[a-z][^\x1f>]{0,200}?[\s/'\"]on[a-z]{3,24}\s?=\s?[\w'\"`({&]{1,40}[(`=]"),
    _rule("handler-broken-out", "xss", 1, CRITICAL, r"['\"`]\s?/?\s?(?:[a-z]{2,20}=[^\s\x1f]{0,40}\s){0,3}on(?:" + _EVENTS + r")\s?="),
    _rule("frame", "xss", 1, CRITICAL, r"<\s?(?:iframe|embed|object|applet|base|frameset|frame|link|meta|form|isindex)\b[^\x1f>]{0,200}?(?:src|data|href|srcdoc|code|http-equiv|action|formaction)\s?="),
    _rule("scheme", "xss", 1, CRITICAL, r"(?:j\s?a\s?v\s?a|v\s?b|live)\s?s\s?c\s?r\s?i\s?p\s?t\s?:\s?(?:[^\x1f&]{0,80}[(`=\[]|//|void|/\*|%)"),
    _rule("call-broken-out", "xss", 1, CRITICAL, r"(?:['\"`;>}]|\x1f\))\s?[-+*/^,;)}\s]{0,6}" + _CALLS + r"\s?[(`]"),
    _rule("call-indirect", "xss", 1, CRITICAL, r"\[\s?['\"`](?:al|ev|con|pro|loc)[^\]\x1f]{0,40}\]\s?[(`]|\b(?:top|self|window|parent|globalthis|this)\s?\[\s?['\"`/]|\bconstructor\s?\(\s?['\"`]|\beval\s?\(\s?(?:atob|name|location|string)"),
    _rule("call", "xss", 2, WARNING, r"\b(?:alert|confirm|prompt|eval)\s?[(`]"),
    _rule("document", "xss", 1, WARNING, r"\bdocument\s?\.\s?(?:cookie|domain|location|write|body)|\bwindow\s?\.\s?(?:location|name)|\.innerhtml\s?="),
    _rule("cookie-sent", "xss", 1, CRITICAL, r"(?:https?:)?//[^\x1f\s]{1,80}[+,]\s?document\.cookie|location\s?=\s?['\"`](?:https?:)?//"),
    _rule("data", "xss", 1, CRITICAL, r"\bdata:\s?(?:text/html|application/(?:x-)?javascript|text/javascript|image/svg\+xml)[^\x1f]{0,40},"),
    _rule("style", "xss", 1, CRITICAL, r"<\s?style\b[^\x1f]{0,200}(?:expression\s?\(|@import|javascript:|onload)|style\s?=\s?['\"]?[^\x1f]{0,80}expression\s?\("),
    _rule("entity", "xss", 1, CRITICAL, r"<!\[cdata\[|<!entity\b|<!doctype\s\w+\s?\[|<\?xml\b[^\x1f]{0,100}<!"),
    _rule("svg", "xss", 1, WARNING, r"<\s?(?:svg|math|details|marquee|video|audio|xss|image|template|noscript|textarea|title)(?=[\s/>])"),
    _rule("tag", "xss", 3, NOTICE, r"<[a-z!/]"),
    _rule("splitting", "xss", 1, CRITICAL, r"\n\s?(?:set-cookie|location|content-(?:type|length)|refresh|x-[\w-]{1,30}|http/1\.\d)\s?[: ]"),
]  # fmt: skip

_TRAVERSAL = [
    _rule("steps", "traversal", 1, CRITICAL, r"(?:\.{2,}[/\\;]{1,3}\s?){2}|\.{4,}[/\\]{2}|/\.\.;/"),
    _rule("step", "traversal", 1, WARNING, r"(?:^|[/\\=\x1f])\.\.(?:[/\\]|$|\x1f)"),
    _rule(
        "step-encoded", "traversal", 1, CRITICAL,
        r"(?:(?:%25|%)?(?:2e|c0%ae|c0%2e|e0%80%ae|u002e|uff0e)|\.){2}(?:(?:%25|%)(?:2f|5c|c0%af|c1%9c|c0%2f|c1%1c|e0%80%af|u2215|u2216|u002f|uff0f))"
        r"|(?:%25|%)(?:2e|c0%ae)(?:(?:%25|%)(?:2e|c0%ae)|\.)[/\\]|\.(?:%25|%)2e[/\\]",
        on="raw",
    ),
    _rule("null", "traversal", 1, WARNING, r"%00|\\x00", on="raw"),
    _rule("null-extension", "traversal", 1, CRITICAL, r"%00\.?(?:$|jpe?g|png|gif|html?|pdf|php|txt|&)|\w(?:%00|%2500)$", on="raw"),
    _rule("overlong", "traversal", 1, WARNING, r"%c0%[89ab][0-9a-f]|%c1%[0-9a-f]{2}|%e0%80%[0-9a-f]{2}", on="raw"),
]  # fmt: skip

_FILES = [
    _rule("secret", "file", 1, CRITICAL, r"(?:^|[/\\=:\x1f\s'\"])etc[/\\]+(?:passwd|shadow|master\.passwd|sudoers|gshadow)\b|\bproc[/\\]+self[/\\]+\w|\b(?:root|home[/\\]\w+)[/\\]\.(?:ssh|bash_history|aws)|(?:win(?:dows|nt)[/\\]+(?:win\.ini|system32[/\\]|repair[/\\]))|\bboot\.ini\b"),
    _rule("system", "file", 1, WARNING, r"[/\\]etc[/\\]+(?:group|hosts|issue|ssh|mysql|nginx|apache2|httpd|crontab|hostname|resolv\.conf|fstab|php|cron)|[/\\]proc[/\\](?:version|cmdline|\d+[/\\])|[/\\]var[/\\]+(?:log|lib|www)[/\\]|\bc:[/\\]"),
    _rule("wrapper", "file", 1, CRITICAL, r"\b(?:php|phar|expect|glob|gopher|dict|netdoc|compress\.(?:zlib|bzip2)|zip|rar|ogg|ssh2(?:\.\w+)?)://|\bfile:/{1,3}[\w.]|\bdata://|\bjar:(?:file|https?):|\b(?:tftp|sftp)://\d"),
    _rule("dotfile", "file", 1, CRITICAL, r"/\.(?:env|git|svn|hg|bzr|aws|ssh|ht(?:access|passwd)|ds_store|vscode|idea|npmrc|pypirc|netrc|pgpass|my\.cnf|bash(?:rc|_history)|profile|docker|dockercfg|kube|config/|s3cfg|terraform|circleci|travis|gitlab-ci|wp-config)(?=$|[/.\x1f_~-])", on="path"),
    _rule("backup", "file", 1, CRITICAL, r"/(?:wp-config|config(?:uration)?|database|settings|web|index|local|app|parameters|credentials)\.(?:php|ya?ml|json|inc|config|ini|xml|properties)(?:[._-](?:bak|old|save|orig|swp|txt|dist|backup|\d)|~)|/(?:backup|dump|db|database|site|www|htdocs|public_html|mysql|data|\w{1,20}[_-](?:backup|dump))(?:[_-]?\d{1,8})?\.(?:sql|zip|tar|t?gz|rar|7z|bak|bz2|tar\.gz|sql\.gz)(?=$|\x1f)", on="path"),
    _rule("key", "file", 1, CRITICAL, r"/(?:id_(?:rsa|dsa|ed25519|ecdsa)|server\.key|private\.(?:key|pem)|\w{1,20}\.(?:pem|p12|pfx|jks|kdbx))(?=$|\x1f)|/(?:web\.config|web-inf/|meta-inf/)(?=$|[\x1f\w])", on="path"),
    _rule("administration", "file", 1, CRITICAL, r"/(?:phpinfo|info|test|i|php)\.php\d?(?=$|\x1f).{0}|/(?:server-status|server-info)(?=$|\x1f)|/actuator/(?:env|heapdump|threaddump|gateway|jolokia|trace|mappings|configprops)|/(?:debug/pprof|_profiler|telescope/requests|_debugbar/open|trace\.axd|elmah\.axd)", on="path", missing=True),
]  # fmt: skip

_SCRIPTS = r"(?:php\d?|phtml|pht|phar|jspx?|jspf|aspx?|ashx|asmx|cer|cfm|cgi|pl|py|rb|sh|exe|dll|bat|ps1|war|shtml)"
_RFI = [
    _rule("address", "rfi", 1, CRITICAL, r"=\s?(?:https?|ftps?)://\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?/[^\x1f]{0,200}?(?:\.(?:txt|gif|jpe?g|png|dat|inc|sh|" + _SCRIPTS[3:] + r"(?=$|[?\x1f])|\?$|\?\x1f)"),
    _rule("address-bare", "rfi", 1, WARNING, r"=\s?(?:https?|ftps?)://(?:\d{1,3}(?:\.\d{1,3}){3}|0x[0-9a-f]{6,}|\d{8,10})(?=[:/\x1f]|$)"),
    _rule("parameter", "rfi", 1, CRITICAL, r"\x1f(?:[\w\[\]]{0,20}_?(?:path|root|dir|include|inc|file|page|template|tpl|module|mosconfig_absolute_path|document|folder|lib|skin|content|layout|conf|config|lang|load|read|view|cont|plugin|theme|img|src))=\s?(?:https?|ftps?|\\\\)(?::)?//?[^\x1f]{1,200}?(?:\.(?:txt|inc|dat|log|gif|jpe?g|png|" + _SCRIPTS[3:] + r"\??(?=$|\x1f)|\?$|\?\x1f)"),
    _rule("question", "rfi", 1, CRITICAL, r"=\s?(?:https?|ftps?)://[^\x1f?]{1,200}\.(?:txt|inc|php\d?)\?+(?:cmd=|$|\x1f)"),
    _rule("metadata", "rfi", 1, CRITICAL, r"169\.254\.169\.254|metadata\.google\.internal|100\.100\.100\.200|\[::ffff:a9fe:a9fe\]|\[fd00:ec2::254\]|/latest/meta-data|instance-data/"),
    _rule("inside", "rfi", 2, CRITICAL, r"=\s?(?:https?|ftp)://(?:127\.\d|localhost|0\.0\.0\.0|\[::1?\]|10\.\d|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)"),
    _rule("outside", "rfi", 3, NOTICE, r"=\s?(?:https?|ftps?)://"),
]  # fmt: skip

#: Programs that are no English words, and those that are and so need an argument that a shell would have.
_PROGRAMS = (
    r"(?:id|whoami|uname|wget|curl|nc|ncat|netcat|bash|sh|zsh|ksh|dash|nslookup|ifconfig|ipconfig|chmod|chown|powershell|pwsh|cmd|cmd\.exe|certutil|bitsadmin"
    r"|printenv|busybox|tasklist|systeminfo|netstat|rundll32|mshta|wmic|tftp|telnet|lsb_release|getent|sudo|ps|ls|pwd|cat|dir|env|set|hostname|ping)"
)
_WORDS = r"(?:cat|ls|echo|ping|type|dir|find|head|tail|more|less|kill|sleep|rm|cp|mv|touch|net|python\d?|perl|php|ruby|lua|node|awk|sed|grep|cut|sort|tee|xxd|base64|dig|host|which|printf|nl|tac|rev|env|set|export|crontab|gcc|mkfifo|timeout)"
_BINARIES = r"(?:/(?:usr/)?(?:local/)?s?bin/)?"
_RCE = [
    _rule("command", "rce", 1, CRITICAL, r"(?:[;|`\n&]|\$\(|<\(|>\(|%0a)\s?" + _BINARIES + _PROGRAMS + r"(?=$|[;|&`)'\"<>\\\x1f#\n])"),
    _rule("command-arguments", "rce", 1, CRITICAL, r"(?:[;|`\n&]|\$\(|<\()\s?" + _BINARIES + r"(?:" + _PROGRAMS + r"|" + _WORDS + r")(?:\s|\$\{?ifs\}?(?:\$9)?|<|\t)\s?(?:-{1,2}\w|/\w|\\|https?://|['\"]?/|\$|>|\.{1,2}/|\d{1,3}\s?(?:$|[;|&`)\x1f#])|\d{1,3}(?:\.\d{1,3}){3}|\*)"),
    _rule("command-output", "rce", 1, CRITICAL, r"(?:[;|`\n&]|\$\()\s?(?:echo|printf|print|expr|type|net|cat|set)\s(?:['\"]?[\w.{}$()*+-]{1,80}['\"]?\s?(?:[;|&`)>]|$|\x1f))"),
    _rule("substitution", "rce", 1, CRITICAL, r"\$\{?ifs\b|\$\(\([^)\x1f]{1,40}\)\)|\$\(\s?(?:" + _PROGRAMS + r"|" + _WORDS + r")\b|`\s?(?:" + _PROGRAMS + r"|" + _WORDS + r")\b[^`\x1f]{0,100}`"),
    _rule("obfuscated", "rce", 1, CRITICAL, r"[;|`&(\n]\s?(?=[\w/'\"\\$@*?{}]{2,40})(?:/?(?:bin|\?{2,3}|b\?n|usr)/)?(?:[a-z]{0,6}(?:''|\"\"|\\|\$@|\$\*|\?)[a-z?]{1,8})(?:[\s$<]|$|\x1f)[^\x1f]{0,20}(?:[/$]|$|\x1f)|\{(?:cat|ls|wget|curl|echo|bash|nc),[^}\x1f]{1,80}\}"),
    _rule("shell", "rce", 1, CRITICAL, r"/bin/(?:ba|z|c|k|da|t?c)?sh\b|/dev/(?:tcp|udp)/|\bcmd(?:\.exe)?\s?[/ ]\s?/?[ck]\b|\bpowershell(?:\.exe)?\s?-(?:e|enc\w*|nop\w*|w\w*|c\w*|ex\w*)\b|\b(?:nc|ncat)\s-[a-z]{0,6}[ec]\b|\bbash\s-[ic]\b|\bpython\d?\s-c\b|\bperl\s-e\b"),
    _rule("download", "rce", 1, CRITICAL, r"\b(?:wget|curl|fetch|tftp|lwp-download)\s(?:-{1,2}[\w-]{1,20}\s(?:\S{1,60}\s)?){0,4}['\"]?(?:https?|ftp)://\S{1,200}?(?:[;|&`>]|\s-o|\s\||\.sh\b|\.py\b|\.pl\b|\.elf\b|\.bin\b|$|\x1f)"),
    _rule("php", "rce", 1, CRITICAL, r"<\?(?:php\b|=|\s)|\b(?:shell_exec|passthru|proc_open|pcntl_exec|call_user_func(?:_array)?|create_function|file_put_contents|fsockopen|move_uploaded_file|preg_replace\s?\(\s?['\"]/\.\*/e)\s?[(=\x1f]|\b(?:phpinfo|die)\s?\((?:md5|\d|\)|\s?@)|\b(?:system|exec|assert|eval|popen|print_r|var_dump|base64_decode|md5|readfile|include|highlight_file|print|echo)\s?\(\s?(?:['\"$@]|base64_decode|\w{1,20}\()|\ballow_url_include\b|\bauto_prepend_file\b|\bdisable_functions\b|\bsuhosin\.simulation\b"),
    _rule("php-framework", "rce", 1, CRITICAL, r"\binvokefunction\b|think[\\/](?:app|request|container|template)|\beval-stdin\.php|_ignition/execute-solution|\b_method=__construct|\bhello\.world\b.{0,40}-d"),
    _rule("java", "rce", 1, CRITICAL, r"#_?memberaccess|#context\b|@(?:java\.lang|ognl)\.|java\.lang\.(?:runtime|processbuilder|class|system|string)|getruntime\s?\(|class\.module\.classloader|\bprocessbuilder\s?\(|\bt\(java\.|\.getclass\s?\(\)|\bforname\s?\(|javax\.script|\bgroovy\b.{0,20}execute\s?\("),
    _rule("template", "rce", 1, CRITICAL, r"(?:\{\{|\{%|\$\{|#\{|<%=|\*\{|@\()\s?['\"]?\d{1,12}['\"]?\s?[*+-]\s?['\"]?\d{1,12}|\{\{[^}\x1f]{0,120}(?:constructor|__\w+__|config|self\b|request\b|lipsum|cycler|joiner|\|attr|dump\(|_self|app\.|system|exec)|<%=?\s?(?:system|`|exec|java|file|dir)|\{%\s?(?:import|include|set|for|if|debug)\b[^\x1f]{0,80}|<#assign|\{php\}|\{system\("),
    _rule("python", "rce", 1, CRITICAL, r"__(?:import|globals|builtins|class|mro|subclasses|init|reduce)__|\bos\s?\.\s?(?:system|popen)\s?\(|\bsubprocess\s?\.\s?\w+\s?\(|\b(?:exec|eval)\s?\(\s?(?:compile|open|__)"),
    _rule("node", "rce", 1, CRITICAL, r"child_process|process\s?\.\s?(?:mainmodule|binding|env)\b|constructor\s?\.\s?(?:constructor|prototype)|__proto__|_\$\$nd_func\$\$"),
    _rule("shellshock", "rce", 1, CRITICAL, r"\(\)\s?\{\s?[^}\x1f]{0,40}\}\s?;"),
    _rule("shellshock-header", "rce", 1, CRITICAL, r"\(\)\s?\{\s?[^}]{0,40}\}\s?;", on="agent"),
    _rule("device", "rce", 1, CRITICAL, r"/(?:boaform|hnap1|goform|setup\.cgi|apply\.cgi|currentsetting\.htm|gponform|tmunblock\.cgi|device\.rsp|picsdesc\.xml|wanipcn\.xml|shell\?|cgi-bin/(?:luci/;|luci\x1f|\.|webctrl|supervisor|viewcgi|nobody|downloadflile|mainfunction))", on="path"),
    _rule("luci", "rce", 1, CRITICAL, r"/cgi-bin/luci/;stok=/locale"),
    _rule("ssi", "rce", 1, CRITICAL, r"<!--\s?#\s?(?:exec|include|echo|set|printenv)\b"),
    _rule("serialized", "rce", 1, CRITICAL, r"\bo:\d{1,4}:\"[\w\\]{1,80}\":\d|\brO0ab|\baced0005|\brememberme=deleteme|!!python/|!!javax\."),
    _rule("prose", "rce", 3, NOTICE, r"[;|`]|&&|\$\("),
]  # fmt: skip

_LOG4SHELL = [
    _rule("jndi", "log4shell", 1, CRITICAL, r"\$\{\s?jndi\s?:"),
    _rule("lookup", "log4shell", 1, CRITICAL, r"\$\{\s?(?:env|sys|java|main|ctx|lower|upper|date|base64|k8s|docker|web|bundle|hostname|sd|map)\s?:|\$\{[^}\x1f]{0,40}:-[^}\x1f]{0,20}\}|\$\{[^}\x1f]{0,60}\$\{"),
]  # fmt: skip

_SCANNERS = [
    _rule("application", "scanner", 1, CRITICAL, r"/(?:wp-(?:login|admin|content|includes|config|json|cron|trackback|comments-post|signup|conf)|wordpress/|wp/|xmlrpc\.php|wlwmanifest\.xml|administrator/(?:index\.php|manifests|components)|user/register|phpmyadmin|pma\b|myadmin|mysqladmin|dbadmin|adminer(?:[-.\d]*)?\.php|sqlite(?:manager)?|phppgadmin|typo3/|joomla|drupal|magento|magmi|cgi-bin/|cgi/|scripts/|iisadmin|_vti_bin|msadc|owa/auth|ecp/|autodiscover/|exchange/|manager/html|host-manager/|jmx-console|web-console|invoker/|solr/(?:admin)?|jenkins/|hudson|script\b|nagios|zabbix|cacti|druid/|nacos/|geoserver|confluence|jira/|remote/(?:login|fgt_lang)|dana-na/|global-protect/|vpn/|\+cscoe\+|sslmgr|mgmt/tm|tmui/|citrix|sdk\b|ui/login|v1/\.|api/jsonws|console/|axis2|struts|sitecore|telerik|fckeditor|ckeditor|kcfinder|elfinder|uploadify|timthumb|webdav/|_cat/|_search\b|_all_dbs|_cluster|\.well-known/acme-challenge/\w*\.php|actuator\b|jolokia|swagger-ui|graphiql|vendor/|laravel|storage/logs|bin/zhttpd|stalker_portal|ab2[gh]|sitemap\.xml\.gz|evox/|nmaplowercheck|nice%20ports|sendgrid|aws\.json|config\.json|credentials|database\.yml)", on="path", missing=True),
    _rule("script", "scanner", 1, WARNING, r"/[\w.-]{1,40}\.(?:php\d?|phtml|aspx?|jspx?|cfm|cgi|pl|do|action)(?=$|/|\x1f)", on="path", missing=True),
    _rule("shell", "scanner", 1, CRITICAL, r"/(?:shell|cmd|c99|r57|wso\d*|b374k|alfa\w*|webshell|backdoor|mini|up|uploader|marijuana|indoxploit|0x\w{0,10}|xleet|gel4y|ws\d{1,2}|about|radio|simple|fox|x|xx|lufix|wp-\w{1,20}|an)\.php\d?(?=$|\x1f)", on="path", missing=True),
    _rule("phpunit", "scanner", 1, CRITICAL, r"/phpunit/.{0,80}\.php|eval-stdin", on="path"),
    _rule("echo", "scanner", 1, CRITICAL, r"^/(?:\w{0,10}nmap\w{0,12}|nikto\w{0,20}|acunetix\w{0,40}|netsparker|testing-put\.htm|trinity\.txt\.bak)", on="path"),
    _rule(
        "agent", "scanner", 1, CRITICAL,
        r"\b(?:sqlmap|nikto|nmap\sscripting|masscan|zgrab|nuclei|acunetix|netsparker|invicti|wpscan|dirbuster|gobuster|dirsearch|ffuf|fuzz\sfaster|feroxbuster|wfuzz"
        r"|w3af|arachni|openvas|nessus|qualys|havij|zmeu|jorgee|morfeus|muieblackcat|whatweb|hydra|metasploit|commix|xsser|burpcollaborator|interactsh|oast\."
        r"|skipfish|vega/|grendel|paros|webinspect|appscan|jaeles|httpx\s-|naabu|zaproxy|owasp\szap|sysscan|gitscanner|l9explore|l9tcpid|leakix|censysinspect"
        r"|expanse,\sa\spalo|internetmeasurement|nmap|xspider|webshag|cgichk|fimap|joomscan|droopescan|cmsmap|bbscan|pangolin|sqlninja|bsqlbf|absinthe|mozilla/5\.0\ssf/|hello,?\s?world|gbrmss|katana|crlfuzz|dalfox|tsunamisecurityscanner)",
        on="agent",
    ),
    _rule("agent-shellshock", "log4shell", 1, CRITICAL, r"\$\{\s?jndi\s?:|\$\{[^}]{0,60}\$\{|\$\{\s?(?:env|lower|upper|sys)\s?:", on="agent"),
    _rule("agent-sqli", "sqli", 1, CRITICAL, r"['\"]\s?\)*\s?(?:or|and|xor)\s.{0,20}(?:\d\s?=\s?\d|sleep\s?\(|'\s?=\s?')|\bunion\s(?:all\s)?select\b|\b(?:pg_sleep|sleep|benchmark)\s?\(\s?\d|waitfor\sdelay|extractvalue\s?\(", on="agent"),
    _rule("agent-xss", "xss", 1, CRITICAL, r"<\s?script\b|<\w[^>]{0,100}\son[a-z]{3,20}\s?=|javascript:\s?\w{1,20}\(", on="agent"),
    _rule("agent-rce", "rce", 1, CRITICAL, r"<\?php\b|/bin/(?:ba)?sh\b|[;|`]\s?(?:wget|curl)\s|;\s?cat\s/etc/|\bphpinfo\s?\(", on="agent"),
    _rule("agent-library", "scanner", 3, NOTICE, r"^(?:-|python-requests|go-http-client|libwww-perl|java/|okhttp|aiohttp|scrapy|wget|httpclient)", on="agent"),
]  # fmt: skip

#: Folders that hold what users sent, and where nothing should be run.
UPLOAD_FOLDERS = r"/(?:\w{1,20}[_-])?(?:uploads?|files?|media|images?|img|attachments?|avatars?|userfiles|documents?|tmp|temp|cache|gallery|photos?|pictures?|assets/uploads)/"
_UPLOADS = [
    _rule("script-in-uploads", "upload", 1, CRITICAL, UPLOAD_FOLDERS + r"(?:[^/\x1f]{1,80}/){0,6}[^/\x1f]{0,100}\.(?:php\d?|phtml|pht|phar|jspx?|aspx?|ashx|cgi)(?=$|[/;\x1f])", on="path"),
    _rule("double-extension", "upload", 1, CRITICAL, r"\.(?:php\d?|phtml|phar|jspx?|aspx?|cgi)(?:\.|;\.|/\.|%00\.?)(?:jpe?g|png|gif|pdf|txt|bmp|svg|ico)(?=$|\x1f)|\.(?:jpe?g|png|gif|pdf|bmp|docx?)\.(?:php\d?|phtml|phar|jspx?|aspx?|cgi|exe)(?=$|[/\x1f])", on="path"),
]  # fmt: skip

RULES: Sequence[Rule] = (
    *_LOG4SHELL, *_SQLI, *_XSS, *_TRAVERSAL, *_FILES, *_RFI, *_RCE, *_SCANNERS, *_UPLOADS,
)  # fmt: skip
