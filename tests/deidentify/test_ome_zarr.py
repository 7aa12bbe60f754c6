"""OME-Zarr stores: identity is gone from every byte and every name, pixels and structure stay, and what cannot be cleaned is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import ome_zarr_models
import pytest
import zarr

from deidentify.ct_builders import KEY, a_ct, as_file
from fairlead.deidentify import Plan, Profile, deidentify_folder, load_profile
from fairlead.deidentify.zarr_arrays import checked_array
from fairlead.errors import UnsupportedInput
from fairlead.files import relative_files
from fairlead.records import DeidentifyReport

QUIET = Profile(name="p", title="t", dciodvfy="off")
OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Experimenter ID="Experimenter:0" LastName="Mustermann" Email="e@muster.de"/>'
    '<Image ID="Image:0" Name="Mustermann liver"><AcquisitionDate>2020-02-29T10:00:00</AcquisitionDate>'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4" SizeZ="1" SizeC="1" SizeT="1">'
    '<Channel ID="Channel:0:0"/><MetadataOnly/></Pixels></Image></OME>'
)
WINDOW = {"min": 0, "max": 255, "start": 0, "end": 255}
MULTISCALES = [
    {
        "name": "Erika Mustermann liver",
        "axes": [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"}],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}],
        "metadata": {"method": "by Mustermann"},
        "version": "0.4",
    }
]
PIXELS = np.arange(16, dtype="uint8").reshape(4, 4)


def a_store(folder: Path, version: int = 3, **attributes: object) -> Path:
    """Write a small image with a person in all of its attributes."""
    store = folder / "Mustermann_Erika.ome.zarr"
    everything = {
        "multiscales": MULTISCALES,
        "omero": {"name": "Mustermann", "channels": [{"label": "DAPI Mustermann", "color": "FF0000", "window": WINDOW}]},
    }
    everything |= {"patient": "Mustermann", "_creator": {"name": "Mustermann"}} | attributes
    group = zarr.open_group(str(store), mode="w", zarr_format=version)  # type: ignore[arg-type]
    group.attrs.update(everything if version == 2 else {"ome": {"version": "0.5"} | everything, "notes": "Mustermann"})
    named = {"dimension_names": ["y", "x"]} if version == 3 else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    group.create_array("0", shape=(4, 4), chunks=(2, 2), dtype="uint8", **named)[:] = PIXELS  # type: ignore[arg-type]
    (store / "OME").mkdir()
    (store / "OME" / "METADATA.ome.xml").write_text(OME)
    (store / "readme.txt").write_text("Mustermann")
    (store / "0" / "note").write_text("Mustermann")
    return store


def run(source: Path, out: Path, profile: Profile = QUIET) -> DeidentifyReport:
    return deidentify_folder(source, out, profile=profile, key=KEY)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("how", ["store", "folder"])
def test_identity_is_gone_from_every_byte_and_name_and_pixels_stay(tmp_path: Path, version: int, how: str) -> None:
    store = a_store(tmp_path / "in", version)
    report = run(store if how == "store" else tmp_path / "in", tmp_path / "out")
    assert (report.files, report.written, report.residue) == (3, 1, ())
    assert [entry.path.rpartition("/")[2] for entry in report.quarantined] == ["note", "readme.txt"], "they are no part of the store"
    (result,) = (tmp_path / "out" / "ome").iterdir()
    for name in relative_files(result):
        assert b"muster" not in (result / name).read_bytes().lower() + str(name).encode().lower()
    assert "muster" not in str(result).lower().removeprefix(str(tmp_path).lower())
    np.testing.assert_array_equal(zarr.open_array(str(result / "0"), mode="r")[:], PIXELS)
    assert ome_zarr_models.open_ome_zarr(zarr.open_group(str(result), mode="r")).ome_zarr_version == ("0.4" if version == 2 else "0.5")


def test_options_of_the_profile_hold(tmp_path: Path) -> None:
    run(a_store(tmp_path / "in"), tmp_path / "out", load_profile("research-longitudinal"))
    (result,) = (tmp_path / "out" / "ome").iterdir()
    attributes = json.loads((result / "zarr.json").read_text())["attributes"]
    assert attributes["ome"]["multiscales"][0]["name"] == "liver"
    assert attributes["ome"]["omero"]["channels"][0]["label"] == "DAPI"
    assert "profile research-longitudinal" in attributes["deidentified"]
    moved = (result / "OME" / "METADATA.ome.xml").read_text().split("<AcquisitionDate>")[1][:19]
    assert moved.endswith("T10:00:00")
    assert not moved.startswith("2020-02-29")


def test_a_second_run_writes_the_same_and_an_interrupted_one_leaves_nothing_to_see(tmp_path: Path) -> None:
    store = a_store(tmp_path / "in")
    run(store, tmp_path / "out")
    before = relative_files(tmp_path / "out")
    part = tmp_path / "out" / "ome" / ".i0.ome.zarr.0.part"
    (part / "0").mkdir(parents=True)
    (part / "0" / "c").write_bytes(b"half")
    for place in (part / "0", part):
        os.utime(place, (0, 0))
    assert run(store, tmp_path / "out").written == 1
    assert (part / "0" / "c").exists(), "another task has written this chunk a moment ago"
    os.utime(part / "0" / "c", (0, 0))
    assert run(store, tmp_path / "out").written == 1
    assert relative_files(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda store: (store / "0").rename(store / "Mustermann"), "name of its own"),
        (lambda store: zarr.open_group(str(store)).create_array("1", shape=(2,), dtype="<U8"), "not of numbers"),
        (lambda store: (store / "zarr.json").write_text("{"), "cannot be read"),
        (lambda store: (store / "OME" / "METADATA.ome.xml").write_text("<OME"), "cannot be"),
        (lambda store: a_store(store.parent, multiscales=[MULTISCALES[0] | {"name": "label"}]), "label or overview"),
        (lambda store: a_store(store.parent, multiscales=[MULTISCALES[0] | {"datasets": [{"path": "Mustermann"}]}]), "name of its own"),
    ],
    ids=["folder", "text", "json", "xml", "label", "path"],
)
def test_what_cannot_be_cleaned_is_refused_whole(tmp_path: Path, spoil: object, reason: str) -> None:
    store = a_store(tmp_path / "in")
    spoil(store)  # type: ignore[operator]
    report = run(store, tmp_path / "out")
    assert report.written == 0
    assert [reason in refused.reason for refused in report.quarantined].count(True) == 1
    assert "ustermann" not in str(report)
    assert not (tmp_path / "out").exists()


def kind_of(store: Path) -> str:
    """Return what ome-zarr-models takes a store for."""
    try:
        return type(ome_zarr_models.open_ome_zarr(zarr.open_group(str(store), mode="r"))).__name__
    except Exception as error:  # every model has its own complaints
        return type(error).__name__


def test_every_sample_is_written_as_what_it_was_or_refused_with_a_reason(data: Path, tmp_path: Path) -> None:
    written = 0
    for source in sorted((data / "ome" / "zarr").glob("*.ome.zarr")):
        report = run(source, tmp_path / source.name)
        assert report.written + len(report.quarantined) == report.files
        assert report.written <= 1
        for result in tmp_path.glob(f"{source.name}/ome/*.ome.zarr"):
            written += 1
            assert kind_of(result) == kind_of(source)
    assert written >= 13


# --- what belongs to a store, and what does not --------------------------------------------------------------------------


ARRAY_2 = {
    "zarr_format": 2,
    "shape": [2, 2],
    "chunks": [2, 2],
    "dtype": "|u1",
    "compressor": None,
    "fill_value": 0,
    "order": "C",
    "filters": None,
}
ARRAY_3 = {
    "zarr_format": 3, "node_type": "array", "shape": [5, 4], "data_type": "uint8", "fill_value": 0, "codecs": [{"name": "bytes"}],
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2]}}, "chunk_key_encoding": {"name": "default"},
}  # fmt: skip
SCALE = {"multiscales": [{"version": "0.4", "axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]}


def a_plain_store(store: Path, chunk: bytes = b"abcd", array: dict[str, object] = ARRAY_2) -> Path:
    """Write the smallest store of Zarr 2, its only chunk as given."""
    (store / "0").mkdir(parents=True)
    (store / ".zgroup").write_text('{"zarr_format": 2}')
    (store / ".zattrs").write_text(json.dumps(SCALE))
    (store / "0" / ".zarray").write_text(json.dumps(array))
    (store / "0" / "0.0").write_bytes(chunk)
    return store


@pytest.mark.parametrize(
    ("array", "keys", "none"),
    [
        (ARRAY_3, ["c/0/0", "c/2/1"], ["c/3/0", "c/0/2", "0/0", "c/00/0", "c/0", "c/0/0/0", "c.0.0", "1.2.840.113619", "c", ""]),
        (ARRAY_3 | {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}}}, ["c.2.1"], ["c/2/1", "2.1"]),
        (ARRAY_3 | {"chunk_key_encoding": {"name": "v2"}}, ["2.1"], ["2/1", "c.2.1", "1.2.840"]),
        (ARRAY_2, ["0.0"], ["0/0", "1.0", "0.1", "2", "1.2.840.113619.2.55.3", "0.0.0", "-0.0"]),
        (ARRAY_2 | {"dimension_separator": "/"}, ["0/0"], ["0.0"]),
        (ARRAY_2 | {"shape": [], "chunks": []}, ["0"], ["", "1", "c"]),
        (ARRAY_3 | {"codecs": [{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [1, 1], "codecs": [{"name": "bytes"}], "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "crc32c"}], "index_location": "end"}}]}, ["c/2/1"], ["c/4/3"]),
    ],
    ids=["default", "dots", "v2", "zarr2", "slashes", "scalar", "sharded"],
)  # fmt: skip
def test_only_the_keys_of_the_grid_are_chunks(array: dict[str, object], keys: list[str], none: list[str]) -> None:
    checked = checked_array(array)
    assert [key for key in keys + none if checked.is_chunk(key)] == keys


SECRET = "Erika Mustermann"


@pytest.mark.parametrize(
    "array",
    [
        ARRAY_3 | {"dimension_names": ["y", SECRET]},
        ARRAY_3 | {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2], "patient": SECRET}}},
        ARRAY_3 | {"codecs": [{"name": "bytes", "configuration": {"who": SECRET}}]},
        ARRAY_3 | {"codecs": [{"name": SECRET}]},
        ARRAY_3 | {"fill_value": SECRET},
        ARRAY_3 | {"storage_transformers": [{"name": SECRET}]},
        ARRAY_3 | {"chunk_key_encoding": {"name": "default", "configuration": {"separator": SECRET}}},
        ARRAY_2 | {"compressor": {"id": "blosc", "cname": SECRET}},
        ARRAY_2 | {"filters": [{"id": "delta", "dtype": "<u2", "note": SECRET}]},
        ARRAY_2 | {"order": SECRET},
        ARRAY_2 | {"shape": [2, SECRET]},
        ARRAY_2 | {"dtype": "|S8"},
    ],
)
def test_no_value_of_an_array_says_anything_but_structure(array: dict[str, object]) -> None:
    with pytest.raises(UnsupportedInput):
        checked_array(array)


def test_names_of_axes_units_and_types_are_closed_lists(tmp_path: Path) -> None:
    axes = [{"name": "y", "type": SECRET, "unit": "born 1964-08-12"}, {"name": "x", "type": "space", "unit": "micrometer"}]
    store = a_plain_store(tmp_path / "in" / "a.zarr")
    (store / ".zattrs").write_text(json.dumps({"multiscales": [SCALE["multiscales"][0] | {"axes": axes, "type": SECRET}]}))
    assert run(store, tmp_path / "out").written == 1
    (result,) = (tmp_path / "out" / "ome").iterdir()
    scale = json.loads((result / ".zattrs").read_text())["multiscales"][0]
    assert scale["axes"] == [{"name": "y"}, axes[1]]
    assert "type" not in scale
    (store / ".zattrs").write_text(json.dumps({"multiscales": [SCALE["multiscales"][0] | {"axes": [{"name": SECRET}]}]}))
    assert "name of its own" in run(store, tmp_path / "again").quarantined[0].reason


def test_a_stray_metadata_file_makes_no_store_of_a_folder(tmp_path: Path) -> None:
    for number, (name, content) in enumerate(
        [("zarr.json", ARRAY_3), (".zattrs", {}), ("zarr.json", {"zarr_format": 3, "node_type": "group"})]
    ):
        scans = tmp_path / f"{number}"
        (scans / "deep").mkdir(parents=True)
        (scans / name).write_text(json.dumps(content))
        for uid in ("2", "1.2.840.113619.2.55.3"):
            (scans / "deep" / uid).write_bytes(as_file(a_ct(SOPInstanceUID=f"1.2.3.{uid}")))
        report = run(scans, tmp_path / f"out{number}")
        assert (report.files, report.written, [entry.path for entry in report.quarantined]) == (3, 2, [name])
        assert all(
            b"Mustermann" not in (tmp_path / f"out{number}" / file).read_bytes() for file in relative_files(tmp_path / f"out{number}")
        )


def test_tables_of_a_store_are_told_with_the_number_of_their_first_file(tmp_path: Path) -> None:
    zarr.open_group(str(a_store(tmp_path / "in")), mode="a").create_group("tables")
    report = run(tmp_path / "in", tmp_path / "out")
    files = sorted(os.fsencode(name.as_posix()) for name in relative_files(tmp_path / "in"))
    number = files.index(b"Mustermann_Erika.ome.zarr/tables/zarr.json") + 1
    assert f"#{number} *.ome.zarr/tables" in [entry.path for entry in report.quarantined]


def test_dicom_files_below_a_store_are_files_of_their_own(tmp_path: Path) -> None:
    store = a_plain_store(tmp_path / "in" / "a.zarr")
    (store / "0" / "7").write_bytes(as_file(a_ct()))
    report = run(store.parent, tmp_path / "out")
    assert (report.files, report.written) == (2, 2)
    assert sorted(name.suffix for name in relative_files(tmp_path / "out"))[-1] == ".dcm"


@pytest.mark.parametrize(
    ("chunk", "array"),
    [
        (as_file(a_ct()), ARRAY_2),
        (b"%PDF-1.7 Mustermann", ARRAY_2),
        (b"%PDF-1.7 Mustermann", ARRAY_2 | {"compressor": {"id": "zstd", "level": 1}}),
        (as_file(a_ct()), ARRAY_2 | {"compressor": {"id": "lz4", "acceleration": 1}}),
    ],
    ids=["dicom", "size", "magic", "dicom in a codec"],
)
def test_a_file_that_is_called_like_a_chunk_and_is_none_stops_the_store(tmp_path: Path, chunk: bytes, array: dict[str, object]) -> None:
    report = run(a_plain_store(tmp_path / "in" / "a.zarr", chunk, array), tmp_path / "out")
    assert [entry.reason for entry in report.quarantined] == [
        "unsupported: A file of the store has the name of a chunk, and is none by its size or its first bytes."
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [200, 200_000])
def test_the_name_of_an_experimenter_in_a_chunk_stops_the_store(tmp_path: Path, size: int) -> None:
    chunk = b"operator: Mustermann".rjust(150).ljust(size, b"\0")
    array = ARRAY_2 | {"shape": [1, size], "chunks": [1, size]}
    store = a_plain_store(tmp_path / "in" / "a.zarr", chunk, array)
    (store / "OME").mkdir()
    (store / "OME" / "METADATA.ome.xml").write_text(OME)
    assert "a chunk of the store holds it" in run(store, tmp_path / "out").quarantined[0].reason
    (store / "0" / "0.0").write_bytes(bytes(size // 2) + b"Mustermann".ljust(size - size // 2, b"\0"))
    strict = load_profile("pixel-strict").model_copy(update={"dciodvfy": "off"})
    assert "a chunk of the store holds it" in run(store, tmp_path / "out", strict).quarantined[0].reason


def test_links_in_a_store_stop_it_because_a_chunk_would_be_missing(tmp_path: Path) -> None:
    store = a_plain_store(tmp_path / "in" / "a.zarr")
    (store / "0" / "0.0").rename(tmp_path / "chunk")
    (store / "0" / "0.0").symlink_to(tmp_path / "chunk")
    assert "symbolic links" in run(store, tmp_path / "out").quarantined[0].reason


def test_a_store_is_remembered_and_not_written_again(tmp_path: Path) -> None:
    store, plan = a_store(tmp_path / "in"), Plan(journal=tmp_path / "journal")
    reports = [deidentify_folder(store, tmp_path / "out", profile=QUIET, key=KEY, plan=plan) for _ in range(2)]
    assert reports[1].already == 3
    assert reports[0].already < 2, "the two notes have one content"
    (result,) = (tmp_path / "out" / "ome").iterdir()
    (result / "zarr.json").write_text("{}")
    third = deidentify_folder(store, tmp_path / "out", profile=QUIET, key=KEY, plan=plan)
    assert third.already == 2
    assert [entry.reason.split(":")[0] for entry in third.quarantined if "zarr" in entry.path and "/" not in entry.path][:1] == ["conflict"]
