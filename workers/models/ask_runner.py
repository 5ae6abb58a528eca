"""What a model's runner, or its tokenizer alone, makes of claimed jobs before they go to the device."""

import logging
from collections.abc import Sequence
from typing import Any

from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InternalError, JobError
from jobs.job import Job, Result
from jobs.tokenize import DetokenizeJob, TokenizeJob
from workers.runners.contract import Runner, caught
from workers.runners.tokens.tokenizing import answered
from workers.scheduling.active_job import ActiveJob

log = logging.getLogger(__name__)

Made = Sequence[Any] | Result | JobError
"""Items for the device; a result that needs none; or what is wrong with the job."""


def ask_runner(runner: Runner, decoded: Sequence[tuple[ActiveJob, Job]]) -> list[Made]:
    """Of each job in order. All are of the runner's model."""
    of_device = [each for each in decoded if _needs_device(each[1])]
    prepared = iter(_prepare(runner, of_device) if of_device else ())
    return [next(prepared) if _needs_device(job) else _answer(runner, active, job) for active, job in decoded]


def _needs_device(job: Job) -> bool:
    if isinstance(job, EmbedJob):
        return bool(job.inputs)
    return not isinstance(job, TokenizeJob | DetokenizeJob)


def _answer(runner: Runner, active: ActiveJob, job: Job) -> Result | JobError:
    if isinstance(job, TokenizeJob | DetokenizeJob):
        return _ask_tokenizer(runner, active, job)
    return EmbedResult(dimensions=runner.info.dimensions, vectors=b"", tokens=())


def _ask_tokenizer(runner: Runner, active: ActiveJob, job: TokenizeJob | DetokenizeJob) -> Result | JobError:
    try:
        return caught(answered, runner, job)
    except Exception:
        log.exception("job cannot be tokenised", extra={"job_id": active.claim.id})
        return InternalError()


def _prepare(runner: Runner, decoded: Sequence[tuple[ActiveJob, Job]]) -> Sequence[Made]:
    try:
        return runner.prepare([job for _, job in decoded])
    except Exception:  # one job must not take its neighbours down
        if len(decoded) > 1:
            return [_prepare(runner, [each])[0] for each in decoded]
        log.exception("job cannot be prepared", extra={"job_id": decoded[0][0].claim.id})
        return [InternalError()]
