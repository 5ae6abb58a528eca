"""Facts about places that do not exist."""

import random
from typing import NamedTuple

ATTRIBUTES = (
    ("height of the tower", "metres"), ("yearly harvest", "tonnes"), ("depth of the lake", "metres"),
    ("number of inhabitants", "people"), ("length of the bridge", "metres"), ("age of the oak", "years"),
    ("price of bread", "crowns"), ("area of the forest", "hectares"), ("summer rainfall", "millimetres"),
    ("weight of the bell", "kilograms"), ("width of the gate", "centimetres"), ("speed of the ferry", "knots"),
)  # fmt: skip
"""What is told of a place, and its unit."""
_FIRST = [
    *("Bel", "Cor", "Dra", "Fen", "Gol", "Har", "Ist", "Kal"),
    *("Lor", "Mir", "Nor", "Pel", "Quin", "Ros", "Tal", "Vel"),
]
_LAST = [
    "adune",
    "ebrück",
    "ford",
    "gate",
    "holm",
    "indra",
    "mouth",
    "ovia",
    "stead",
    "thorpe",
    "undel",
    "wick",
]


class Fact(NamedTuple):
    """The attribute of the place is the value, in its unit."""

    place: str
    attribute: str
    value: int
    unit: str


def places(count: int, rng: random.Random) -> list[str]:
    """Different names; at most 192."""
    return rng.sample([first + last for first in _FIRST for last in _LAST], count)


def fact(place: str, attribute: int, rng: random.Random) -> Fact:
    """Of that number in ATTRIBUTES."""
    name, unit = ATTRIBUTES[attribute]
    return Fact(place, name, rng.randint(11, 989), unit)
