"""Nothing that somebody wrote freely into an OME-Zarr comes out again, wherever it stood; the voxels do."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.convert import ConvertOptions, convert, validate_store

whole = partial(convert, options=ConvertOptions(whole_plates=True))

MARK = "Zqmiller"
SCALE = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
AXES = [{"name": "c", "type": "channel"}, *({"name": name, "type": "space", "unit": "micrometer"} for name in "yx")]
VALUES = np.arange(1, 2 * 15 * 20 + 1, dtype=np.uint16).reshape(2, 15, 20)
LABEL = (VALUES[:1] % 3).astype(np.uint8)

type Node = dict[str, Any]


def image(channels: int) -> Node:
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    shown = [{"label": "DAPI", "color": "FF00FF", "window": dict(window), "active": True, "family": "linear"} for _ in range(channels)]
    multiscale = {"axes": json.loads(json.dumps(AXES)), "datasets": [{"path": "0", "coordinateTransformations": SCALE}], "type": "gaussian"}
    return {"version": "0.5", "multiscales": [multiscale], "omero": {"channels": shown, "rdefs": {"model": "color", "defaultZ": 0}}}


def label() -> Node:
    found = image(0) | {"image-label": {"colors": [{"label-value": 1, "rgba": [1, 2, 3, 255]}], "source": {"image": "../../"}}}
    found["image-label"]["properties"] = [{"label-value": 1, "type": {"code": "T-62000", "scheme": "SRT", "meaning": "Liver"}}]
    return {key: value for key, value in found.items() if key != "omero"}


def groups(*, plate: bool) -> dict[str, Node]:
    if not plate:
        return {"": image(2), "labels": {"version": "0.5", "labels": ["nuclei"]}, "labels/nuclei": label()}
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]
    runs = [{"id": 0, "maximumfieldcount": 1}]
    root = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": wells, "acquisitions": runs, "field_count": 1}
    well = {"images": [{"path": "0", "acquisition": 0}]}
    inner = {f"A/1/0/{path}".rstrip("/"): ome for path, ome in groups(plate=False).items()}
    return {"": {"version": "0.5", "plate": root | {"version": "0.5"}}, "A": {}, "A/1": {"version": "0.5", "well": well}} | inner


def written(folder: Path, found: dict[str, Node], *, shards: bool = False) -> Path:
    """Write the groups with their arrays as Zarr v3."""
    for path, ome in found.items():
        (folder / path).mkdir(parents=True, exist_ok=True)
        document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome} if ome else {}}
        (folder / path / "zarr.json").write_text(json.dumps(document))
        if "multiscales" in ome:
            values = LABEL if "image-label" in ome else VALUES
            outer = (1, 20, 20) if shards else None
            zarr.create_array(str(folder / path / "0"), data=values, chunks=(1, 10, 10), shards=outer, dimension_names=("c", "y", "x"))
    return folder


def everything(folder: Path) -> str:
    """Return names and bytes of all files."""
    return "".join(f"{path.relative_to(folder)}{path.read_bytes().decode('latin-1')}" for path in folder.rglob("*") if path.is_file())


def dicts_in(value: Any) -> list[Node]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value for _ in [0] if isinstance(value, dict)] + [found for item in inner for found in dicts_in(item)]


def voxels(store: Path, path: str = "0") -> np.ndarray:
    return np.asarray(zarr.open_array(str(store / path), mode="r")[:])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plate=st.booleans(), shards=st.booleans(), seed=st.randoms(use_true_random=False))
def test_planted_words_never_come_out_and_voxels_always_do(plate, shards, seed):
    with tempfile.TemporaryDirectory() as place:
        source = written(Path(place) / "in.zarr", groups(plate=plate), shards=shards)
        documents = sorted(source.rglob("zarr.json"))
        for number in range(seed.randint(1, 8)):
            file = seed.choice(documents)
            document = json.loads(file.read_text())
            target = seed.choice([document["attributes"], *dicts_in(document["attributes"])])
            planted = seed.choice([f"{MARK}{number}", [MARK], {"by": MARK}, {MARK: 1}])
            target[seed.choice([MARK, "metadata", "description", "id", "owner", f"{MARK} {number}"])] = planted
            file.write_text(json.dumps(document))
        for folder in seed.sample(documents, 2):
            folder.with_name(f"{MARK}.csv").write_text(MARK)
            (folder.parent / "c").mkdir(exist_ok=True)
            (folder.parent / "c" / MARK).write_text(MARK)
        (store,) = whole(source, Path(place) / "out").stores
        result = Path(place) / "out" / store.path
        assert MARK not in everything(result)
        assert MARK not in str(store.dropped)
        assert validate_store(result).valid
        root = "A/1/0" if plate else ""
        assert np.array_equal(voxels(result, f"{root}/0".lstrip("/")), VALUES)
        assert np.array_equal(voxels(result, f"{root}/labels/nuclei/0".lstrip("/")), LABEL)


@pytest.mark.parametrize(
    "places",
    [
        ["multiscales", 0, "name"],
        ["multiscales", 0, "type"],
        ["multiscales", 0, "metadata"],
        ["multiscales", 0, "axes", 1, "unit"],
        ["multiscales", 0, "axes", 1, "longName"],
        ["multiscales", 0, "datasets", 0, "coordinateTransformations", 0, "name"],
        ["omero", "name"],
        ["omero", "id"],
        ["omero", "rdefs", "model"],
        ["omero", "rdefs", "owner"],
        ["omero", "channels", 0, "label"],
        ["omero", "channels", 1, "family"],
    ],
)
@pytest.mark.parametrize("shards", [False, True])
def test_known_keys_hold_known_values_only(tmp_path, places, shards):
    found = groups(plate=False)
    inner: Any = found[""]
    for place in places[:-1]:
        inner = inner[place]
    inner[places[-1]] = MARK.lower()
    (store,) = convert(written(tmp_path / "in.zarr", found, shards=shards), tmp_path / "out").stores
    assert MARK.lower() not in everything(tmp_path / "out").lower()
    assert np.array_equal(voxels(tmp_path / "out" / store.path), VALUES)
    assert any("free text" in text for text in store.dropped)


def test_plates_lose_names_of_people_in_every_place_that_has_a_name(tmp_path):
    found = groups(plate=True)
    plate = found[""]["plate"]
    plate["name"] = MARK
    plate["rows"][0]["name"] = plate["columns"][0]["name"] = MARK
    plate["wells"][0]["path"] = f"{MARK}/{MARK}"
    plate["acquisitions"][0] |= {"name": MARK, "description": MARK, "starttime": 1343731272000}
    found["A/1"]["well"]["images"][0]["path"] = MARK
    found["A/1/0/labels"]["labels"] = [MARK]
    found["A/1/0/labels/nuclei"]["image-label"]["properties"] = [{"label-value": 1, "label": MARK, "type": {"meaning": MARK}}]
    moved = {"A/1/0/labels/nuclei": f"{MARK}/{MARK}/{MARK}/labels/{MARK}", "A/1/0/labels": f"{MARK}/{MARK}/{MARK}/labels"}
    moved |= {"A/1/0": f"{MARK}/{MARK}/{MARK}", "A/1": f"{MARK}/{MARK}", "A": MARK}
    source = written(tmp_path / "in.zarr", {moved.get(path, path): ome for path, ome in found.items()})
    (store,) = whole(source, tmp_path / "out").stores
    assert MARK not in everything(tmp_path / "out")
    assert "1343731272000" not in everything(tmp_path / "out")
    result = tmp_path / "out" / store.path
    assert np.array_equal(voxels(result, "1/1/0/0"), VALUES)
    assert np.array_equal(voxels(result, "1/1/0/labels/label-1/0"), LABEL)
    assert validate_store(result).valid


def test_levels_lose_their_names(tmp_path):
    source = written(tmp_path / "in.zarr", groups(plate=False))
    document = json.loads((source / "zarr.json").read_text())
    document["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = MARK
    (source / "zarr.json").write_text(json.dumps(document))
    (source / "0").rename(source / MARK)
    (store,) = convert(source, tmp_path / "out").stores
    assert np.array_equal(voxels(tmp_path / "out" / store.path), VALUES)
    assert MARK not in everything(tmp_path / "out")


def test_array_metadata_hold_what_the_specification_names(tmp_path):
    source = written(tmp_path / "in.zarr", groups(plate=False))
    file = source / "0/zarr.json"
    document = json.loads(file.read_text())
    document["attributes"] = {"patient": MARK}
    document["dimension_names"] = ["c", MARK, "x"]
    document["extra"] = {"must_understand": False, "said": MARK}
    file.write_text(json.dumps(document))
    (store,) = convert(source, tmp_path / "out").stores
    assert MARK not in everything(tmp_path / "out")
    assert np.array_equal(voxels(tmp_path / "out" / store.path), VALUES)


def test_older_versions_lose_the_same(tmp_path):
    properties = [{"label-value": 1, "who": MARK, "label": MARK}, {"label-value": 2, "label": "Liver"}]
    for path, ome in groups(plate=False).items():
        at = tmp_path / "in.zarr" / path
        at.mkdir(parents=True, exist_ok=True)
        if "multiscales" in ome:
            ome["multiscales"][0] |= {"version": "0.4", "name": MARK}
            zarr.create_array(str(at / "0"), data=LABEL if "image-label" in ome else VALUES, zarr_format=2)
        if "omero" in ome:
            ome["omero"]["channels"][1]["label"] = MARK
        if "image-label" in ome:
            ome["image-label"] |= {
                "properties": properties,
                "colors": [{"label-value": one, "rgba": [9, 9, 9, 9], "who": MARK} for one in (1, 2)],
            }
        (at / ".zgroup").write_text('{"zarr_format": 2}')
        (at / ".zattrs").write_text(json.dumps(ome))
    report = convert(tmp_path / "in.zarr", tmp_path / "out")
    assert report.refused == ()
    (store,) = report.stores
    assert MARK not in everything(tmp_path / "out")
    result = tmp_path / "out" / store.path
    rows = json.loads((result / "labels/nuclei/zarr.json").read_text())["attributes"]["ome"]["image-label"]["properties"]
    assert [row["label"] for row in rows] == ["segment 1", "Liver"]
