"""Units of measure: which words are units, and what they are in terms of each other.

Invariant: every unit is an exact rational multiple of a product of base units, so that quantities are compared
exactly: 5 m is 500 cm and is not 5 cm. Words that count things (12 apples) are no units. No offsets: degrees
Celsius and Fahrenheit are units of their own that are never converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

__all__ = ["BARE_UNITS", "COUNTED", "FILLERS", "UNITS", "Unit", "unit_product"]


class Unit(NamedTuple):
    """A factor times a product of powers of base units."""

    factor: Fraction
    """How many of the base product one of this unit is."""
    bases: frozenset[tuple[str, Fraction]]
    """(base unit, exponent); an empty set is a plain number."""


_F = Fraction
_TABLE: dict[str, tuple[Fraction | int, dict[str, int]]] = {
    # length
    "m meter meters metre metres": (1, {"m": 1}),
    "km kilometer kilometers kilometre kilometres kms": (1000, {"m": 1}),
    "cm centimeter centimeters centimetre centimetres cms": (_F(1, 100), {"m": 1}),
    "mm millimeter millimeters millimetre millimetres": (_F(1, 1000), {"m": 1}),
    "dm decimeter decimeters": (_F(1, 10), {"m": 1}),
    "nm nanometer nanometers": (_F(1, 10**9), {"m": 1}),
    "inch inches": (_F(254, 10000), {"m": 1}),
    "ft foot feet": (_F(3048, 10000), {"m": 1}),
    "yd yard yards": (_F(9144, 10000), {"m": 1}),
    "mi mile miles": (_F(1609344, 1000), {"m": 1}),
    # mass
    "kg kilogram kilograms kgs": (1000, {"g": 1}),
    "g gram grams gm": (1, {"g": 1}),
    "mg milligram milligrams": (_F(1, 1000), {"g": 1}),
    "ton tons tonne tonnes": (10**6, {"g": 1}),
    "lb lbs pound pounds": (_F(45359237, 100000), {"g": 1}),
    "oz ounce ounces": (_F(45359237, 1600000), {"g": 1}),
    # time
    "s sec secs second seconds": (1, {"s": 1}),
    "ms millisecond milliseconds": (_F(1, 1000), {"s": 1}),
    "min mins minute minutes": (60, {"s": 1}),
    "h hr hrs hour hours": (3600, {"s": 1}),
    "day days": (86400, {"s": 1}),
    "week weeks": (604800, {"s": 1}),
    "month months": (1, {"month": 1}),
    "year years yr yrs": (12, {"month": 1}),
    # area and volume
    "l L liter liters litre litres": (_F(1, 1000), {"m": 3}),
    "ml mL milliliter milliliters millilitre millilitres": (_F(1, 10**6), {"m": 3}),
    "cc": (_F(1, 10**6), {"m": 3}),
    "gal gallon gallons": (_F(3785411784, 10**12), {"m": 3}),
    "acre acres": (_F(40468564224, 10**7), {"m": 2}),
    "hectare hectares ha": (10000, {"m": 2}),
    # speed
    "mph": (_F(1609344, 3600000), {"m": 1, "s": -1}),
    "kmph kmh kph": (_F(1000, 3600), {"m": 1, "s": -1}),
    # mechanics and electricity
    "N newton newtons": (1000, {"g": 1, "m": 1, "s": -2}),
    "J joule joules": (1000, {"g": 1, "m": 2, "s": -2}),
    "kJ": (10**6, {"g": 1, "m": 2, "s": -2}),
    "W watt watts": (1000, {"g": 1, "m": 2, "s": -3}),
    "kW": (10**6, {"g": 1, "m": 2, "s": -3}),
    "Pa pascal pascals": (1000, {"g": 1, "m": -1, "s": -2}),
    "Hz hertz": (1, {"s": -1}),
    "V volt volts": (1, {"volt": 1}),
    "ohm ohms": (1, {"ohm": 1}),
    "mol moles mole": (1, {"mol": 1}),
    "K kelvin": (1, {"kelvin": 1}),
    # angles, shares, money
    "degree degrees deg": (1, {"degree": 1}),
    "celsius": (1, {"celsius": 1}),
    "fahrenheit": (1, {"fahrenheit": 1}),
    "radian radians rad": (1, {"radian": 1}),
    "%": (1, {"%": 1}),
    "dollar dollars usd USD": (1, {"dollar": 1}),
    "cent cents": (_F(1, 100), {"dollar": 1}),
    "euro euros": (1, {"euro": 1}),
    "rupee rupees": (1, {"rupee": 1}),
    "yen": (1, {"yen": 1}),
}
UNITS: Mapping[str, Unit] = {
    name: Unit(Fraction(factor), frozenset((base, Fraction(n)) for base, n in bases.items()))
    for names, (factor, bases) in _TABLE.items()
    for name in names.split()
} | {"pound sterling": Unit(_F(1), frozenset({("pound sterling", _F(1))}))}
"""Spelling -> unit."""

COUNTED = Unit(_F(1), frozenset({("counted", _F(1))}))
"""What a number of apples or students has instead of a unit of measure."""

BARE_UNITS = frozenset("msghlLNJWVK")
"""Units of one letter, which are variables unless something says otherwise."""

FILLERS = frozenset({"of", "the", "a", "an", "unit", "units", "each", "total", "in", "all", "exactly"})
"""Words around a unit that say nothing."""


def unit_product(parts: Iterable[tuple[str, Fraction]]) -> Unit | None:
    """The unit that is a product of powers of named units; None where a name is unknown.

    Example:
        >>> unit_product([("km", Fraction(1)), ("h", Fraction(-1))]).factor
        Fraction(5, 18)
    """
    factor = Fraction(1)
    bases: dict[str, Fraction] = {}
    for name, power in parts:
        unit = UNITS.get(name) or UNITS.get(name.lower())
        if unit is None or power.denominator != 1 or abs(power) > 9:
            return None
        factor *= Fraction(unit.factor ** int(power))
        for base, exponent in unit.bases:
            bases[base] = bases.get(base, Fraction(0)) + exponent * power
    return Unit(factor, frozenset((base, exponent) for base, exponent in bases.items() if exponent))
