# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that everybody who guesses tries, and that are therefore nobody's secret."""

from __future__ import annotations

#: Users of distributions, of servers and of devices, and what people call accounts that belong to nobody.
GUESSED = frozenset({
    "admin", "administrator", "amp", "anonymous", "ansible", "apache", "app", "asterisk", "azureuser", "backup",
    "bin", "bitnami", "bot", "centos", "cisco", "daemon", "debian", "deploy", "deployer", "dev", "developer",
    "devops", "docker", "ec2-user", "elastic", "elasticsearch", "esuser", "fedora", "ftp", "ftpuser", "games",
    "git", "gitlab", "gitlab-runner", "gpadmin", "grafana", "guest", "hadoop", "info", "jenkins", "jira", "kafka",
    "kubernetes", "ldap", "lighthouse", "mail", "manager", "minecraft", "mongo", "mongodb", "mysql", "nagios",
    "news", "nexus", "nginx", "nobody", "node", "odoo", "operator", "oracle", "pi", "plex", "postgres",
    "postmaster", "prometheus", "proxy", "puppet", "rabbitmq", "redis", "remote", "root", "rpc", "sales", "server",
    "service", "sftp", "sonar", "spark", "squid", "sshd", "steam", "student", "sshuser", "super", "support", "svn",
    "sync", "sys", "system", "teamspeak", "telecomadmin", "temp", "test", "tester", "testuser", "tomcat", "ts3",
    "ubnt", "ubuntu", "user", "user1", "username", "vagrant", "vnc", "vpn", "web", "webadmin", "webmaster",
    "wordpress", "www", "www-data", "zabbix",
})  # fmt: skip
