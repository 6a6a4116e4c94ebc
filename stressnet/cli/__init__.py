"""The command `stressnet`: one file per verb, loaded when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from stressnet import __version__
from stressnet.cli.streams import open_standard_streams, to_nobody
from stressnet.cli.told import endings
from stressnet.errors import EnvironmentProblem, StressnetError

VERBS = {
    "init": "init",
    "validate": "validate",
    "plan": "plan",
    "up": "up",
    "status": "status",
    "samples": "samples",
    "logs": "logs",
    "exec": "execute",
    "forward": "forward",
    "fault": "fault",
    "run": "run",
    "soak": "soak",
    "prove": "prove",
    "check": "check",
    "report": "report",
    "archive": "archive",
    "ls": "ls",
    "down": "down",
    "prune": "prune",
    "doctor": "doctor",
    "install": "install",
    "kinds": "kinds",
    "images": "images",
    "schema": "schema",
    "completion": "completion",
}
"""Verb and module, in the order a user meets them."""

USAGE_EXIT = 254


class _Verbs(click.Group):
    """Loads a verb's module when it is named."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(f"stressnet.cli.{VERBS[name]}")
        command: click.Command = module.command
        name_in_environment(command, f"STRESSNET_{name.upper()}")
        return command

    def resolve_command(self, context: click.Context, arguments: list[str]) -> Any:
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(arguments[0], VERBS, n=1)
            if not near or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", context) from None


def name_in_environment(command: click.Command, prefix: str) -> None:
    """Let every option be set by the variable that its own name gives, such as STRESSNET_UP_TTL.

    What click itself would derive is of the parameter in the code, which often has another name.
    """
    for option in command.params:
        if isinstance(option, click.Option):
            long = max(option.opts, key=len)
            name = f"{prefix}_{long.removeprefix('--').replace('-', '_').upper()}"
            more = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
            option.envvar = list(dict.fromkeys([name, *more]))
    if isinstance(command, click.Group):
        for below, one in command.commands.items():
            name_in_environment(one, f"{prefix}_{below.upper()}")


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stressnet")
def group() -> None:
    """Start a crowd of peer-to-peer nodes on this machine from one file, and watch what they do.

    Every option can also be set in the environment: --ttl of `up` is STRESSNET_UP_TTL, and STRESSNET_NET is the
    net that the other verbs are about.
    Exit codes: 0 done, 254 bad input, 255 the harness failed; of run, prove and check 0 pass, 1 fail,
    2 inconclusive. STRESSNET_DEBUG=1 shows tracebacks.
    """


def main() -> NoReturn:
    """Run the command line and exit; errors are printed in words, without a traceback."""
    open_standard_streams()
    for number in endings():
        signal.signal(number, signal.default_int_handler)  # who is asked to end undoes, as after Ctrl-C
    try:
        # Outside its standalone mode click returns the code of an Exit instead of raising it.
        sys.exit(group.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE_EXIT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.stdout.flush()
        # Not sys.exit: an interrupt within exec(), as of a dataclass being made, would still end us by the signal.
        os._exit(130)
    except BrokenPipeError:
        to_nobody(sys.stdout.fileno())
        sys.exit(141)
    except StressnetError as error:
        _fail(error)
    except OSError as error:
        _fail(
            EnvironmentProblem(
                ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
            )
        )
    except Exception as error:  # 1, with which Python ends, would say that a check has failed
        hint = "STRESSNET_DEBUG=1 shows where, for a report of it"
        _fail(StressnetError(f"stressnet itself has failed: {error!r}", hints=(hint,)))


def _fail(error: StressnetError) -> NoReturn:
    if os.environ.get("STRESSNET_DEBUG"):
        raise error
    with suppress(OSError):  # the terminal may be gone
        click.echo(f"error: {error.message}", err=True)
        for hint in error.hints:
            click.echo(f"hint: {hint}", err=True)
    sys.exit(error.exit_code)
