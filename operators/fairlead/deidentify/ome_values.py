"""The values that the OME schema has for its attributes (OME 2016-06): enumerations, units, names of numbers. Nothing else is structure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PREFIXES: Final = ("Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "", "d", "c", "m", "µ", "μ", "n", "p", "f", "a", "z", "y")
UNITS: Final = frozenset(
    [prefix + unit for unit in ("m", "s", "V", "W", "Pa", "Hz") for prefix in PREFIXES]
    + ["Å", "thou", "li", "in", "ft", "yd", "mi", "ua", "ly", "pc", "pt", "pixel", "reference frame"]
    + ["min", "h", "d", "deg", "rad", "gon", "°C", "°F", "K", "°R"]
    + ["bar", "Mbar", "kbar", "dbar", "cbar", "mbar", "atm", "psi", "Torr", "mTorr", "mm Hg"]
)
"""Units of length, time, voltage, power, pressure, frequency, temperature and angle (schema, UnitsLength and so on)."""

_SETTINGS: Final[Mapping[str, str]] = {
    "DimensionOrder": "XYZCT XYZTC XYCTZ XYCZT XYTCZ XYTZC",
    "AcquisitionMode": "WideField LaserScanningConfocalMicroscopy SpinningDiskConfocal SlitScanConfocal MultiPhotonMicroscopy "
    "StructuredIllumination SingleMoleculeImaging TotalInternalReflection FluorescenceLifetime SpectralImaging "
    "FluorescenceCorrelationSpectroscopy NearFieldScanningOpticalMicroscopy SecondHarmonicGenerationImaging PALM STORM STED TIRF FSM "
    "LCM BrightField SweptFieldConfocal SPIM LaserScanningConfocal Other",
    "ContrastMethod": "Brightfield Phase DIC HoffmanModulation ObliqueIllumination PolarizedLight Darkfield Fluorescence Other",
    "IlluminationType": "Transmitted Epifluorescence Oblique NonLinear Other",
    "Immersion": "Oil Water WaterDipping Air Multi Glycerol Other",
    "Correction": "UV PlanApo PlanFluor SuperFluor VioletCorrected Achro Achromat Fluor Fl Fluar Neofluar Fluotar Apo PlanNeofluar Other",
    "Medium": "Air Oil Water Glycerol Other",
    "LaserMedium": "Cu Ag ArFl ArCl KrFl KrCl XeFl XeCl XeBr N Ar Kr Xe HeNe HeCd CO CO2 H2O HFl NdGlass NdYAG ErGlass ErYAG HoYLF HoYAG "
    "Ruby TiSapphire Alexandrite Rhodamine6G CoumarinC30 GaAs GaAlAs EMinus Other",
    "Pulse": "CW Single QSwitched Repetitive ModeLocked Other",
    "Binning": "1x1 2x2 4x4 8x8 Other",
    "RowNamingConvention": "letter number",
    "ColumnNamingConvention": "letter number",
    "FillRule": "EvenOdd NonZero",
    "FontFamily": "serif sans-serif cursive fantasy monospace",
    "FontStyle": "Bold BoldItalic Italic Normal",
    "MarkerStart": "Arrow",
    "MarkerEnd": "Arrow",
    "LineCap": "Butt Round Square",
    "BigEndian": "true false 1 0",
    "Interleaved": "true false 1 0",
    "Locked": "true false 1 0",
    "Tuneable": "true false 1 0",
    "PockelCell": "true false 1 0",
    "Iris": "true false 1 0",
}
_TYPES: Final[Mapping[str, str]] = {
    "Pixels": "int8 int16 int32 uint8 uint16 uint32 float double complex double-complex bit",
    "Microscope": "Upright Inverted Dissection Electrophysiology Other",
    "Laser": "Excimer Gas MetalVapor SolidState Dye Semiconductor FreeElectron Other",
    "Arc": "Hg Xe HgXe Other",
    "Filament": "Incandescent Halogen Other",
    "Filter": "Dichroic LongPass ShortPass BandPass MultiPass NeutralDensity Tuneable Other",
    "Detector": "CCD IntensifiedCCD AnalogVideo PMT Photodiode Spectroscopy LifetimeImaging CorrelationSpectroscopy FTIR EMCCD APD CMOS "
    "EBCCD Other",
}
ENUMERATIONS: Final[Mapping[str, frozenset[str]]] = {name: frozenset(values.split()) for name, values in _SETTINGS.items()}
TYPES: Final[Mapping[str, frozenset[str]]] = {element: frozenset(values.split()) for element, values in _TYPES.items()}
"""Attribute ``Type``, by element."""
NUMBERS: Final = frozenset({
    "AirPressure", "AmplificationGain", "Attenuation", "CO2Percent", "CalibratedMagnification", "Color", "Column", "Columns",
    "CorrectionCollar", "CutIn", "CutInTolerance", "CutOut", "CutOutTolerance", "DeltaT", "EmissionWavelength", "ExcitationWavelength",
    "ExposureTime", "FieldIndex", "FillColor", "FirstC", "FirstT", "FirstZ", "FontSize", "FrequencyMultiplication", "Gain", "Height",
    "Humidity", "IFD", "Index", "Integration", "LensNA", "MaximumFieldCount", "NDFilter", "NominalMagnification", "Offset",
    "PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ", "PinholeSize", "PlaneCount", "PockelCellSetting", "PositionX", "PositionY",
    "PositionZ", "Power", "RadiusX", "RadiusY", "ReadOutRate", "RefractiveIndex", "RepetitionRate", "Row", "Rows", "SamplesPerPixel",
    "SignificantBits", "SizeC", "SizeT", "SizeX", "SizeY", "SizeZ", "StrokeColor", "StrokeWidth", "Temperature", "TheC", "TheT", "TheZ",
    "TimeIncrement", "Transmittance", "Voltage", "Wavelength", "WellOriginX", "WellOriginY", "Width", "WorkingDistance", "X", "X1", "X2",
    "Y", "Y1", "Y2", "Z", "Zoom",
})  # fmt: skip
NUMBER: Final = re.compile(r"[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE][+-]?\d{1,3})?|[+-]?(?:NaN|INF)", re.IGNORECASE)
NUMBER_LISTS: Final = frozenset({"Points", "StrokeDashArray"})
NUMBER_LIST: Final = re.compile(r"[\d.,+\-eE \t\r\n]{1,200000}")
MANDATORY: Final[Mapping[str, frozenset[str]]] = {"Pixels": frozenset({"DimensionOrder", "Type"})}
"""Without these the document is none: a value that the schema has not refuses the file."""


def is_structure(element: str, name: str, value: str) -> bool:
    """Return whether an attribute has a value that the schema has for it.

    >>> is_structure("Pixels", "PhysicalSizeXUnit", "µm"), is_structure("Pixels", "PhysicalSizeXUnit", "born 1964")
    (True, False)
    """
    if name.endswith("Unit"):
        return value in UNITS
    if name == "Type":
        return value in TYPES.get(element, frozenset())
    if name in ENUMERATIONS:
        return value in ENUMERATIONS[name]
    if name in NUMBER_LISTS:
        return NUMBER_LIST.fullmatch(value) is not None
    return name in NUMBERS and NUMBER.fullmatch(value.strip()) is not None
