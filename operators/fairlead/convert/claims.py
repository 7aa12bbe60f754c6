"""Which DICOM files of a run are converted: those of this share, one per SOPInstanceUID, and no contours unless they are drawn."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from typing import Final

from fairlead.convert.decode import decode_frame
from fairlead.convert.headers import READ_ELSEWHERE, Header, read_header
from fairlead.convert.located import located
from fairlead.convert.options import ConvertOptions
from fairlead.convert.sop_classes import Layout
from fairlead.convert.sources import Source, SourceKind
from fairlead.errors import Conflict, FairleadError, UnsupportedInput
from fairlead.files import sha256_file

type Refuse = Callable[[str, FairleadError], None]

OTHER_BYTES: Final = "Another file with the same SOPInstanceUID, but other bytes, was taken."
CONTOURS: Final = "It stays DICOM: publish it beside the images, or draw it with --rtstruct labels."


def in_share(key: str, part: tuple[int, int]) -> bool:
    """Return whether a key belongs to the k-th of n shares: the same on every machine."""
    share, shares = part
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % shares == share


def read_headers(found: Sequence[Source], options: ConvertOptions, refuse: Refuse) -> list[Header]:
    """Read all headers. Files with one SOPInstanceUID: the first that decodes is taken, equal copies are passed over, others refused."""
    claims: dict[tuple[str, str], list[tuple[Source, Header]]] = {}
    for source in found:
        if source.kind is not SourceKind.DICOM:
            continue
        try:
            header = read_header(source.path)
        except FairleadError as error:
            if in_share(source.name, options.part):  # one share names it, not all
                refuse(source.name, error)
            continue
        if not in_share(header.study_uid or header.series_uid, options.part):
            continue
        if header.layout is Layout.STRUCTURES and not options.draws_structures:
            refuse(source.name, UnsupportedInput("RT Structure Set Storage holds contours, not an image.", remedy=CONTOURS))
        else:
            claims.setdefault((header.series_uid, header.sop_instance_uid), []).append((source, header))
    return [_settled(rivals, refuse) for rivals in claims.values()]


def _settled(rivals: list[tuple[Source, Header]], refuse: Refuse) -> Header:
    if len(rivals) == 1:
        return rivals[0][1]
    chosen = next((rival for rival in rivals if _decodes(rival[1])), rivals[0])
    digest = sha256_file(chosen[0].path)
    for source, _ in rivals:
        if source is not chosen[0] and sha256_file(source.path) != digest:
            refuse(source.name, located(Conflict(OTHER_BYTES, remedy="Give one of them only."), chosen[0].path))
    return chosen[1]


def _decodes(header: Header) -> bool:
    if header.layout in READ_ELSEWHERE:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decode_frame(header.path, header.format, 0)
    except FairleadError:
        return False
    return True
