"""`stressnet install`: the programs that nets on netns run, beside those that are on PATH."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stressnet.spec.kinds import Kinds

_RELAY = "toxiproxy"


@click.command("install", short_help="Get the programs that nets on netns run.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--kinds", "folders", multiple=True, type=click.Path(path_type=Path), help="A folder with kinds."
)
def command(names: tuple[str, ...], folders: tuple[Path, ...]) -> None:
    """Get programs for nets on netns: toxiproxy, or the program of a kind that says how. What is there stays.

    Images have theirs already: see `stressnet images build`.
    """
    from stressnet.spec.kinds import Kinds

    kinds = Kinds(folders)
    _check(kinds, names)
    for name in names:
        click.echo(f"{_got(kinds, name)} is there")


def _check(kinds: Kinds, names: tuple[str, ...]) -> None:
    """Raise UsageError before anything is fetched."""
    from stressnet.errors import UsageError

    known = [_RELAY, *(name for name in kinds.names() if kinds.load(name).kind.install)]
    for name in names:
        if name in known:
            continue
        if name in kinds.names():
            raise UsageError(f"kind {name!r} does not say how its program is installed")
        raise UsageError(f"there is no program {name!r} to install; there are: {', '.join(known)}")


def _got(kinds: Kinds, name: str) -> str:
    from stressnet.images import relay
    from stressnet.images.kinds import program

    def say(text: str) -> None:
        click.echo(text, err=True)

    if name != _RELAY:
        return str(program(kinds.load(name), say))
    found = relay.ensure(say)
    return f"Toxiproxy {relay.version(found)}: {found}"
