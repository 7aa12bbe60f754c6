from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fairlead.errors import InvalidConfiguration, UnknownField
from fairlead.extract import FieldCatalogue, load_catalogue, vocabulary

FIELD = {
    "id": "lung.group",
    "title": "Group",
    "help": "Our group.",
    "type": "keyword",
    "grain": "series",
    "missing": "Not ours.",
    "module": "custom:lung",
    "source": {"dicom": ["ConvolutionKernel"]},
}
PROMISED = [
    "modality",
    "body_part",
    "bodyPart",
    "organism",
    "imaging_method",
    "kind",
    "project",
    "center",
    "study_date",
    "patient.sex",
    "patient.age_years",
    "manufacturer",
    "model",
    "series.description",
    "series.slice_thickness_mm",
    "series.instances",
    "series.spacing_x_mm",
    "series.spacing_y_mm",
    "series.spacing_z_mm",
    "series.size_x",
    "series.size_y",
    "series.size_z",
    "series.size_c",
    "series.size_t",
    "series.geometry",
    "licence",
    "ome.channel_name",
    "ome.objective_magnification",
    "ome.pixel_type",
    "contrast_agent",
    "transfer_syntax",
    "image_type",
]


def written(folder: Path, document: object) -> Path:
    file = folder / "fields.yaml"
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return file


@pytest.mark.parametrize("name", PROMISED)
def test_definitions_find_the_promised_names(catalogue: FieldCatalogue, name: str) -> None:
    assert name in (catalogue.get(name).id, *catalogue.get(name).aliases)


def test_an_unknown_field_names_the_nearest(catalogue: FieldCatalogue) -> None:
    with pytest.raises(UnknownField, match="'modalty' is not in the catalogue") as caught:
        catalogue.get("modalty")
    assert "'modality'" in caught.value.remedy
    with pytest.raises(UnknownField, match="not in the catalogue") as caught:
        catalogue.get("zzzzzzzzzz")
    assert "docs/fields.md" in caught.value.remedy


def test_every_field_says_what_missing_means(catalogue: FieldCatalogue) -> None:
    assert [one.id for one in catalogue.fields.values() if not one.missing.strip() or not one.help.strip()] == []


def test_a_project_adds_fields_to_the_default_ones(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    own = load_catalogue(written(tmp_path, {"include": ["default"], "fields": [FIELD]}))
    assert set(own.fields) == {*catalogue.fields, "lung.group"}
    assert own.get("lung.group").path == "custom.lung.group"
    assert own.sha256 != catalogue.sha256


def test_the_digest_follows_the_content_not_the_file(tmp_path: Path, catalogue: FieldCatalogue) -> None:
    assert load_catalogue(written(tmp_path, {"include": ["default"]})).sha256 == catalogue.sha256


def test_the_digest_follows_the_vocabularies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, catalogue: FieldCatalogue) -> None:
    known = vocabulary("laterality")
    longer = replace(known, terms={**known.terms, "gauche": ("7771000", "Left")})
    assert longer.sha256() != known.sha256()
    monkeypatch.setattr("fairlead.extract.catalogue.vocabulary", lambda name: longer if name == "laterality" else vocabulary(name))
    assert load_catalogue(written(tmp_path, {"include": ["default"]})).sha256 != catalogue.sha256


def test_an_included_file_is_found_beside_the_including_one(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"fields": [FIELD]}))
    assert list(load_catalogue(written(tmp_path, {"include": ["more.yaml"]})).fields) == ["lung.group"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"include": ["default"], "fields": [{**FIELD, "id": "modality"}]}, "declares 'modality' twice"),
        ({"include": ["default"], "fields": [{**FIELD, "aliases": ["bodyPart"]}]}, "declares 'bodyPart' twice"),
        ({"include": ["fields.yaml"]}, "includes itself"),
        ({"include": ["gone.yaml"]}, "cannot be read"),
        ({"fields": []}, "declares no field"),
        ({"fields": [{**FIELD, "colour": "red"}]}, "fields.lung.group.colour: Extra inputs"),
        ({"fields": [{**FIELD, "type": "number"}]}, "fields.lung.group.type: Input should be"),
        ({"fields": [{**FIELD, "unit": "mm"}]}, "a keyword has no unit"),
        ({"fields": [{**FIELD, "module": "core"}]}, "a core field states its path"),
        ({"fields": [{**FIELD, "id": "Bad Id"}]}, "should match pattern"),
        ({"fields": [{**FIELD, "path": "core.__class__"}], "x": 1}, "Extra inputs"),
        ({"fields": [{**FIELD, "source": {"dicom": ["KernelOfTruth"]}}]}, "'lung.group'.*no meaning at 'KernelOfTruth'"),
        ({"fields": [{**FIELD, "source": {"dicom": ["PatientName"]}}]}, "identifies a person"),
        ({"fields": [{**FIELD, "source": {"dicom": ["(0010,0020)"]}}]}, "identifies a person"),
        ({"fields": [{**FIELD, "source": {"dicom": ["RequestAttributesSequence/RequestingPhysician"]}}]}, "identifies a person"),
        ({"fields": [{**FIELD, "source": {"dicom": ["frames"]}}]}, "names no attribute"),
        ({"fields": [{**FIELD, "source": {"derived": "magic"}}]}, "source.derived: Input should be"),
        ({"fields": [{**FIELD, "vocabulary": "flowers"}]}, "no vocabulary 'flowers'"),
        ("a: [", "line 1 does not hold: expected the node content"),
        ("fields: []\nfields: []", "line 2 does not hold: .fields. stands twice"),
        ("[1, 2]", "does not hold"),
        ("fields: [7]", "does not hold"),
    ],
)
def test_a_catalogue_that_does_not_hold_is_refused_with_the_place(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        load_catalogue(written(tmp_path, document))


def test_a_catalogue_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fields.yaml"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        load_catalogue(file)
