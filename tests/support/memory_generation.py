"""What MemoryQueue answers to a generation: always the same to the same job, and plain to see through."""

from collections.abc import Sequence

import msgspec

from jobs.content import TextPart
from jobs.errors import InputTooLong
from jobs.generate import (
    Chat,
    Choice,
    GenerateJob,
    GenerateResult,
    Message,
    Piece,
    Pieces,
    PromptToken,
    ScoredToken,
    TokenLogprobs,
    ToolCall,
)
from jobs.models import ModelInfo

CHAT_MODEL = ModelInfo(
    id="org/chat",
    task="generate",
    created=1_700_000_000,
    dimensions=0,
    max_tokens=4096,
    abilities=("vision", "tools", "reasoning"),
)

DIGEST = "0123456789abcdef"
"""Of the model, as the first event of a stream has it."""

THOUGHT = "Hm."
"""What it thinks before each answer, where enable_thinking is set."""


def memory_events(job: GenerateJob, info: ModelInfo) -> tuple[Pieces, ...]:
    """The stream of an answer that echoes the last message, or the prompt: one event per token of each choice.

    A token is a word, with the space before it; an image counts as one. The id of a token is its length. Tokens of
    earlier messages are said to be cached. Where a call is asked for, every tool is called with no arguments. An answer
    in JSON is {}. Where only a count is asked for, nothing is answered. Raises InputTooLong like a worker does.
    """
    words, earlier = _words(job)
    if len(words) + earlier > info.max_tokens:
        raise InputTooLong(
            f"This model's maximum context length is {info.max_tokens} tokens. However, your messages have "
            f"{len(words) + earlier} tokens.",
            param="messages" if isinstance(job.prompt, Chat) else "prompt",
        )
    if job.count_only:
        return (Pieces(len(words) + earlier, 0, ()),)
    steps = _steps(job, words)
    first, *others = (
        Pieces(len(words) + earlier, earlier, tuple(_at(step, choice) for choice in range(job.n)))
        for step in steps
    )
    prompt_ids = tuple(map(len, words)) if job.return_ids else ()
    return (msgspec.structs.replace(first, digest=DIGEST, prompt_ids=prompt_ids), *others)


def memory_answer(events: Sequence[Pieces]) -> GenerateResult:
    """The events put one after the other."""
    pieces: dict[int, list[Piece]] = {}
    for event in events:
        for piece in event.pieces:
            pieces.setdefault(piece.choice, []).append(piece)
    return GenerateResult(
        choices=tuple(_joined(pieces[choice], bool(events[0].prompt_ids)) for choice in sorted(pieces)),
        prompt_tokens=events[0].prompt_tokens,
        cached_tokens=events[0].cached_tokens,
        digest=events[0].digest,
        prompt_ids=events[0].prompt_ids,
    )


def _words(job: GenerateJob) -> tuple[list[str], int]:
    """What is echoed, and how many tokens come before it."""
    if isinstance(job.prompt, Chat):
        counts = [len(_message_words(message)) for message in job.prompt.messages]
        return _message_words(job.prompt.messages[-1]), sum(counts[:-1])
    content = job.prompt.content
    return (content.split() if isinstance(content, str) else list(map(str, content))), 0


def _message_words(message: Message) -> list[str]:
    words: list[str] = []
    for part in message.content:
        words += part.text.split() if isinstance(part, TextPart) else ["<image>"]
    return words


def _steps(job: GenerateJob, words: list[str]) -> list[Piece]:
    """The pieces of one choice."""
    told = _prompt_chances(words, job.prompt_logprobs) if job.prompt_logprobs is not None else ()
    steps = (
        [Piece(text=" ".join(words) if job.echo else "", prompt_logprobs=told)] if job.echo or told else []
    )
    chat = job.prompt if isinstance(job.prompt, Chat) else None
    if chat and '"enable_thinking":true' in chat.template_options:
        steps.append(Piece(reasoning=THOUGHT, tokens=(1,)))
    if chat and chat.tool_choice == "required":
        return [*steps, _calls(chat)]
    texts, end = _cut(["{}"] if job.format else words, job)
    for text in texts:
        logprobs = (_chances(text, job.logprobs),) if job.logprobs is not None else ()
        steps.append(Piece(text=text, tokens=(len(text),), logprobs=logprobs))
    return [*steps, end]


def _calls(chat: Chat) -> Piece:
    names = [tool.name for tool in chat.tools if chat.tool_name in (None, tool.name)]
    names = names if chat.parallel_tool_calls else names[:1]
    calls = tuple(ToolCall(f"call_{index}", name, "{}") for index, name in enumerate(names))
    return Piece(tokens=(1,) * len(calls), tool_calls=calls, finish_reason="tool_calls")


def _cut(words: list[str], job: GenerateJob) -> tuple[list[str], Piece]:
    """Tokens as far as max_tokens and the stop texts let them be, and the last piece, which says what ended them."""
    tokens = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    kept = tokens[: job.max_tokens]
    text = "".join(kept)
    stops = [(text.find(stop), stop) for stop in job.stop if stop in text]
    if not stops:
        return kept, Piece(finish_reason="length" if len(kept) < len(tokens) else "stop")
    stop_at, stop = min(stops)
    found: list[str] = []
    for token in kept:
        found.append(token[: stop_at - len("".join(found))])
    return [token for token in found if token], Piece(finish_reason="stop", stop=stop)


def _chances(text: str, alternatives: int) -> TokenLogprobs:
    """The chosen token is the most probable; the others are it with question marks, each less probable by 1."""
    chances = [
        ScoredToken(text + "?" * n, (text + "?" * n).encode(), -0.5 - n) for n in range(max(1, alternatives))
    ]
    return TokenLogprobs(chosen=chances[0], top=tuple(chances[:alternatives]))


def _prompt_chances(words: list[str], alternatives: int) -> tuple[PromptToken, ...]:
    """As probable as the answer's tokens, and each the third most probable: not among two alternatives."""
    found: list[PromptToken] = []
    for index, word in enumerate(words):
        text = word if index == 0 else f" {word}"
        better = [
            ScoredToken(text + "!" * n, (text + "!" * n).encode(), -0.5 + n / 8, 1000 + n) for n in (2, 1)
        ]
        if index == 0:
            found.append(PromptToken(len(text), text, text.encode()))
        else:
            found.append(PromptToken(len(text), text, text.encode(), -0.5, 3, tuple(better[:alternatives])))
    return tuple(found)


def _at(step: Piece, choice: int) -> Piece:
    return msgspec.structs.replace(step, choice=choice)


def _joined(pieces: Sequence[Piece], tells_ids: bool) -> Choice:
    finish = pieces[-1].finish_reason
    assert finish is not None
    return Choice(
        text="".join(piece.text for piece in pieces),
        finish_reason=finish,
        tokens=sum(len(piece.tokens) for piece in pieces),
        reasoning="".join(piece.reasoning for piece in pieces),
        tool_calls=tuple(call for piece in pieces for call in piece.tool_calls),
        logprobs=tuple(chance for piece in pieces for chance in piece.logprobs),
        prompt_logprobs=tuple(chance for piece in pieces for chance in piece.prompt_logprobs),
        stop=pieces[-1].stop,
        ids=tuple(token for piece in pieces for token in piece.tokens) if tells_ids else (),
    )
