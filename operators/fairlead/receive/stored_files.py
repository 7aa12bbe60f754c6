"""What an archived file tells of itself, read from the disk: its data set's sha256, and whether it is whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from fairlead.errors import InvalidInput
from fairlead.files import sha256_file
from fairlead.receive.heads import is_whole
from fairlead.receive.part10 import dataset_offset, read_layout


def whole_file(path: Path) -> bool:
    """Return whether an archived file is there and every element of it ends inside it; a truncated copy's does not."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            layout = read_layout(file, size=size)
            return is_whole(file, offset=layout.offset, size=size, transfer_syntax_uid=layout.transfer_syntax_uid)
    except (FileNotFoundError, InvalidInput):
        return False


def dataset_sha256(path: Path) -> str:
    """Return the sha256 of the data set of an archived file, without preamble and file meta."""
    offset = dataset_offset(path)
    if offset == 0:
        return sha256_file(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(1024 * 1024):
            digest.update(block)
    return digest.hexdigest()
