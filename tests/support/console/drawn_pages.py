"""Pages with words at known places, drawn at whatever size is asked for."""

from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from jobs.search.documents import PageWord
from tests.support.images import encode


class Line(NamedTuple):
    """A line of text. In points of the page, from its top left."""

    text: str
    x: float
    y: float
    size: float = 12
    """Of the letters."""


class Bars(NamedTuple):
    """A bar chart. In points, from the top left."""

    x: float
    y: float
    width: float
    height: float
    values: tuple[float, ...]
    """0 to 1."""


class DrawnPage(NamedTuple):
    """In points: A4 is 595 wide and 842 high."""

    width: float
    height: float
    lines: tuple[Line, ...]
    charts: tuple[Bars, ...] = ()
    label: str = ""
    heading: str = ""

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def words(self) -> list[PageWord]:
        """In the order of the lines. Boxes hold the whole letters."""
        return [
            PageWord(word, left / self.width, top / self.height, right / self.width, bottom / self.height)
            for line in self.lines
            for word, left, top, right, bottom in _boxes(line)
        ]

    def png(self, max_pixels: int) -> bytes:
        """Of about that many pixels."""
        scale = (max_pixels / (self.width * self.height)) ** 0.5
        image = Image.new("RGB", (round(self.width * scale), round(self.height * scale)), "white")
        draw = ImageDraw.Draw(image)
        for chart in self.charts:
            _draw_bars(draw, chart, scale)
        for line in self.lines:
            font = ImageFont.load_default(line.size * scale)
            draw.text((line.x * scale, line.y * scale), line.text, "black", font)
        return encode(image)


def paragraph(text: str, x: float, y: float, width: float, size: float = 12) -> tuple[Line, ...]:
    """The text in lines of at most that width."""
    font = ImageFont.load_default(size)
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return tuple(Line(row, x, y + number * size * 1.5, size) for number, row in enumerate(rows))


def _boxes(line: Line) -> list[tuple[str, float, float, float, float]]:
    font = ImageFont.load_default(line.size)
    found, at = [], 0
    for word in line.text.split():
        at = line.text.index(word, at)
        before = font.getlength(line.text[:at])
        left, top, right, bottom = font.getbbox(word)
        found.append((word, line.x + before + left, line.y + top, line.x + before + right, line.y + bottom))
        at += len(word)
    return found


def _draw_bars(draw: ImageDraw.ImageDraw, chart: Bars, scale: float) -> None:
    wide = chart.width / len(chart.values)
    bottom = (chart.y + chart.height) * scale
    for number, value in enumerate(chart.values):
        left = (chart.x + number * wide + wide * 0.15) * scale
        top = (chart.y + chart.height * (1 - value)) * scale
        draw.rectangle((left, top, left + wide * 0.7 * scale, bottom), "#4466aa")
    draw.line(
        (chart.x * scale, bottom, (chart.x + chart.width) * scale, bottom), "black", max(1, round(scale))
    )
