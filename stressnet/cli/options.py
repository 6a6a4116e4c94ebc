"""Options and arguments that several verbs share; imports nothing heavy, because --help loads every verb."""

from __future__ import annotations

from typing import Any

import click


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A span of time with its unit, such as 8h; the command gets seconds."""

    name = "duration"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Return seconds; a usage error in the words of the topology's own durations."""
        from stressnet.spec.units import QuantityError, parse_duration

        if isinstance(value, float):
            return value
        try:
            return parse_duration(value)
        except QuantityError as error:
            self.fail(str(error), parameter, context)


class Share(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A percentage, such as 95%; the command gets a share from 0 to 1."""

    name = "percentage"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        """Return the share; a usage error in the words of the topology's own percentages."""
        from stressnet.spec.units import QuantityError, parse_percent

        if isinstance(value, float):
            return value
        try:
            return parse_percent(value)
        except QuantityError as error:
            self.fail(str(error), parameter, context)


class Size(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A number of bytes with its unit, such as 2GiB; the command gets bytes."""

    name = "size"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Return bytes; a usage error in the words of the topology's own sizes."""
        from stressnet.spec.units import QuantityError, parse_size

        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except QuantityError as error:
            self.fail(str(error), parameter, context)


DURATION = Duration()
SIZE = Size()
SHARE = Share()
SEED = click.IntRange(0, 2**63 - 1)
"""As in topologies (`spec.topology.MAX_SEED`, which takes long to import)."""
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
net_argument = click.argument("net", required=False, envvar="STRESSNET_NET")
net_option = click.option(
    "--net",
    envvar="STRESSNET_NET",
    help="The net; may be left out where only one is up, or STRESSNET_NET says which.",
)
record_argument = click.argument("run")
