"""How facts are put on a page."""

from collections.abc import Sequence

from ingest.evaluate.generated.facts import Fact
from ingest.evaluate.generated.pdf_writer import HEIGHT, WIDTH, DrawnPage, bar, line, text

_SENTENCES = (
    "In {place} the {attribute} was {value} {unit} when it was last looked at.",
    "Visitors to {place} are told that the {attribute} is {value} {unit}.",
    "According to the archive of {place}, its {attribute} came to {value} {unit}.",
)
MARGIN = 60


def prose(facts: Sequence[Fact]) -> DrawnPage:
    """A sentence for each."""
    return DrawnPage(_sentences(facts, HEIGHT))


def turned(facts: Sequence[Fact]) -> DrawnPage:
    """Sentences on a page in landscape that is stored in portrait."""
    return DrawnPage(_sentences(facts, WIDTH), is_turned=True)


def table(facts: Sequence[Fact]) -> DrawnPage:
    """A row for each."""
    drawn = list[str]()
    for i, row in enumerate(
        [("Place", "What", "Value"), *((f.place, f.attribute, f"{f.value} {f.unit}") for f in facts)]
    ):
        y = HEIGHT - 120 - 22 * i
        drawn += [text(MARGIN + 160 * column, y, cell) for column, cell in enumerate(row)]
        drawn.append(line(MARGIN, y - 6, WIDTH - MARGIN, y - 6))
    return DrawnPage("".join(drawn))


def chart(facts: Sequence[Fact]) -> DrawnPage:
    """A bar for each."""
    bottom, step = 300, (WIDTH - 2 * MARGIN) / len(facts)
    drawn = [line(MARGIN, bottom, WIDTH - MARGIN, bottom), line(MARGIN, bottom, MARGIN, bottom + 320)]
    for i, fact in enumerate(facts):
        x, height = MARGIN + step * i + 8, fact.value * 0.3
        drawn += [
            bar(x, bottom, step - 16, height, 0.35 + 0.08 * (i % 6)),
            text(x, bottom + height + 5, f"{fact.value} {fact.unit}", 8),
            text(x, bottom - 14, fact.place, 8),
            *(text(x, bottom - 26 - 11 * j, word, 8) for j, word in enumerate(_halves(fact.attribute))),
        ]
    return DrawnPage("".join(drawn))


def _sentences(facts: Sequence[Fact], height: float) -> str:
    return "".join(
        text(MARGIN, height - 100 - 24 * i, _SENTENCES[i % len(_SENTENCES)].format(**fact._asdict()))
        for i, fact in enumerate(facts)
    )


def _halves(phrase: str) -> tuple[str, str]:
    words = phrase.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])
