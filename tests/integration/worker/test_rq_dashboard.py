"""rq-dashboard over our jobs, set up by the lines that the page on operations has."""

import re
from urllib.parse import quote

import pytest
import redis
from flask.testing import FlaskClient
from rq_dashboard import cli, web

from jobs.client.queue import JobQueue
from jobs.errors import InternalError
from jobs.job import SubmitOptions
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import DIMENSIONS
from tests.support.folders import ROOT
from tests.support.running_worker import job
from tests.support.waiting import PATIENCE_S

LANE = quote("embed:fake:default")


def documented_lines() -> str:
    """What the page has python run, up to the call that would serve for ever."""
    page = (ROOT / "docs" / "operations.md").read_text()
    [program] = re.findall(r"python -c '\n(.*?)cli\.main\(\)'", page, re.DOTALL)
    return program


@pytest.fixture
def dashboard(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> FlaskClient:
    monkeypatch.setattr(web.config, "serializer", web.config.serializer)  # put back at the end
    exec(documented_lines())
    app = cli.make_flask_app(None, None, None, "")
    app.config["RQ_DASHBOARD_REDIS_URL"] = redis_server.url
    web.setup_rq_connection(app)
    return app.test_client()


async def test_it_shows_finished_and_failed_jobs(
    queue: JobQueue, redis_client: redis.Redis, dashboard: FlaskClient
):
    good, bad = [(await queue.submit(job(text), SubmitOptions())).id for text in ("text", "raise")]
    await queue.wait(good, PATIENCE_S)
    with pytest.raises(InternalError):
        await queue.wait(bad, PATIENCE_S)

    for job_id, status, registry in ((good, "finished", "finished"), (bad, "failed", "failed")):
        told = dashboard.get(f"/0/data/job/{job_id}.json")
        assert told.status_code == 200, told.text
        assert (told.json or {})["status"] == status
        listed = dashboard.get(f"/0/data/jobs/{LANE}/{registry}/8/asc/1.json")
        assert [each["id"] for each in (listed.json or {})["jobs"]] == [job_id]
        assert dashboard.get(f"/0/view/job/{job_id}").status_code == 200
    result = (dashboard.get(f"/0/data/job/{good}.json").json or {})["result"]
    assert (result["dimensions"], result["vectors"]) == (DIMENSIONS, f"{4 * DIMENSIONS} bytes")
    assert (dashboard.get(f"/0/data/job/{bad}.json").json or {})["exc_info"]


async def test_it_shows_queues_and_workers(
    queue: JobQueue, redis_client: redis.Redis, dashboard: FlaskClient
):
    done = await queue.submit(job("text"), SubmitOptions())
    await queue.wait(done.id, PATIENCE_S)
    queues = (dashboard.get("/0/data/queues.json").json or {})["queues"]
    assert {each["name"]: each["finished_job_registry_count"] for each in queues}["embed:fake:default"] == 1
    workers = dashboard.get("/0/data/workers.json")
    assert workers.status_code == 200, workers.text
    assert len((workers.json or {})["workers"]) == 1
    for page in ("/", "/0/view/workers", "/0/view/jobs", f"/0/view/jobs/{LANE}/finished/8/asc/1"):
        assert dashboard.get(page).status_code == 200


async def test_a_job_can_be_deleted_there(queue: JobQueue, redis_client: redis.Redis, dashboard: FlaskClient):
    done = await queue.submit(job("text"), SubmitOptions())
    await queue.wait(done.id, PATIENCE_S)
    assert dashboard.post(f"/job/{done.id}/delete").json == {"status": "OK"}
    assert dashboard.get(f"/0/data/jobs/{LANE}/finished/8/asc/1.json").json["jobs"] == []  # pyright: ignore
