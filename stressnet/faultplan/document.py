"""The fault plan file as models: a topology, faults on a timeline, checks, and variants with what they should give."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)

from stressnet.checks.check import Outcome
from stressnet.checks.expectation import Expectation
from stressnet.checks.registry import CHECKS
from stressnet.spec.fields import (
    AlsoWritten,
    Model,
    Name,
    Number,
    PerSecond,
    PortReference,
    Seconds,
    SomeSeconds,
    Text,
    one_of,
    plain_number,
    refuse,
    whole,
)
from stressnet.spec.probes import Params
from stressnet.spec.topology import Height, Seed
from stressnet.spec.units import QuantityError, format_duration, parse_size
from stressnet.spec.words import listing, nearest, show

FIGURES = ("height", "lag", "peers", "cpu", "memory")
"""What is observed of nodes all the time: blocks, blocks, number, CPUs, bytes."""
EXPECTED = ("pass", "fail", "inconclusive")
_MIB = 1 << 20
_CONDITIONS = ("time", "height", "figure", "metric", "state")


def _moment(value: Any) -> Any:
    return value if isinstance(value, dict) else {"time": value}


def _scale(value: Any) -> float:
    number: float = plain_number(value)
    if not 0.01 <= number <= 10_000:
        raise refuse(show(value), "a number from 0.01 to 10000")
    return number


def _pair(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 2:
        raise refuse(show(value), "two selectors, as in [us, eu]")
    return value


def _check(value: Any) -> Any:
    """Bring `- agreement`, and `- agreement:`, to the one normal form."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, dict):
        return {key: {} if item is None else item for key, item in value.items()}
    raise refuse(show(value), "a check, as in `- stuck: {window: 60s}`")


def _expected(value: Any) -> Expectation:
    if not isinstance(value, dict):
        return Expectation(cast(Outcome, one_of(*EXPECTED)(value)))
    if set(value) != {"fail"}:
        found = f"{listing(map(str, value))} with checks" if value else "nothing"
        raise refuse(found, "a verdict, or the checks that fail", example="{fail: [stuck]}")
    names = [value["fail"]] if isinstance(value["fail"], str) else value["fail"]
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise refuse(show(names), "names of checks", example="{fail: [stuck]}")
    return Expectation("fail", tuple(dict.fromkeys(names)))


def _capture(value: Any) -> int:
    try:
        size = parse_size(value)
    except QuantityError as error:
        raise refuse(error.found, error.allowed, example="4MiB") from None
    if not _MIB <= size <= 64 * _MIB:
        raise refuse(show(value), "1MiB to 64MiB")
    return size


Capture = Annotated[int, BeforeValidator(_capture), WithJsonSchema({"type": "string", "examples": ["4MiB"]})]
Scale = Annotated[float, BeforeValidator(_scale), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
Expected = Annotated[
    Expectation,
    BeforeValidator(_expected),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(EXPECTED)},
                {
                    "type": "object",
                    "properties": {"fail": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
                    "required": ["fail"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
FigureName = Annotated[str, BeforeValidator(one_of(*FIGURES)), WithJsonSchema({"enum": list(FIGURES)})]
StateName = Annotated[
    str,
    BeforeValidator(one_of("ready", "starting", "exited")),
    WithJsonSchema({"enum": ["ready", "starting", "exited"]}),
]
Pair = Annotated[
    list[Text],
    BeforeValidator(_pair),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}),
]
TopologyOrFile = Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]
Over = Annotated[Any, WithJsonSchema({"type": "object"})]
Weight = Annotated[int, BeforeValidator(whole(1, 1000)), WithJsonSchema({"type": "integer", "minimum": 1})]


class Moment(Model):
    """When a step happens: at a time of the timeline, or when a condition holds that is observed of nodes."""

    time: Seconds | None = Field(default=None, description="Time since the timeline began.")
    height: Height | None = Field(default=None, description="When all nodes of `of` have this height.")
    figure: FigureName | None = Field(default=None, description="When a figure of a node of `of` is so.")
    metric: Text | None = Field(
        default=None, description="When a series of a node of `of`, summed over its labels, is so."
    )
    state: StateName | None = Field(default=None, description="When a node of `of` is in this state.")
    above: Number | None = Field(default=None, description="The figure is more; of memory, bytes.")
    below: Number | None = Field(default=None, description="The figure is less.")
    of: Text | None = Field(
        default=None, description="Selector of nodes; default: `highest` for a height, else `all`."
    )
    within: SomeSeconds | None = Field(
        default=None, description="How long it is waited for; default: to the timeline's end."
    )

    @model_validator(mode="after")
    def _one(self) -> Moment:
        given = [name for name in _CONDITIONS if name in self.model_fields_set]
        if len(given) != 1:
            raise refuse(f"{listing(given)} together" if given else "no condition", listing(_CONDITIONS))
        bounds = self.above is not None, self.below is not None
        if given[0] in ("figure", "metric") and sum(bounds) != 1:
            raise refuse("a figure without one bound", "one of above, below")
        if given[0] not in ("figure", "metric") and any(bounds):
            raise refuse(f"a bound of {given[0]}", f"{given[0]} alone")
        if given[0] == "time" and (self.of is not None or self.within is not None):
            raise refuse("`of` or `within` of a time", "the time alone")
        return self


class RpcLoad(Model):
    """A JSON-RPC call."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: Text = Field(default="/", description="Path that takes the POST.")
    method: Text = Field(description="Name of the method.")
    params: Params = Field(default=[], description="Parameters of the call.")


class HttpLoad(Model):
    """A GET request."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: Text = Field(
        default="/",
        description="Path and query; in it `{number}` is the number of the call, `{size:64KiB}` so many letters.",
    )


class Load(Model):
    """Requests to nodes, again and again."""

    rpc: RpcLoad | None = Field(default=None, description="A JSON-RPC call.")
    http: HttpLoad | None = Field(default=None, description="A GET request.")
    rate: PerSecond = Field(description="How often each node is asked, as in `20/s`.")

    @model_validator(mode="after")
    def _one(self) -> Load:
        if (self.rpc is None) == (self.http is None):
            raise refuse("http and rpc together" if self.rpc else "no request", "one of http, rpc")
        return self


class Doing(Model):
    """A fault and its targets; further keys are the parameters of the fault (`stressnet fault kinds`)."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, populate_by_name=False)

    fault: Text | None = Field(default=None, description="Kind of fault that is put on.")
    source: Text | None = Field(default=None, alias="from", description="Selector: data from these nodes.")
    target: Text | None = Field(default=None, alias="to", description="Selector: data to these nodes.")
    between: Pair | None = Field(default=None, description="Two selectors: data both ways between these.")
    on: Text | None = Field(default=None, description="Selector: these nodes.")


class Step(Doing):
    """One thing that is done: when, what, to which, for how long. Further keys are the fault's parameters."""

    name: Name | None = Field(default=None, description="Its name; default: the fault's, with a number.")
    at: Annotated[Moment | None, BeforeValidator(_moment), AlsoWritten(({"type": "string"},))] = Field(
        default=None, description="When: a time as in `10s`, or a condition as in `{height: 40}`."
    )
    after: Name | None = Field(default=None, description="When that other step is over.")
    wait: Seconds = Field(default=0.0, description="How long after `after`.")
    every: SomeSeconds | None = Field(
        default=None, description="Again and again at this interval, first at `at`."
    )
    until: SomeSeconds | None = Field(
        default=None, description="Until when `every` goes on; default: to the timeline's end."
    )
    for_s: SomeSeconds | None = Field(
        default=None, alias="for", description="How long it is on; default: to the timeline's end."
    )
    heal: Text | None = Field(default=None, description="Name of a step whose fault is healed, or `all`.")
    mark: Text | None = Field(default=None, description="A line in the journal and in the report.")
    load: Load | None = Field(default=None, description="Requests to the nodes of `on`.")

    @model_validator(mode="after")
    def _complete(self) -> Step:
        given = [name for name in ("fault", "heal", "mark", "load") if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{listing(given)} together" if given else "nothing to do"
            raise refuse(found, "one of fault, heal, mark, load")
        if self.model_extra and not self.fault:
            unknown = next(iter(self.model_extra))
            raise refuse(f"unknown key {unknown!r}", listing(_STEP_KEYS), nearest(unknown, _STEP_KEYS))
        if self.at is not None and self.after is not None:
            raise refuse("at and after together", "one of them")
        if self.at is None and self.after is None and self.every is None:
            raise refuse("no time", "at, after or every")
        if self.every is not None and (self.after is not None or (self.at and self.at.time is None)):
            raise refuse("every together with a condition", "every, with a time in `at` where it begins")
        if self.until is not None and self.every is None:
            raise refuse("until without every", f"for: {format_duration(self.until)}, or every")
        if given[0] == "load" and self.on is None:
            raise refuse("load without nodes", "on: SELECTOR")
        return self


_STEP_KEYS = [field.alias or name for name, field in Step.model_fields.items()]


class Draw(Doing):
    """A fault that may be drawn. Its parameters may be ranges, as in `50ms to 300ms`."""

    fault: Text = Field(description="Kind of fault.")
    for_s: Text = Field(alias="for", description="How long it is on: a time, or a range as in `2s to 8s`.")
    weight: Weight = Field(default=1, description="How often it is drawn, beside the others.")


class Random(Model):
    """Faults drawn from the seed, and then written out in full in the record."""

    begin: Seconds = Field(default=0.0, description="Time of the timeline from which on faults come.")
    until: SomeSeconds | None = Field(
        default=None, description="Time to which all are over; default: the timeline's end."
    )
    every: SomeSeconds = Field(description="Mean time between two beginnings; the times are drawn.")
    faults: list[Draw] = Field(description="What may be drawn.")

    @model_validator(mode="after")
    def _some(self) -> Random:
        if not self.faults:
            raise refuse("no faults", "at least one")
        return self


class Settle(Model):
    """What is waited for before the timeline begins."""

    timeout: SomeSeconds = Field(default=120.0, description="How long it may take; default: 120s.")
    height: Height | None = Field(
        default=None, description="All nodes that run, and whose kind tells a height, have this one."
    )
    synced: bool = Field(
        default=False,
        description="All nodes that run, and tell a height, are in step: at most 2 blocks below the highest.",
    )
    baseline: Seconds = Field(
        default=5.0,
        description="How long the net is then watched without faults: what is normal; default: 5s.",
    )


CheckEntry: type[Model] = create_model(
    "Check",
    __base__=Model,
    __doc__="One question to the record: the name of a check, and its parameters.",
    name=(Name | None, Field(default=None, description="Its name in the verdict; default: the check's.")),
    **{  # type: ignore[call-overload]  # fields are made from the registry
        check.name: (check.parameters | None, Field(default=None, description=check.summary))
        for check in CHECKS.values()
        if not check.always
    },
)
_CHECK_NAMES = [name for name in CheckEntry.model_fields if name != "name"]


class FaultPlan(Model):
    """A net, what is done to it and when, and what is asked of the record."""

    name: Name | None = Field(default=None, description="Its name; default: the file's.")
    description: Text = Field(default="", description="What it is for, for the report.")
    topology: TopologyOrFile = Field(
        description="A topology file, relative to this one, or a topology itself."
    )
    set: dict[str, Any] = Field(
        default={}, description="Values put over those of the topology: nested, or with dotted keys."
    )
    seed: Seed | None = Field(default=None, description="Decides all draws; default: the topology's.")
    time_scale: Scale | None = Field(
        default=None, description="By how much the protocol of all nodes is faster: their `time_scale`."
    )
    settle: Settle = Field(
        default=Settle(),
        description="What must be so before the timeline begins, and how long is waited for it.",
    )
    duration: SomeSeconds = Field(description="How long the timeline is; then all faults are healed.")
    observe: Seconds = Field(
        default=20.0, description="How long the net is then watched without faults; default: 20s."
    )
    capture: Capture | None = Field(
        default=None,
        description="So much of the last packets of each node is kept, as evidence where a check fails.",
    )
    timeline: list[Step] = Field(default=[], description="What is done, and when.")
    random: Random | None = Field(default=None, description="Faults drawn from the seed.")
    checks: list[
        Annotated[CheckEntry, BeforeValidator(_check), AlsoWritten(({"type": "string"},))]  # type: ignore[valid-type]
    ] = Field(description="What is asked of the record.")
    variants: dict[Name, Over] = Field(
        default={},
        description="Named overrides of anything above, each with `expect`: pass, fail, inconclusive.",
    )
    expect: Expected | None = Field(
        default=None,
        description="The verdict that `prove` expects; `{fail: [CHECK, …]}`: by these checks, and by no others.",
    )

    @field_validator("checks")
    @classmethod
    def _some(cls, checks: list[Any]) -> list[Any]:
        if not checks:
            raise refuse("no checks", "at least one: without a question there is no verdict")
        return checks


def chosen(entry: Model) -> tuple[str, Model] | None:
    """Return the name of an entry's check and its parameters; None where it does not name exactly one."""
    given = [name for name in _CHECK_NAMES if getattr(entry, name) is not None]
    return (given[0], getattr(entry, given[0])) if len(given) == 1 else None


CHECK_NAMES = tuple(_CHECK_NAMES)
