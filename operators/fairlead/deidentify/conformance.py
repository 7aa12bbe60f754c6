"""A second opinion on every output: dciodvfy (Debian package dicom3tools), compared before and after.

Real files have errors of their own; only a kind of error that the source did not have, or more of one, counts as new.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from typing import Final

PROGRAM: Final = "dciodvfy"
TIMEOUT_S: Final = 60.0
VALUES: Final = re.compile(r"<[^>]*>|\"[^\"]*\"|\b\d[\d.]*\b")
UID_REFERENCE: Final = re.compile(r"(ReferencedSOPInstanceUID|InstanceUID) \S+")


def find_program() -> str | None:
    """Return where dciodvfy is, None when it is not installed."""
    return shutil.which(PROGRAM)


def errors_of(content: bytes, program: str) -> Counter[str] | None:
    """Return the errors dciodvfy reports on a file, without their values; None when it does not come to an answer."""
    try:
        done = subprocess.run([program], input=content, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (subprocess.TimeoutExpired, OSError):
        return None
    if done.returncode < 0:
        return None
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return Counter(without_values(line) for line in lines if line.startswith("Error"))


def without_values(line: str) -> str:
    """Return an error line with its values taken out: they differ by design, and may identify somebody.

    >>> without_values('Error - Illegal root for UID - "9.8.7.6" in (0x0008,0x1155) Referenced SOP Instance UID')
    'Error - Illegal root for UID - * in (0x0008,0x1155) Referenced SOP Instance UID'
    """
    return VALUES.sub("*", UID_REFERENCE.sub(r"\1 *", line))


def new_errors(before: Counter[str], after: Counter[str]) -> list[str]:
    """Return the errors that the output has and the source had not, as often as they are new."""
    return sorted((after - before).elements())
