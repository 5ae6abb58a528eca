"""The options of `mlxq up`, `mlxq serve` and `mlxq worker`."""

from cli.parser import Command


def add_engine(command: Command) -> None:
    up = command(
        "up", "Run everything: Redis (unless REDIS_URL is set), the API and a worker; Ctrl-C ends it."
    )
    serve = command("serve", "Run the API alone, for workers elsewhere.")
    worker = command("worker", "Run one worker alone, for an API elsewhere.")
    for part in (up, serve):
        part.add_argument("--host", help="address to listen on (127.0.0.1)")
        part.add_argument("--port", help="port to listen on (8000); 0 picks a free one")
        part.add_argument("--api-processes", metavar="N", help="API processes that share the port (1)")
    up.add_argument(
        "--qdrant-port",
        metavar="PORT",
        help="let Qdrant's clients on this machine reach the collections on this port, too",
    )
    for part in (up, worker):
        part.add_argument(
            "--model",
            action="append",
            dest="models",
            metavar="MODEL",
            help="model to serve: [ALIAS=]FOLDER_OR_NAME[,adapter=FOLDER][,draft=FOLDER_OR_NAME][,task=embed]; "
            "may be repeated",
        )
    for part in (up, serve, worker):
        part.add_argument(
            "--redis",
            dest="redis_url",
            metavar="URL",
            help="Redis to use instead of one of our own: redis://host:6379/0",
        )
        part.add_argument("--data", metavar="FOLDER", help="folder of our own Redis (~/.local/share/mlxq)")
        part.add_argument("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR (INFO)")
