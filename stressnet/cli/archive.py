"""`stressnet archive`: a record as one file."""

from __future__ import annotations

from pathlib import Path

import click

from stressnet.cli.options import json_option, record_argument


@click.command("archive", short_help="Put a record into one file.")
@record_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file. [default: PLAN-TIME.tar.gz in this folder]",
)
@json_option
def command(run: str, out: Path | None, as_json: bool) -> None:
    """Put all of the record RUN into one file that `check` and `report` read, here or elsewhere.

    RUN is a folder, or the name of a fault plan for its latest record.
    """
    from stressnet.cli.terminal import print_json
    from stressnet.errors import UsageError
    from stressnet.record.archive import SUFFIX, pack
    from stressnet.record.runs import find_run, label
    from stressnet.spec.units import format_size

    path = find_run(run)
    file = out or Path(f"{label(path)}{SUFFIX}")
    if file.resolve().is_relative_to(path):
        raise UsageError(f"{file} would be a part of itself", hints=("--out says where it goes",))
    size = pack(path, file)
    if as_json:
        print_json({"run": str(path), "file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: {format_size(size)}; `stressnet check {file}` judges it")
