"""The address of a search: everything that was asked is in it, so every state of the page is a link."""

import re
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import QueryParams

from jobs.errors import InvalidInput
from jobs.search.query import Mode, PageFilter, SearchQuery

DOCUMENTS = 10
"""How many are shown, unless the address says otherwise."""
MOST_DOCUMENTS = 100
HITS_OF_A_DOCUMENT = 4
HITS_OF_THE_ONLY_DOCUMENT = 50

MODES: dict[Mode, str] = {
    "auto": "Automatic",
    "visual": "Page images",
    "hybrid": "Text",
    "text": "Meaning",
    "keywords": "Keywords",
}
"""As people read them."""

_IMAGE = re.compile(r"(?P<digest>[0-9a-f]{64})-(?P<size>[0-9]{1,12})")
_DOCUMENT = re.compile(r"[0-9a-f]{64}")


class Parameter(NamedTuple):
    """One parameter of an address."""

    name: str
    value: str


class SearchAddress(msgspec.Struct, frozen=True):
    """What is asked for, as the page's form and its links have it."""

    text: str = ""
    image: str = ""
    """DIGEST-SIZE of an uploaded image."""
    collections: tuple[str, ...] = ()
    """Empty: all."""
    mode: Mode = "auto"
    path: str = ""
    document: str = ""
    first_page: int | None = None
    last_page: int | None = None
    exact: bool = False
    min_score: float | None = None
    documents: int = DOCUMENTS
    rerank: str = ""

    @property
    def is_empty(self) -> bool:
        """Nothing is asked for yet."""
        return not self.text and not self.image

    def url(self, at: str = "/ui/search", /, **changes: object) -> str:
        """The address of a page, with this search changed so. at: the page's path."""
        return with_query(at, msgspec.structs.replace(self, **changes).parameters())

    def parameters(self) -> list[Parameter]:
        """Only what is not as usual."""
        page = {"from": self.first_page, "to": self.last_page, "min": self.min_score}
        found = [
            Parameter("q", self.text),
            Parameter("image", self.image),
            *(Parameter("in", each) for each in self.collections),
            Parameter("mode", "" if self.mode == "auto" else self.mode),
            Parameter("path", self.path),
            Parameter("document", self.document),
            *(Parameter(name, "" if value is None else f"{value:g}") for name, value in page.items()),
            Parameter("exact", "1" if self.exact else ""),
            Parameter("documents", "" if self.documents == DOCUMENTS else str(self.documents)),
            Parameter("rerank", self.rerank),
        ]
        return [each for each in found if each.value]

    def query(self, image: bytes | None) -> SearchQuery:
        """image: the uploaded one, where the address names one."""
        return SearchQuery(
            text=self.text,
            image=image,
            collections=self.collections,
            limit=self.documents,
            mode=self.mode,
            exact=self.exact,
            filter=PageFilter(
                documents=(self.document,) if self.document else (),
                paths=(self.path,) if self.path else (),
                first_page=self.first_page,
                last_page=self.last_page,
            ),
            group_by_document=True,
            group_size=HITS_OF_THE_ONLY_DOCUMENT if self.document else HITS_OF_A_DOCUMENT,
            rerank_model=self.rerank,
            min_score=self.min_score,
        )


def with_query(path: str, parameters: list[Parameter]) -> str:
    """path: without a query."""
    return f"{path}?{urlencode(parameters)}" if parameters else path


def read_address(query: QueryParams) -> SearchAddress:
    """Raises InvalidInput naming the field and what it may be."""
    wanted = query.get("mode") or "auto"
    mode: Mode | None = next((each for each in MODES if each == wanted), None)
    if mode is None:
        raise InvalidInput(f"mode is one of {', '.join(MODES)}.", param="mode")
    document, image = query.get("document", ""), query.get("image", "")
    if document and not _DOCUMENT.fullmatch(document):
        raise InvalidInput("document is the id of a document: 64 hexadecimal digits.", param="document")
    if image and not _IMAGE.fullmatch(image):
        raise InvalidInput("image is what an upload gave: choose the image again.", param="image")
    return SearchAddress(
        text=query.get("q", "").strip(),
        image=image,
        collections=tuple(dict.fromkeys(each for each in query.getlist("in") if each)),
        mode=mode,
        path=query.get("path", "").strip(),
        document=document,
        first_page=_whole(query, "from"),
        last_page=_whole(query, "to"),
        exact=query.get("exact") == "1",
        min_score=_score(query),
        documents=min(_whole(query, "documents") or DOCUMENTS, MOST_DOCUMENTS),
        rerank=query.get("rerank", ""),
    )


def image_of(address: SearchAddress) -> tuple[str, int]:
    """Digest and size in bytes of its image."""
    found = _IMAGE.fullmatch(address.image)
    assert found
    return found["digest"], int(found["size"])


def _whole(query: QueryParams, name: Literal["from", "to", "documents"]) -> int | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:10]) < 10**9:
        raise InvalidInput(f"{name} is a whole number from 1 on.", param=name)
    return int(text)


def _score(query: QueryParams) -> float | None:
    text = query.get("min", "").strip()
    if not text:
        return None
    try:
        return msgspec.convert(text, float, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput("min is a number: the lowest score to show.", param="min") from error
