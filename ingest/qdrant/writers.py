"""Which writer stores points, by where the collections are."""

import logging
import socket
from urllib.parse import urlsplit

from ingest.qdrant.bulk import BulkWriter
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.qdrant.grpc_writer import GRPC_PORT, GrpcWriter
from ingest.qdrant.json_writer import JsonWriter
from jobs.settings import Settings

log = logging.getLogger(__name__)

TRY_S = 3


def bulk_writer(settings: Settings, grpc_port: int = GRPC_PORT) -> BulkWriter:
    """For the embedded store, or for the server that QDRANT_URL names: by gRPC, if its port there can be reached."""
    url = settings.qdrant_url
    if url is None:
        return EmbeddedWriter(settings)
    host = urlsplit(url).hostname or "localhost"
    if _is_open(host, grpc_port):
        return GrpcWriter(url, grpc_port)
    log.warning(
        "Qdrant's gRPC port cannot be reached: pages travel as JSON, which takes six times the processor time",
        extra={"host": host, "port": grpc_port},
    )
    return JsonWriter(url)


def _is_open(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), TRY_S):
            return True
    except OSError:
        return False
