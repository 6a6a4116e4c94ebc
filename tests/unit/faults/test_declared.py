"""A fault that a kind declares becomes a kind of fault, travels in the plan, and is asked of a node by one request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stressnet.compile import compile_plan
from stressnet.engine.faults import Wish, compose
from stressnet.errors import InputError
from stressnet.faults.declared import Hook, with_declared
from stressnet.faults.kinds import KINDS
from stressnet.plan import Plan
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load
from stressnet.spec.selectors import Observation
from stressnet.spec.targets import Targets

KIND = """\
name: NAME
command: [sleep, "9"]
ports: {admin: 8000/tcp}
faults:
  lie:
    summary: it lies
    parameters:
      share: {unit: share, example: 10%, default: DEFAULT}
      size: {unit: size, summary: of a lie, example: 4KiB, least: 1KiB}
    on: {rpc: {port: admin, method: lie, params: ["{share}", {size: "{size}", words: "{size} at {share}"}]}}
    off: {http: {port: 8000, method: DELETE, path: /lies}}
"""


def made(folder: Path, net: str, **defaults: str) -> Plan:
    for name, default in (defaults or {"liar": "100%"}).items():
        (folder / name).mkdir()
        (folder / name / "kind.yaml").write_text(KIND.replace("NAME", name).replace("DEFAULT", default))
    (folder / "net.yaml").write_text(net)
    return compile_plan(load(folder / "net.yaml"), Kinds([folder]), find=lambda name: f"/bin/{name}")


NET = "name: net\nnodes: {a: {kind: liar, ports: {admin: 8001/tcp}}, b: {kind: generic, command: [sleep, '9']}}\n"


def asked(plan: Plan, on: str, *parameters: str) -> Wish:
    return Wish("lie", parameters, Targets(on=on))


def test_it_is_in_the_plan_and_the_plan_goes_to_json_and_back(tmp_path: Path) -> None:
    plan = made(tmp_path, NET)
    assert Plan.from_json(plan.to_json()) == plan
    assert "Infinity" not in plan.to_json()
    (declared,) = plan.faults
    assert (declared.node_kind, declared.fault.layer) == ("liar", "protocol")
    assert declared.fault.complete({"size": 4096.0}) == {"share": 1.0, "size": 4096.0}
    assert with_declared(plan.faults).keys() == KINDS.keys() | {"lie"}


def test_it_is_read_as_all_others_are(tmp_path: Path) -> None:
    plan = made(tmp_path, NET)
    fault = compose(asked(plan, "a", "size=4KiB"), plan, Observation(), 0.0, 1)
    assert (fault.nodes, fault.parameters) == (("a",), {"share": 1.0, "size": 4096})
    with pytest.raises(InputError) as error:
        compose(asked(plan, "all", "size=1B", "share=20"), plan, Observation(), 0.0, 1)
    places = [line.partition(":")[0] for line in error.value.message.splitlines()]
    assert sorted(places) == ["--on", "share=20", "size=1B"]
    assert "b of the kind generic, which declares no fault 'lie'; allowed: nodes of the kind liar" in str(
        error.value
    )


def test_a_request_has_the_values_of_its_parameters() -> None:
    hook = Hook(
        "rpc", "rpc", "/", "m", ["{share}", {"size": "{size}", "words": "{size} at {share}"}, 3, None]
    )
    verb, path, body = hook.request({"share": 0.25, "size": 4096.0})
    assert (verb, path) == ("POST", "/")
    sent = json.loads(body)
    assert sent == {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "m",
        "params": [0.25, {"size": 4096, "words": "4096 at 0.25"}, 3, None],
    }
    assert isinstance(sent["params"][1]["size"], int), "many programs refuse 4096.0"


@pytest.mark.parametrize(
    ("content", "sent"), [(None, b""), ("at {p}", b"at 0.5"), ({"a": ["{p}"]}, b'{"a": [0.5]}')]
)
def test_an_http_request_has_a_text_or_json_or_nothing(content: object, sent: bytes) -> None:
    hook = Hook("http", 80, "/lie/{p}?x={p}", "PUT", content)
    assert hook.request({"p": 0.5}) == ("PUT", "/lie/0.5?x=0.5", sent)


def test_one_name_has_one_meaning_in_a_net(tmp_path: Path) -> None:
    net = "name: net\nnodes: {a: {kind: liar}, b: {kind: other}}\n"
    with pytest.raises(InputError, match="the kind other declares the fault 'lie' with other parameters"):
        made(tmp_path, net, liar="100%", other="50%")


def test_two_kinds_may_declare_the_same(tmp_path: Path) -> None:
    plan = made(tmp_path, "name: net\nnodes: {a: {kind: liar}, b: {kind: other}}\n", liar="5%", other="5%")
    fault = compose(asked(plan, "all", "size=4KiB"), plan, Observation(), 0.0, 1)
    assert fault.nodes == ("a", "b")
