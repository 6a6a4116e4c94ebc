"""Every option has a variable of the environment, by its own name; and it is listened to."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from stressnet.cli import VERBS, group
from stressnet.cli.options import SEED
from stressnet.spec.topology import MAX_SEED


def _options(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    for option in command.params:
        if isinstance(option, click.Option):
            yield path, option
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _options(below, (*path, name))


def _all() -> Iterator[tuple[str, tuple[str, ...], click.Option]]:
    for verb in VERBS:
        command = group.get_command(click.Context(group), verb)
        assert command is not None
        for path, option in _options(command, (verb,)):
            long = max(option.opts, key=len)
            words = [*path, long.removeprefix("--")]
            yield "_".join(["STRESSNET", *(word.replace("-", "_").upper() for word in words)]), path, option


ALL = tuple(_all())


@pytest.mark.parametrize(("name", "path", "option"), ALL, ids=[name for name, *_ in ALL])
def test_an_option_is_set_by_the_variable_of_its_name(
    name: str, path: tuple[str, ...], option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What click would take for its value is what stands there."""
    monkeypatch.setenv(name, "1")
    context = click.Context(click.Command(path[-1]))
    assert option.resolve_envvar_value(context) == "1"


def test_a_net_may_be_named_for_all_verbs_or_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrower one wins."""
    monkeypatch.setenv("STRESSNET_NET", "all")
    monkeypatch.setenv("STRESSNET_LOGS_NET", "one")
    command = group.get_command(click.Context(group), "logs")
    assert command is not None
    option = next(one for one in command.params if "--net" in one.opts)
    assert option.resolve_envvar_value(click.Context(command)) == "one"


@pytest.mark.parametrize(
    ("variables", "words", "expected"),
    [
        ({"STRESSNET_FAULT_ADD_FOR": "0s"}, ("fault", "add", "drop", "probability=1%"), "0s is no time"),
        ({"STRESSNET_VALIDATE_SET": "naem=x"}, ("validate", "{file}"), "naem: unknown key"),
        ({"STRESSNET_VALIDATE_JSON": "1"}, ("validate", "{file}"), '"nodes": 1'),
    ],
    ids=["a duration", "repeated", "a flag"],
)
def test_values_are_read_as_if_typed(
    variables: dict[str, str], words: tuple[str, ...], expected: str, tmp_path: object
) -> None:
    file = f"{tmp_path}/net.yaml"
    with open(file, "w") as topology:
        topology.write("name: net\nnodes: {n: {kind: syncnode}}\n")
    done = CliRunner().invoke(group, [word.format(file=file) for word in words], env=variables)
    assert expected in done.output + str(done.exception)


def test_a_seed_is_what_a_topology_may_say() -> None:
    assert SEED.max == MAX_SEED
