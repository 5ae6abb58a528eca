"""The options of `mlxq collections`."""

from cli.parser import Command


def add_collections(command: Command) -> None:
    vectors = command("collections", "List, show, remove or copy the collections of vectors.")
    actions = vectors.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all collections, with their points and vectors")
    for action, text in (
        ("show", "one collection"),
        ("rm", "remove a collection and its files"),
        ("copy", "copy a collection to a Qdrant server"),
    ):
        part = actions.add_parser(action, help=text)
        part.add_argument("name", metavar="COLLECTION")
        if action == "copy":
            part.add_argument("--to", metavar="URL", required=True, help="of the server: http://host:6333")
    vectors.add_argument(
        "--data", metavar="FOLDER", help="of the `mlxq up` that serves them (~/.local/share/mlxq)"
    )
