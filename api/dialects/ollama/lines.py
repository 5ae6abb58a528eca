"""Ollama's streams: a JSON object per line, the last of them with what the answer took."""

from collections.abc import Callable

from api.dialects.ollama.chat import Figures, OllamaWriter, ollama_envelope
from api.errors import fault_of
from api.replies.usage import Tally
from api.work.stream import StreamEvent
from jobs.errors import JobError
from jobs.generate import FinishReason, Piece


class OllamaLines:
    """Writes the lines of one job; see api.dialects.stream_response.StreamDialect.

    started_ns: when the request came, by clock_ns. The time before the first event that is not the model's
    loading counts as the prompt's.
    """

    media_type = "application/x-ndjson"

    def __init__(self, writer: OllamaWriter, started_ns: int, clock_ns: Callable[[], int]) -> None:
        self._writer = writer
        self._clock_ns = clock_ns
        self._started_ns = started_ns
        self._first_ns: int | None = None
        self._load_ns = 0
        self._finish: FinishReason = "stop"
        self._tally = Tally()
        # A line that adds nothing. Clients parse every line, so an empty one would be an error.
        self.waiting = writer.delta(Piece()) + b"\n"

    def encode(self, event: StreamEvent) -> bytes:
        """A line for each piece that adds something."""
        if self._first_ns is None:
            self._first_ns = self._clock_ns()
        self._tally.add_event(event)
        self._load_ns += round(event.pieces.load_s * 1e9)
        return b"".join(self._write(piece) for piece in event.pieces.pieces)

    def end(self) -> bytes:
        """The last line, with the figures."""
        ended_ns = self._clock_ns()
        first_ns = ended_ns if self._first_ns is None else self._first_ns
        load_ns = min(self._load_ns, first_ns - self._started_ns)
        figures = Figures(
            total_duration=ended_ns - self._started_ns,
            load_duration=load_ns,
            prompt_eval_count=self._tally.prompt_tokens,
            prompt_eval_duration=first_ns - self._started_ns - load_ns,
            eval_count=self._tally.completion_tokens,
            eval_duration=ended_ns - first_ns,
        )
        return self._writer.last(Piece(), self._finish, figures) + b"\n"

    def failure(self, error: JobError) -> bytes:
        """An OllamaError as a line."""
        return ollama_envelope(fault_of(error)) + b"\n"

    def _write(self, piece: Piece) -> bytes:
        self._finish = piece.finish_reason or self._finish
        tells = any(not each.ends for each in piece.logprobs)
        if not (piece.text or piece.reasoning or piece.tool_calls or tells):
            return b""
        return self._writer.delta(piece) + b"\n"
