"""Words of channel names that say nothing about a person."""

from __future__ import annotations

from typing import Final

CHANNEL_TERMS: Final = frozenset(
    """alexa alexafluor am amca ampk af acridine actin atto bf bfp blue brightfield calcein calcofluor cellmask cfp channel ch cherry
    citrine congo coumarin crimson cy2 cy3 cy5 cy7 cyan dab dapi darkfield dendra dic draq5 dsred ebfp ecfp egfp em emerald emission
    eosin ethidium eyfp ex excitation far fitc fluo fluor fluor4 fluorescein fluorescence fura gcamp gfp green h he hematoxylin hoechst
    infrared iodide jf jrgeco lut lyso lysotracker magenta mcherry membrane mito mitotracker mneongreen morange mplum mruby mscarlet
    mstrawberry mturquoise nile nissl nuclei nucleus oregon orange orca pas pe phalloidin phase picrosirius pmt propidium purple red rfp
    rgb rhodamine silver sirius stain sybr sytox tagbfp tagrfp tdtomato texas toluidine topro transmitted transmission trichrome tritc
    turquoise uv venus violet wga white xylene yellow yfp""".split()  # noqa: SIM905  (a list of 110 quoted words is not easier to read)
)
"""Words of channel names that name a stain, a fluorophore, a colour or a contrast; any other word of a name may be anybody's."""
