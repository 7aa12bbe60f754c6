"""What a test needs from the machine: skipped with the reason and the remedy on a laptop, a failure in CI."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

REMEDY = "run: make system-deps"


def missing(what: str, remedy: str = REMEDY) -> NoReturn:
    """Skip, or fail where CI promises that everything is there."""
    reason = f"{what} is not on this machine; {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(*names: str) -> str:
    """Return the path of the first of ``names`` that is installed; pynetdicom's namesakes of DCMTK's programs do not count."""
    own = str(Path(sys.executable).parent)
    elsewhere = os.pathsep.join(folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != own)
    for name in names:
        if (found := shutil.which(name, path=elsewhere)) is not None:
            return found
    missing(" or ".join(names))
