"""Lists from other tools become definitions that say who and why; manifests say where members are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.cohort import (
    CohortStore,
    Imported,
    compile_definition,
    definition_sha256,
    dicomweb_manifest,
    fhir_members,
    import_addresses,
    import_list,
    import_series,
    importing,
    listed_addresses,
    listed_ids,
    listed_uids,
    normal_form,
    parse_definition,
    present_members,
    public_sentence,
    read_list,
    s5cmd_manifest,
    sentence_of,
)
from fairlead.commands.cohort_exchange import deliver
from fairlead.errors import InvalidConfiguration, InvalidDefinition, InvalidInput, NotFound, ServiceUnreachable, UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index, MembersOf
from index.builders import a_series, an_image

TCIA = "downloadServerUrl=https://x.example.org/\nincludeAnnotation=true\nmanifestVersion=3.0\nListOfSeriesToDownload=\n1.2.3\n1.2.4\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TCIA, id="tcia"),
        pytest.param("PatientID,Series Instance UID,x\np,1.2.4,1.9.9\nq,1.2.3,\n", id="csv"),
        pytest.param("\ufeff# made by a portal\nStudy;SeriesInstanceUID\n1.1;1.2.3\n1.1;1.2.4\n", id="semicolons"),
        pytest.param('{"name": "lung", "identifiers": ["1.2.4", "1.2.3", "1.2.3"]}', id="kaapana"),
        pytest.param("1.2.3\n\n1.2.4\n", id="plain"),
    ],
)
def test_a_list_of_another_tool_gives_its_series(text: str) -> None:
    assert listed_uids(text) == ("1.2.3", "1.2.4")


HUGE_CELL = f"SeriesInstanceUID,x\n1.2.3,{'a' * 200_000}"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "[" * 100_000, HUGE_CELL, '{"identifiers": 3}', "ListOfSeriesToDownload=\n"])
def test_what_names_no_series_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        listed_uids(text)


@pytest.mark.parametrize("text", ["1.2.3\nDoe^Jane\n1.2.4\n", "x,SeriesInstanceUID\n1,1.2.3\n2,1.2.\n3,1.2.4", '["1.2.3", 7, "1.2.4"]'])
def test_an_entry_that_is_no_uid_is_told_by_its_place_and_not_by_what_it_says(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^1 of 3 entries of the list are no series instance UIDs, the first of them entry 2"):
        listed_uids(text)


def test_a_list_of_more_series_than_a_definition_holds_is_refused_before_anybody_is_looked_up() -> None:
    with pytest.raises(InvalidInput, match="names 65537 series; 65536 are the most"):
        listed_uids("\n".join(f"1.2.{number}" for number in range(65_537)))


def test_a_list_is_read_as_spreadsheets_write_it_and_never_beyond_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list.csv"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        file.write_text("Größe;SeriesInstanceUID\n1;1.2.3\n", encoding=encoding)
        assert listed_uids(read_list(file)) == ("1.2.3",)
    monkeypatch.setattr(importing, "MAX_BYTES", 20)
    with pytest.raises(InvalidInput, match=r"list\.csv is larger"):
        read_list(file)
    with pytest.raises(NotFound):
        read_list(tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="is a folder"):
        read_list(tmp_path)


def test_a_manifest_of_objects_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedInput, match="names objects, not series"):
        listed_uids("# To download\ncp s3://idc-open-data/0f0e/* .\n")


def test_listed_series_are_found_at_every_centre_and_the_absent_are_told(index: Index, catalogue: FieldCatalogue) -> None:
    index.put([a_series("901"), a_series("901", center="other"), a_series("902")])
    found = import_series(["1.2.901", "1.2.999"], index)
    assert (found.ids, found.absent) == (("local:default:1.2.901", "other:default:1.2.901"), ("1.2.999",))
    definition = parse_definition(found.definition(title="T", reason="the tumour board"), catalogue)
    assert compile_definition(definition) is not None
    assert index.members(compile_definition(definition)).ids == found.ids
    assert sentence_of(definition, catalogue) == "Series where it is one of 2 listed series (the tumour board)."
    assert "tumour" not in public_sentence(definition, catalogue)
    assert definition_sha256(parse_definition(normal_form(definition) | {"title": "U"}, catalogue)) == definition_sha256(definition)


def test_a_list_of_members_comes_back_as_its_records(index: Index) -> None:
    index.put([a_series("901")])
    ids = ("local:default:1.2.901", an_image().id)
    for text in (
        "\ufeffid,kind,series_uid\n" + "".join(f"{one},x,{one.rpartition(':')[2]}\n" for one in ids),
        "\n".join(ids),
    ):
        found = import_list(f"{text}\nlocal:default:gone", index)
        assert (found.ids, found.absent) == (ids, ("local:default:gone",))
    with pytest.raises(InvalidInput, match="1 of 2 entries of the list are no record ids, the first of them entry 2"):
        import_list("id\nlocal:default:1.2.901\nJane Doe\n", index)
    assert import_list("id,SeriesInstanceUID\n7,1.2.901\n", index).ids == ids[:1]  # ids of somebody else
    with pytest.raises(InvalidInput, match="65537 series; 65536 are the most"):
        listed_ids("\n".join(f"a:b:{number}" for number in range(65_537)))


def test_a_list_needs_a_reason_and_somebody_in_it(index: Index) -> None:
    index.put([a_series("901")])
    with pytest.raises(InvalidInput, match="needs a reason"):
        import_series(["1.2.901"], index).definition(title="T", reason=" ")
    with pytest.raises(InvalidInput, match="none of the listed"):
        import_series(["1.2.999"], index).definition(title="T", reason="why")


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"ids": [], "reason": "r"}, "a list of record ids"),
        ({"ids": ["1.2.3"], "reason": "r"}, "a list of record ids"),
        ({"ids": ["a:b:1"]}, "says why it was chosen"),
        ({"ids": ["a:b:1"], "reason": "x" * 501}, "says why it was chosen"),
    ],
)
def test_a_list_that_cannot_be_is_refused_at_its_place(node: dict[str, Any], words: str, catalogue: FieldCatalogue) -> None:
    with pytest.raises(InvalidDefinition, match=rf"At include\..*{words}"):
        parse_definition({"schemaVersion": "1", "title": "T", "unit": "series", "include": node}, catalogue)


@pytest.fixture
def version(index: Index, store: CohortStore, catalogue: FieldCatalogue) -> Any:
    address = {"idc": {"series_aws_url": "s3://idc-open-data/0f0e/*"}}
    hostile = {"idc": {"series_aws_url": "s3://x/$(rm -rf ~)"}}
    index.put([a_series("901", study="7", tail=address), a_series("902", study="8", patient="p2", tail=hostile), an_image("slide")])
    document = {"schemaVersion": "1", "title": "T", "unit": "series", "include": {"field": "kind", "op": "exists"}}
    return store.freeze(parse_definition(document, catalogue), index=index, catalogue=catalogue, author="ada")


def test_a_manifest_gives_dicomweb_addresses_of_dicom_series_only(version: Any, index: Index) -> None:
    lines = list(dicomweb_manifest(version, index, "https://pacs.example.org/dicom-web/"))
    assert "https://pacs.example.org/dicom-web/studies/1.1.7/series/1.2.901" in lines
    assert len(lines) == len(present_members(version, index).ids) - 2  # two images
    for base in (
        "file:///etc",
        "https://[::1",
        "https://pacs.example.org/\nrm -rf x",
        "https://pacs.example.org/a b",
        "https://p/\ud800",
        "",
    ):
        with pytest.raises(InvalidInput, match="address of a DICOMweb service"):
            list(dicomweb_manifest(version, index, base))


def test_a_copy_is_written_for_public_buckets_only_and_never_a_command_of_others(version: Any, index: Index) -> None:
    copies = "cp s3://idc-open-data/0f0e/* ./1.2.901/"
    assert list(s5cmd_manifest(version, index)) == [copies, f"# {len(version.members) - 1} members are in no public bucket"]
    odd = a_series("901", study="7", tail={"idc": {"series_aws_url": "s3://idc-open-data/0f0e/*"}})
    odd = odd.model_copy(update={"core": odd.core.model_copy(update={"id": "local:default:1.2\nrm -rf ~"})})
    index.put([odd])
    named = version.model_copy(update={"members": (odd.id,), "revisions": (version.revisions[0],)})
    assert list(s5cmd_manifest(named, index)) == ["# 1 members are in no public bucket"]
    index.remove(["local:default:1.2.902", "local:default:1.2.1", odd.id])
    told = [f"# {len(version.members) - 3} members are in no public bucket", "# 2 members have left the index"]
    assert list(s5cmd_manifest(version, index)) == [copies, *told]


def test_a_list_that_breaks_off_leaves_no_file_behind(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("before")

    def broken_off() -> Iterator[str]:
        yield "cp one"
        raise ServiceUnreachable("OpenSearch does not answer.")

    with pytest.raises(ServiceUnreachable):
        deliver(broken_off(), tmp_path / "list")
    assert (tmp_path / "list").read_text() == "before"
    assert deliver(iter(["cp one", "# a comment"]), tmp_path / "list") == 1
    assert (tmp_path / "list").read_text() == "cp one\n# a comment\n"
    assert [file.name for file in tmp_path.iterdir()] == ["list"]
    with pytest.raises(InvalidConfiguration, match="is a folder"):
        deliver(iter(["a"]), tmp_path)


def test_an_s5cmd_manifest_comes_back_as_the_series_whose_address_it_names(version: Any, index: Index) -> None:
    text = "\n".join(["# Kept in IDC v25", *s5cmd_manifest(version, index), "cp 's3://idc-open-data/gone/*' ."])
    found = import_addresses(listed_addresses(text), index)
    assert found == Imported(("local:default:1.2.901",), ("s3://idc-open-data/gone/*",))
    assert found.definition(title="T", reason="chosen at the portal")["include"]["ids"] == ["local:default:1.2.901"]
    assert listed_addresses(TCIA) == ()
    with pytest.raises(InvalidInput, match="Line 2 of the manifest"):
        listed_addresses("cp s3://idc-open-data/0f0e/* .\n# words\nrm -rf /\n")


def test_an_enumerated_group_lists_each_patient_once(version: Any, index: Index) -> None:
    group = fhir_members(version, index.members(MembersOf(frozenset(version.members))).patients)
    named = [one["entity"]["identifier"]["value"] for one in group["member"]]
    assert "local:default:p2" in named
    assert len(named) == len(set(named)) == group["quantity"]
    assert group["membership"] == "enumerated"
