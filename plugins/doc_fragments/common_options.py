# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module, filled in by the collection's action plugin."""

from __future__ import annotations


class ModuleDocFragment:
    """Documents ``core.runner.COMMON_ARGUMENTS``."""

    DOCUMENTATION = r"""
options:
  levels:
    description:
      - Thresholds that take the place of the checks' own, by check id, or by check id with a glob for items in
        brackets.
      - Each value is a mapping with some of C(info), C(warning), C(critical) and C(for).
        V(null) turns a level off. C(for) is the number of runs in a row, from 1 to 100, that must agree before the
        level raises an alarm.
      - A level that is not named keeps its default. The entry with an item wins over the one without.
      - Variables whose names start with C(maintenance_levels) are merged into this option, in the order of their names.
    type: dict
    default: {}
  state_dir:
    description:
      - Folder on the host in which the module remembers counters and cursors between runs.
      - By default C(/var/lib/fleetcare-maintenance) for root and C($XDG_STATE_HOME/fleetcare-maintenance) (or
        C(~/.local/state/fleetcare-maintenance)) for everybody else.
      - It belongs to the user who runs the module, with mode C(0700). A folder of somebody else is not trusted, nor is
        one that is open to others and not empty.
    type: path
  state_consumer:
    description:
      - Whose memory is used, so that two controllers do not eat each other's cursors.
      - 1 to 100 letters, digits, dots, dashes, underscores or C(@).
    type: str
    default: default
  state_acknowledged:
    description:
      - The generation of the memory that the journal knows of. The next run goes on from there, so a run whose record
        was lost loses nothing.
      - Empty when the journal knows of none. Without it the newest generation is used.
      - The action plugin of this collection fills it in.
    type: str
"""
