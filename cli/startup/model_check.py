"""The models of `mlxq up` and `mlxq worker`, checked before anything is started."""

import subprocess
import sys

from cli.configuration import child_environ
from jobs.errors import JobError
from jobs.settings import Settings
from workers.models.check import check_models
from workers.supervisor import CONFIGURATION_ERROR, cause_of_end

_REASON = "mlxq worker: "


class CannotServe(Exception):
    """A model cannot be served."""


def served_names(settings: Settings) -> list[str]:
    """The names that the models are served under. What their files leave open, a process of its own finds out.

    Raises: CannotServe, OSError.
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
            raise _failure(run)
    return [model.id for model in models]


def _failure(run: subprocess.CompletedProcess[str]) -> CannotServe | OSError:
    """The reason that the process gave, or what became of it where it gave none."""
    reasons = [line for line in run.stderr.splitlines() if line.startswith(_REASON)]
    if run.returncode == CONFIGURATION_ERROR and reasons:
        return CannotServe(reasons[-1].removeprefix(_REASON))
    return OSError(
        f"The models cannot be checked: the process that opens them ended ({cause_of_end(run.returncode)}). "
        f"{run.stderr.strip()[-2000:]}"
    )
