from __future__ import annotations

import hashlib
import json
import math
import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import zarr
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRBigEndian, UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from convert.builders import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    SECRETS,
    SERIES,
    a_series,
    a_slice,
    along,
    as_mr,
    axial_positions,
    save,
    some_pixels,
)
from fairlead.convert import ConvertOptions, convert, convert_series, validate_store


def attributes(store: Path) -> dict:
    return json.loads((store / "zarr.json").read_text())["attributes"]


def voxels(store: Path, level: int = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(store / str(level)), mode="r")[:])


def only(report, out):
    assert report.refused == ()
    (store,) = report.stores
    assert store.verified_voxels
    assert store.valid.ome_zarr_models
    assert store.valid.json_schema
    return store, out / store.path


def highdicom_volume(folder: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
        return highdicom.get_volume_from_series(datasets, dtype=np.float64)


def toward_head(volume):
    """Return highdicom's array and affine with our slice direction."""
    array, affine = volume.array, volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
    affine[:3, 0] *= -1
    return array[::-1], affine


@pytest.mark.parametrize(
    ("folder", "shape", "spacing"),
    [
        ("dicom/ct/philips_phantom_axial_1mm", (32, 512, 512), (1.0, 0.451171875, 0.451171875)),
        ("dicom/pt/siemens_quadra_fdg", (24, 110, 110), (2.0, 6.6, 6.6)),
        ("dicom/ct/dcmqi_ct3slice", (3, 512, 512), (1.0, 0.810547, 0.810547)),
    ],
)
def test_real_series_agree_with_highdicom_in_place_and_value(data, tmp_path, folder, shape, spacing):
    report, path = only(convert(data / folder, tmp_path), tmp_path)
    array, affine = toward_head(highdicom_volume(data / folder))
    assert report.shape == shape
    assert report.geometry.verdict == "regular"
    assert report.geometry.spacing_mm == pytest.approx(spacing)
    assert np.allclose(report.geometry.affine, affine, atol=1e-4)
    assert np.allclose(voxels(path), array, rtol=1e-6)


def test_a_head_ct_is_int16_hounsfield_with_axes_in_the_patient(data, tmp_path):
    store, path = only(convert(data / "dicom/ct/philips_phantom_axial_1mm", tmp_path), tmp_path)
    ome = attributes(path)["ome"]
    axes = ome["multiscales"][0]["axes"]
    assert store.dtype == "int16"
    assert ome["version"] == "0.5"
    assert [(axis["name"], axis["unit"], axis["orientation"]["value"]) for axis in axes] == [
        ("z", "millimeter", "inferior-to-superior"),
        ("y", "millimeter", "anterior-to-posterior"),
        ("x", "millimeter", "right-to-left"),
    ]
    assert ome["omero"]["channels"][0]["window"]["start"] == 0
    assert ome["omero"]["channels"][0]["window"]["end"] == 80
    assert zarr.open_array(str(path / "0"), mode="r").metadata.dimension_names == ("z", "y", "x")


def test_every_level_is_shifted_by_half_a_sample_per_halving(data, tmp_path):
    _, path = only(convert(data / "dicom/ct/philips_phantom_axial_1mm", tmp_path), tmp_path)
    datasets = attributes(path)["ome"]["multiscales"][0]["datasets"]
    origin = np.asarray(datasets[0]["coordinateTransformations"][1]["translation"])
    spacing = np.asarray([1.0, 0.451171875, 0.451171875])
    for level, dataset in enumerate(datasets):
        scale, shift = dataset["coordinateTransformations"]
        assert np.allclose(scale["scale"], spacing * 2**level)
        assert np.allclose(shift["translation"], origin + spacing * (2**level - 1) / 2)


def test_the_smaller_levels_are_means_of_level_zero(data, tmp_path):
    store, path = only(convert(data / "dicom/ct/philips_phantom_axial_1mm", tmp_path), tmp_path)
    assert store.levels == 4
    block = voxels(path)[:2, :2, :2].astype(float).mean()
    assert voxels(path, 1)[0, 0, 0] == math.floor(block + 0.5)


def test_a_real_tilted_irregular_head_ct_is_refused_split_or_annotated(data, tmp_path):
    folder = data / "dicom/ct/ge_tilt_variable_spacing"
    strict = convert(folder, tmp_path / "strict")
    assert strict.stores == ()
    assert "Slice spacing varies" in strict.refused[0].reason
    split = convert(folder, tmp_path / "split", options=ConvertOptions(geometry="split"))
    assert [(store.shape[0], store.geometry.verdict) for store in split.stores] == [(7, "sheared"), (8, "sheared")]
    assert [store.geometry.spacing_mm[0] for store in split.stores] == pytest.approx([4.22, 7.38], abs=0.01)
    annotated, path = only(convert(folder, tmp_path / "annotate", options=ConvertOptions(geometry="annotate")), tmp_path / "annotate")
    assert annotated.geometry.verdict == "irregular"
    assert len(attributes(path)["dicom"]["geometry"]["positions_lps_mm"]) == 15


def test_a_real_fmri_becomes_time_by_volume(data, tmp_path):
    store, path = only(convert(data / "dicom/mr/ge_fmri_4d", tmp_path), tmp_path)
    assert store.axes == ("t", "z", "y", "x")
    assert store.shape == (10, 15, 64, 64)
    assert attributes(path)["dicom"]["time"] == {"basis": "InstanceNumber", "step_s": 5.0}
    first = [pydicom.dcmread(file) for file in sorted((data / "dicom/mr/ge_fmri_4d").iterdir())]
    third = sorted((ds for ds in first if 30 < ds.InstanceNumber <= 45), key=lambda ds: ds.ImagePositionPatient[2])
    assert np.array_equal(voxels(path)[2], np.stack([ds.pixel_array for ds in third]))


def test_real_echoes_and_b_values_become_separate_volumes(data, tmp_path):
    echoes = convert(data / "dicom/mr/siemens_multiecho_gre", tmp_path)
    parts = [attributes(tmp_path / store.path)["dicom"]["part"] for store in echoes.stores]
    assert [store.shape for store in echoes.stores] == [(12, 64, 64)] * 2
    assert sorted(part["echo_ms"] for part in parts) == [5.19, 7.65]
    diffusion = convert(data / "dicom/mr/philips_dti", tmp_path)
    assert [store.shape for store in diffusion.stores] == [(2, 128, 128)] * 4


@pytest.mark.parametrize("name", ["57", "70", "80"])
def test_real_enhanced_ct_reads_the_same_in_every_encoding(data, tmp_path, name):
    files = {path.name.split(".")[-2]: path for path in (data / "dicom/ct_enhanced").iterdir()}
    encoded, path = only(convert(files[name], tmp_path / name), tmp_path / name)
    plain, rle = only(convert(files["not_fragmented_bot_rle"], tmp_path / "rle"), tmp_path / "rle")
    assert encoded.shape == plain.shape == (2, 512, 512)
    assert encoded.geometry == plain.geometry
    assert np.array_equal(voxels(path), voxels(rle))


CASES = {
    "axial": (AXIAL, (0, 0, 1), "regular"),
    "coronal": (CORONAL, (0, 1, 0), "regular"),
    "sagittal": (SAGITTAL, (-1, 0, 0), "regular"),
    "oblique": (OBLIQUE, (-0.6, 0.8, 0), "regular"),
    "tilted": (AXIAL, (0, math.sin(0.2), math.cos(0.2)), "sheared"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_affine_of_synthetic_series_reproduces_every_position(tmp_path, case):
    orientation, direction, verdict = CASES[case]
    places = along(direction)
    source = save(tmp_path / "in", a_series(places, ImageOrientationPatient=list(orientation)))
    store, path = only(convert(source, tmp_path / "out"), tmp_path / "out")
    assert store.geometry.verdict == verdict
    affine = np.asarray(store.geometry.affine)
    mapped = [(affine @ [number, 0, 0, 1])[:3] for number in range(len(places))]
    assert np.abs(np.asarray(mapped) - places).max() < 1e-4
    expected = np.stack([some_pixels(number).astype(np.int16) - 1024 for number in range(len(places))])
    assert np.array_equal(voxels(path), expected)


@pytest.mark.parametrize("case", ["axial", "coronal", "sagittal", "oblique"])
def test_synthetic_geometry_agrees_with_highdicom(tmp_path, case):
    orientation, direction, _ = CASES[case]
    source = save(tmp_path / "in", a_series(along(direction), ImageOrientationPatient=list(orientation)))
    store, _ = only(convert(source, tmp_path / "out"), tmp_path / "out")
    assert np.allclose(store.geometry.affine, toward_head(highdicom_volume(source))[1], atol=1e-5)


def test_oblique_and_tilted_stores_claim_no_orientation(tmp_path):
    for name in ("oblique", "tilted"):
        orientation, direction, _ = CASES[name]
        source = save(tmp_path / name, a_series(along(direction), ImageOrientationPatient=list(orientation)))
        _, path = only(convert(source, tmp_path / f"{name}-out"), tmp_path / f"{name}-out")
        assert not any("orientation" in axis for axis in attributes(path)["ome"]["multiscales"][0]["axes"])


def test_a_missing_slice_is_refused_by_its_number_and_annotated_with_it(tmp_path):
    places = axial_positions(6)
    del places[2]
    source = save(tmp_path / "in", a_series(places))
    report = convert(source, tmp_path / "out")
    assert report.stores == ()
    assert "1 of 6 slices are missing at a spacing of 1.25 mm" in report.refused[0].reason
    annotated, _ = only(convert(source, tmp_path / "out", options=ConvertOptions(geometry="annotate")), tmp_path / "out")
    assert annotated.geometry.missing == (3,)
    split = convert(source, tmp_path / "split", options=ConvertOptions(geometry="split"))
    assert [store.shape[0] for store in split.stores] == [3, 2]


def test_duplicate_slices_are_refused_and_split_into_layers(tmp_path):
    datasets = [*a_series(axial_positions(3)), a_slice(9, axial_positions(3)[1], some_pixels(9))]
    source = save(tmp_path / "in", datasets)
    assert "1 slices lie where another one lies" in convert(source, tmp_path / "out").refused[0].reason
    assert [store.shape for store in convert(source, tmp_path / "out", options=ConvertOptions(geometry="split")).stores] == [
        (3, 12, 16),
        (12, 16),
    ]


def test_a_localizer_in_the_series_becomes_its_own_image(tmp_path):
    localizer = a_slice(
        50, (0, 0, 0), some_pixels(50), ImageOrientationPatient=list(CORONAL), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    source = save(tmp_path / "in", [*a_series(axial_positions(4)), localizer])
    report = convert(source, tmp_path / "out")
    assert report.refused == ()
    assert sorted(store.shape for store in report.stores) == [(4, 12, 16), (12, 16)]


def test_time_points_told_apart_by_trigger_time_get_seconds(tmp_path):
    slices = [
        a_slice(10 * point + place, position, some_pixels(10 * point + place), TriggerTime=point * 40.0)
        for point in range(3)
        for place, position in enumerate(axial_positions(4))
    ]
    store, path = only(convert(save(tmp_path / "in", slices), tmp_path / "out"), tmp_path / "out")
    assert store.shape == (3, 4, 12, 16)
    scale = attributes(path)["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == pytest.approx([0.04, 1.25, 0.5, 0.75])


def test_repeats_that_nothing_tells_apart_are_duplicates(tmp_path):
    slices = [a_slice(number, axial_positions(2)[number % 2], some_pixels(number), InstanceNumber=1) for number in range(4)]
    report = convert(save(tmp_path / "in", slices), tmp_path / "out")
    assert report.stores == ()
    assert report.refused[0].code == "geometry"


def test_per_slice_slopes_are_kept_in_float32(tmp_path):
    slices = a_series(axial_positions(3))
    for number, dataset in enumerate(slices):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + number, 0
    store, path = only(convert(save(tmp_path / "in", slices), tmp_path / "out"), tmp_path / "out")
    assert store.dtype == "float32"
    assert np.array_equal(voxels(path)[2], (some_pixels(0) * 0.5).astype(np.float32))
    assert attributes(path)["dicom"]["values"]["slope_per_plane"] == [2.5, 1.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        pytest.param({}, "int16", id="hounsfield"),
        pytest.param({"RescaleIntercept": 40000}, "float32", id="outside int16"),
        pytest.param({"RescaleSlope": 2, "RescaleIntercept": 0}, "int16", id="integral slope"),
        pytest.param({"RescaleSlope": 1, "RescaleIntercept": 0}, "uint16", id="nothing to rescale"),
    ],
)
def test_the_smallest_lossless_type_holds_the_values(tmp_path, changes, dtype):
    store, path = only(convert(save(tmp_path / "in", a_series(axial_positions(3), **changes)), tmp_path / "out"), tmp_path / "out")
    slope, intercept = changes.get("RescaleSlope", 1), changes.get("RescaleIntercept", -1024)
    assert store.dtype == dtype
    assert np.array_equal(voxels(path)[2], some_pixels(0) * slope + intercept)


def test_bits_above_bits_stored_are_cleared(tmp_path):
    slices = as_mr(a_series(axial_positions(2)))
    for number, dataset in enumerate(slices):
        dataset.PixelData = (some_pixels(number) | 0xF000).astype("<u2").tobytes()
    _, path = only(convert(save(tmp_path / "in", slices), tmp_path / "out"), tmp_path / "out")
    assert np.array_equal(voxels(path)[1], some_pixels(0))


def test_monochrome1_is_flagged_not_inverted(tmp_path):
    source = save(tmp_path / "in", a_series(axial_positions(2), PhotometricInterpretation="MONOCHROME1"))
    _, path = only(convert(source, tmp_path / "out"), tmp_path / "out")
    assert attributes(path)["ome"]["omero"]["channels"][0]["inverted"] is True
    assert np.array_equal(voxels(path)[1], some_pixels(0) - 1024)


def test_padding_is_recorded_in_both_scales(tmp_path):
    source = save(tmp_path / "in", a_series(axial_positions(2), PixelPaddingValue=7))
    _, path = only(convert(source, tmp_path / "out"), tmp_path / "out")
    assert attributes(path)["dicom"]["values"]["padding"] == {"stored": 7, "value": -1017}


def test_no_identity_reaches_the_store_its_name_or_the_report(tmp_path):
    report = convert(save(tmp_path / "in", a_series(axial_positions(3))), tmp_path / "out")
    everything = report.model_dump_json().encode() + b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert [secret for secret in SECRETS if secret.encode() in everything] == []
    assert report.stores[0].path == f"image-{hashlib.sha256(SERIES.encode()).hexdigest()[:16]}.ome.zarr"


def test_identifiers_are_kept_as_urns(tmp_path):
    _, path = only(convert(save(tmp_path / "in", a_series(axial_positions(3))), tmp_path / "out"), tmp_path / "out")
    assert attributes(path)["dicom"]["identifiers"]["series"] == f"urn:oid:{SERIES}"


def test_ngff_06_carries_the_exact_affine_of_a_tilted_stack(tmp_path):
    orientation, direction, _ = CASES["tilted"]
    source = save(tmp_path / "in", a_series(along(direction), ImageOrientationPatient=list(orientation)))
    store, path = only(convert_series(sorted(source.iterdir()), tmp_path / "out", options=ConvertOptions(ngff="0.6")), tmp_path / "out")
    image = attributes(path)["ome"]["multiscales"][0]
    assert [system["name"] for system in image["coordinateSystems"]] == ["intrinsic", "patient"]
    matrix = np.asarray(image["coordinateTransformations"][0]["affine"])
    scale = np.asarray(store.geometry.spacing_mm)
    mapped = matrix @ [*(np.asarray([5, 0, 0]) * scale), 1]
    assert np.allclose(mapped, along(direction)[5], atol=1e-5)
    assert validate_store(path).valid


@pytest.mark.parametrize(
    ("file", "kind", "shape", "axes"),
    [
        ("dicom/us/us_ybr_multiframe_jpeg.dcm", "US", (30, 3, 240, 320), ("t", "c", "y", "x")),
        ("dicom/us/gdcm-US-ALOKA-16.dcm", "US", (3, 480, 640), ("c", "y", "x")),
        ("dicom/sc/SC_rgb_expb_16bit.dcm", "OT", (3, 100, 100), ("c", "y", "x")),
        ("dicom/ct/CT_small.dcm", "CT", (128, 128), ("y", "x")),
        ("dicom/transfer_syntax/image_dfl.dcm", "OT", (512, 512), ("y", "x")),
        ("dicom/transfer_syntax/JPGExtended.dcm", "NM", (1024, 256), ("y", "x")),
        ("dicom/mr_enhanced/philips_enhanced_anatomical.dcm", "MR", (8, 256, 256), ("z", "y", "x")),
    ],
)
def test_single_objects_become_pictures_or_volumes(data, tmp_path, file, kind, shape, axes):
    store, path = only(convert(data / file, tmp_path), tmp_path)
    assert (store.kind, store.shape, store.axes) == (kind, shape, axes)
    assert voxels(path).any()


def test_colour_pixels_equal_pydicoms(data, tmp_path):
    file = data / "dicom/sc/SC_ybr_full_uncompressed.dcm"
    _, path = only(convert(file, tmp_path), tmp_path)
    assert np.array_equal(np.moveaxis(voxels(path), 0, 2), pydicom.dcmread(file).pixel_array)


def test_big_endian_pixels_are_read_in_their_order(tmp_path):
    datasets = a_series(axial_positions(3))
    for number, dataset in enumerate(datasets):
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dataset.PixelData = some_pixels(number).astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    _, path = only(convert(save(tmp_path / "in", datasets), tmp_path / "out"), tmp_path / "out")
    assert np.array_equal(voxels(path)[2], some_pixels(0) - 1024)


def test_an_incomplete_time_series_is_refused_not_padded(tmp_path):
    slices = [
        a_slice(10 * point + place, position, some_pixels(place), TemporalPositionIdentifier=point + 1)
        for point in range(2)
        for place, position in enumerate(axial_positions(4))
    ][:-1]
    report = convert(save(tmp_path / "in", slices), tmp_path / "out")
    assert report.stores == ()
    assert "lie where another one lies" in report.refused[0].reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "perpendicular unit vectors"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 2, 0]}, "perpendicular unit vectors"),
        ({"BitsAllocated": 64}, "Pixels of 64 bits"),
        ({"Rows": 65535, "Columns": 65535}, "is not converted"),
        ({"Rows": 9000, "Columns": 9000}, "Pixels end early"),
        ({"SOPClassUID": "1.2.3.4.5"}, "private or unknown UID"),
        ({"Rows": None}, "no image in the file"),
        ({"RescaleSlope": 0}, "RescaleSlope is zero"),
        ({"RescaleSlope": float("inf")}, "RescaleSlope is no finite number"),
        ({"BitsStored": 17}, "BitsStored 17 does not fit"),
        ({"SamplesPerPixel": 4}, "4 samples per pixel"),
        ({"NumberOfFrames": 10**9}, "claims 1000000000 frames"),
        ({"ImagePositionPatient": [0, 0, float("nan")]}, "no place in a room"),
        ({"ImagePositionPatient": [0, 0, 1e300]}, "no place in a room"),
    ],
)
def test_headers_that_cannot_be_are_refused(tmp_path, changes, reason):
    report = convert(save(tmp_path / "in", a_series(axial_positions(2), **changes)), tmp_path / "out")
    assert report.stores == ()
    assert reason in report.refused[0].reason


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.52", "JPEG Extended (Process 3 and 5)"),
        ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"),
        ("1.2.3.4.5.6", "private or unknown UID"),
    ],
)
def test_other_transfer_syntaxes_are_refused_by_name(tmp_path, syntax, name):
    file = save(tmp_path / "in", a_series(axial_positions(1)))
    _rewrite(next(file.iterdir()), syntax)
    assert name in convert(file, tmp_path / "out").refused[0].reason


def _rewrite(target: Path, syntax: str) -> None:
    """Put another transfer syntax into the file meta group, its length corrected."""
    data = target.read_bytes()
    plain = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
    new = syntax.encode() + b"\x00" * (len(syntax) % 2)
    grown = len(new) - 20
    length = int.from_bytes(data[140:144], "little") + grown
    data = data[:140] + length.to_bytes(4, "little") + data[144:]
    target.write_bytes(data.replace(plain, b"\x02\x00\x10\x00UI" + len(new).to_bytes(2, "little") + new, 1))


@pytest.mark.parametrize(
    ("name", "spacing", "basis"),
    [
        ("PixelSpacing", [0.5, 0.75], "PixelSpacing"),
        ("ImagerPixelSpacing", [0.2, 0.2], "ImagerPixelSpacing"),
        ("NominalScannedPixelSpacing", [0.1, 0.3], "NominalScannedPixelSpacing"),
    ],
)
def test_pictures_say_where_their_scale_comes_from(tmp_path, name, spacing, basis):
    dataset = a_slice(0, (0, 0, 0), some_pixels(0), SOPClassUID=ComputedRadiographyImageStorage, Modality="CR")
    del dataset.PixelSpacing, dataset.ImagePositionPatient
    setattr(dataset, name, spacing)
    _, path = only(convert(save(tmp_path / "in", [dataset]), tmp_path / "out"), tmp_path / "out")
    found = attributes(path)
    assert found["dicom"]["geometry"]["spacing_basis"] == basis
    assert found["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == spacing


def test_an_ultrasound_takes_its_scale_from_its_one_region(tmp_path):
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, -0.04
    dataset = a_slice(0, (0, 0, 0), some_pixels(0), SOPClassUID=UltrasoundImageStorage, SequenceOfUltrasoundRegions=[region])
    del dataset.PixelSpacing
    _, path = only(convert(save(tmp_path / "in", [dataset]), tmp_path / "out"), tmp_path / "out")
    scale = attributes(path)["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale == pytest.approx([0.4, 0.2])


@pytest.mark.parametrize(
    ("timing", "step"),
    [
        ({"FrameTime": 40}, 0.04),
        ({"FrameTimeVector": [0, 50, 50]}, 0.05),
        ({"CineRate": 25}, 0.04),
        ({"FrameTimeVector": [0, 50, 90]}, 1.0),
    ],
)
def test_a_cine_gets_its_time_step_from_what_the_header_states(tmp_path, timing, step):
    dataset = a_slice(0, (0, 0, 0), some_pixels(0), SOPClassUID=UltrasoundMultiFrameImageStorage, NumberOfFrames=3, **timing)
    dataset.PixelData = np.stack([some_pixels(number) for number in range(3)]).astype("<u2").tobytes()
    store, path = only(convert(save(tmp_path / "in", [dataset]), tmp_path / "out"), tmp_path / "out")
    image = attributes(path)["ome"]["multiscales"][0]
    assert store.axes == ("t", "y", "x")
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"][0] == pytest.approx(step)
    assert image["axes"][0].get("unit") == (None if step == 1.0 else "second")
    assert np.array_equal(voxels(path)[1], some_pixels(1) - 1024)


def test_slices_without_a_place_become_pictures(tmp_path):
    datasets = a_series(axial_positions(2))
    for dataset in datasets:
        del dataset.ImagePositionPatient
    report = convert(save(tmp_path / "in", datasets), tmp_path / "out")
    assert [(store.axes, store.geometry.verdict) for store in report.stores] == [(("y", "x"), "none")] * 2


def test_the_private_b_values_of_ge_and_siemens_split_volumes(tmp_path):
    slices = [a_slice(number, axial_positions(2)[number % 2], some_pixels(number)) for number in range(4)]
    for number, dataset in enumerate(slices):
        dataset.add_new(0x00431039, "IS", [1_000_000_000 + 800 * (number // 2), 0, 0, 0])
    report = convert(save(tmp_path / "in", as_mr(slices)), tmp_path / "out")
    parts = [attributes(tmp_path / "out" / store.path)["dicom"]["part"] for store in report.stores]
    assert [part["b_value"] for part in parts] == [0, 800]
