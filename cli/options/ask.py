"""The options of `mlxq ask`."""

from cli.parser import Command


def add_ask(command: Command) -> None:
    part = command("ask", "Answer a question from ingested documents, with the pages that say so.")
    part.add_argument("question", metavar="QUESTION")
    part.add_argument(
        "-c", "--collection", action="append", metavar="NAME", help="search in it (all); may be repeated"
    )
    part.add_argument(
        "--filter",
        action="append",
        metavar="FIELD=VALUE",
        help="as for `mlxq search`; may be repeated: all must hold",
    )
    part.add_argument("--model", dest="chat_model", default="", metavar="MODEL", help="the one that answers")
    part.add_argument("--rerank", metavar="MODEL", default="", help="order the pages anew by a reranker")
    part.add_argument("--json", action="store_true", help="print answer and sources as JSON")
    part.add_argument(
        "--redis", dest="redis_url", metavar="URL", help="Redis of the workers, if it is not our own"
    )
    part.add_argument("--data", metavar="FOLDER", help="of the `mlxq up` that runs (~/.local/share/mlxq)")
