"""Questions about collections: what is asked, and the job whose answer it is."""

import msgspec

from jobs.generate import GenerateJob
from jobs.search.query import PageFilter

NOT_FOUND = "The documents do not say."
"""The answer where no page has to do with the question. The model is told to say so, too."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question that pages of documents are to answer."""

    text: str
    collections: tuple[str, ...] = ()
    """Names. Empty: all."""
    filter: PageFilter = PageFilter()
    model: str = ""
    """The one that answers. Empty: one that is served, with eyes where pages without text were found."""
    sources: int = 5
    """Most pages, or chunks of text, that it is shown."""
    min_similarity: float = 0.2
    """Of the best chunk of text, as a cosine, for the question to be answered at all. Images of pages have no bound."""
    rerank_model: str = ""
    max_tokens: int = 1024
    """Of the answer."""
    stream: bool = False


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A page that the model was shown."""

    number: int
    """As the answer cites it: [1]."""
    collection: str
    document: str
    """Its id."""
    path: str
    page: int
    """The first is 1."""
    label: str = ""
    """What the document itself calls the page."""
    snippet: str = ""


class PreparedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A question with what was found for it."""

    job: GenerateJob | None
    """None: no page has to do with the question, and NOT_FOUND is its answer."""
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and what to do: sentences for people."""
