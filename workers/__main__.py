"""The worker process: `python -m workers`, started by the launcher with its settings in the environment."""

import argparse
import contextlib
import logging
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module

import redis
from pydantic import ValidationError
from pydantic_settings import SettingsError
from redis.exceptions import RedisError

from jobs.blobs.store import blob_store
from jobs.catalogue.file import CatalogueFile
from jobs.errors import InvalidInput, JobError
from jobs.models import ModelInfo
from jobs.process.garbage import exempt_what_is_there
from jobs.process.log import set_up_logging
from jobs.process.parent_watch import exit_with_parent
from jobs.results.folder import results_folder
from jobs.settings import Settings
from jobs.store.connection import connect, own_folder, redis_url
from jobs.store.outage import Outage, cause_of, is_final
from jobs.store.servers.flavour import judge
from workers.loops.size_file import SizeFile
from workers.models.check import check_names
from workers.models.memory.load import too_large
from workers.models.model_cache import ModelCache
from workers.models.open import open_local, open_runner
from workers.queue.announce_start import register_models, starting
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet
from workers.queue.worker_name import worker_name
from workers.runners.contract import Runner
from workers.scheduling.device_limits import (
    batch_limits,
    device_is_gpu,
    device_name,
    limit_cache,
    weight_budget_bytes,
)
from workers.supervisor import CONFIGURATION_ERROR

log = logging.getLogger("workers")  # not __name__: that is "__main__" here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers")
    parser.add_argument("--parent-fd", type=int, help="end when the process at this pipe's other end does")
    parser.add_argument("--check", action="store_true", help="open the models, load nothing, and end")
    parser.add_argument("--token", help="the end of the worker's name, by which the launcher knows it")
    options = parser.parse_args()
    if options.parent_fd is not None:
        exit_with_parent(options.parent_fd)
    try:
        settings = Settings()
    except (ValidationError, SettingsError) as error:
        print(f"mlxq worker: {error}", file=sys.stderr)
        return CONFIGURATION_ERROR
    set_up_logging(settings.log_level)
    os.environ.setdefault(
        "TRANSFORMERS_VERBOSITY", "error"
    )  # it warns of long prompts, which we refuse ourselves
    if options.check:
        return run(settings, check)
    name = worker_name(os.getpid(), options.token or secrets.token_hex(4))
    return run(settings, partial(run_on, name=name))


def run(settings: Settings, work: Callable[[ThreadPoolExecutor, Settings], int]) -> int:
    """Everything that touches MLX happens in one thread. Returns the exit code."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="device") as device:
        try:
            device.submit(import_module, "mlx.core").result()
        except ImportError as error:
            print(f"mlxq worker: MLX cannot be loaded: {error}", file=sys.stderr)
            return CONFIGURATION_ERROR
        try:
            return work(device, settings)
        except JobError as error:
            print(f"mlxq worker: {error.message}", file=sys.stderr)
            return CONFIGURATION_ERROR
        finally:
            device.submit(release_device).result()


def check(device: ThreadPoolExecutor, settings: Settings) -> int:
    """Open the models and load nothing. Raises JobError."""
    device.submit(open_models, settings).result()
    return 0


def run_on(device: ThreadPoolExecutor, settings: Settings, name: str) -> int:
    """Load the models, then work until told to stop. Raises JobError where they cannot be loaded."""
    try:
        connection = connect(redis_url(settings))
    except ValueError as error:
        print(f"mlxq worker: {error}", file=sys.stderr)
        return CONFIGURATION_ERROR
    outage = Outage(own_folder(settings))
    device.submit(limit_cache).result()
    fleet = Fleet(connection, name)
    with starting(WorkerQueue(connection, name, lease_s=settings.lease_s, max_crashes=1), settings.lease_s):
        runners, budget_bytes = device.submit(open_models, settings).result()
        infos = [runner.info for runner in runners.values()]
        with contextlib.suppress(RedisError):  # before the load, which may take minutes; and again below
            register_models(fleet, infos, settings.lease_s)
        model_cache = device.submit(load_models, runners, budget_bytes, settings).result()
    limits = device.submit(batch_limits, settings).result()
    from workers.worker import BatchWorker

    if (refusal := wait_for_redis(connection, outage)) is not None:
        print(f"mlxq worker: {refusal}", file=sys.stderr)
        return CONFIGURATION_ERROR
    register_when_redis_answers(fleet, infos, settings, outage)
    size_file = open_size_file(settings, device.submit(device_name).result())
    worker = BatchWorker(
        connection,
        model_cache,
        dict.fromkeys(model_cache.runners, limits),
        settings,
        lambda work: device.submit(work).result(),
        depth=2 if device.submit(device_is_gpu).result() else 1,
        name=name,
        outage=outage,
        size_memory=size_file,
        results=results_folder(settings),
        blobs=blob_store(settings, connection),
        catalogue=CatalogueFile(settings.data),
        open_model=lambda model: open_local(model, settings),
    )
    log.info("serving", extra={"models": ",".join(model_cache.runners), "batch_tokens": limits.tokens})
    exempt_what_is_there()
    is_sound = worker.work()
    if size_file is not None:
        size_file.close()
    return 0 if is_sound else 1


def open_size_file(settings: Settings, device: str) -> SizeFile | None:
    """What is known of the device's batches. None where the data folder cannot be used: nothing is kept then."""
    folder = settings.data / "batch_sizes"
    try:
        return SizeFile(folder, device)
    except OSError as error:
        fields = {"folder": str(folder), "error": os.strerror(error.errno or 0)}
        log.warning("what is learned about batch sizes cannot be kept", extra=fields)
        return None


def wait_for_redis(connection: redis.Redis, outage: Outage) -> str | None:
    """RQ's constructor needs it; the models stay loaded meanwhile. Returns why there is no use in waiting."""
    while True:
        try:
            connection.ping()
            refusal, _ = judge(connection.info())
            return None if refusal is None else f"Redis cannot be used: {refusal}."
        except RedisError as error:
            if is_final(error):
                return f"Redis refuses us: {cause_of(error)}. Set it in REDIS_URL or --redis."
            outage.note(error)
            time.sleep(1)


def register_when_redis_answers(
    fleet: Fleet, infos: Collection[ModelInfo], settings: Settings, outage: Outage
) -> None:
    """Raises InvalidInput where another worker serves one of the models from other files."""
    while True:
        try:
            return register_models(fleet, infos, settings.lease_s)
        except RedisError as error:
            outage.note(error)
            time.sleep(1)


def release_device() -> None:
    """MLX's threads of a thread that ends must be ended first, or the process aborts at its end."""
    import mlx.core as mx

    mx.clear_streams()


def open_models(settings: Settings) -> tuple[dict[str, Runner], int]:
    """All models of the settings, their weights not read yet, and the memory for weights. Raises JobError."""
    opened = [open_or_refuse(spec, settings) for spec in settings.models]
    check_names(runner.info.id for runner in opened)
    budget_bytes = weight_budget_bytes(settings)
    for runner in opened:
        if runner.weight_bytes > budget_bytes:
            raise too_large(runner.info.id, runner.weight_bytes, budget_bytes)
    return {runner.info.id: runner for runner in opened}, budget_bytes


def open_or_refuse(spec: str, settings: Settings) -> Runner:
    """What a library cannot open it will not open the next time: that is a wrong model, too. Raises JobError."""
    try:
        return open_runner(spec, settings)
    except JobError:
        raise
    except Exception as error:
        log.debug("a model cannot be opened", exc_info=True, extra={"model": spec})
        raise InvalidInput(
            f"{spec} cannot be opened: {type(error).__name__}: {' '.join(str(error).split())}", param="model"
        ) from error


def load_models(runners: Mapping[str, Runner], budget_bytes: int, settings: Settings) -> ModelCache:
    """As many of the models in memory as there is room for. Raises JobError."""
    model_cache = ModelCache(
        runners,
        budget_bytes=budget_bytes,
        starvation_s=settings.starvation_s,
        keep_alive_s=math.inf if settings.keep_alive_s is None else settings.keep_alive_s,
    )
    model_cache.load_fitting()
    return model_cache


if __name__ == "__main__":
    sys.exit(main())
