"""What a request has used, in tokens."""

import msgspec

from api.work.stream import StreamEvent
from jobs.generate import GenerateResult


class PromptDetails(msgspec.Struct, frozen=True):
    """cached_tokens: so many of the prompt's tokens were not computed anew."""

    cached_tokens: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's usage object. A prompt counts once, however many answers it got."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class PromptUsage(msgspec.Struct, frozen=True):
    """Of work that writes nothing: all tokens are read."""

    prompt_tokens: int
    total_tokens: int


class Tally:
    """Adds up results, or the events of streams."""

    def __init__(self) -> None:
        self.completion_tokens = 0
        self._prompts: dict[int, tuple[int, int]] = {}

    @property
    def prompt_tokens(self) -> int:
        """Of all prompts."""
        return sum(tokens for tokens, _ in self._prompts.values())

    @property
    def cached_tokens(self) -> int:
        """Those of them that were not computed anew."""
        return sum(cached for _, cached in self._prompts.values())

    def add_result(self, prompt_index: int, result: GenerateResult) -> None:
        """prompt_index: of the prompt among the request's prompts."""
        self._prompts[prompt_index] = (result.prompt_tokens, result.cached_tokens)
        self.completion_tokens += sum(choice.tokens for choice in result.choices)

    def add_event(self, event: StreamEvent) -> None:
        """The latest event of a job says what its prompt took."""
        job_index, _, pieces = event
        self._prompts[job_index] = (pieces.prompt_tokens, pieces.cached_tokens)
        for piece in pieces.pieces:
            self.completion_tokens += len(piece.tokens)

    def usage(self) -> Usage:
        """The sum, as OpenAI writes it."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            total_tokens=self.prompt_tokens + self.completion_tokens,
            prompt_tokens_details=PromptDetails(cached_tokens=self.cached_tokens),
        )
