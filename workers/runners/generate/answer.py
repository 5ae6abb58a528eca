"""One answer that a generating model is to write: what it starts from, and how far it is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.errors import JobError
from jobs.generate import GenerateJob, Pieces

if TYPE_CHECKING:  # it needs MLX's libraries, which a worker of other models does without
    from workers.runners.generate.output.transcript import Transcript
    from workers.runners.generate.structured_output.constraint import GrammarConstraint


class Answer:
    """An item for the device.

    ids: what is computed before its next token: the prompt and, where it goes on from an earlier start, what was
    written then. prompt_tokens: length of the prompt. generated: what was written since this start; the device's
    thread adds to it. transcript: another thread's; the device's only asks whether it is complete.
    failure: why it cannot be completed, noted by the device's thread. cached_tokens: how many of the prompt's tokens
    needed no computing; known once it has begun. pictures: what a vision model's processor made of the prompt's
    pictures, by its own names; None where there are none. constraint: what holds it to a format, before its beginning;
    each start takes one of its own from there. A job's answers share it.
    """

    def __init__(
        self, job: GenerateJob, ids: Sequence[int], max_tokens: int, transcript: "Transcript",
        pictures: Mapping[str, Any] | None = None, constraint: "GrammarConstraint | None" = None,
    ) -> None:  # fmt: skip
        self.job = job
        self.ids = list(ids)
        self.prompt_tokens = len(ids)
        self.max_tokens = max_tokens
        self.transcript = transcript
        self.pictures = pictures
        self.constraint = constraint
        self.generated: list[int] = []
        self.cached_tokens = 0
        self.failure: JobError | None = None
        self._begun_at: float | None = None
        self._first_at: float | None = None
        self._last_at = 0.0

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def written(self) -> int:
        """Tokens of the answer that `ids` holds already."""
        return len(self.ids) - self.prompt_tokens

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
        """at: by time.monotonic. One that is begun again goes on counting."""
        if self._begun_at is None:
            self._begun_at = at

    def note_token(self, at: float) -> None:
        """A token of it came. at: by time.monotonic."""
        if self._first_at is None:
            self._first_at = at
        self._last_at = at

    def go_on_from(self, told: Sequence[Pieces]) -> None:
        """Take over what another worker has told of the job's answers, as far as it is of this one."""
        choice = self.transcript.choice
        pieces = [piece for each in told for piece in each.pieces if piece.choice == choice]
        self.transcript.replay(pieces)
        self._start_after([token for piece in pieces for token in piece.tokens])

    def rewind(self) -> None:
        """The device has forgotten it: the next start is after what was generated."""
        self._start_after(self.generated)
        self.generated = []

    def _start_after(self, tokens: Sequence[int]) -> None:
        self.ids += tokens
        self.max_tokens -= len(tokens)
