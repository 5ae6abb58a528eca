"""One answer that a generating model is to write: what it starts from, and how far it is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.errors import JobError
from jobs.generate import GenerateJob, Pieces

if TYPE_CHECKING:  # it needs MLX's libraries, which a worker of other models does without
    from workers.runners.generate.output.prompt_logprobs import PromptScores
    from workers.runners.generate.output.transcript import Transcript
    from workers.runners.generate.structured_output.constraint import GrammarConstraint


class Answer:
    """An item for the device. The stream's thread owns its transcript; all else belongs to the device's thread once
    `prepare` has handed it over.
    """

    def __init__(
        self, job: GenerateJob, ids: Sequence[int], max_tokens: int, transcript: "Transcript",
        image_inputs: Mapping[str, Any] | None = None, constraint: "GrammarConstraint | None" = None,
    ) -> None:  # fmt: skip
        self.job = job
        self.ids = list(ids)
        """What is computed before its next token: the prompt, and what an earlier execution has written."""
        self.prompt_tokens = len(ids)
        self.max_tokens = max_tokens
        """How many tokens may still be written. 0 from the beginning: the prompt is computed all the same."""
        self.transcript = transcript
        """Its text. The device's thread only asks whether it is complete."""
        self.image_inputs = image_inputs
        """What a vision model's processor made of the prompt's images, by its own names; None without images."""
        self.constraint = constraint
        """What holds it to a format, at its start. A job's answers share it, and each takes a copy."""
        self.generated: list[int] = []
        """Tokens written since this execution began."""
        self.cached_tokens = 0
        """Tokens of the prompt that the prefix cache held; known once the answer has begun."""
        self.prompt_scores: PromptScores | None = None
        """Of the prompt's tokens, from the answer's first token on, where they are wanted. In a stream its thread takes
        them; otherwise they are told with the result.
        """
        self.failure: JobError | None = None
        """Why it cannot be completed."""
        self._begun_at: float | None = None
        self._first_at: float | None = None
        self._last_at = 0.0

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """Those that it starts from."""
        return tuple(self.ids[: self.prompt_tokens])

    @property
    def written(self) -> int:
        """Tokens of the answer that `ids` holds already."""
        return len(self.ids) - self.prompt_tokens

    @property
    def wants_scores(self) -> bool:
        """Whether the prompt is to be scored while it is computed: not again where the answer has begun."""
        return self.job.prompt_logprobs is not None and not self.written

    @property
    def is_complete(self) -> bool:
        """All its text is known; tokens that come after that are not wanted."""
        return self.transcript.finish_reason is not None

    @property
    def prompt_s(self) -> float:
        """From its beginning on the device to its first token; 0 where it got none here."""
        if self._begun_at is None or self._first_at is None:
            return 0.0
        return self._first_at - self._begun_at

    @property
    def generate_s(self) -> float:
        """From its first token here to its last."""
        return 0.0 if self._first_at is None else self._last_at - self._first_at

    def note_begun(self, at: float) -> None:
        """at: by time.monotonic. The first call counts."""
        if self._begun_at is None:
            self._begun_at = at

    def note_token(self, at: float) -> None:
        """A token of it has come. at: by time.monotonic."""
        if self._first_at is None:
            self._first_at = at
        self._last_at = at

    def resume_from(self, published: Sequence[Pieces]) -> None:
        """Go on after what an earlier execution has published of this answer. published: of all answers of the job."""
        choice = self.transcript.choice
        pieces = [piece for each in published for piece in each.pieces if piece.choice == choice]
        self.transcript.replay(pieces)
        self._start_after([token for piece in pieces for token in piece.tokens])

    def rewind(self) -> None:
        """The decoder was restarted: the answer goes on after what was generated."""
        self._start_after(self.generated)
        self.generated = []

    def _start_after(self, tokens: Sequence[int]) -> None:
        self.ids += tokens
        self.max_tokens -= len(tokens)
