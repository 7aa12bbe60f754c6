from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models import open_ome_zarr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from convert.builders import FRAME_OF_REFERENCE, STUDY, a_series, axial_positions, highdicom_says, save, some_pixels
from fairlead.convert import ConvertOptions, convert, validate_store
from fairlead.convert.labels import layers
from fairlead.convert.pyramid import halve_labels
from fairlead.convert.segmentation import lab_to_rgb

SEG_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"


def attributes(group: Path) -> dict[str, Any]:
    return json.loads((group / "zarr.json").read_text())["attributes"]


def level(group: Path, number: int = 0) -> np.ndarray:
    return np.asarray(zarr.open_array(str(group / str(number)), mode="r")[:])


def label_name(file: Path) -> str:
    return "segmentation-" + hashlib.sha256(str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID).encode()).hexdigest()[:16]


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, [value] if isinstance(value, Dataset) else value)
    return dataset


CORONAL_ITEM = item(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])


def a_segmentation(
    frames: list[tuple[int, list[float], np.ndarray]], *, kind: str = "BINARY", segments: int = 2, **changes: Any
) -> Dataset:
    """Return a segmentation on the series of the builders; each frame is (segment, position, mask)."""
    dataset = a_series([[0.0, 0.0, 0.0]])[0]
    for name in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(dataset, name)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = SEG_STORAGE, f"{STUDY}.77", f"{STUDY}.7"
    dataset.Modality, dataset.SegmentationType = "SEG", kind
    dataset.Rows, dataset.Columns = frames[0][2].shape
    bits = 1 if kind == "BINARY" else 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.NumberOfFrames = len(frames)
    dataset.MaximumFractionalValue = 200
    dataset.SegmentSequence = Sequence(
        [item(SegmentNumber=number, SegmentLabel=f"part {number}", SegmentAlgorithmType="MANUAL") for number in range(1, segments + 1)]
    )
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
                PixelMeasuresSequence=item(PixelSpacing=[0.5, 0.75], SpacingBetweenSlices=1.25),
            )
        ]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=item(ImagePositionPatient=position),
                SegmentIdentificationSequence=item(ReferencedSegmentNumber=number),
            )
            for number, position, _ in frames
        ]
    )
    masks = np.stack([mask for _, _, mask in frames])
    data = np.packbits(masks.ravel(), bitorder="little").tobytes() if bits == 1 else masks.astype(np.uint8).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dataset


def mask(number: int) -> np.ndarray:
    return some_pixels(number, high=2).astype(bool)


def highdicom_volume(file: Path, *, combine: bool) -> np.ndarray:
    """Return highdicom's volume with z toward the head."""
    return highdicom_says(file, lambda source: source.get_volume(combine_segments=combine).array[::-1])


def the_labels(store: Path) -> list[np.ndarray]:
    names = attributes(store / "labels")["ome"]["labels"]
    return [level(store / "labels" / name) for name in names]


@pytest.mark.parametrize(
    "name",
    [
        "dcmqi_liver",
        "dcmqi_sparse-labelmap-noppv",
        "dcmqi_sparse-labelmap-ppv5",
        "highdicom_seg_ct_binary",
        "highdicom_seg_ct_binary_fractional",
        "highdicom_seg_ct_single_frame",
    ],
)
def test_labels_equal_what_highdicom_reads(data, tmp_path, name):
    file = data / "dicom/seg" / f"{name}.dcm"
    (store,) = convert(file, tmp_path).stores
    expected = highdicom_volume(file, combine=True)
    (found,) = the_labels(tmp_path / store.path)
    assert np.array_equal(found.reshape(expected.shape), expected)
    assert validate_store(tmp_path / store.path).findings == ()


def test_display_colours_agree_with_littlecms():
    from PIL import Image, ImageCms

    encoded = (41661, 41167, 40792)
    lab = bytes([round(encoded[0] / 257), (round(encoded[1] / 257) - 128) % 256, (round(encoded[2] / 257) - 128) % 256])
    to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    shown = ImageCms.applyTransform(Image.frombytes("LAB", (1, 1), lab), to_rgb)
    assert shown is not None
    assert np.abs(np.subtract(shown.getpixel((0, 0)), lab_to_rgb(encoded))).max() <= 2


def test_a_segmentation_beside_its_image_becomes_labels_of_the_image(data, tmp_path):
    report = convert([data / "dicom/ct/dcmqi_ct3slice", data / "dicom/seg/dcmqi_liver.dcm"], tmp_path)
    (store,) = report.stores
    name = label_name(data / "dicom/seg/dcmqi_liver.dcm")
    assert (report.refused, store.kind, store.labels) == ((), "CT", (name,))
    image, label = attributes(tmp_path / store.path)["ome"], attributes(tmp_path / store.path / "labels" / name)["ome"]
    assert [axis["name"] for axis in label["multiscales"][0]["axes"]] == ["z", "y", "x"]
    assert [d["coordinateTransformations"] for d in label["multiscales"][0]["datasets"]] == [
        d["coordinateTransformations"] for d in image["multiscales"][0]["datasets"]
    ]
    assert label["image-label"]["source"] == {"image": "../../"}
    (row,) = label["image-label"]["properties"]
    assert row["type"] == {"code": "T-62000", "scheme": "SRT", "meaning": "Liver"}
    assert label["image-label"]["colors"] == [{"label-value": 1, "rgba": [217, 130, 101, 255]}]


def test_readers_find_the_labels(data, tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (store,) = convert([data / "dicom/ct/dcmqi_ct3slice", data / "dicom/seg/dcmqi_liver.dcm"], tmp_path).stores
    group = open_ome_zarr(zarr.open_group(str(tmp_path / store.path), mode="r"))
    assert group.labels is not None
    assert group.labels.label_paths == list(store.labels)
    location = parse_url(tmp_path / store.path, mode="r")
    assert location is not None
    assert any(node.metadata.get("name", "").endswith(store.labels[0]) for node in Reader(location)())


def test_partly_overlapping_segments_share_label_images_only_where_they_do_not_overlap(data, tmp_path):
    file = data / "dicom/seg/dcmqi_partial_overlaps.dcm"
    (store,) = convert(file, tmp_path).stores
    expected = highdicom_volume(file, combine=False)
    found = the_labels(tmp_path / store.path)
    for number in range(1, 6):
        assert np.array_equal(np.any([label == number for label in found], axis=0), expected[..., number - 1] == 1)
    assert len(found) == 3


def test_fractions_become_one_channel_per_segment(data, tmp_path):
    file = data / "dicom/seg/highdicom_seg_ct_true_fractional.dcm"
    (store,) = convert(file, tmp_path).stores
    stored = pydicom.dcmread(file)
    assert (store.axes, store.dtype, store.labels) == (("c", "z", "y", "x"), "float32", ())
    assert sorted(np.unique(level(tmp_path / store.path))) == pytest.approx(sorted(np.unique(stored.pixel_array) / 255))
    assert attributes(tmp_path / store.path)["dicom"]["segmentation"]["fraction"] in {"PROBABILITY", "OCCUPANCY"}


def test_segments_of_a_slide_lie_on_the_slide(data, tmp_path):
    files = [data / "dicom/sm" / f"highdicom_{name}.dcm" for name in ("sm_image", "seg_image_sm_control", "seg_image_sm_control_labelmap")]
    (store,) = convert(files, tmp_path).stores
    one, two = the_labels(tmp_path / store.path)
    assert (store.kind, one.shape, set(np.unique(one))) == ("SM", (50, 50), set(range(21)) - {2})
    assert np.array_equal(one, two)


def test_segments_of_a_slide_that_is_not_there_keep_its_matrix(data, tmp_path):
    (alone,) = convert(data / "dicom/sm/highdicom_seg_image_sm_control.dcm", tmp_path / "alone").stores
    files = [data / "dicom/sm" / f"highdicom_{name}.dcm" for name in ("sm_image", "seg_image_sm_control")]
    (slide,) = convert(files, tmp_path / "with").stores
    assert (alone.kind, alone.shape, alone.geometry.verdict) == ("SEG", (50, 50), "none")
    assert np.array_equal(the_labels(tmp_path / "alone" / alone.path)[0], the_labels(tmp_path / "with" / slide.path)[0])


def test_compressed_segmentations_are_decoded(data, tmp_path):
    file = data / "dicom/seg/dcmqi_sparse-labelmap-noppv.dcm"
    packed = pydicom.dcmread(file)
    packed.compress(RLELossless, generate_instance_uid=False)
    (tmp_path / "in").mkdir()
    packed.save_as(tmp_path / "in/a.dcm")
    (one,) = convert(file, tmp_path / "one").stores
    (two,) = convert(tmp_path / "in", tmp_path / "two").stores
    assert np.array_equal(the_labels(tmp_path / "one" / one.path)[0], the_labels(tmp_path / "two" / two.path)[0])


def test_padding_of_a_label_map_is_background_and_unknown_values_are_refused(data, tmp_path):
    dataset = pydicom.dcmread(data / "dicom/seg/dcmqi_sparse-labelmap-ppv5.dcm")
    values = dataset.pixel_array.copy()
    values[values == 0] = 5
    dataset.PixelData = values.tobytes()
    (tmp_path / "in").mkdir()
    dataset.save_as(tmp_path / "in/a.dcm")
    (store,) = convert(tmp_path / "in", tmp_path / "out").stores
    assert set(np.unique(the_labels(tmp_path / "out" / store.path)[0])) == {0, 1}
    dataset.PixelPaddingValue = 9
    dataset.save_as(tmp_path / "in/a.dcm")
    assert "does not describe" in convert(tmp_path / "in", tmp_path / "again").refused[0].reason


def test_colours_of_some_segments_do_not_refuse_all(tmp_path):
    dataset = a_segmentation([(1, [0.0, 0.0, 0.0], mask(1)), (2, [0.0, 0.0, 1.25], mask(2))])
    dataset.SegmentSequence[0].RecommendedDisplayCIELabValue = [40000, 30000, 30000]
    save(tmp_path / "in", [dataset])
    (store,) = convert(tmp_path / "in", tmp_path / "out").stores
    label = attributes(tmp_path / "out" / store.path / "labels" / store.labels[0])["ome"]["image-label"]
    assert (len(label["properties"]), "colors" in label) == (2, False)


def test_free_text_of_segments_stays_behind_and_standard_codes_stay(tmp_path):
    dataset = a_segmentation([(1, [0.0, 0.0, 0.0], mask(1)), (2, [0.0, 0.0, 1.25], mask(2))])
    first, second = dataset.SegmentSequence[:2]
    first.SegmentLabel, first.SegmentDescription = "Tumour of Hannelore K.", "Hannelore K."
    first.TrackingID, first.TrackingUID, first.SegmentAlgorithmName = "Novak seen 31.01.2019", "1.2.3.4", "by Dr Novak"
    first.SegmentedPropertyTypeCodeSequence = [item(CodeValue="T-62000", CodingSchemeDesignator="SRT", CodeMeaning="Hannelore")]
    first.SegmentedPropertyCategoryCodeSequence = [item(CodeValue="1", CodingSchemeDesignator="99NOVAK", CodeMeaning="Novak")]
    first.AnatomicRegionSequence = [item(CodeValue="10200004", CodingSchemeDesignator="SCT", CodeMeaning="Liver")]
    second.SegmentLabel = "Left kidney"
    save(tmp_path / "in", [dataset])
    (store,) = convert(tmp_path / "in", tmp_path / "out").stores
    written = "".join(file.read_text() for file in (tmp_path / "out").rglob("zarr.json"))
    assert not [word for word in ("Hannelore", "Novak", "NOVAK", "31.01.2019", "Tumour of") if word in written]
    one, two = attributes(tmp_path / "out" / store.path / "labels" / store.labels[0])["ome"]["image-label"]["properties"]
    assert (one["label"], two["label"]) == ("segment 1", "Left kidney")
    assert one["anatomic_region"] == {"code": "10200004", "scheme": "SCT", "meaning": "Liver"}
    assert (one["type"]["code"], one["tracking_uid"], "category" in one) == ("T-62000", "urn:oid:1.2.3.4", False)


def test_a_crop_of_the_images_lattice_is_placed_by_whole_voxels(tmp_path):
    positions = axial_positions(4)
    inside = np.ones((3, 5), bool)
    source = save(tmp_path / "in", a_series(positions))
    place = [positions[1][0] + 2 * 0.75, positions[1][1] + 4 * 0.5, positions[1][2]]
    save(tmp_path / "in/seg", [a_segmentation([(2, place, inside)])])
    (store,) = convert(source, tmp_path / "out").stores
    (found,) = the_labels(tmp_path / "out" / store.path)
    expected = np.zeros((4, 12, 16), np.uint8)
    expected[2, 4:7, 2:7] = 2
    assert np.array_equal(found, expected)


def test_an_empty_segment_is_kept_in_the_properties(tmp_path):
    source = save(tmp_path / "in", [a_segmentation([(2, [0.0, 0.0, 0.0], mask(1))], segments=3)])
    (store,) = convert(source, tmp_path / "out").stores
    label = attributes(tmp_path / "out" / store.path / "labels" / store.labels[0])["ome"]["image-label"]
    assert [row["label-value"] for row in label["properties"]] == [1, 2, 3]
    assert set(np.unique(the_labels(tmp_path / "out" / store.path)[0])) == {0, 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"FrameOfReferenceUID": f"{FRAME_OF_REFERENCE}.9"},
        {"PixelMeasures": [0.5, 0.7]},
        {"Shift": 0.3},
    ],
    ids=["another frame of reference", "another spacing", "between the voxels"],
)
def test_a_segmentation_that_is_not_on_the_images_lattice_is_a_store_of_its_own(tmp_path, changes):
    positions = axial_positions(3)
    place = [positions[0][0] + changes.pop("Shift", 0.0), *positions[0][1:]]
    spacing = changes.pop("PixelMeasures", None)
    segmentation = a_segmentation([(1, place, mask(1))], **changes)
    if spacing:
        segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = spacing
    save(tmp_path / "in/seg", [segmentation])
    source = save(tmp_path / "in", a_series(positions))
    stores = {store.kind: store for store in convert(source, tmp_path / "out").stores}
    assert stores["CT"].labels == ()
    assert len(stores["SEG"].labels) == 1


def test_slices_that_nobody_drew_are_empty(tmp_path):
    frames = [(1, [0.0, 0.0, 0.0], mask(1)), (1, [0.0, 0.0, 5.0], mask(2))]
    (store,) = convert(save(tmp_path / "in", [a_segmentation(frames)]), tmp_path / "out").stores
    (found,) = the_labels(tmp_path / "out" / store.path)
    assert store.shape == (5, 12, 16)
    assert np.array_equal(found[[0, 4]], np.stack([mask(1), mask(2)]))
    assert not found[1:4].any()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda d: setattr(d, "PixelData", d.PixelData[:20]), "end early"),
        (lambda d: setattr(d, "SegmentSequence", d.SegmentSequence[:1]), "does not describe"),
        (
            lambda d: setattr(d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], "PixelSpacing", [1e308, 1]),
            "no pair of positive",
        ),
        (lambda d: setattr(d, "NumberOfFrames", 3), "functional groups for 2"),
        (lambda d: setattr(d, "SegmentationType", "HEIGHT"), "type is not converted"),
        (lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"), "functional groups for 0"),
        (lambda d: setattr(d, "BitsAllocated", 16), "do not fit"),
        (lambda d: delattr(d.PerFrameFunctionalGroupsSequence[0], "PlanePositionSequence"), "where they lie"),
        (lambda d: delattr(d.PerFrameFunctionalGroupsSequence[0], "SegmentIdentificationSequence"), "which segment"),
        (lambda d: setattr(d.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0], "ImagePositionPatient", [0, 0, 0]), "twice|Two"),
        (lambda d: d.PerFrameFunctionalGroupsSequence[1].update({"PlaneOrientationSequence": [CORONAL_ITEM]}), "several lattices"),
    ],
)
def test_a_broken_segmentation_is_refused_and_the_image_is_not(tmp_path, broken, reason):
    frames = [(1, [0.0, 0.0, 0.0], mask(1)), (2, [0.0, 0.0, 1.25], mask(2))]
    dataset = a_segmentation(frames)
    if "wice" in reason:
        dataset.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1
    broken(dataset)
    save(tmp_path / "in/seg", [dataset])
    source = save(tmp_path / "in", a_series(axial_positions(3, origin=(0.0, 0.0, 2.5))))
    report = convert(source, tmp_path / "out")
    assert [(store.kind, store.labels) for store in report.stores] == [("CT", ())]
    (refusal,) = report.refused
    assert any(part in refusal.reason for part in reason.split("|"))


def test_nothing_that_identifies_comes_with_a_segmentation(tmp_path):
    from convert.builders import SECRETS

    (store,) = convert(save(tmp_path / "in", [a_segmentation([(1, [0.0, 0.0, 0.0], mask(1))])]), tmp_path / "out").stores
    text = "".join(file.read_text() for file in (tmp_path / "out" / store.path).rglob("zarr.json"))
    assert not [secret for secret in SECRETS if secret in text]


def test_both_versions_of_ngff_hold_valid_labels(tmp_path):
    save(tmp_path / "in/seg", [a_segmentation([(1, axial_positions(3)[1], mask(1))])])
    source = save(tmp_path / "in", a_series(axial_positions(3)))
    (store,) = convert(source, tmp_path / "out", options=ConvertOptions(ngff="0.6")).stores
    assert store.labels
    assert validate_store(tmp_path / "out" / store.path).findings == ()


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)).filter(lambda pair: pair[0] < pair[1]), max_size=12))
@settings(max_examples=50)
def test_every_segment_is_in_one_layer_and_no_layer_holds_a_clash(pairs):
    found = layers(range(1, 9), set(pairs))
    assert sorted(number for layer in found for number in layer) == list(range(1, 9))
    assert not [pair for pair in pairs for layer in found if set(pair) <= layer]


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_a_smaller_label_image_holds_the_most_frequent_neighbour(rows, columns, seed):
    labels = np.random.default_rng(seed).integers(0, 4, (rows, columns)).astype(np.uint8)
    small = halve_labels(labels)
    padded = np.pad(labels, ((0, rows % 2), (0, columns % 2)), mode="edge")
    for row, column in np.ndindex(small.shape):
        counts = np.bincount(padded[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].ravel())
        assert counts[small[row, column]] == counts.max()


def test_the_overlapping_segmentation_of_the_bundle_agrees_with_its_frames(data, tmp_path):
    file = data / "dicom/seg/highdicom_seg_ct_binary_overlap.dcm"
    (store,) = convert(file, tmp_path).stores
    source = pydicom.dcmread(file)
    found = the_labels(tmp_path / store.path)
    assert len(found) == 2
    for number in (1, 2):
        groups = source.PerFrameFunctionalGroupsSequence
        frames = [i for i, group in enumerate(groups) if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number]
        drawn = np.any([label == number for label in found], axis=0)
        assert drawn.sum() == source.pixel_array[frames].sum()
