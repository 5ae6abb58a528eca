"""A stand-in for the gRPC side of a Qdrant server: what it is sent goes, checked, to the embedded store."""

import contextlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc as grpc_library
from qdrant_client import QdrantClient, grpc, models
from qdrant_client.conversions.conversion import GrpcToRest
from qdrant_client.grpc.points_service_pb2_grpc import PointsServicer, add_PointsServicer_to_server
from qdrant_client.http.exceptions import UnexpectedResponse

from ingest.qdrant.failures import told
from tests.support.vectors.qdrant_api import faults

REPLY = b'{"result":{"operation_id":1,"status":"completed"},"status":"ok","time":0.0}'
CODES = {400: grpc_library.StatusCode.INVALID_ARGUMENT, 404: grpc_library.StatusCode.NOT_FOUND}


class Points(PointsServicer):
    """What it is sent must also be allowed by Qdrant's API document, once it is JSON."""

    def __init__(self, store: QdrantClient) -> None:
        self._store = store
        self.faults: list[str] = []
        self.batches: list[int] = []
        """Points of each request."""
        self.waits: set[bool] = set()
        self.is_away = False

    def Upsert(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by protobuf
        if self.is_away:
            context.abort(grpc_library.StatusCode.UNAVAILABLE, "starting")
        points = [GrpcToRest.convert_point_struct(each) for each in request.points]
        body = models.PointsList(points=points).model_dump_json(exclude_none=True).encode()
        path = f"/collections/{request.collection_name}/points"
        self.faults += faults("PUT", path, body, 200, REPLY)
        self.batches.append(len(points))
        self.waits.add(request.wait)
        try:
            self._store.upsert(request.collection_name, points)
        except UnexpectedResponse as error:
            context.abort(CODES[error.status_code or 0], told(error))
        return grpc.PointsOperationResponse(
            result=grpc.UpdateResult(operation_id=1, status=grpc.UpdateStatus.Completed), time=0.0
        )


@contextlib.contextmanager
def grpc_server(store: QdrantClient) -> Generator[tuple[Points, int]]:
    """It answers at that port of 127.0.0.1."""
    points = Points(store)
    server = grpc_library.server(ThreadPoolExecutor(1))
    add_PointsServicer_to_server(points, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield points, port
    finally:
        server.stop(None).wait()
