"""The models of `mlxq up` and `mlxq worker`, checked before anything is started."""

import subprocess
import sys

from cli.configuration import child_environ
from jobs.errors import JobError
from jobs.settings import Settings
from workers.model_check import check_models


class CannotServe(Exception):
    """A model cannot be served."""


def served_names(settings: Settings) -> list[str]:
    """The names that the models are served under. What their files leave open, a process of its own finds out.

    Raises: CannotServe.
    """
    try:
        models, sure = check_models(settings)
    except JobError as error:
        raise CannotServe(error.message) from error
    if not sure:
        run = subprocess.run(
            (sys.executable, "-P", "-m", "workers", "--check"),
            env=child_environ(settings),
            start_new_session=True,
            check=False,
            capture_output=True,
            text=True,
        )
        if run.returncode:
            raise CannotServe(run.stderr.strip().rpartition("\n")[2].removeprefix("mlxq worker: "))
    return [model.id for model in models]
