"""Where an export is built, what its steps hand to each other, and how a finished folder becomes durable.

Below ``staging/<export id>/``: ``safe/<pseudonym>/`` de-identified files, ``dataset/`` the folder to be published, and one
JSON file a finished step (``safe.json``, ``stores.json``). A step writes its JSON last: while it is absent the step starts over.
Each attempt works in a hidden folder of its own, so that no attempt removes what another one is using.
Staging is private; only ``dataset/`` is ever published.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from fairlead.errors import CheckFailed
from fairlead.files import manifest_sha256, relative_files, sha256_file, storage_errors, sync_folder, write_text
from fairlead.records import Record, Refusal, Sha256, StoreReport

MANIFEST: Final = "manifest-sha256.txt"
CRATE_NAME: Final = "ro-crate-metadata.json"

type Measures = Mapping[str, tuple[int, str]]
"""Size in bytes and sha256 by relative path."""


class SafeMember(Record):
    """A member ready to be converted. ``record_id`` stays in staging."""

    record_id: str
    pseudonym: str
    subject: str
    instances: int
    sources: tuple[str, ...]
    """Below ``safe/``; or one absolute path of a folder that is read in place."""


class SafeMembers(Record):
    """What the de-identify step leaves for the convert step."""

    members: tuple[SafeMember, ...]
    refused: tuple[Refusal, ...]
    codes: tuple[str, ...]
    profile_sha256: Sha256 | None = None


class StagedStore(Record):
    """One converted store; paths are relative to the dataset folder."""

    record_id: str
    pseudonym: str
    subject: str
    instances: int
    store: StoreReport


class StagedStores(Record):
    """What the convert step leaves for the describe step."""

    stores: tuple[StagedStore, ...]
    refused: tuple[Refusal, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Staging:
    """The folder of one export."""

    root: Path

    @property
    def safe(self) -> Path:
        """De-identified DICOM, one folder a member."""
        return self.root / "safe"

    @property
    def dataset(self) -> Path:
        """What will be published."""
        return self.root / "dataset"

    @contextmanager
    def attempt(self, final: Path, *, confirm: Callable[[], None]) -> Iterator[Path]:
        """Yield an empty folder of this attempt alone; when the block ends well and ``confirm`` agrees, it becomes ``final``.

        What killed attempts left of the same step is removed first; this one's goes when it fails, so that a full disk has room again.
        """
        for left in self.root.glob(f".{final.name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        folder = self.root / f".{final.name}-{secrets.token_hex(6)}"
        try:
            with storage_errors("an export"):
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)  # what is not published is nobody else's to read
                folder.mkdir()
                yield folder
                confirm()
                shutil.rmtree(final, ignore_errors=True)
                folder.rename(final)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty folder that is gone afterwards."""
        folder = self.root / f".work-{secrets.token_hex(6)}"
        try:
            with storage_errors("an export"):
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)  # what is not published is nobody else's to read
                folder.mkdir()
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def save(self, document: SafeMembers | StagedStores) -> None:
        """Write a step's result; from here on the step is done."""
        write_text(self._file(type(document)), document.model_dump_json())

    def load[T: (SafeMembers, StagedStores)](self, kind: type[T]) -> T:
        """Return a step's result.

        Raises
        ------
        CheckFailed : staging was removed by hand.
        """
        try:
            return kind.model_validate_json(self._file(kind).read_text())
        except FileNotFoundError as error:
            raise CheckFailed("The export's staging folder is gone.", remedy="Request a new export.") from error

    def _file(self, kind: type[SafeMembers | StagedStores]) -> Path:
        return self.root / ("safe.json" if kind is SafeMembers else "stores.json")

    def remove(self) -> None:
        """Remove everything of the export that was not published."""
        shutil.rmtree(self.root, ignore_errors=True)

    @classmethod
    def of(cls, staging_folder: Path, export_id: str) -> Self:
        """Return the staging of one export."""
        return cls(staging_folder / export_id)


def remove_hidden(folder: Path) -> None:
    """Remove hidden files that a writer left behind: the catalogue would never serve them, so the manifest must not name them."""
    for path in relative_files(folder):
        if any(part.startswith(".") for part in path.parts):
            (folder / path).unlink()


def is_description(path: str) -> bool:
    """Return whether a file describes the dataset or one of its stores; the others are its content.

    >>> is_description("record.ttl"), is_description("images/a.ome.zarr/ro-crate-metadata.json"), is_description("members.csv")
    (True, True, False)
    """
    parts = path.split("/")
    return parts[-1] == CRATE_NAME or (len(parts) == 1 and (parts[0].startswith("record.") or parts[0] == MANIFEST))


def measure(folder: Path, *, descriptions: bool) -> Measures:
    """Return size and sha256 of every content file, or of every description, by relative path."""
    paths = (path for path in relative_files(folder) if is_description(path.as_posix()) == descriptions and path.as_posix() != MANIFEST)
    return {path.as_posix(): ((folder / path).stat().st_size, sha256_file(folder / path)) for path in paths}


def lines_of(measures: Measures) -> list[str]:
    """Return manifest lines ``<sha256>  <relative path>``, sorted by path (RFC 8493 section 2.1.3)."""
    return [f"{measures[path][1]}  {path}" for path in sorted(measures)]


def measures_of(lines: Iterable[str]) -> Measures:
    """Return manifest lines as measures, sizes left out.

    >>> measures_of(["ab  images/0"])
    {'images/0': (0, 'ab')}
    """
    return {path: (0, digest) for digest, _, path in (line.partition("  ") for line in lines)}


def below(measures: Measures, store: str) -> tuple[int, str]:
    """Return bytes and digest of one store: the sha256 over the manifest lines of its files, paths relative to the store."""
    files = {path.removeprefix(f"{store}/"): value for path, value in measures.items() if path.startswith(f"{store}/")}
    return sum(size for size, _ in files.values()), manifest_sha256(lines_of(files))


def content_sha256(measures: Measures, *, parameters: str) -> str:
    """Return the digest of what a dataset *is*: its images, previews and members, and the parameters it was made with.

    Descriptions carry times and a version number and are left out, so the same export twice has the same digest.
    """
    return manifest_sha256([*lines_of(measures), parameters])


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below ``folder`` to the disk, deepest first."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            descriptor = os.open(Path(root) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(root))
