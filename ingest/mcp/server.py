"""The tools: search, ask, get_page and list_documents."""

import contextlib
from collections.abc import Generator
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from ingest.mcp.replies import (
    Answer,
    FoundPages,
    ListedDocuments,
    cited_page,
    found_page,
    listed_document,
)
from ingest.queries.perform import Queue, perform
from jobs.errors import InternalError, JobError
from jobs.generate import GenerateResult
from jobs.search.citations import cited
from jobs.search.collections import Collections
from jobs.search.documents import PageRef
from jobs.search.query import Mode, PageFilter, SearchQuery
from jobs.search.question import NOT_FOUND, Question
from jobs.settings import Settings

INSTRUCTIONS = (
    "Documents of the user: PDFs, images and texts that were ingested into collections. `search` finds pages, "
    "`get_page` shows one of them, `ask` answers a question with citations, `list_documents` says what there is. "
    "Name the path and the page of what you use."
)

PAGE_PIXELS = 1_000_000

Names = Annotated[list[str], Field(description="names of collections; empty: all")]
Paths = Annotated[
    list[str], Field(description="patterns of whole paths (*, ?), or folders with a slash at the end")
]


def mcp_server(collections: Collections, queue: Queue, settings: Settings) -> MCPServer[None]:
    """Serves as long as these are open."""
    server: MCPServer[None] = MCPServer("mlxq", instructions=INSTRUCTIONS)
    tools = Tools(collections, queue, settings)
    for tool in (tools.search, tools.ask, tools.get_page, tools.list_documents):
        server.tool()(tool)
    return server


class Tools:
    """Each method is a tool; its docstring is what models read of it."""

    def __init__(self, collections: Collections, queue: Queue, settings: Settings) -> None:
        self._collections = collections
        self._queue = queue
        self._settings = settings

    async def search(
        self,
        query: str,
        collections: Names = [],  # noqa: B006 - the schema shows the default
        paths: Paths = [],  # noqa: B006
        mode: Mode = "auto",
        limit: Annotated[int, Field(ge=1, le=50)] = 10,
    ) -> FoundPages:
        """Find pages of the user's documents by words or by meaning. Best first."""
        asked = SearchQuery(
            text=query,
            collections=tuple(collections),
            filter=PageFilter(paths=tuple(paths)),
            mode=mode,
            limit=limit,
        )
        with _told():
            reply = await self._collections.search(asked)
        return FoundPages(pages=[found_page(hit) for hit in reply.hits], notes=list(reply.notes))

    async def ask(
        self,
        question: str,
        collections: Names = [],  # noqa: B006
        paths: Paths = [],  # noqa: B006
        max_tokens: Annotated[int, Field(ge=1, le=8192)] = 1024,
    ) -> Answer:
        """Answer a question from the user's documents alone, with the pages that say so. A local model answers."""
        asked = Question(
            text=question,
            collections=tuple(collections),
            filter=PageFilter(paths=tuple(paths)),
            max_tokens=max_tokens,
        )
        with _told():
            prepared = await self._collections.prepare(asked)
            if prepared.job is None:
                return Answer(answer=NOT_FOUND, citations=[], notes=list(prepared.notes))
            result = await perform(self._queue, prepared.job, self._settings)
            if not isinstance(result, GenerateResult):
                raise InternalError
        answer = result.choices[0].text
        citations = [cited_page(each) for each in cited(answer, prepared.sources)]
        return Answer(answer=answer, citations=citations, notes=list(prepared.notes))

    async def get_page(
        self,
        collection: str,
        document: str,
        page: Annotated[int, Field(ge=1)],
        image: Annotated[bool, Field(description="show it as an image, too, where it has one")] = True,
    ) -> list[str | Image]:
        """One page of a document that `search` has found: its text, and the page as an image."""
        ref = PageRef(collection, document, page)
        with _told():
            text = await self._collections.page_text(ref)
            shown: list[str | Image] = [text.text or "This page has no text."]
            if image and text.has_image:
                shown.append(Image(data=await self._collections.page_image(ref, PAGE_PIXELS), format="png"))
        return shown

    async def list_documents(
        self,
        collection: Annotated[str, Field(description="empty where there is only one")] = "",
        after: str | None = None,
        limit: Annotated[int, Field(ge=1, le=500)] = 100,
    ) -> ListedDocuments:
        """What a collection holds, with the paths of the files."""
        with _told():
            name = collection or await self._only_collection()
            found = await self._collections.list_documents(name, after=after, limit=limit)
        documents = [listed_document(each) for each in found.documents]
        return ListedDocuments(collection=name, documents=documents, next=found.next)

    async def _only_collection(self) -> str:
        names = [each.name for each in await self._collections.list_collections()]
        if len(names) == 1:
            return names[0]
        if not names:
            raise ToolError("There is no collection yet. The user makes one with: mlxq ingest FOLDER")
        raise ToolError(f"Name one of the collections: {', '.join(names)}.")


@contextlib.contextmanager
def _told() -> Generator[None]:
    """Errors that a caller can do something about reach the model in their own words."""
    try:
        yield
    except InternalError:
        raise
    except JobError as error:
        raise ToolError(error.message) from error
