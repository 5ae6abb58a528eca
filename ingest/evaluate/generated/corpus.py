"""The document, and the questions that it answers."""

import hashlib
import random
from typing import NamedTuple

from ingest.evaluate.generated.drawing import chart, prose, table, turned
from ingest.evaluate.generated.facts import ATTRIBUTES, fact, places
from ingest.evaluate.generated.pdf_writer import write_pdf
from ingest.evaluate.judgements import Judged, PageKey

KINDS = {"prose": prose, "table": table, "chart": chart, "turned": turned}
"""Pages take turns."""
FACTS_A_PAGE = 6
MAX_PAGES = 384


class GeneratedCorpus(NamedTuple):
    pdf: bytes
    judged: tuple[Judged, ...]
    """One question for each page; its kind is the page's. Neither the place nor the attribute alone says which page it
    is: there are several pages with each.
    """


def generate(pages: int = 200, seed: int = 0) -> GeneratedCorpus:
    """The same for the same seed. Raises: ValueError for more than MAX_PAGES pages."""
    if not 1 <= pages <= MAX_PAGES:
        raise ValueError(f"{pages} pages: from 1 to {MAX_PAGES} can be made up.")
    rng = random.Random(seed)
    names = places(-(-pages * FACTS_A_PAGE // len(ATTRIBUTES)), rng)
    facts = [fact(place, number, rng) for place in names for number in range(len(ATTRIBUTES))]
    rng.shuffle(facts)
    on_page = [facts[i * FACTS_A_PAGE : (i + 1) * FACTS_A_PAGE] for i in range(pages)]
    kinds = [list(KINDS)[i % len(KINDS)] for i in range(pages)]
    pdf = write_pdf([KINDS[kind](some) for kind, some in zip(kinds, on_page, strict=True)])
    document = hashlib.sha256(pdf).hexdigest()
    questions = list[Judged]()
    for number, (kind, some) in enumerate(zip(kinds, on_page, strict=True), 1):
        asked = rng.choice(some)
        query = f"What is the {asked.attribute} in {asked.place}?"
        questions.append(Judged(query, {PageKey(document, number): 1}, kind))
    return GeneratedCorpus(pdf, tuple(questions))
