"""Documents for screenshots and tests of the pages."""

from pathlib import Path

from tests.support.console.drawn_collections import DrawnDocument
from tests.support.console.drawn_pages import Bars, DrawnPage, Line, paragraph

A4 = 595, 842
SLIDE = 960, 540

_SALES = (
    "Sales grew in every region. The north led with twelve percent, and the south followed after a slow spring. "
    "Prices stayed as they were. The chart shows sales by region in millions."
)
_COSTS = (
    "Costs rose by four percent, most of it energy and freight. The new warehouse opened in June and will lower the "
    "costs of freight from next year on. Nobody had to leave."
)
_LEASE = (
    "The lease is renewed in writing three months before its end. Without a word from either side it goes on for "
    "another year at the same rent. The tenant may renew the lease twice."
)
_RENT = (
    "The rent is due on the third working day of each month. It may be raised once in a year, and by no more than the "
    "index of prices. A raise is announced two months ahead."
)
_TALK = "How we cut the energy of the warehouse by a third, and what it did to our costs."


def _letter(
    title: str, text: str, *, label: str = "", heading: str = "", chart: Bars | None = None
) -> DrawnPage:
    lines = (Line(title, 70, 70, 24), *paragraph(text, 70, 120, 455, 13))
    return DrawnPage(*A4, lines, (chart,) if chart else (), label, heading)


def example_documents(file: Path | None = None) -> list[DrawnDocument]:
    """file: what is sent for each of them."""
    chart = Bars(90, 300, 400, 220, (0.9, 0.55, 0.7, 0.62, 0.8, 0.35))
    report = DrawnDocument(
        (
            "/home/ada/Documents/Reports/Annual report 2025.pdf",
            "/home/ada/Desktop/Annual report 2025 (1).pdf",
        ),
        (
            _letter(
                "Annual report 2025",
                "To our owners. Sales and costs of the year, and what we plan.",
                label="i",
            ),
            _letter("Sales by region", _SALES, label="1", heading="The year > Sales", chart=chart),
            _letter("Costs", _COSTS, label="2", heading="The year > Costs"),
        ),
        file=file,
    )
    slides = DrawnDocument(
        ("/home/ada/Documents/Talks/Energy.pdf",),
        (
            DrawnPage(*SLIDE, (Line("Energy", 80, 60, 44), *paragraph(_TALK, 80, 150, 700, 26))),
            DrawnPage(
                *SLIDE,
                (Line("Costs of energy, by month", 80, 50, 34), Line("before and after", 80, 480, 22)),
                (Bars(100, 130, 760, 320, (0.9, 0.85, 0.88, 0.8, 0.6, 0.5, 0.42, 0.4, 0.38)),),
            ),
        ),
        file=file,
    )
    lease = DrawnDocument(
        ("/home/ada/Documents/Contracts/Lease.pdf",),
        (
            _letter("Renewal", _LEASE, heading="§ 4 Renewal"),
            _letter("Rent", _RENT, heading="§ 5 Rent"),
        ),
        "contracts",
        file=file,
    )
    return [report, slides, lease]
