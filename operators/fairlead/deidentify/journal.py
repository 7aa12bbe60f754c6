"""What is finished already, so that a killed run goes on where it was: one small file per source, found by content.

Source (of microscopy with its name, which goes into its output), profile, engine, key and the help of dciodvfy make one digest, keyed
with the project key: without it nobody can tell from the journal which files were de-identified. An entry counts only while the output it
names is there with the bytes it had.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead import __version__
from fairlead.files import manifest_lines, manifest_sha256, sha256_file
from fairlead.keys import pseudonym


@dataclass(frozen=True, slots=True)
class Entry:
    """The end of one file: written as ``name`` with ``sha256``, or refused for ``reason``."""

    name: str = ""
    sha256: str = ""
    reason: str = ""
    rule: str = ""
    codes: tuple[str, ...] = ()
    new_errors: int = 0
    checked: bool = False
    face: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """A folder of entries for one key, profile and engine; several processes and machines may write into it at once."""

    folder: Path
    key: bytes
    work: str

    @classmethod
    def open(cls, folder: Path, *, key: bytes, profile_sha256: str, compared: bool) -> Journal:
        """Return the journal for this work; another key, profile or engine shares none of its entries."""
        return cls(folder, key, f"{profile_sha256}\x1f{__version__}\x1f{compared}")

    def work_id(self, source: Path, *, name: str = "", digest: str = "") -> str:
        """Return the keyed digest of a source under this work.

        ``name``: its name, where the output depends on it (microscopy). ``digest``: that of a store, which is no file.
        """
        content = f"{digest or sha256_file(source)}\x1f{self.work}" + (f"\x1f{name}" if name else "")
        return pseudonym(self.key, "deidentified", content).hex()

    def find(self, work_id: str, out: Path) -> Entry | None:
        """Return what became of the file, None when it is not finished or its output is no longer what it was."""
        try:
            stored = json.loads(self._file(work_id).read_text("utf-8"))
            entry = Entry(**stored | {"codes": tuple(stored["codes"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None  # absent, or cut off by a power failure: the file is done again
        if entry.reason:
            return entry
        return entry if _digest(out / entry.name) == entry.sha256 else None

    def keep(self, work_id: str, entry: Entry) -> None:
        """Remember the end of a file, in one step; to be called after its output is on the disk."""
        file = self._file(work_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{secrets.token_hex(8)}.part")
        part.write_text(json.dumps(asdict(entry)), "utf-8")
        part.replace(file)

    def _file(self, work_id: str) -> Path:
        return self.folder / work_id[:2] / f"{work_id[2:]}.json"


def _digest(output: Path) -> str:
    """Return the digest of a file, or of the manifest of a store, empty when it is absent."""
    if output.is_dir():
        return manifest_sha256(manifest_lines(output))
    return sha256_file(output) if output.is_file() else ""
