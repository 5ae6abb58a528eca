"""The options of `mlxq pull`."""

from cli.parser import Command

TYPES = ("embedding", "reranker", "llm", "vlm")
QUANTISATIONS = ("4", "6", "8", "mxfp4", "nvfp4")


def add_pull(command: Command) -> None:
    part = command(
        "pull",
        "Bring a model onto this machine. A pull that was ended goes on where it was when it is begun anew.",
    )
    part.add_argument(
        "model", metavar="MODEL", help="ORGANISATION/NAME on Hugging Face, or the folder of a model"
    )
    part.add_argument("--as", dest="name", default="", metavar="NAME", help="what it will be called here")
    part.add_argument(
        "--type",
        choices=TYPES,
        metavar="TYPE",
        help=f"what it is for, where its files leave it open: {', '.join(TYPES)}",
    )
    part.add_argument(
        "--quantize",
        choices=QUANTISATIONS,
        metavar="MODE",
        help=f"fewer bits for each weight: {', '.join(QUANTISATIONS)}. The model lies in the data folder then",
    )
    part.add_argument("--revision", metavar="R", help="a branch, a tag or a commit (main)")
    part.add_argument("--data", metavar="FOLDER", help="of the `mlxq up` that runs (~/.local/share/mlxq)")
    part.add_argument(
        "--on",
        metavar="MACHINE",
        help="pull it there, by the running server: a machine, a worker on it, or all",
    )
    part.add_argument("--url", metavar="URL", help="with --on: of the server (http://127.0.0.1:8000)")
    part.add_argument("--json", action="store_true", help="print how far it is as JSON, an object a line")
