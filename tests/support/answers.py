"""A generator's answer, without a worker: what the device writes, read as the writer's thread would."""

from jobs.errors import JobError
from jobs.generate import Choice, GenerateJob, GenerateResult, Piece
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import decoder_of
from workers.runners.generate.runner import GenerateRunner
from workers.runners.generate.write_down import write_down


def answer_to(runner: GenerateRunner, job: GenerateJob) -> Answer:
    [prepared] = runner.prepare([job])
    assert not isinstance(prepared, JobError | GenerateResult), prepared
    return prepared[0]


def write(runner: GenerateRunner, job: GenerateJob) -> Choice:
    """The whole answer."""
    answer = answer_to(runner, job)
    pieces_of(runner, answer)
    return runner.assemble(job, [answer], [answer.transcript.choice_so_far()]).choices[0]


def pieces_of(runner: GenerateRunner, answer: Answer) -> list[Piece]:
    """What a stream would tell of it."""
    decoder = decoder_of(runner)
    uid = decoder.insert(answer)
    pieces: list[Piece] = []
    while len(decoder) and not answer.is_complete:
        for new in decoder.step(0.1):
            write_down(answer, new, runner.logprobs_reader)
            if piece := answer.transcript.take():
                pieces.append(piece)
    decoder.remove([uid])
    return pieces
