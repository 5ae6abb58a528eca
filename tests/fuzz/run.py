"""schemathesis against real processes: what it sent, what came back, and what should not have."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.collection import collection
from tests.fuzz.document import narrowed
from tests.fuzz.models import make_models
from tests.support.stack import Stack

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
REQUEST_TIMEOUT_S = 60
SERVER_ERROR = 500
NOT_IMPLEMENTED = 501
"""A refusal by name. Where it is not documented, that is a problem all the same."""
CONFIGURATION = f"""
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", {NOT_IMPLEMENTED}]
"""
# "2026-01-31 12:00:00,000 ERROR name: text"; what a process prints when it dies has no such beginning.
_SEVERE = re.compile(r"^(\S+ \S+ (ERROR|CRITICAL) .*|Traceback .*|Fatal .*|Segmentation .*)", re.MULTILINE)


class Report(NamedTuple):
    """replies: by operation, how often each status came. failures: what schemathesis found. logged: severe lines of the
    servers' logs. ended: processes that are no longer what they were.
    """

    replies: dict[str, Counter[int]]
    failures: list[str]
    logged: list[str]
    ended: list[str]

    @property
    def statuses(self) -> Counter[int]:
        return sum(self.replies.values(), Counter[int]())

    @property
    def problems(self) -> list[str]:
        worst = {
            status: count
            for status, count in self.statuses.items()
            if status >= SERVER_ERROR and status != NOT_IMPLEMENTED
        }
        return [*self.failures, *self.logged, *self.ended, *([f"server errors: {worst}"] if worst else [])]

    def __str__(self) -> str:
        lines = [f"{operation:34} {_told(found)}" for operation, found in sorted(self.replies.items())]
        return "\n".join(
            [
                *lines,
                f"{self.statuses.total()} requests: {_told(self.statuses)}",
                f"{len(self.problems)} problems",
                *self.problems,
            ]
        )


def fuzz(folder: Path, *options: str, timeout_s: float, show: bool = False) -> Report:
    """options: of `schemathesis run`. show: it prints as it goes."""
    with (
        collection(folder) as searched,
        Stack(folder, *make_models(folder / "models"), lease_s=2, data=searched.data) as stack,
    ):
        worker = stack.worker_process.pid
        document = folder / "openapi.json"
        document.write_text(
            json.dumps(narrowed(stack.http.get(f"{stack.url}/openapi.json").json(), searched.document))
        )
        (folder / "schemathesis.toml").write_text(CONFIGURATION)
        done = subprocess.run(
            command(document, stack.url, folder / "events.ndjson", options),
            cwd=folder,
            stdout=None if show else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        ended: list[str] = []
        if stack.worker_process.pid != worker:
            ended.append("the worker was started again")
        if stack.status("/ready") != 200:
            ended.append("the service is not ready")
        logs = [stack.api.said, stack.worker.said]
    logged = [match[0] for log in logs for match in _SEVERE.finditer(log)]
    recorders = list(_recorders(folder / "events.ndjson"))
    failures = list(_failures(recorders))
    if done.returncode and not failures:
        failures.append(f"schemathesis ended with {done.returncode}: {done.stdout}")
    return Report(_replies(recorders), failures, logged, ended)


def command(document: Path, url: str, events: Path, options: Sequence[str]) -> list[str]:
    return [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(document), "--url", url,
        "--checks", ",".join(CHECKS), "--continue-on-failure", "--no-color", "--warnings", "off",
        "--request-timeout", str(REQUEST_TIMEOUT_S),
        "--report", "ndjson", "--report-ndjson-path", str(events), *options,
    ]  # fmt: skip


def _recorders(events: Path) -> Iterator[dict[str, Any]]:
    """What schemathesis noted of each scenario; nothing where it did not even begin."""
    if not events.exists():
        return
    with events.open() as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder")
            if recorder:
                yield recorder


def _replies(recorders: Sequence[dict[str, Any]]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for recorder in recorders:
        for case_id, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][case_id]["value"]
            status = (interaction.get("response") or {}).get("status_code", 0)
            # Methods that a path does not have are tried, too.
            operation = f"{case['method']} {case['path']}" if status != 405 else "other methods"
            found.setdefault(operation, Counter())[status] += 1
    return found


def _failures(recorders: Sequence[dict[str, Any]]) -> Iterator[str]:
    """With what was sent."""
    for recorder in recorders:
        for case_id, checks in recorder.get("checks", {}).items():
            case = recorder["cases"][case_id]["value"]
            for check in checks:
                if check["status"] != "success":
                    yield f"{case['method']} {case['path']}: {json.dumps(check)[:2000]} for {json.dumps(case)[:2000]}"


def _told(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
