"""RO-Crate 1.2: one attached crate for the dataset, a minimal one at the root of each store.

Source: https://w3id.org/ro/crate/1.2. The crates name no person and no original identifier; the context is cited by its
IRI, as the specification demands of crates, and is the only remote context we write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from fairlead.errors import CheckFailed
from fairlead.files import write_text
from fairlead.publish.addresses import Site
from fairlead.publish.counting import shown_counts
from fairlead.publish.graph import concepts
from fairlead.publish.vocabulary import concept_iri
from fairlead.records import Agent, DatasetRecord, JsonObject

CRATE: Final = "ro-crate-metadata.json"
VERSION: Final = "1.2"


def write_crate(folder: Path, record: DatasetRecord, *, site: Site) -> None:
    """Write the attached crate of a dataset into its folder and check its structure."""
    document = dataset_crate(record, site=site, previews=sorted(path.name for path in (folder / "previews").glob("*.png")))
    check_crate(document, folder=folder)
    write_text(folder / CRATE, json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_store_crate(store: Path, record: DatasetRecord, *, title: str) -> None:
    """Write the minimal crate at a store's root, where viewers and validators of the NGFF community look for it."""
    crate, root = _new_crate(record, name=title, description=f"One image of the dataset {record.title!r}, as OME-Zarr.")
    root["identifier"] = f"{record.id}/{store.name}"
    document = _document(crate)
    check_crate(document, folder=store)
    write_text(store / CRATE, json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def dataset_crate(record: DatasetRecord, *, site: Site, previews: Iterable[str] = ()) -> JsonObject:
    """Return the dataset's crate as a JSON-LD document."""
    from rocrate.model.dataset import Dataset
    from rocrate.model.file import File

    crate, root = _new_crate(record, name=record.title, description=record.description)
    root["identifier"] = site.dataset(record.id)
    root["url"] = site.dataset(record.id)
    root["version"] = str(record.version)
    root["keywords"] = list(record.keywords)
    root["size"] = [_quantity(crate, unit, number) for unit, number in shown_counts(record).items() if unit != "studies"]
    root["about"] = [_term(crate, concept_iri(item.curie) or "", item.label or item.raw) for item in concepts(record)]
    for item in record.distributions:
        kind = Dataset if item.store else File
        properties = {"name": item.title, "encodingFormat": item.media_type, "contentSize": str(item.size_bytes)}
        entity = crate.add(kind(crate, dest_path=item.path, properties=properties))
        if item.store is None:
            entity["sha256"] = item.sha256
        if item.conforms_to:
            entity["conformsTo"] = _entity(crate, item.conforms_to, "CreativeWork", name="OME-Zarr specification")
    for name in previews:
        crate.add(File(crate, dest_path=f"previews/{name}", properties={"name": f"Preview {name}", "encodingFormat": "image/png"}))
    return _document(crate)


def _new_crate(record: DatasetRecord, *, name: str, description: str) -> tuple[Any, Any]:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version=VERSION)
    root = crate.root_dataset
    root["name"], root["description"] = name, description
    root["datePublished"] = record.modified.isoformat(timespec="seconds")
    root["license"] = _entity(crate, record.license, "CreativeWork", name="Licence", description="The licence of this dataset.")
    root["publisher"] = _organisation(crate, record.publisher)
    authors = [_organisation(crate, creator) for creator in record.creators]
    root["author"] = authors[0] if len(authors) == 1 else authors  # one value is no list: RO-Crate 1.2, JSON-LD section
    return crate, root


def _document(crate: Any) -> JsonObject:
    document: JsonObject = crate.metadata.generate()
    document["@graph"] = sorted(document["@graph"], key=lambda item: item["@id"])
    return document


def _entity(crate: Any, identifier: str, kind: str, **properties: str) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))


def _organisation(crate: Any, agent: Agent) -> Any:
    identifier = agent.iri or "#publisher"
    organisation = _entity(crate, identifier, "Organization", name=agent.name, url=agent.homepage or identifier)
    if agent.email:
        mail = f"mailto:{agent.email}"
        organisation["contactPoint"] = _entity(
            crate, mail, "ContactPoint", email=mail, url=mail, contactType="data steward", name=agent.name
        )
    return organisation


def _quantity(crate: Any, unit: str, value: int) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(
        ContextEntity(crate, f"#count-{unit}", properties={"@type": "QuantitativeValue", "name": unit, "value": value, "unitText": unit})
    )


def _term(crate: Any, iri: str, name: str) -> Any:
    return _entity(crate, iri, "DefinedTerm", name=name)


def detached(document: JsonObject, *, root: str) -> JsonObject:
    """Return the crate as a detached one: every address is absolute, so that it may be served from anywhere (RO-Crate 1.2)."""

    def absolute(value: Any) -> Any:
        """Return a part of the document with its addresses made absolute."""
        if isinstance(value, list):
            return [absolute(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: _address(item, root) if key == "@id" else absolute(item) for key, item in value.items()}

    return {"@context": document["@context"], "@graph": absolute(document["@graph"])}


def _address(identifier: str, root: str) -> str:
    if identifier == CRATE or identifier.startswith("#") or "://" in identifier or identifier.startswith("mailto:"):
        return identifier
    return root if identifier == "./" else root + identifier


def check_crate(document: JsonObject, *, folder: Path) -> None:
    """Check what RO-Crate 1.2 demands and can be checked without its validator: descriptor, root, and that data entities exist.

    Raises
    ------
    CheckFailed : the message names the first entity that does not hold.
    """
    entities = {item["@id"]: item for item in document["@graph"]}
    descriptor, root = entities.get(CRATE, {}), entities.get("./", {})
    missing = [name for name in ("name", "description", "datePublished", "license") if not root.get(name)]
    if descriptor.get("about") != {"@id": "./"} or missing:
        raise CheckFailed(f"The crate's root says nothing about: {', '.join(missing) or 'itself'}.")
    parts = root.get("hasPart", [])
    for part in parts if isinstance(parts, list) else [parts]:
        if not (folder / part["@id"]).exists():
            raise CheckFailed(f"The crate names {part['@id']}, which is not there.")
