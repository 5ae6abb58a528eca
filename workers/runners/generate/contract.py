"""What the worker asks of a model that writes answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from jobs.generate import FinishReason
from workers.runners.contract import Runner
from workers.runners.generate.answer import Answer

if TYPE_CHECKING:  # a worker of other models does without them
    import numpy as np
    from numpy.typing import NDArray

    from workers.runners.generate.output.token_logprobs import LogprobsReader


class NewToken(NamedTuple):
    """A token that the decoder has written."""

    uid: int
    """Of its answer, as `Decoder.insert` returned it."""
    token: int
    finish: FinishReason | None
    """"stop" at an end token, "length" after max_tokens."""
    logprobs: "NDArray[np.float32] | None"
    """Natural logarithms of the probabilities of the whole vocabulary; None where nobody asked for them."""


class Decoder(Protocol):
    """The answers that a model writes at the same time. Belongs to the thread that owns the device."""

    def __len__(self) -> int:
        """Answers inserted and not ended."""
        ...

    def insert(self, answer: Answer) -> int:
        """Begin an answer; its first token comes when its prompt has been computed. Returns its uid."""
        ...

    def remove(self, uids: Sequence[int]) -> None:
        """End answers early; unknown uids (they ended by themselves) are left alone."""
        ...

    def step(self, seconds: float) -> list[NewToken]:
        """One token for each running answer, and as much of the waiting prompts as is likely to fit into the time.

        With a draft model, one that runs alone may get several, in order, none after its end.
        Whatever the model raises, is raised; `restart` then brings the decoder into a sound state.
        """
        ...

    def restart(self) -> None:
        """Forget all answers."""
        ...


@runtime_checkable
class Generator(Runner, Protocol):
    """A model that writes answers: its items are Answers, its outcomes Choices."""

    @property
    def decoder(self) -> Decoder | None:
        """None while the weights are not in memory."""
        ...

    logprobs_reader: "LogprobsReader"
    """Turns a token's log-probabilities into what a caller gets. Any thread may use it."""


def decoder_of(generator: Generator) -> Decoder:
    """That of a loaded one."""
    assert generator.decoder is not None, "loaded first"
    return generator.decoder
