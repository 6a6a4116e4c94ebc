"""`stressnet init`: a starter topology."""

from __future__ import annotations

from pathlib import Path

import click

_STARTER = """\
# A topology: which nodes, where, and who knows whom. `stressnet plan {file}` shows what it means,
# `stressnet up {file}` starts it. Every key is in docs/topology.md.
name: {name}
seed: 1                         # of all that is random: same file and seed, same net

regions:                        # places with one-way latencies to others
  us: {{eu: 80ms ± 5ms}}
  eu: {{}}

defaults:                       # settings of all groups; a group's own win
  kind: syncnode                # how to run a node; `stressnet kinds` lists what there is

links: full                     # who knows whom: full, ring, line, star, tree, random, or pairs

nodes:
  boot: {{region: us}}
  validator:
    count: 4                    # validator-1 to validator-4
    region: us
  late:
    count: 2
    region: eu
    role: full
    # memory: 256MiB            # a limit
    # binary: ./build/node      # a build of your own
    start: {{height: 10, of: validator}}   # joins from height 0 once all validators are at 10
"""


@click.command("init", short_help="Write a starter topology.")
@click.argument("file", default="topology.yaml")
def command(file: str) -> None:
    """Write a commented starter topology to FILE (topology.yaml); a file that exists is left alone."""
    from stressnet.errors import UsageError

    path = Path(file)
    text = _STARTER.format(file=file, name=_name(path))
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{file} exists already; it was left alone") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {file}; see what it means with: stressnet plan {file}")


def _name(path: Path) -> str:
    """The file's own name where that is a name for a net."""
    import re

    from stressnet.spec.fields import NAME_PATTERN

    return path.stem if re.fullmatch(NAME_PATTERN, path.stem) else "my-net"
