"""One port to object storage: a local folder or a bucket, addressed by URL, with the same promise.

Keys are relative POSIX paths. A key appears whole or not at all, and is written once: ``put`` never replaces other bytes.
The promise is tests/conformance/storage_contract.py; every adapter subclasses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote, urlsplit

from fairlead.errors import Conflict, InvalidInput, NotFound, ServiceUnreachable, UnsupportedInput
from fairlead.files import atomic_write, relative_files, sha256_file

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

SCHEMES: Final = ("file", "s3")
PART_BYTES: Final = 16 * 1024 * 1024
"""A larger file goes up in parts of this size, so that memory does not grow with it."""
PARTS: Final = 9_000
"""S3 takes 10,000 parts of one object; beyond that the parts grow."""
PARTS_AT_ONCE: Final = 4


class ObjectStore(Protocol):
    """Immutable objects by key."""

    def put(self, key: str, source: Path) -> bool:
        """Store a file under ``key`` and return True; return False when exactly these bytes are there already.

        Raises
        ------
        Conflict : other bytes are stored under the key.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return an object; raise NotFound."""
        ...

    def sha256(self, key: str) -> str:
        """Return the sha256 of an object, read back in pieces; raise NotFound."""
        ...

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield every key below ``prefix``, sorted."""
        ...


def checked_key(key: str) -> str:
    """Return ``key`` when it is a relative path that stays inside the store; raise InvalidInput.

    >>> checked_key("a/b.zarr/zarr.json")
    'a/b.zarr/zarr.json'
    """
    path = PurePosixPath(key)
    if not key or path.is_absolute() or ".." in path.parts or str(path) != key:
        raise InvalidInput("An object key is no relative path.", remedy="Keys look like a/b/c, without .. and without a leading slash.")
    return key


class LocalObjects:
    """Objects as files below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, source: Path) -> bool:
        """Copy the file in, durably; see :class:`ObjectStore`."""
        target = self._root / checked_key(key)
        if target.is_file():
            return _same_or_conflict(key, sha256_file(target), sha256_file(source))
        with atomic_write(target, replace=False) as handle, source.open("rb") as original:
            while block := original.read(1024 * 1024):
                handle.write(block)
        return True

    def get(self, key: str) -> bytes:
        """Return the file's bytes."""
        target = self._root / checked_key(key)
        if not target.is_file():
            raise NotFound("There is no such object.")
        return target.read_bytes()

    def sha256(self, key: str) -> str:
        """Return the sha256 of the file."""
        target = self._root / checked_key(key)
        if not target.is_file():
            raise NotFound("There is no such object.")
        return sha256_file(target)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the files below the prefix."""
        names = (path.as_posix() for path in relative_files(self._root)) if self._root.is_dir() else iter(())
        yield from (name for name in names if name.startswith(prefix))


class BucketObjects:
    """Objects in a bucket, through obstore; conditional put makes ``put`` safe against a second writer."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, key: str, source: Path) -> bool:
        """Upload the file if the key is free; see :class:`ObjectStore`. Parts know no condition: the key is looked for first."""
        from obstore.exceptions import AlreadyExistsError

        size = source.stat().st_size
        try:
            with bucket_errors():
                if size <= PART_BYTES:
                    self._bucket.put(checked_key(key), source.read_bytes(), mode="create")
                    return True
                if not self._holds(checked_key(key)):
                    part = max(PART_BYTES, size // PARTS)
                    self._bucket.put(key, source, use_multipart=True, chunk_size=part, max_concurrency=PARTS_AT_ONCE)
                    return True
        except AlreadyExistsError:
            pass  # compared below
        return _same_or_conflict(key, self.sha256(key), sha256_file(source))

    def _holds(self, key: str) -> bool:
        try:
            self._bucket.head(key)
        except FileNotFoundError:
            return False
        return True

    def get(self, key: str) -> bytes:
        """Download the object."""
        try:
            with bucket_errors():
                return bytes(self._bucket.get(checked_key(key)).bytes())
        except FileNotFoundError as error:
            raise NotFound("There is no such object.") from error

    def sha256(self, key: str) -> str:
        """Download the object in pieces and return its sha256."""
        digest = hashlib.sha256()
        try:
            with bucket_errors():
                for block in self._bucket.get(checked_key(key)).stream():
                    digest.update(block)
        except FileNotFoundError as error:
            raise NotFound("There is no such object.") from error
        return digest.hexdigest()

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the keys below the prefix."""
        with bucket_errors():
            found = sorted(entry["path"] for batch in self._bucket.list() for entry in batch)
        yield from (key for key in found if key.startswith(prefix))


def _same_or_conflict(key: str, stored: str, given: str) -> bool:
    if stored != given:
        raise Conflict(f"Other bytes are stored under {key}.", remedy="Objects are written once; choose another prefix.")
    return False


@contextmanager
def bucket_errors() -> Iterator[None]:
    """Turn what obstore raises into our words; an object that is not there, or there already, is its caller's to understand."""
    from obstore.exceptions import AlreadyExistsError, BaseError

    try:
        yield
    except (AlreadyExistsError, FileNotFoundError):
        raise
    except BaseError as error:  # its text may repeat a signed address, its type cannot
        raise ServiceUnreachable(
            f"The object store answered with {type(error).__name__}.", remedy="Check address, bucket and credentials."
        ) from error


def open_store(url: str) -> ObjectStore:
    """Return the store that ``url`` names: ``file:///folder`` or ``s3://bucket/prefix`` (credentials and endpoint by ``AWS_*`` variables).

    Raises
    ------
    UnsupportedInput : another scheme, or S3 without the extra ``s3``.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalObjects(Path(unquote(parts.path)))
    if parts.scheme != "s3":
        raise UnsupportedInput(
            f"{parts.scheme or 'An address without scheme'} is no kind of storage here.", remedy="Use file:///… or s3://…."
        )
    return BucketObjects(open_bucket(url))


def open_bucket(url: str) -> Bucket:
    """Return the bucket, or the prefix in it, that ``s3://bucket/prefix`` names.

    Raises
    ------
    UnsupportedInput : the extra ``s3`` is not installed, or the address names no bucket.
    """
    if not urlsplit(url).netloc:
        raise UnsupportedInput("The address names no bucket.", remedy="Use s3://bucket/prefix.")
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise UnsupportedInput("S3 needs a library that is not installed.", remedy="Run: pip install 'fairlead[s3]'") from error
    return from_url(url)
