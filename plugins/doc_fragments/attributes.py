# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can rely on; each module adds its ``support``, and ``details`` where that is not full."""

from __future__ import annotations


class ModuleDocFragment:
    """Descriptions of the attributes; ``platform`` is the same everywhere and complete here."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: In check mode the module changes nothing and returns what a real run would find and do.
  diff_mode:
    description: In diff mode the module shows what it changed, or would change, as before and after.
  idempotent:
    description: A second run straight after the first changes nothing more.
  platform:
    description: The operating systems that the module works on.
    support: full
    platforms: linux
"""
