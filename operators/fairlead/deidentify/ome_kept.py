"""OME-XML that is kept beside exported pixels: cleaned by the profile, and without the files that held the pixels."""

from __future__ import annotations

import hashlib

from lxml import etree

from fairlead.deidentify.ome import check
from fairlead.deidentify.ome_xml import clean_ome, creator_of, parse, written
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import Option
from fairlead.errors import UnsupportedInput


def clean_ome_xml(content: bytes, profile: Profile, key: bytes, *, file_name: str = "", dates_moved: bool = False) -> bytes:
    """Return OME-XML that may lie beside exported pixels: cleaned by the profile, its pixels stated as elsewhere (``MetadataOnly``).

    Parameters
    ----------
    key : the project key; shifted dates follow it. Where the profile keeps no dates, nothing that comes out depends on it.
    file_name : the name of the file that held the document; its words go from names and channels.
    dates_moved : whether the document comes out of :func:`deidentify_ome` under the same profile, so that its dates must not move again.

    Raises
    ------
    UnreadableImage : broken XML. ResidualIdentity : some of what was taken out occurs in what would stay.
    UnsupportedInput : no OME document, one that only points to another file, or one with the picture of a slide's label.
    """
    options = profile.options
    if dates_moved and Option.RETAIN_MODIFIED_DATES in options:
        options = options - {Option.RETAIN_MODIFIED_DATES} | {Option.RETAIN_FULL_DATES}
    acting = profile.changed(options=options)
    cleaned = clean_ome(content, acting, key, file_name=file_name, content_id=hashlib.sha256(content).hexdigest())
    xml = without_files(cleaned.xml, creator=creator_of(profile))
    check(cleaned.identity, (xml,), with_dates=Option.RETAIN_FULL_DATES not in options, xml=xml)
    return xml


def without_files(content: bytes, *, creator: str) -> bytes:
    """Return a document whose pixels lie in no TIFF (OME schema, ``MetadataOnly``), for those who write the pixels elsewhere.

    The UUID goes too: it is that of the file which held the document, and this is another.

    Raises
    ------
    UnsupportedInput : the document describes no pixels: it only points to another file.
    """
    root = parse(content)
    images = list(root.iter("{*}Pixels"))
    if not images:
        raise UnsupportedInput("The OME-XML describes no image; it only points to another file.")
    root.set("Creator", creator)
    root.attrib.pop("UUID", None)
    for pixels in images:
        for block in pixels.findall("{*}TiffData") + pixels.findall("{*}MetadataOnly"):
            pixels.remove(block)
        channels = pixels.findall("{*}Channel")  # they come first, planes last
        pixels.insert(len(channels), etree.Element(etree.QName(etree.QName(pixels).namespace, "MetadataOnly")))
    return written(root)
