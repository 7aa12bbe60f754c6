"""Project keys, kept apart from the data: a backup that holds both lets its holder test pseudonyms.

A backup knows its keys by fingerprint only, an HMAC under the key itself: who holds it can tell one key from another, and try out nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairlead.errors import Conflict, InvalidConfiguration, InvalidInput, NotFound
from fairlead.files import private_file, storage_errors, sync_folder, usable_folder
from fairlead.keys import load_project_key, pseudonym, read_key_file
from fairlead.settings import Settings

OF_THE_CHART: Final = ("catalog-secrets", "gateway-secrets")
KEYS_NOTE: Final = (
    "Project keys are not in this backup, and nothing can be restored without them; keep them apart"
    " (--keys FOLDER, or the Kubernetes secret they come from)."
)
VARIABLE: Final = "FAIRLEAD_PROJECT_KEY_"
MAY_BE_NEW: Final = "CATALOG_TOKENS"
"""It signs tokens that people get by logging in; a new one only makes them log in again."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a restore finds its keys: in ``folder``, or in the home already; ``new`` allows it to go on without them."""

    folder: Path | None = None
    new: bool = False


def fingerprints(settings: Settings) -> dict[str, str]:
    """Return what tells the keys in force from others, by project in the spelling of its variable."""
    prints = _prints(_sources(settings))
    for variable in sorted(os.environ):
        label = variable.removeprefix(VARIABLE)
        if label not in {variable, MAY_BE_NEW} and os.environ[variable]:
            prints[label] = _print(load_project_key(settings.secrets_folder, label), label)
    return prints


def require_keys(settings: Settings, expected: dict[str, str] | None, keys: Keys) -> None:
    """Check, before anything is written, that a restore would go on with the keys of its backup; ``None`` is a backup that names none.

    Raises
    ------
    NotFound : a key is neither here nor in the folder, or the folder is not there.
    Conflict : a key is another one than the backup's.
    """
    if keys.folder is not None and not keys.folder.is_dir():
        raise NotFound("The folder of keys does not exist.", remedy="Name the folder that `fairlead backup --keys` wrote.")
    if keys.new:
        return
    given = _prints(_below(keys.folder)) if keys.folder else {}
    found = given | fingerprints(settings)
    if expected is None and not found:
        raise NotFound("There are no project keys here, and the backup does not say which it needs.", remedy=_REMEDY)
    missing = sorted(set(expected or {}) - set(found))
    if missing:
        raise NotFound(f"Keys of this backup are missing: {_named(missing)}. Without them every pseudonym would change.", remedy=_REMEDY)
    other = sorted(name for name, found_print in found.items() if (expected or {}).get(name, found_print) != found_print)
    if other:
        raise Conflict(
            f"Keys are not those of this backup: {_named(other)}. With them every pseudonym would change.",
            remedy="Move the keys that lie in the home away, and name the folder of the right ones with --keys.",
        )


_REMEDY: Final = "Name their folder with --keys, or mount their secret; --new-keys goes on without them, and unlinks all earlier exports."


def _named(labels: list[str]) -> str:
    return ", ".join(label.lower() for label in labels)


def _prints(folders: dict[str, Path]) -> dict[str, str]:
    files = [(name, file) for name, folder in folders.items() if folder.is_dir() for file in sorted(folder.glob("*.key"))]
    prints: dict[str, str] = {}
    for name, file in files:
        stem = file.stem.upper().replace("-", "_")
        label = f"{name}/{stem}" if name else stem
        with suppress(InvalidConfiguration):  # another program's, of a certificate for instance: not 32 random bytes, so not ours
            prints |= {label: _print(read_key_file(file), label)} if stem != MAY_BE_NEW else {}
    return prints


def _print(key: bytes, label: str) -> str:
    return pseudonym(key, "backup-fingerprint", label).hex()[:32]


def _below(source: Path) -> dict[str, Path]:
    return {"": source} | {name: source / name for name in OF_THE_CHART if (source / name).is_dir()}


def copy_keys(settings: Settings, target: Path, *, backup_folder: Path) -> int:
    """Copy every key file to ``target`` and return how many there are.

    Raises
    ------
    InvalidInput : ``target`` lies inside the backup folder or the home, or the backup inside ``target``.
    Conflict : it holds another key of the same name, which must not be lost.
    """
    keys, vault, home = target.resolve(), backup_folder.resolve(), settings.home_folder.resolve()
    if keys.is_relative_to(vault):
        raise InvalidInput("Keys must not lie inside the backup.", remedy="Name another folder, best on another disk.")
    if vault.is_relative_to(keys) or keys.is_relative_to(home):
        raise InvalidInput("Keys must lie apart from the backup and from the home.", remedy="Name another folder, best on another disk.")
    usable_folder(keys, "folder of keys", mode=0o700)  # also where there is no key yet, so that a restore finds what it is told of
    return sum(_copy(source, keys / name) for name, source in _sources(settings).items())


def return_keys(settings: Settings, source: Path) -> int:
    """Copy every key file back and return how many there are; raise Conflict when another key is there."""
    found = _below(source).items()
    return sum(_copy(folder, settings.home_folder / name if name else settings.secrets_folder) for name, folder in found)


def _sources(settings: Settings) -> dict[str, Path]:
    """Return the folders of keys by their names in the copy; the Helm chart gives catalog and gateway one each on the volume."""
    own = (settings.home_folder / name for name in OF_THE_CHART)
    return {"": settings.secrets_folder} | {folder.name: folder for folder in own if folder.is_dir()}


def _copy(source: Path, target: Path) -> int:
    files = sorted(path for path in source.iterdir() if path.is_file() and not path.name.startswith(".")) if source.is_dir() else []
    for file in files:
        content, to = file.read_bytes(), target / file.name
        if to.exists():
            if to.read_bytes() != content:
                raise Conflict(f"Another key lies under {file.name}.", remedy="Choose an empty folder; no key was replaced.")
            continue
        usable_folder(target, "folder of keys", mode=0o700)  # only now: a secret's volume has all keys, and can't be written
        part = private_file(target / f".{file.name}.part")
        with storage_errors("a key"), part.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())  # a key that a power cut has emptied would be one that is lost
        part.replace(to)
        sync_folder(target)
    return len(files)
