"""A generator whose answers can be checked: it writes its prompt again, a byte a token. Some prompts misbehave."""

import threading
from collections.abc import Sequence
from functools import partial

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from jobs.content import TextPart
from jobs.errors import InvalidInput, JobError
from jobs.generate import Chat, Choice, GenerateJob, GenerateResult
from jobs.models import ModelInfo
from workers.runners.contract import Weightless
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import NewToken
from workers.runners.generate.output.segments import NORMAL, OutputSegments
from workers.runners.generate.output.token_logprobs import LogprobsReader
from workers.runners.generate.output.transcript import OutputFormat, Transcript


def byte_tokenizer() -> Tokenizer:
    """One token per byte: every boundary in a text is a token's."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    found = Tokenizer(models.BPE(vocab={character: n for n, character in enumerate(alphabet)}, merges=[]))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    return found


class FakeDecoder:
    """`gate` (set at first) holds each step while cleared. `steps` counts them, `most` notes the most answers in one.
    A prompt with "raise" breaks every step it takes part in; "raise together" only if another answer is there.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.steps = 0
        self.most = 0
        self.pause_s = 0.0
        self._answers: dict[int, Answer] = {}
        self._uids = 0

    def __len__(self) -> int:
        return len(self._answers)

    def insert(self, answer: Answer) -> int:
        self._uids += 1
        self._answers[self._uids] = answer
        return self._uids

    def remove(self, uids: Sequence[int]) -> None:
        for uid in uids:
            self._answers.pop(uid, None)

    def restart(self) -> None:
        self._answers.clear()

    def step(self, seconds: float) -> list[NewToken]:
        self.gate.wait()
        if self.pause_s:
            threading.Event().wait(self.pause_s)
        self.steps += 1
        self.most = max(self.most, len(self._answers))
        if any(_prompt(answer.job).startswith("raise") for answer in self._answers.values()):
            raise RuntimeError("device breaks")
        found: list[NewToken] = []
        for uid, answer in list(self._answers.items()):
            at = answer.written + len(answer.generated)
            token = answer.ids[at % answer.prompt_tokens]
            finish = "length" if len(answer.generated) + 1 >= answer.max_tokens else None
            found.append(NewToken(uid, token, finish, None))
            if finish:
                del self._answers[uid]
        return found


class FakeGenerator(Weightless):
    """Answers have `max_tokens` bytes (as many as the prompt by default): the prompt, again and again."""

    def __init__(self, model: str = "fake-chat") -> None:
        self.info = ModelInfo(id=model, task="generate", created=0, dimensions=0, max_tokens=10_000)
        self.decoder = FakeDecoder()
        self.text_tokenizer = byte_tokenizer()
        self.logprobs_reader = LogprobsReader(self.text_tokenizer)

    def prepare(self, jobs: Sequence[GenerateJob]) -> Sequence[list[Answer] | GenerateResult | JobError]:
        return [self._prepare(job) for job in jobs]

    def _prepare(self, job: GenerateJob) -> list[Answer] | GenerateResult | JobError:
        text = _prompt(job)
        if text == "invalid":
            return InvalidInput("not this one", param="prompt")
        ids = self.text_tokenizer.encode(text).ids
        if job.count_only:
            return GenerateResult(choices=(), prompt_tokens=len(ids))
        script = self.output_format(job)
        return [Answer(job, ids, job.max_tokens or len(ids), Transcript(script, n)) for n in range(job.n)]

    def output_format(self, job: GenerateJob) -> OutputFormat:
        """How its answers are read."""
        return OutputFormat(self.text_tokenizer, partial(OutputSegments, {NORMAL: []}), (), stop=job.stop)

    def assemble(
        self, job: GenerateJob, items: Sequence[Answer], outcomes: Sequence[Choice]
    ) -> GenerateResult:
        return GenerateResult(
            choices=tuple(outcomes),
            prompt_tokens=items[0].prompt_tokens,
            prompt_s=max(answer.prompt_s for answer in items),
            generate_s=max(answer.generate_s for answer in items),
        )


def _prompt(job: GenerateJob) -> str:
    """Of a chat the last message."""
    if isinstance(job.prompt, Chat):
        return "".join(part.text for part in job.prompt.messages[-1].content if isinstance(part, TextPart))
    assert isinstance(job.prompt.content, str)
    return job.prompt.content
