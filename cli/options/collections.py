"""The options of `mlxq collections`."""

from pathlib import Path

from cli.parser import Command


def add_collections(command: Command) -> None:
    vectors = command("collections", "List, show, remove, copy, save or restore the collections of vectors.")
    actions = vectors.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all collections, with their points and vectors")
    for action, text in (
        ("show", "one collection"),
        ("rm", "remove a collection and its files"),
        ("copy", "copy a collection to a Qdrant server"),
        ("snapshot", "copy a collection's files, while `mlxq up` does not run"),
    ):
        part = actions.add_parser(action, help=text)
        part.add_argument("name", metavar="COLLECTION")
        if action == "copy":
            part.add_argument("--to", metavar="URL", required=True, help="of the server: http://host:6333")
        if action == "snapshot":
            part.add_argument("--to", metavar="FOLDER", required=True, type=Path, help="not there yet")
    restore = actions.add_parser(
        "restore", help="make a collection of a snapshot, while `mlxq up` does not run"
    )
    restore.add_argument("snapshot", metavar="FOLDER", type=Path)
    vectors.add_argument(
        "--data", metavar="FOLDER", help="of the `mlxq up` that serves them (~/.local/share/mlxq)"
    )
