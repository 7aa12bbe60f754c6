"""What a bucket lists, and what a listing does not say.

The client library refuses a page of a listing that holds one key which is no path (``a//b``, ``..``, control characters). One object
must not keep all others away: then the bucket is listed folder by folder, and only the folder of that object stays half seen.
What was not seen is never taken for deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from fairlead.errors import InvalidInput
from fairlead.storage import bucket_errors, checked_key

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

LONGEST_NAME: Final = 200
"""Bytes of one part of a key; file systems take 255, and a copy under way has a longer name."""

PAST: Final = "0"
"""Names from here on are asked for where the library refuses a folder: most of what it refuses begins with a dot or a slash, before it."""

HALF_SEEN: Final = "An object in this folder has a name that no file can have; what lies beside it may be left out. Rename or delete it."


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing; ``stamp`` changes with its content (the ETag, RFC 9110 section 8.8.3; else time and size)."""

    stamp: str
    size: int


@dataclass(slots=True)
class Listing:
    """The usable objects by key, why others are not, the folders that were seen whole, and those that were seen in part."""

    objects: dict[str, Listed] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    partly: set[str] = field(default_factory=set)

    def is_certain(self, key: str) -> bool:
        """Return whether a key that is not listed is not in the bucket: the innermost folder that was looked at was seen whole."""
        for folder in _folders(key):
            if folder in self.partly:
                return False
            if folder in self.whole:
                return True
        return False


def list_bucket(bucket: Bucket) -> Listing:
    """List every object; raise ServiceUnreachable when the bucket does not answer."""
    from obstore.exceptions import InvalidPathError

    found: dict[str, Listed] = {}
    listing = Listing()
    with bucket_errors():
        try:
            found.update(_noted(entry for batch in bucket.list() for entry in batch))
            listing.whole.add("")
        except InvalidPathError:
            found = _by_folder(bucket, listing)
    folders = {folder for key in found for folder in _folders(key)}
    reasons = {key: reason for key in found if (reason := unusable(key, folders))}
    listing.refused = {key: reason for key, reason in reasons.items() if found[key].size}  # an empty one marks a folder
    listing.refused |= {f"{folder}/": HALF_SEEN for folder in listing.partly}
    listing.objects = {key: found[key] for key in sorted(found.keys() - reasons.keys())}
    return listing


def _by_folder(bucket: Bucket, listing: Listing) -> dict[str, Listed]:
    from obstore.exceptions import InvalidPathError

    found: dict[str, Listed] = {}
    waiting = {""}
    while waiting:
        folder = waiting.pop()
        try:
            inside = bucket.list_with_delimiter(folder or None)
        except InvalidPathError:
            listing.partly.add(folder)
            waiting |= _past(bucket, folder, found)
        else:
            listing.whole.add(folder)
            found.update(_noted(inside["objects"]))
            waiting |= set(inside["common_prefixes"])
    return _without_half_hierarchies(found, listing)


def _past(bucket: Bucket, folder: str, found: dict[str, Listed]) -> set[str]:
    """Note the objects right in a folder that sort behind what the library refuses, and return the folders in it."""
    from obstore.exceptions import InvalidPathError

    begin = f"{folder}/" if folder else ""
    folders: set[str] = set()
    with suppress(FileNotFoundError):
        found.update(_noted([bucket.head(f"{begin}{PAST}")]))  # the listing begins after this one
    try:
        for entry in (entry for batch in bucket.list(folder or None, offset=f"{begin}{PAST}") for entry in batch):
            name, slash, _ = entry["path"].removeprefix(begin).partition("/")
            if slash:
                folders.add(f"{begin}{name}")
            else:
                found.update(_noted([entry]))
    except InvalidPathError:
        return folders  # what it named until then; the folder is known to be seen in part
    return folders


def _without_half_hierarchies(found: dict[str, Listed], listing: Listing) -> dict[str, Listed]:
    """Leave out Zarr hierarchies with a folder that was seen in part: half of one would be another image."""
    roots = {root for folder in listing.partly if (root := _zarr_root(folder))}
    listing.partly |= roots
    inside = {folder for folder in listing.whole if not roots.isdisjoint(_folders(f"{folder}/x"))}
    listing.whole -= inside
    return {key: one for key, one in found.items() if roots.isdisjoint(_folders(key))}


def _zarr_root(folder: str) -> str:
    inner_first = [one for one in _folders(f"{folder}/x") if one.endswith(".zarr")]
    return inner_first[-1] if inner_first else ""


def _folders(key: str) -> list[str]:
    """Return the folders that a key lies in, innermost first; the outermost is empty."""
    return [
        parent.as_posix().removeprefix(".") if parent == PurePosixPath() else parent.as_posix() for parent in PurePosixPath(key).parents
    ]


def _noted(entries: Any) -> Iterator[tuple[str, Listed]]:
    for entry in entries:
        yield entry["path"], Listed(stamp_of(entry), entry["size"])


def stamp_of(entry: Mapping[str, Any]) -> str:
    """Return what tells one content of an object from the next."""
    return entry["e_tag"] or f"{entry['last_modified'].isoformat()} {entry['size']}"


def unusable(key: str, folders: set[str]) -> str:
    """Return why a key cannot be the name of a file here, empty when it can. Keys are never rewritten: OME files name each other.

    >>> unusable("../a.ome.tif", set())
    'The key is no relative path.'
    """
    try:
        checked_key(key)
    except InvalidInput:
        return "The key is no relative path."
    if not key.isprintable() or "\\" in key:
        return "The key holds characters that no file name should have."
    if any(len(part.encode()) > LONGEST_NAME for part in key.split("/")):
        return f"A part of the key is longer than {LONGEST_NAME} bytes."
    return "The key is that of an object and of a folder." if key in folders else ""
