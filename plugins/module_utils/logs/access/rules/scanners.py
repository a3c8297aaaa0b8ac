# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that scanners ask for."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.rules.rule import WARNING, Rule, rule

RULES: Sequence[Rule] = (
    rule(
        "application",
        "scanner",
        (
            r"/(?:wp-(?:login|admin|content|includes|config|json|cron|trackback|comments-post"
            r"|signup|conf)|wordpress/|wp/|xmlrpc\.php|wlwmanifest\.xml|administrator/(?:index\.php"
            r"|manifests|components)|user/register|phpmyadmin|pma\b|myadmin|mysqladmin|dbadmin"
            r"|adminer(?:[-.\d]*)?\.php|sqlite(?:manager)?|phppgadmin|typo3/|joomla|drupal"
            r"|magento|magmi|cgi-bin/|cgi/|scripts/|iisadmin|_vti_bin|msadc|owa/auth|ecp/"
            r"|autodiscover/|exchange/|manager/html|host-manager/|jmx-console|web-console"
            r"|invoker/|solr/(?:admin)?|jenkins/|hudson|script\b|nagios|zabbix|cacti|druid/"
            r"|nacos/|geoserver|confluence|jira/|remote/(?:login|fgt_lang)|dana-na/|global-protect/"
            r"|vpn/|\+cscoe\+|sslmgr|mgmt/tm|tmui/|citrix|sdk\b|ui/login|v1/\.|api/jsonws"
            r"|console/|axis2|struts|sitecore|telerik|fckeditor|ckeditor|kcfinder|elfinder"
            r"|uploadify|timthumb|webdav/|_cat/|_search\b|_all_dbs|_cluster|\.well-known/acme-challenge/\w"
            r"*\.php|actuator\b|jolokia|swagger-ui|graphiql|vendor/|laravel|storage/logs"
            r"|bin/zhttpd|stalker_portal|ab2[gh]|sitemap\.xml\.gz|evox/|nmaplowercheck|nice%20ports"
            r"|sendgrid|aws\.json|config\.json|credentials|database\.yml)"
        ),
        on="path",
        missing=True,
    ),
    rule(
        "script",
        "scanner",
        r"/[\w.-]{1,40}\.(?:php\d?|phtml|aspx?|jspx?|cfm|cgi|pl|do|action)(?=$|/|\x1f)",
        score=WARNING,
        on="path",
        missing=True,
    ),
    rule(
        "shell",
        "scanner",
        (
            r"/(?:shell|cmd|c99|r57|wso\d*|b374k|alfa\w*|webshell|backdoor|mini|up|uploader"
            r"|marijuana|indoxploit|0x\w{0,10}|xleet|gel4y|ws\d{1,2}|about|radio|simple|fox"
            r"|x|xx|lufix|wp-\w{1,20}|an)\.php\d?(?=$|\x1f)"
        ),
        on="path",
        missing=True,
    ),
    rule(
        "phpunit",
        "scanner",
        r"/phpunit/.{0,80}\.php",
        r"eval-stdin",
        on="path",
    ),
    rule(
        "echo",
        "scanner",
        (
            r"^/(?:\w{0,10}nmap\w{0,12}|nikto\w{0,20}|acunetix\w{0,40}|netsparker|testing-put\.htm"
            r"|trinity\.txt\.bak)"
        ),
        on="path",
    ),
)
