"""UCUM units of one dimension into each other; what a definition states becomes the catalogue's unit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from fairlead.errors import InvalidDefinition

YEAR_S: Final = Decimal("31557600")
FACTORS: Final[Mapping[str, tuple[str, Decimal]]] = {
    **{unit: ("length", Decimal(factor)) for unit, factor in {"m": "1", "cm": "0.01", "mm": "0.001", "um": "1e-6", "nm": "1e-9"}.items()},
    **{unit: ("mass", Decimal(factor)) for unit, factor in {"kg": "1", "g": "0.001", "mg": "1e-6"}.items()},
    **{unit: ("time", Decimal(factor)) for unit, factor in {"s": "1", "ms": "0.001", "us": "1e-6", "min": "60", "h": "3600"}.items()},
    **{unit: ("age", factor) for unit, factor in {"a": YEAR_S, "mo": YEAR_S / 12, "wk": Decimal(604800), "d": Decimal(86400)}.items()},
    **{unit: ("data", Decimal(factor)) for unit, factor in {"By": "1", "kBy": "1e3", "MBy": "1e6", "GBy": "1e9", "TBy": "1e12"}.items()},
    **{unit: ("activity", Decimal(factor)) for unit, factor in {"Bq": "1", "kBq": "1e3", "MBq": "1e6", "GBq": "1e9"}.items()},
    **{unit: ("voltage", Decimal(factor)) for unit, factor in {"V": "1", "kV": "1e3"}.items()},
    **{unit: ("current", Decimal(factor)) for unit, factor in {"A": "1", "mA": "1e-3", "uA": "1e-6"}.items()},
    **{unit: ("dose", Decimal(factor)) for unit, factor in {"Gy": "1", "cGy": "1e-2", "mGy": "1e-3"}.items()},
    **{unit: ("field", Decimal(factor)) for unit, factor in {"T": "1", "mT": "1e-3", "G": "1e-4"}.items()},
}
"""Dimension and factor to its base; a month and a year are UCUM's mean ones (mo_j, a_j)."""

SPELLINGS: Final[Mapping[str, str]] = {"µm": "um", "μm": "um", "year": "a", "years": "a", "a_j": "a", "mo_j": "mo", "bytes": "By"}
WORDS: Final[Mapping[str, str]] = {"a": "years", "um": "µm", "1": "", "By": "bytes", "deg": "degrees"}


def accepted_units(unit: str) -> tuple[str, ...]:
    """Return the units that can be converted into this one, itself first.

    >>> accepted_units("mm")
    ('mm', 'cm', 'm', 'nm', 'um')
    """
    dimension = FACTORS[unit][0] if unit in FACTORS else None
    return (unit, *sorted(other for other, (kind, _) in FACTORS.items() if kind == dimension and other != unit))


def convert(value: float, given: str, wanted: str | None, *, where: str) -> float:
    """Return the value in the catalogue's unit.

    Raises
    ------
    InvalidDefinition : the field has no unit, or one of another dimension; the accepted ones are named.

    >>> convert(0.25, "UCUM:cm", "mm", where="include")
    2.5
    """
    unit = given.removeprefix("UCUM:").strip()
    unit = SPELLINGS.get(unit, unit)
    if wanted is None:
        raise InvalidDefinition(f"At {where}: the field has no unit, but {given[:20]!r} is given.", remedy="Leave `unit` out.")
    if unit == wanted:
        return value
    accepted = accepted_units(wanted)
    if unit not in accepted:
        raise InvalidDefinition(f"At {where}: {given[:20]!r} is no unit for this field.", remedy=f"Use one of: {', '.join(accepted)}.")
    return float(Decimal(str(value)) * FACTORS[unit][1] / FACTORS[wanted][1])
