"""Project keys, kept apart from the data: a backup that holds both lets its holder test pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairlead.errors import Conflict, InvalidInput
from fairlead.files import private_file, usable_folder
from fairlead.settings import Settings

OF_THE_CHART: Final = ("catalog-secrets", "gateway-secrets")
KEYS_NOTE: Final = "Project keys are not in this backup; keep them apart (--keys FOLDER, or the Kubernetes secret they come from)."


def copy_keys(settings: Settings, target: Path, *, backup_folder: Path) -> int:
    """Copy every key file to ``target`` and return how many there are.

    Raises
    ------
    InvalidInput : ``target`` lies inside the backup folder.
    Conflict : it holds another key of the same name, which must not be lost.
    """
    if target.resolve() == backup_folder.resolve() or backup_folder.resolve() in target.resolve().parents:
        raise InvalidInput("Keys must not lie inside the backup.", remedy="Name another folder, best on another disk.")
    return sum(_copy(source, target / name) for name, source in _sources(settings).items())


def return_keys(settings: Settings, source: Path) -> int:
    """Copy every key file back and return how many there are; raise Conflict when another key is there."""
    names = ["", *(name for name in OF_THE_CHART if (source / name).is_dir())]
    return sum(_copy(source / name, settings.home_folder / name if name else settings.secrets_folder) for name in names)


def _sources(settings: Settings) -> dict[str, Path]:
    """Return the folders of keys by their names in the copy; the Helm chart gives catalog and gateway one each on the volume."""
    own = (settings.home_folder / name for name in OF_THE_CHART)
    return {"": settings.secrets_folder} | {folder.name: folder for folder in own if folder.is_dir()}


def _copy(source: Path, target: Path) -> int:
    files = sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith(".")) if source.is_dir() else []
    usable_folder(target, "folder of keys", mode=0o700)
    for file in files:
        content, to = file.read_bytes(), target / file.name
        if to.exists():
            if to.read_bytes() != content:
                raise Conflict(f"Another key lies under {file.name}.", remedy="Choose an empty folder; no key was replaced.")
            continue
        part = private_file(target / f".{file.name}.part")
        part.write_bytes(content)
        part.replace(to)
    return len(files)
