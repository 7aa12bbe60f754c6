"""What the caller of a conversion may choose, checked before any file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.convert.beside import license_iri
from fairlead.convert.slides import MAX_EXPANSION, SlideLimits
from fairlead.convert.stores import check_version
from fairlead.convert.volumes import Policy, parse_policy
from fairlead.errors import UnsupportedInput

STRUCTURES: Final = ("keep", "labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How to convert. Every field has the default of a plain run.

    Parameters
    ----------
    ngff : "0.5", or "0.6" with coordinate systems and the affine inside the specification.
    geometry : "strict" refuses an irregular lattice, "split" writes its regular runs, "annotate" writes it with a positions table.
    max_expansion : how many times larger than its files a slide may become in memory; larger ones are refused.
    part : (k, n) converts the k-th of n shares of the sources, counted from 0; a DICOM study, and so a segmentation with its
        image, is never divided.
    resume : stores that an earlier run made of the same bytes with the same options are recognised and not made again.
    whole_plates : a plate becomes one store; otherwise every field is a store with its ``image_index``, as the index counts them.
    keep_names : stores of OME files are called after the files; otherwise after the hash of their content.
    compact : JPEG tiles of colour slides become chunks as they are, in a codec that few programs read; others are as without it.
    scene : with NGFF 0.6, the output folder becomes a scene that joins the images of each frame of reference, those of earlier runs too.
    described : documents lie beside the pixels: an RO-Crate, a manifest, the header as DICOM JSON with a table of planes, or OME-XML, all
        de-identified. Exports describe a whole dataset and go without.
    license : address or SPDX identifier of the licence that the crate of a described store states; empty: that none was stated.
    rtstruct : "labels" draws the contours of structure sets as labels of their images; "keep" refuses them, so that they stay DICOM.

    Raises
    ------
    UnsupportedInput : an unknown version, policy or treatment of structure sets, or a licence that is neither.
    """

    ngff: str = "0.5"
    geometry: str = "strict"
    max_expansion: float = MAX_EXPANSION
    part: tuple[int, int] = (0, 1)
    resume: bool = False
    whole_plates: bool = False
    keep_names: bool = False
    compact: bool = False
    scene: bool = False
    described: bool = False
    rtstruct: str = "keep"
    license: str = ""

    def __post_init__(self) -> None:
        check_version(self.ngff)
        parse_policy(self.geometry)
        if self.license:
            license_iri(self.license)
        if self.rtstruct not in STRUCTURES:
            raise UnsupportedInput(f"There is no treatment {self.rtstruct!r} of structure sets.", remedy=f"Use {' or '.join(STRUCTURES)}.")

    @property
    def policy(self) -> Policy:
        """What happens to an irregular lattice."""
        return parse_policy(self.geometry)

    @property
    def limits(self) -> SlideLimits:
        """What slides have to keep."""
        return SlideLimits(self.max_expansion, self.compact)

    @property
    def draws_structures(self) -> bool:
        """Whether structure sets become labels."""
        return self.rtstruct == "labels"

    @property
    def marks(self) -> tuple[str, ...]:
        """What a finished store depends on besides its source bytes."""
        flags = " ".join(name for name in ("compact", "described") if getattr(self, name))
        return self.ngff, self.geometry, f"{self.max_expansion:g}", str(self.whole_plates), flags, self.rtstruct, self.license
