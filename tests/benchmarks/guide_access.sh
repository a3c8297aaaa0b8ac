#!/bin/sh
# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the guides do with an access log in a day, a week and a month, on one log, each command as they have it.
log=$1
out=$2

# Errors: any three digits that begin with 4 or 5, anywhere in the line.
grep -E "(4[0-9]{2}|5[0-9]{2})" "$log" >"$out/errors"
# Addresses with errors.
grep -E "(4[0-9]{2}|5[0-9]{2})" "$log" | awk '{print $1}' | sort | uniq -c | sort -nr >"$out/suspicious"
# Failed logins, counted as the guide counts them.
# shellcheck disable=SC2126
grep "401\|403" "$log" | wc -l >"$out/logins"
grep "401\|403" "$log" | tail -100 >"$out/last_logins"
# Attacks.
grep -i "union\|select\|insert\|delete\|drop" "$log" >"$out/attacks"
# Uploads.
grep "POST.*upload" "$log" >"$out/uploads"
# Busiest addresses and paths.
awk '{print $1}' "$log" | sort | uniq -c | sort -nr | head -20 >"$out/addresses"
awk '{print $7}' "$log" | sort | uniq -c | sort -nr | head -20 >"$out/paths"
# Response times: the last field.
awk '{print $NF}' "$log" | sort -n | tail -100 >"$out/times"
