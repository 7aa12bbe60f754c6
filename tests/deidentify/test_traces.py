"""What identifies somebody in sources is found again in texts, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from deidentify.ct_builders import a_ct, as_file
from fairlead.deidentify import Traces, files_of_set, load_profile, require_no_label
from fairlead.errors import NotFound, UnreadableImage, UnsupportedInput


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    """Return the traces of one CT image and of one OME-TIFF."""
    scan = tmp_path / "scan.dcm"
    scan.write_bytes(
        as_file(a_ct(PatientName="Lowe^Erika", PatientID="4711", PatientBirthDate="19570314", StudyInstanceUID="1.2.3.4.5678"))
    )
    file = tmp_path / "Biopsy_of_Tintin.ome.tif"
    tifffile.imwrite(file, np.ones((8, 8), "uint8"), ome=True, metadata={"axes": "YX"})
    found = Traces(load_profile("basic"))
    found.add_series([scan])
    found.add_file(file)
    return found


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Scans of lowe", {"name or number"}),
        ("slower than ever", set()),
        ("number 4711.", {"name or number"}),
        ("14711 samples of size 512x4711x3", set()),
        ("1.2.3.4.5678", {"identifier"}),
        ("1.2.3.4.56789", set()),
        ("born 1957-03-14", {"date"}),
        ("born 19570314", {"date"}),
        ("a19570314b", set()),
        ("images/biopsy_of_tintin.png", {"name or number"}),
        ("Computed Tomography of the chest, OME-Zarr 0.5", set()),
    ],
)
def test_identity_is_found_and_likeness_is_not(traces: Traces, text: str, kinds: set[str]) -> None:
    assert traces.found_in(text) == kinds


def test_a_date_of_the_text_itself_does_not_count(traces: Traces) -> None:
    assert traces.found_in("issued 1957-03-14", dates={"1957-03-14"}) == set()


def test_a_header_that_is_gone_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="cannot be read again"):
        Traces(load_profile("basic")).add_series([tmp_path / "gone.dcm"])


def a_companion(folder: Path, *names: str) -> Path:
    """Write a companion that names files."""
    named = "".join(f'<TiffData><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>' for name in names)
    companion = folder / "set.companion.ome"
    companion.write_text(f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels>{named}</Pixels></Image></OME>')
    return companion


def test_a_set_is_the_companion_and_the_files_it_names(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    companion = a_companion(tmp_path, "a.tif", "a.tif")
    assert files_of_set(companion) == (companion, tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["gone.tif", "../outside.tif", "/etc/hostname"])
def test_a_file_that_is_not_beside_the_companion_is_not_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "outside.tif").touch()
    with pytest.raises(NotFound, match="not beside it"):
        files_of_set(a_companion(tmp_path / "in", name))


@pytest.mark.parametrize("name", ["label", " Macro ", "Label Image"])
@pytest.mark.parametrize("where", ["multiscales", "omero", "xml"])
def test_a_folder_with_the_picture_of_a_label_is_refused(tmp_path: Path, name: str, where: str) -> None:
    ome: dict[str, object] = {"multiscales": [{"name": "tissue"}]}
    ome |= {"multiscales": [{"name": name}]} if where == "multiscales" else {"omero": {"name": name}} if where == "omero" else {}
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "zarr.json").write_text(json.dumps({"attributes": {"ome": ome}}))
    if where == "xml":
        (tmp_path / "METADATA.ome.xml").write_text(f'<OME><Image Name="{name}"/></OME>')
    with pytest.raises(UnsupportedInput, match="label or overview"):
        require_no_label(tmp_path)


def test_a_folder_of_tissue_passes_and_a_damaged_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {"ome": {"multiscales": [{"name": "tissue"}]}}}))
    require_no_label(tmp_path)
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(UnreadableImage, match="cannot be read"):
        require_no_label(tmp_path)
