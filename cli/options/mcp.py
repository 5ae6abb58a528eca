"""The options of `mlxq mcp`."""

from cli.parser import Command


def add_mcp(command: Command) -> None:
    part = command(
        "mcp",
        "Serve the collections as tools (Model Context Protocol), to an assistant that starts this command.",
    )
    part.add_argument(
        "--http",
        metavar="PORT",
        dest="http_port",
        help="serve on http://127.0.0.1:PORT/mcp instead of standard input and output; 0: on a free port",
    )
    part.add_argument(
        "--redis", dest="redis_url", metavar="URL", help="Redis of the workers, if it is not our own"
    )
    part.add_argument("--data", metavar="FOLDER", help="of the `mlxq up` that runs (~/.local/share/mlxq)")
