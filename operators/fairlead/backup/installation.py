"""Which installation a backup is of: a random name in the home, made by the first backup and handed on by a restore.

Two installations in one folder would take each other's snapshots for their own older ones, and ``--keep`` would delete them.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Final

from fairlead.errors import Conflict
from fairlead.files import atomic_write, usable_folder
from fairlead.settings import Settings

FILE: Final = "installation"


def installation_of(settings: Settings) -> str:
    """Return the name of this installation, made when it has none."""
    return take_up(settings, secrets.token_hex(16))


def take_up(settings: Settings, name: str) -> str:
    """Give the home this name unless it has one; return the one that it has then."""
    file = usable_folder(settings.home_folder, "home folder") / FILE
    if not file.exists():
        with suppress(Conflict), atomic_write(file, replace=False) as handle:  # of two first backups one is first
            handle.write(f"{name}\n".encode())
    return file.read_text(encoding="ascii").strip()


def require_own(settings: Settings, known: str | None) -> str:
    """Return the name of this installation; raise Conflict when ``known``, that of the folder's newest snapshot, is another one."""
    own = installation_of(settings)
    if known not in {None, own}:
        raise Conflict(
            "The folder holds backups of another installation; no snapshot was written and none deleted.",
            remedy="Is the right volume mounted as FAIRLEAD_HOME? Otherwise give each installation a backup folder of its own.",
        )
    return own
