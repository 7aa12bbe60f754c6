"""Durable file writes: nothing appears under its final name before every byte of it is on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from fairlead.errors import Conflict, InvalidConfiguration, StorageFull

BLOCK_BYTES: Final = 1024 * 1024
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn "no space" into :class:`StorageFull`; other errors pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(f"There is no space left to write {what}.") from error
        raise


def usable_folder(folder: Path, what: str, *, mode: int = 0o777) -> Path:
    """Return a folder that exists and can be written, made with ``mode`` when it is not there.

    Raises
    ------
    InvalidConfiguration : it is a file, is read-only, or cannot be made; ``what`` names it ("home folder").
    StorageFull : there is no room for it.
    """
    try:
        with storage_errors(f"the {what}"):
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "not writable")
    except OSError as error:
        reason = "it is not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror or type(error).__name__
        raise InvalidConfiguration(
            f"The {what} {folder} cannot be used ({reason}).", remedy="Choose a folder that you may write, or correct its permissions."
        ) from error
    return folder


def private_file(file: Path) -> Path:
    """Return a file that exists, made readable by its owner only; one that is there is left as it is.

    Raises
    ------
    InvalidConfiguration : it is a folder, or may not be opened.
    """
    try:
        with storage_errors(file.name):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise InvalidConfiguration(
            f"The file {file} cannot be used ({error.strerror}).", remedy="Move it away, or correct its permissions."
        ) from error
    return file


def sync_folder(folder: Path) -> None:
    """Flush the folder's own entry list, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_write(path: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """Yield a handle whose bytes appear under ``path`` when the block ends well, and nowhere when it does not.

    Order: part file in the same folder, flush, fsync, rename (or link, which never replaces), fsync of the folder.

    Raises
    ------
    StorageFull : the disk is full; the part is removed.
    Conflict : ``replace`` is false and the name exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:80]}.{secrets.token_hex(6)}.part")
    with storage_errors(path.name):
        try:
            with part.open("xb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            if replace:
                part.replace(path)
            else:
                try:
                    os.link(part, path)
                except FileExistsError as error:
                    raise Conflict(f"{path.name} exists already.") from error
            sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file atomically, UTF-8."""
    with atomic_write(path) as handle:
        handle.write(text.encode())


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def relative_files(folder: Path) -> list[Path]:
    """Return every regular file below ``folder``, relative and sorted; symbolic links are not followed."""
    found = [Path(root) / name for root, _, names in os.walk(folder) for name in names]
    return sorted(path.relative_to(folder) for path in found if path.is_file() and not path.is_symlink())


def manifest_lines(folder: Path, *, skip: frozenset[str] = frozenset(), known: Mapping[Path, str] | None = None) -> list[str]:
    """Return BagIt manifest lines ``<sha256>  <relative path>``, sorted by path (RFC 8493 section 2.1.3).

    ``known`` holds digests of files that their writer took already, by full path; they are not read again.
    """
    taken = known or {}
    files = [path for path in relative_files(folder) if path.as_posix() not in skip]
    return [f"{taken.get(folder / path) or sha256_file(folder / path)}  {path.as_posix()}" for path in files]


def manifest_sha256(lines: list[str]) -> str:
    """Return the sha256 over manifest lines joined by newlines: one digest for a whole folder."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
