"""The `mlxq` command. Everything heavy is imported by the subcommand that needs it: `mlxq --help` is instant."""

import argparse
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from cli.options.ask import add_ask
from cli.options.collections import add_collections
from cli.options.engine import add_engine
from cli.options.eval import add_eval
from cli.options.ingest import add_ingest
from cli.options.mcp import add_mcp
from cli.options.models import MODEL_COMMANDS, add_models
from cli.options.pull import add_pull
from cli.options.search import add_search
from cli.parser import Parser

if TYPE_CHECKING:
    from jobs.settings import Settings

EPILOG = "Every option is also an environment variable, and there are more of those: see `mlxq settings`."

COMPLETION = """bash:  mlxq completion bash >~/.local/share/bash-completion/completions/mlxq
zsh:   mlxq completion zsh >~/.zfunc/_mlxq     (with ~/.zfunc in fpath, before compinit)
fish:  mlxq completion fish >~/.config/fish/completions/mlxq.fish"""


NOT_READ = 141
"""What shells tell of a program that wrote where nobody reads any more: 128 + SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 stopped as asked, 1 could not run, 2 wrong usage, 3 files have failed, 78 wrong configuration,
    141 the reader of the output has seen enough (`| head`).
    """
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError as error:
        if _is_read(sys.stdout.fileno()):  # another pipe broke
            complain(error)
            return 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries once more when it ends
        return NOT_READ


def _is_read(pipe: int) -> bool:
    there = select.poll()
    there.register(pipe, 0)
    return not any(event & select.POLLERR for _, event in there.poll(0))


def _run(arguments: Sequence[str] | None) -> int:
    options = build_parser().parse_args(arguments)
    if options.command == "version":
        return print_version()
    if options.command == "settings":
        from cli.commands.settings import settings_table

        print(settings_table())
        return 0
    if options.command == "completion":
        from cli.completion import completion

        print(completion(build_parser(), options.shell))
        return 0
    if options.command in MODEL_COMMANDS:
        return _run_on_models(options)
    return _run_command(options, is_own_process=arguments is None)


def _run_on_models(options: argparse.Namespace) -> int:
    """Neither settings nor Redis: these commands speak HTTP, and are to start at once."""
    from cli.cannot_do import CannotDo

    module = MODEL_COMMANDS[options.command]
    run = getattr(import_module(module), module.rpartition(".")[2])
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130
    except CannotDo as error:
        complain(error)
        return 1


def _run_command(options: argparse.Namespace, *, is_own_process: bool) -> int:
    run = _command(options)

    from cli.cannot_do import CannotDo
    from cli.configuration import ConfigurationError, load_settings
    from cli.startup.model_check import CannotServe
    from cli.startup.redis_check import RedisRefused
    from jobs.process.log import set_up_logging
    from jobs.process.processor import NICE, lower_process_priority
    from jobs.store.data_folder import RedisServerError
    from jobs.store.redis_url import hide_urls
    from workers.backend import NoBackend
    from workers.supervisor import CONFIGURATION_ERROR

    try:
        settings = load_settings(options)
        set_up_logging(settings.log_level)
        if is_own_process and options.command == "ingest":
            lower_process_priority(NICE)
        # Before the children run, SIGTERM ends us as Ctrl-C does: through the blocks that stop what was started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return run(settings)
    except KeyboardInterrupt:  # before or after the children ran; while they run it is a signal like another
        return 130
    except ConfigurationError as error:
        complain(error)
        return 2
    except (NoBackend, CannotServe, RedisRefused) as error:
        complain(error)
        return CONFIGURATION_ERROR
    except BrokenPipeError:
        raise
    except (RedisServerError, OSError, CannotDo) as error:
        complain(hide_urls(str(error)))
        return 1


def _command(options: argparse.Namespace) -> Callable[["Settings"], int]:
    match options.command:
        case "up":
            from cli.commands.up import up as run
        case "serve":
            from cli.commands.serve import serve as run
        case "pull":
            run = _pull(options)
        case "collections":
            run = _collections(options)
        case "ingest" | "search" | "ask" | "eval" | "mcp":
            run = _with_options(options)
        case _:
            from cli.commands.worker import worker as run
    return run


def _pull(options: argparse.Namespace) -> Callable[["Settings"], int]:
    if options.on:
        from cli.pull.remote import pull_on

        return lambda _: pull_on(options)
    from cli.commands.pull import pull

    return lambda settings: pull(settings, options)


def _collections(options: argparse.Namespace) -> Callable[["Settings"], int]:
    if options.action == "snapshot":
        from cli.commands.snapshots import snapshot

        return lambda settings: snapshot(settings, options.name, options.to)
    if options.action == "restore":
        from cli.commands.snapshots import restore

        return lambda settings: restore(settings, options.snapshot)

    from cli.commands.collections import Request, collections

    request = Request(options.action, getattr(options, "name", ""), getattr(options, "to", ""))
    return lambda settings: collections(settings, request)


def _with_options(options: argparse.Namespace) -> Callable[["Settings"], int]:
    """Of a command whose file and function have its name. It needs the store that `mlxq up` starts."""
    from cli.startup.store_check import await_store

    run = getattr(import_module(f"cli.commands.{options.command}"), options.command)

    def run_with_store(settings: "Settings") -> int:
        await_store(settings, lambda told: print(told, file=sys.stderr))
        return run(settings, options)

    return run_with_store


def complain(error: object) -> None:
    from jobs.process.colour import paint

    print(f"{paint('mlxq:', 'red', sys.stderr)} {error}", file=sys.stderr)


class _Version(argparse.Action):
    """argparse's own wants the version before anybody asks for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(print_version())


def print_version() -> int:
    from importlib.metadata import version

    print(f"mlxq {version('mlxq')}")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """What each command may be asked. Its options are in cli/options."""
    parser = Parser(prog="mlxq", description="Job-queue batch engine for MLX models.", epilog=EPILOG)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, epilog=EPILOG)

    add_engine(command)
    add_models(command)
    add_pull(command)
    add_ingest(command)
    add_collections(command)
    add_search(command)
    add_ask(command)
    add_mcp(command)
    add_eval(command)
    shell = command("completion", "Print a script with which a shell completes commands, models and files.")
    shell.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish")
    shell.formatter_class = argparse.RawDescriptionHelpFormatter
    shell.epilog = COMPLETION
    command("settings", "List every setting: variable, default, meaning.")
    command("version", "Print the version.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
