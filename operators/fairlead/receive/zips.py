"""Zip archives from strangers: nothing is unpacked under a name from inside, and nothing inflates without bound."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from fairlead.errors import UnsupportedInput

MAX_MEMBERS: Final = 500_000
MAX_RATIO: Final = 200
FREE_BYTES: Final = 64 * 1024**2
"""Below this many inflated bytes the ratio does not matter: small, empty or constant images compress very well."""
ENCRYPTED: Final = 0x1
UNIX_TYPE_SHIFT: Final = 28
UNIX_LINK: Final = 0xA


class UnsafeArchive(UnsupportedInput):
    """A zip member that is refused for what it could do."""

    code = "unsafe-archive"
    default_remedy = "Unpack the archive yourself, look at it, and give the folder."


class ZipGuard:
    """Admits members while the archive as a whole stays within bounds."""

    def __init__(self, *, archive_bytes: int) -> None:
        self._limit = max(archive_bytes * MAX_RATIO, FREE_BYTES)
        self._inflated = 0

    def admit(self, member: zipfile.ZipInfo) -> None:
        """Raise UnsafeArchive for a name that climbs out, an encrypted member, a link, or more bytes than the archive may inflate to."""
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
            raise UnsafeArchive("A member whose name leads out of the archive.")
        if member.flag_bits & ENCRYPTED:
            raise UnsafeArchive("An encrypted member.")
        if member.external_attr >> UNIX_TYPE_SHIFT == UNIX_LINK:
            raise UnsafeArchive("A symbolic link.")
        self._inflated += member.file_size
        if self._inflated > self._limit:
            raise UnsafeArchive(f"The archive inflates to more than {MAX_RATIO} times its size.")


def members(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Yield the file members in the order of their names.

    Raises
    ------
    UnsafeArchive : more members than any study has.
    """
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MAX_MEMBERS:
        raise UnsafeArchive(f"The archive has more than {MAX_MEMBERS} members.")
    yield from sorted(infos, key=lambda info: info.filename)
