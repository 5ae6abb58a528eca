"""From a question to the job that answers it."""

import asyncio
from collections.abc import Sequence

from ingest.ask.prompt import Shown, chat, fitting
from ingest.queries.perform import Queue
from jobs.errors import InvalidInput, UnknownModel
from jobs.generate import GenerateJob, Sampling
from jobs.models import ModelInfo, model_for
from jobs.search.collections import Collections
from jobs.search.documents import PageRef
from jobs.search.errors import DocumentGone, DocumentUnreadable
from jobs.search.query import SearchQuery
from jobs.search.question import PreparedAnswer, Question, Source
from jobs.search.reply import SearchHit

CHARACTERS_PER_TOKEN = 2
"""Fewer than a token of most languages has: the sources are to fit into the model's context."""

RULES_TOKENS = 400
"""Of the prompt without its sources."""

CONTEXT_TOKENS = 8192
"""Of sources, whatever the model could read: more takes long, and answers get no better."""

IMAGE_PIXELS = 1_000_000
"""Of a page that a model looks at: its small print can be read."""

IMAGE_TOKENS = 1300
"""About what models make of so many pixels: a token for 28 x 28 of them."""

_UNREADABLE = (
    "their files are gone, or they are images and it has no eyes. Serve a vision model, or ingest the folder "
    "again."
)


class Asker:
    """Finds the pages and writes the prompt. Whoever asks submits the job."""

    def __init__(self, collections: Collections, queue: Queue) -> None:
        self._collections = collections
        self._queue = queue

    async def prepare(self, question: Question) -> PreparedAnswer:
        """Raises InvalidInput, and what `search` of the collections raises."""
        if not question.text.strip():
            raise InvalidInput("The question is empty.", param="question")
        reply = await self._collections.search(_query(question))
        hits = _by_page(reply.hits)[: question.sources]
        if not hits or (reply.similarity is not None and reply.similarity < question.min_similarity):
            return PreparedAnswer(job=None, notes=reply.notes)
        model = await self._model(question, hits)
        has_eyes = "vision" in model.abilities
        found = await asyncio.gather(*[self._shown(n, hit, has_eyes) for n, hit in enumerate(hits, 1)])
        readable = [each for each in found if each is not None]
        notes = list(reply.notes)
        if not readable:
            raise InvalidInput(
                f"{model.id} cannot read the pages that were found: {_UNREADABLE}", param="model"
            )
        if len(readable) < len(found):
            notes.append(
                f"{len(found) - len(readable)} pages were found that this model cannot read: {_UNREADABLE}"
            )
        room = min(CONTEXT_TOKENS, (model.max_tokens or CONTEXT_TOKENS) - question.max_tokens - RULES_TOKENS)
        shown, left_out = fitting(
            readable, CHARACTERS_PER_TOKEN * room, image_characters=CHARACTERS_PER_TOKEN * IMAGE_TOKENS
        )
        if left_out:
            notes.append(f"{left_out} of the pages that were found do not fit into the model's context.")
        if not shown or room <= 0:
            raise InvalidInput(
                f"{model.id} reads {model.max_tokens} tokens, too few for a page and an answer of "
                f"{question.max_tokens}. Ask for a shorter answer, or name another model.",
                param="model",
            )
        job = GenerateJob(
            model=model.id,
            prompt=chat(question.text.strip(), shown),
            sampling=Sampling(temperature=0.0),
            max_tokens=question.max_tokens,
            stream=question.stream,
        )
        return PreparedAnswer(job=job, sources=tuple(each.source for each in shown), notes=tuple(notes))

    async def _model(self, question: Question, hits: Sequence[SearchHit]) -> ModelInfo:
        models = await self._queue.models()
        if question.model:
            return model_for(question.model, models, "generate")
        writers = [each for each in models if each.task == "generate" and each.is_announced]
        if not writers:
            raise UnknownModel(
                "No worker serves a model that writes answers. Start one beside that of the collection, such as: "
                "mlxq up --model all-MiniLM-L6-v2 --model mlx-community/Qwen3-0.6B-4bit",
                param="model",
            )
        wants_eyes = any(not hit.text for hit in hits)
        return max(writers, key=lambda each: ("vision" in each.abilities) == wants_eyes)

    async def _shown(self, number: int, hit: SearchHit, has_eyes: bool) -> Shown | None:
        """None: it cannot be read."""
        source = Source(
            number=number,
            collection=hit.collection,
            document=hit.document,
            path=hit.paths[0],
            page=hit.page,
            label=hit.label,
            snippet=hit.snippet,
        )
        if hit.text:
            return Shown(source, hit.text)
        page = PageRef(hit.collection, hit.document, hit.page)
        try:
            if has_eyes:
                return Shown(source, image=await self._collections.page_image(page, IMAGE_PIXELS))
            text = (await self._collections.page_text(page)).text
        except (DocumentGone, DocumentUnreadable):
            return None
        return Shown(source, text) if text.strip() else None


def _query(question: Question) -> SearchQuery:
    return SearchQuery(
        text=question.text,
        collections=question.collections,
        filter=question.filter,
        limit=3 * question.sources,  # several chunks may be of one page
        rerank_model=question.rerank_model,
        with_similarity=True,
    )


def _by_page(hits: Sequence[SearchHit]) -> list[SearchHit]:
    """One hit for each chunk or page."""
    return list({(hit.document, hit.page, hit.text): hit for hit in reversed(hits)}.values())[::-1]
