"""From the decoder's tokens to an answer's transcript."""

from typing import TYPE_CHECKING

from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken

if TYPE_CHECKING:  # a worker of other models does without it
    from workers.runners.generate.output.token_logprobs import LogprobsReader


def write_down(answer: Answer, token: NewToken, reader: "LogprobsReader") -> None:
    """A new token of the answer becomes a part of its transcript, with the log-probabilities that are wanted: the
    prompt's before the first one, in a stream. Belongs to the stream's thread.
    """
    if answer.job.stream and answer.prompt_scores is not None:
        scores, answer.prompt_scores = answer.prompt_scores, None
        answer.transcript.add_prompt(scores.describe(reader, answer.transcript.lead))
    if answer.job.max_tokens == 0:
        answer.transcript.end_empty()
        return
    logprobs = None
    if token.logprobs is not None and (token.finish != "stop" or answer.job.end_logprobs):
        logprobs = reader.describe(token.logprobs, token.token, answer.job.logprobs or 0)
    answer.transcript.add(token.token, token.finish, logprobs)
