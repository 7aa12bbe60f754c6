from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from fairlead.errors import InvalidConfiguration
from fairlead.extract import concept_label, vocabulary
from fairlead.extract.vocabulary import _from_file, curie_of
from fairlead.resources import configs_folder


@pytest.mark.parametrize(
    ("name", "raw", "curie", "label"),
    [
        ("modality", "CT", "DCM:CT", "Computed Tomography"),
        ("modality", "ct ", "DCM:CT", "Computed Tomography"),
        ("body_part", "CHEST", "SCT:816094009", "Chest"),
        ("body_part", "Thorax", "SCT:816094009", "Chest"),
        ("body_part", "51185008", "SCT:816094009", "Chest"),
        ("body_part", "C-SPINE", "SCT:122494005", "Cervical spine"),
        ("body_part", "WHOLE BODY", "SCT:38266002", "Entire body"),
        ("body_part", "Sella turcica", "SCT:42575006", "Sella turcica"),
        ("organism", "mouse", "NCBITaxon:10090", "Mus musculus"),
        ("organism", "337915000", "NCBITaxon:9606", "Homo sapiens"),
        ("imaging_method", "SpinningDiskConfocal", "FBbi:00000253", "spinning disk confocal microscopy"),
        ("manufacturer", "GE MEDICAL SYSTEMS", None, "GE HealthCare"),
        ("manufacturer", '"GE Healthcare"', None, "GE HealthCare"),
        ("manufacturer", "Philips Medical Systems", None, "Philips"),
    ],
)
def test_a_known_term_becomes_its_concept(name: str, raw: str, curie: str | None, label: str) -> None:
    concept = vocabulary(name).concept(raw)
    assert concept is not None
    assert (concept.raw, concept.curie, (concept.label or "").casefold()) == (raw, curie, label.casefold())


def test_an_unknown_body_part_stays_to_map() -> None:
    concept = vocabulary("body_part").concept("PARTIALBODY")
    assert concept is not None
    assert (concept.raw, concept.curie, concept.label) == ("PARTIALBODY", None, None)


@pytest.mark.parametrize("junk", ["0000", "6657", "unknown", ""])
def test_junk_in_a_closed_vocabulary_is_no_value(junk: str) -> None:
    assert vocabulary("sex").concept(junk) is None


@pytest.mark.parametrize(
    ("code", "scheme", "curie"),
    [
        ("T-D1100", "SRT", "SCT:69536005"),
        ("X-UNKNOWN", "SRT", "SRT:X-UNKNOWN"),
        ("10200004", "SCT", "SCT:10200004"),
        ("113041", "DCM", "DCM:113041"),
        ("77", "99LOCAL", None),
        ("drop table; --", "DCM", None),
    ],
)
def test_a_coded_entry_gives_a_curie_only_for_shared_schemes(code: str, scheme: str, curie: str | None) -> None:
    assert curie_of(code, scheme) == curie


@pytest.mark.parametrize(("curie", "label"), [("DCM:MR", "Magnetic Resonance"), ("NCBITaxon:9606", "Homo sapiens"), ("X:1", None)])
def test_a_curie_has_words(curie: str, label: str | None) -> None:
    assert concept_label(curie) == label


def test_every_vocabulary_file_holds_and_no_term_has_two_meanings() -> None:
    import yaml

    for file in sorted((configs_folder() / "vocabularies").glob("*.yaml")):
        entries = yaml.safe_load(file.read_text(encoding="utf-8"))["aliases"]
        for code, entry in entries.items():
            for term in entry["terms"]:
                found = vocabulary(file.stem).terms[term.casefold().translate({ord(c): None for c in " _.,^()/-"}).strip('"')]
                assert found[0] == code, f"{file.name}: {term}"


@pytest.mark.parametrize(
    ("name", "above", "below", "beside"),
    [
        ("body_part", "SCT:816094009", ["SCT:39607008", "SCT:86598002", "SCT:80891009"], ["SCT:818981001", "SCT:416775004"]),
        ("body_part", "SCT:416775004", ["SCT:816094009", "SCT:10200004", "SCT:41216001"], ["SCT:69536005"]),
        ("body_part", "SCT:69536005", ["SCT:12738006", "SCT:42575006"], ["SCT:45048000"]),
        ("body_part", "SCT:66019005", ["SCT:76505004", "SCT:29707007"], ["SCT:816094009"]),
        ("imaging_method", "FBbi:00000251", ["FBbi:00000253"], ["FBbi:00000256"]),
        ("organism", "NCBITaxon:9606", [], ["NCBITaxon:10090"]),
        ("modality", "DCM:CT", [], ["DCM:MR"]),
    ],
)
def test_a_concept_covers_what_lies_below_it(name: str, above: str, below: list[str], beside: list[str]) -> None:
    found = vocabulary(name).descendants(above)
    assert {above, *below} <= found
    assert not set(beside) & found


def test_every_region_of_cid_4031_lies_in_the_body_and_none_in_itself() -> None:
    words = vocabulary("body_part")
    regions = {f"SCT:{code.value}" for code in codes.cid4031.concepts.values()}
    assert regions - words.descendants("SCT:38266002") == {"SCT:706342009"}
    assert all(curie not in words.descendants(below) for curie in regions for below in words.children.get(curie, ()))
    assert set(words.children) | {below for found in words.children.values() for below in found} <= set(words.labels)


def test_species_codes_of_cid_7454_mean_the_species_of_the_same_name() -> None:
    for code in codes.cid7454.concepts.values():
        concept = vocabulary("organism").concept(str(code.value))
        assert concept is not None
        assert concept.label in (None, code.meaning)


def test_a_vocabulary_that_does_not_hold_is_refused(tmp_path) -> None:
    file = tmp_path / "flowers.yaml"
    file.write_text("scheme: X\naliases: [1]\n")
    with pytest.raises(InvalidConfiguration, match=r"flowers\.yaml does not hold"):
        _from_file(file, {})
    with pytest.raises(InvalidConfiguration, match="no vocabulary 'gone'"):
        vocabulary("gone")
