"""The options of the commands on models."""

import argparse
from typing import Any

from cli.parser import Command

MODEL_COMMANDS = {
    "run": "cli.chat.run",
    "embed": "cli.models.embed",
    "rerank": "cli.models.rerank",
    "list": "cli.models.list",
    "ls": "cli.models.list",
    "show": "cli.models.show",
    "ps": "cli.models.ps",
    "stop": "cli.models.stop",
    "rm": "cli.models.rm",
    "cp": "cli.models.cp",
    "alias": "cli.models.alias",
}
"""Those that speak HTTP with the running server and read no settings: where the function is that does them."""


LEVELS = ("true", "false", "low", "medium", "high")


class _Think(argparse.Action):
    """--think, perhaps with a level. Any other word behind it is the prompt's first, as Ollama has it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: object
    ) -> None:
        namespace.think = values if values in LEVELS else "true"
        if values not in (None, *LEVELS):
            prompt = getattr(namespace, "prompt", None)
            if prompt is None:
                parser.error(f"argument --think: {values!r} is none of {', '.join(LEVELS)}")
            namespace.prompt = [*prompt, values]


def add_models(engine_command: Command) -> None:
    def command(name: str, text: str) -> argparse.ArgumentParser:
        part = engine_command(name, text)
        part.epilog = None  # these options are no settings
        return part

    _add_run(command)
    _add_work(command)
    for name in ("list", "ls"):
        part = command(name, "List the models that there are.")
        part.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="only names that begin so")
        part.add_argument("-q", "--quiet", action="store_true", help="print names alone")
        _add_server(part, data=True)
    part = command("show", "Show what a model is, and what it can do.")
    part.add_argument("model", metavar="MODEL", help="a model's name")
    group = part.add_mutually_exclusive_group()
    for name in ("license", "modelfile", "parameters", "system", "template"):
        group.add_argument(
            f"--{name}", action="store_const", dest="part", const=name, help=f"its {name} alone"
        )
    _add_server(part, data=True)
    part = command("ps", "List the models in memory.")
    part.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="only names that begin so")
    _add_server(part)
    _add_names(command)
    part = command("stop", "Let models leave the memory.")
    part.add_argument("models", nargs="+", metavar="MODEL", help="their names")
    _add_server(part, json=False)


def _add_names(command: Command) -> None:
    part = command("cp", "Give a model one more name. No file is copied.")
    part.add_argument("source", metavar="MODEL", help="a model's name")
    part.add_argument("name", metavar="NAME", help="the new one")
    _add_server(part, json=False, data=True)
    part = command("alias", "Give a model one more name with defaults of its own, or list such names.")
    part.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="the new one; without one they are listed"
    )
    part.add_argument("model", nargs="?", default="", metavar="MODEL", help="what it stands for")
    part.add_argument(
        "--system", metavar="TEXT", help="what the model is told first, unless a chat says so itself"
    )
    part.add_argument(
        "-p",
        "--parameter",
        action="append",
        metavar="NAME=VALUE",
        help="as temperature=0, unless a request says so itself; may be repeated",
    )
    _add_server(part, data=True)
    part = command("rm", "Forget models, and delete their files where mlxq pulled them.")
    part.add_argument("models", nargs="+", metavar="MODEL", help="their names")
    part.add_argument(
        "-y", "--yes", action="store_true", help="delete files that mlxq did not pull, too, without asking"
    )
    _add_server(part, json=False, data=True)


def _add_run(command: Command) -> None:
    part = command("run", "Ask a model, once or in a conversation.")
    part.formatter_class = argparse.RawDescriptionHelpFormatter
    part.epilog = """  mlxq run MODEL                          a conversation; /? tells its commands
  mlxq run MODEL "Why is the sky blue?"   one answer
  mlxq run MODEL "Sum up:" <report.txt    what is piped in goes before the prompt
  mlxq run MODEL "What is on ./page.png?" images, for models that see

In a pipe only the answer is printed, not what the model thinks first, unless --think says so."""
    part.add_argument("model", metavar="MODEL", help="a model's name")
    part.add_argument("prompt", nargs="*", metavar="PROMPT", help="without one: a conversation")
    part.set_defaults(rest="prompt")
    part.add_argument("--system", metavar="TEXT", help="what the model is told first")
    part.add_argument(
        "-p", "--parameter", action="append", metavar="NAME=VALUE", help="as temperature=0; may be repeated"
    )
    part.add_argument("--format", metavar="FORMAT", help="json, a JSON schema, or a file with one")
    part.add_argument(
        "--think",
        action=_Think,
        nargs="?",
        metavar="LEVEL",
        help=f"let it think first: {', '.join(LEVELS)}",
    )
    part.add_argument("--hidethinking", action="store_true", help="do not show what it thinks")
    part.add_argument("--keepalive", metavar="DURATION", help="how long it stays in memory after it: 5m")
    part.add_argument("--nowordwrap", action="store_true", help="do not break lines between words")
    part.add_argument("--verbose", action="store_true", help="show how long it took, on standard error")
    _add_server(part)


def _add_work(command: Command) -> None:
    part = command("embed", "Make vectors of texts: a line each, as JSON.")
    part.add_argument("model", metavar="MODEL", help="a model's name")
    part.add_argument("texts", nargs="*", metavar="TEXT", help="- for each line of standard input")
    part.set_defaults(rest="texts")
    part.add_argument(
        "--image", action="append", metavar="FILE", help="an image, for models that see; may be repeated"
    )
    part.add_argument(
        "--dimensions", type=int, metavar="N", help="cut the vectors, where the model allows it"
    )
    part.add_argument(
        "--type", choices=("query", "document"), help="what the texts are, where it makes a difference"
    )
    part.add_argument(
        "--instruction", metavar="TEXT", help="what the vectors are for, for models that are told"
    )
    _add_server(part)
    part = command("rerank", "Order files, or lines, by how well they answer a query.")
    part.add_argument("model", metavar="MODEL", help="a model's name")
    part.add_argument("query", metavar="QUERY")
    part.add_argument(
        "files", nargs="+", metavar="FILE", help="texts or images; - for each line of standard input"
    )
    part.set_defaults(rest="files")
    part.add_argument("--lines", action="store_true", help="order the lines of the files")
    part.add_argument("-n", "--top", type=int, metavar="N", help="only the best N")
    part.add_argument(
        "--truncate", action="store_true", help="cut what is too long for the model, at its end"
    )
    part.add_argument(
        "--instruction", metavar="TEXT", help="what counts as an answer, for models that are told"
    )
    _add_server(part)


def _add_server(part: argparse.ArgumentParser, *, json: bool = True, data: bool = False) -> None:
    """data: it does without a server, too."""
    part.add_argument(
        "--url", metavar="URL", help="of the server (http://127.0.0.1:8000, or MLXQ_HOST and MLXQ_PORT)"
    )
    if data:
        part.add_argument(
            "--data",
            metavar="FOLDER",
            help="of this machine's models, where no server runs (~/.local/share/mlxq)",
        )
    if json:
        part.add_argument("--json", action="store_true", help="print JSON")
