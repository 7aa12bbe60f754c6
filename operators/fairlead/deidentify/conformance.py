"""A second opinion on every output: dciodvfy (Debian package dicom3tools), compared before and after.

Real files have errors of their own; only a kind of error that the source did not have, or more of one, counts as new.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.deidentify.parts import Parts, blocks_of

PROGRAM: Final = "dciodvfy"
TIMEOUT_S: Final = 60.0
VALUES: Final = re.compile(r"<[^>]*>|\"[^\"]*\"|\b\d[\d.]*\b")
UID_REFERENCE: Final = re.compile(r"(ReferencedSOPInstanceUID|InstanceUID) \S+")


def find_program() -> str | None:
    """Return where dciodvfy is, None when it is not installed."""
    return shutil.which(PROGRAM)


class Crashed(Exception):
    """The checker gave up on a file: dciodvfy aborts on some valid objects."""


def errors_of(content: Path | Parts, program: str) -> Counter[str]:
    """Return the errors dciodvfy reports on a file, without their values.

    The program gets a file it can seek in: on a pipe it recognises nothing and says so once, whatever the file holds.

    Raises
    ------
    Crashed : it aborts, or does not come to an end.
    OSError : it cannot be started.
    """
    try:
        with _opened(content) as file:
            done = subprocess.run([program], stdin=file, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Crashed from error
    if done.returncode < 0:
        raise Crashed
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return Counter(without_values(line) for line in lines if line.startswith("Error"))


@contextmanager
def _opened(content: Path | Parts) -> Iterator[BinaryIO]:
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:  # no name: nothing of it can stay behind
        for block in blocks_of(content):
            copy.write(block)
        copy.seek(0)
        yield copy


def without_values(line: str) -> str:
    """Return an error line with its values taken out: they differ by design, and may identify somebody.

    >>> without_values('Error - Illegal root for UID - "9.8.7.6" in (0x0008,0x1155) Referenced SOP Instance UID')
    'Error - Illegal root for UID - * in (0x0008,0x1155) Referenced SOP Instance UID'
    """
    return VALUES.sub("*", UID_REFERENCE.sub(r"\1 *", line))


def new_errors(before: Counter[str], after: Counter[str]) -> list[str]:
    """Return the errors that the output has and the source had not, as often as they are new."""
    return sorted((after - before).elements())
