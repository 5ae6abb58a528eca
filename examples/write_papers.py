"""Writes the PDFs of examples/papers again: papers of a household that does not exist, for the demo and the examples.

.venv/bin/python examples/write_papers.py examples/papers
"""

import sys
from pathlib import Path
from textwrap import wrap

from ingest.evaluate.generated.pdf_writer import DrawnPage, text, write_pdf

PAPERS = {
    "lease.pdf": (
        (
            "Lease of the flat at 4 Harbour Street",
            "1. The rent is 1,240 euros a month. It is due on the third working day and paid by transfer.",
            "2. The tenant pays a deposit of two rents, 2,480 euros. It is paid back six months after the end.",
            "3. Small repairs of up to 90 euros each are paid by the tenant, all others by the landlord.",
        ),
        (
            "Ending the lease",
            "4. Either side may end the lease by a letter, three months ahead, to the end of a month.",
            "5. Cats and small animals may live in the flat. A dog needs the landlord's consent in writing.",
            "6. Walls are returned white. Holes are filled, and the cellar is swept.",
        ),
    ),
    "boiler.pdf": (
        (
            "Boiler HK 20: care",
            "The pressure belongs between 1.2 and 1.8 bar while the boiler is cold.",
            "To refill it, open the blue tap under the boiler slowly, and close it at 1.5 bar.",
            "Let the air out of the radiators each autumn, from the lowest floor to the highest.",
            "Have the boiler serviced every twelve months. The log of services hangs behind the cover.",
        ),
        (
            "Boiler HK 20: faults",
            "E04: The flame went out. Press the reset button once. If it happens again, call the service.",
            "E13: The pressure is too low. Refill the water as the page on care says.",
            "E21: The exhaust is blocked. Leave the boiler off, open a window, and call the service.",
        ),
    ),
    "bicycle.pdf": (
        (
            "Your bicycle through the year",
            "Oil the chain every 300 kilometres, and whenever it has rained. Wipe off what is too much.",
            "Tyres of 37 millimetres want 3.5 bar in front and 4 bar at the back.",
            "Brake pads are worn when their grooves are gone. Change both of a wheel together.",
            "In winter, salt eats the screws: rinse the bicycle with water, and never with a steam jet.",
        ),
    ),
}


def write(folder: Path) -> None:
    for name, pages in PAPERS.items():
        (folder / name).write_bytes(write_pdf([_page(*texts) for texts in pages]))


def _page(title: str, *paragraphs: str) -> DrawnPage:
    content, y = text(70, 760, title, 18), 720
    for paragraph in paragraphs:
        for line in wrap(paragraph, 84):
            content += text(70, y, line)
            y -= 16
        y -= 12
    return DrawnPage(content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
