"""Metadata that claim more planes or levels than anybody has: refused before room is made for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fairlead.convert import convert, validate_store

PLANES = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
    'DimensionOrder="XYCZT" Type="uint8" SizeX="8" SizeY="8" SizeC="1" SizeZ="{z}" SizeT="1">{blocks}</Pixels></Image></OME>'
)


@pytest.mark.parametrize(
    ("z", "blocks", "said"),
    [
        (999_999_999, "<TiffData/>", "claims 999999999 planes"),
        (1, '<TiffData IFD="0" PlaneCount="999999999"/>', "claims 999999999 planes"),
        (1, '<TiffData PlaneCount="1000000"/>' * 3, "claims 3000000 planes"),
        (1, '<TiffData IFD="999999999"/>', "names a page that the TIFF does not have"),
    ],
)
def test_planes_that_nobody_has_are_refused_before_room_is_made_for_them(tmp_path: Path, z: int, blocks: str, said: str) -> None:
    xml = PLANES.format(z=z, blocks=blocks)
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((8, 8), np.uint8), description=xml, metadata=None)
    (refusal,) = convert(tmp_path / "a.ome.tif", tmp_path / "out").refused
    assert said in refusal.reason


def test_levels_without_end_are_refused_and_not_opened(tmp_path: Path) -> None:
    steps = [{"type": "scale", "scale": [1, 1]}]
    datasets = [{"path": str(number), "coordinateTransformations": steps} for number in range(3000)]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    root = tmp_path / "a.ome.zarr"
    root.mkdir()
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / ".zattrs").write_text(json.dumps({"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}))
    assert "3000 levels" in convert(root, tmp_path / "out").refused[0].reason
    assert [finding.message for finding in validate_store(root).findings if "3000 levels" in finding.message]
