"""A topology compiles into a plan that decides everything, and always the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stressnet.compile import check_programs, compile_plan
from stressnet.errors import InputError
from stressnet.plan import Backend, File, Plan, Probe, Start
from stressnet.resources import folder
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

KIND = """\
name: peer
image: peer:1
binary: bin/peer
roles: [boot, validator, full]
command: ["{binary}", --home, "{node_dir}", "--as={role}"]
args: {boot: [--registry]}
env: {WHO: "{name}@{address}", NET: "{net}/{seed}"}
ports: {p2p: 9000/tcp, rpc: 9500}
prepare: {command: ["{binary}", init, "{count:validator}", "{count}", "{first_address}", "{prepare_dir}"], per_node: "n{kind_index}"}
files:
  config.toml:
    patch: toml
    set: {listen: "{address}:{port:p2p}", rpc.port: "{port:rpc}", peers: "{knows:p2p}", boot: "{boot:p2p}", text: "<{knows_names}>", deep: {list: ["{name}", 1, true]}}
    config: true
  genesis.json: {template: '{"validators": "{validators}", "all": "{addresses}"}', mode: "0600"}
  raw.txt: {copy: raw.txt, raw: true}
ready: {http: {port: rpc, path: "/ready?who={name}"}}
ready_timeout: 12s
height: {rpc: {port: rpc, method: height, params: ["{region}"], json: result}}
metrics: {port: 9100}
block: {rpc: {port: rpc, path: "/{name}", method: block, params: ["{height}", "{port:rpc}", "{region}{{x}}"], json: result}}
in_sync: {http: {port: rpc, json: synced}}
series: {tasks: threads}
recovery_timers: {cooldown: 60s, check: 30s}
time_scale: sync.scale
stop: {signal: SIGINT, timeout: 9s}
config: {sync.concurrency: 4, sync.batch: 10}
"""  # noqa: E501


@pytest.fixture
def kinds(tmp_path: Path) -> Kinds:
    home = tmp_path / "kinds" / "peer"
    (home / "bin").mkdir(parents=True)
    (home / "kind.yaml").write_text(KIND)
    (home / "raw.txt").write_text("{name}")
    (home / "bin" / "peer").write_text("#!/bin/sh\n")
    (home / "bin" / "peer").chmod(0o755)
    return Kinds([tmp_path / "kinds"])


@pytest.fixture
def plan_of(tmp_path: Path, kinds: Kinds) -> Any:
    def make(nodes: str, *sets: str, backend: Backend = "netns", **options: Any) -> Plan:
        file = tmp_path / "t.yaml"
        file.write_text(
            "name: net\nsubnet: 198.18.0.0/15\ndefaults: {kind: peer}\nregions: {us: {}, eu: {}}\n"
            f"nodes: {nodes}\n"
        )
        return compile_plan(load(file, sets), kinds, backend=backend, **options)

    return make


def test_a_blocks_height_stays_to_be_asked_for(plan_of: Any) -> None:
    """All other placeholders are filled in; a parameter that is nothing but the height becomes the number itself."""
    node = plan_of("{one: {region: us}, two: {region: us}}").node("two")
    assert node.block == Probe("rpc", 9500, "/two", "block", ("{height}", 9500, "us{x}"), "result")
    assert node.block.about({"height": 7}).params == (7, 9500, "us{x}")
    assert type(node.block.about({"height": 7}).params[0]) is int


def test_what_a_kind_does_not_say_is_not_there(plan_of: Any) -> None:
    plan = plan_of("{one: {}, tool: {kind: generic, command: [sleep, '9']}}")
    one, tool = plan.node("one"), plan.node("tool")
    assert (one.in_sync, one.stacks, one.series) == (
        Probe("http", 9500, json="synced"),
        None,
        {"tasks": "threads"},
    )
    assert (tool.block, tool.in_sync, tool.stacks, tool.series, tool.recovery_s) == (
        None,
        None,
        None,
        {},
        0.0,
    )


def test_the_longest_time_of_recovery_is_scaled_by_the_nodes_own_setting(plan_of: Any) -> None:
    """Where nothing sets the scale it is 1."""
    plan = plan_of("{stock: {}, fast: {config: {sync: {scale: 20}}}, slow: {config: {sync.scale: 0.5}}}")
    assert {node.name: node.recovery_s for node in plan.nodes} == {"stock": 60.0, "fast": 3.0, "slow": 120.0}


@pytest.mark.parametrize("scale", ["0", "-1", "fast", "true", ".inf", ".nan", "1e10", "[2]"])
def test_a_scale_that_divides_nothing_is_refused(plan_of: Any, scale: str) -> None:
    with pytest.raises(
        InputError, match=r"t\.yaml:5:\d+: nodes\.a\.config\.sync\.scale: .*; allowed: a number above 0"
    ):
        plan_of(f"{{a: {{config: {{sync.scale: {scale}}}}}}}")


def test_nodes_that_have_not_a_port_may_know_those_that_have(plan_of: Any) -> None:
    """A port that some groups of a net have in addition is known to all of its groups, and unknown without them."""
    asks = 'asks: {role: full, config: {servers: "{knows:p2p-dns}", first: "{boot:p2p-dns}"}}'
    plan = plan_of("{serves: {count: 2, role: full, ports: {p2p-dns: 6000}}, " + asks + "}")
    addresses = [f"{plan.node(name).address}:6000" for name in ("serves-1", "serves-2")]
    values = plan.node("asks").files[0].set
    assert (values["servers"], values["first"]) == (addresses, addresses[:1])
    with pytest.raises(InputError, match="unknown port in"):
        plan_of("{" + asks + "}")
    with pytest.raises(InputError, match=r"unknown port in \{port:p2p-dns\}"):
        plan_of('{serves: {ports: {p2p-dns: 6000}}, asks: {config: {own: "{port:p2p-dns}"}}}')


def test_nodes_are_named_by_their_group(plan_of: Any) -> None:
    plan = plan_of("{solo: {}, one: {count: 1}, two: {count: 2}}")
    assert [node.name for node in plan.nodes] == ["solo", "one-1", "two-1", "two-2"]


def test_nodes_are_ordered_by_role_and_addressed_in_a_row(plan_of: Any) -> None:
    plan = plan_of("{late: {count: 2}, validator: {count: 2}, boot: {}}")
    assert [(node.name, node.kind_index, node.address) for node in plan.nodes] == [
        ("boot", 0, "198.18.0.2"),
        ("validator-1", 1, "198.18.0.3"),
        ("validator-2", 2, "198.18.0.4"),
        ("late-1", 3, "198.18.0.5"),
        ("late-2", 4, "198.18.0.6"),
    ]
    assert plan.gateway == "198.18.0.1"


def test_each_kind_counts_its_own_nodes(plan_of: Any) -> None:
    plan = plan_of("{a: {count: 2}, tool: {kind: generic, command: [sleep, '9']}, b: {}}")
    assert [(n.name, n.kind_index) for n in plan.nodes] == [("a-1", 0), ("a-2", 1), ("b", 2), ("tool", 0)]


@pytest.mark.parametrize(
    ("group", "role"),
    [("validator: {}", "validator"), ("x: {}", "full"), ("validator: {role: boot}", "boot")],
)
def test_a_role_is_said_or_the_groups_name_or_the_default(plan_of: Any, group: str, role: str) -> None:
    assert plan_of(f"{{{group}}}").nodes[0].role == role


def test_a_node_is_rendered_in_full(plan_of: Any, tmp_path: Path) -> None:
    plan = plan_of("{boot: {}, validator: {count: 2, region: us, args: ['--n={index}'], env: {NET: mine}}}")
    node = plan.node("validator-2")
    binary = str(tmp_path / "kinds" / "peer" / "bin" / "peer")
    home = "/run/stressnet/nodes/validator-2"
    assert node.binary == binary
    assert node.command == (binary, "--home", home, "--as=validator", "--n=2")
    assert node.directory == home
    assert node.env == {"WHO": "validator-2@198.18.0.4", "NET": "mine"}
    assert node.ready == Probe("http", 9500, "/ready?who=validator-2")
    assert node.height == Probe("rpc", 9500, "/", "height", ("us",), "result")
    assert node.peers is None
    assert (node.ready_timeout_s, node.stop_signal, node.stop_timeout_s) == (12, "SIGINT", 9)
    assert plan.node("boot").command[-1] == "--registry"


def test_files_are_rendered_and_values_keep_their_types(plan_of: Any) -> None:
    plan = plan_of("{boot: {}, validator: {count: 2, config: {sync: {batch: 20}, new: '{name}'}}}")
    config, genesis, raw = plan.node("validator-1").files
    assert config.set == {
        "listen": "198.18.0.3:9000",
        "rpc.port": 9500,
        "peers": ["198.18.0.2:9000", "198.18.0.4:9000"],
        "boot": ["198.18.0.2:9000"],
        "text": "<boot,validator-2>",
        "deep.list": ["validator-1", 1, True],
        "sync.concurrency": 4,
        "sync.batch": 20,
        "new": "validator-1",
    }
    addresses = "198.18.0.2,198.18.0.3,198.18.0.4"
    text = f'{{"validators": "validator-1,validator-2", "all": "{addresses}"}}'
    assert genesis == File("genesis.json", text, mode=0o600)
    assert raw.text == "{name}"


def test_a_kind_without_boot_nodes_boots_from_its_first(plan_of: Any) -> None:
    plan = plan_of("{validator: {count: 3}}")
    assert all(node.files[0].set["boot"] == ["198.18.0.2:9000"] for node in plan.nodes)


def test_every_boot_node_is_booted_from(plan_of: Any) -> None:
    plan = plan_of("{boot: {count: 2}, validator: {}}")
    assert {tuple(node.files[0].set["boot"]) for node in plan.nodes} == {
        ("198.18.0.2:9000", "198.18.0.3:9000")
    }


def test_a_preparation_is_rendered_once(plan_of: Any) -> None:
    plan = plan_of("{late: {}, validator: {count: 2}}")
    (preparation,) = plan.preparations
    assert preparation.command[1:] == ("init", "2", "3", "198.18.0.2", "/run/stressnet/prepare/peer")
    assert preparation.output == "/run/stressnet/prepare/peer"
    assert preparation.sources == {"validator-1": "n0", "validator-2": "n1", "late": "n2"}


def test_what_a_group_says_wins_over_the_defaults(plan_of: Any) -> None:
    nodes = "{a: {env: {A: '1'}, labels: {x: y}, memory: 1GiB}, b: {}}"
    sets = ("defaults.env={A: '0', B: '2'}", "defaults.memory=2GiB", "defaults.cpu=0.5", "defaults.data=kept")
    a, b = plan_of(nodes, *sets).nodes
    assert (a.env["A"], a.env["B"], b.env["A"]) == ("1", "2", "0")
    assert (a.memory, b.memory, a.cpu, a.data) == (2**30, 2**31, 0.5, "kept")
    assert a.labels == {"x": "y"}


def test_a_start_names_the_nodes_it_waits_for(plan_of: Any) -> None:
    plan = plan_of("{v: {count: 2}, w: {}, late: {start: {after: 5s, height: 9, of: [v, w]}}}")
    assert plan.node("late").start == Start(5, 9, ("v-1", "v-2", "w"))
    assert plan.node("w").start == Start()


def test_a_group_may_have_ports_and_a_probe_of_its_own(plan_of: Any) -> None:
    plan = plan_of(
        "{a: {ports: {admin: 7000, rpc: 9999}, ready: {tcp: {port: admin}}, args: ['{port:rpc}']}}"
    )
    node = plan.nodes[0]
    assert node.ready == Probe("tcp", 7000)
    assert node.port("rpc").number == 9999
    assert node.command[-1] == "9999"


def test_docker_nodes_run_in_the_image(plan_of: Any) -> None:
    node = plan_of("{a: {}}", backend="docker").nodes[0]
    assert (node.image, node.binary, node.command[0]) == ("peer:1", "", "peer")


def test_a_local_binary_is_put_into_the_container(plan_of: Any, tmp_path: Path) -> None:
    node = plan_of("{a: {binary: ./mine, image: other:2}}", backend="docker").nodes[0]
    assert (node.image, node.binary) == ("other:2", str(tmp_path / "mine"))
    assert node.command[0] == "/run/stressnet/program/mine"


def test_a_bare_program_is_looked_up(plan_of: Any) -> None:
    found = {"mine": "/opt/mine", "sleep": "/bin/sleep"}.get
    plan = plan_of("{a: {binary: mine}, b: {kind: generic, command: [sleep, '1']}}", find=found)
    assert plan.node("a").command[0] == "/opt/mine"
    assert (plan.node("b").binary, plan.node("b").command) == ("/bin/sleep", ("/bin/sleep", "1"))


def test_latencies_go_both_ways_unless_both_are_given(tmp_path: Path, kinds: Kinds) -> None:
    file = tmp_path / "t.yaml"
    regions = "{us: {eu: 80ms ± 5ms, asia: 100ms}, eu: {us: 90ms}, asia: {}}"
    file.write_text(f"name: net\nregions: {regions}\nnodes: {{a: {{kind: peer, region: us}}}}\n")
    plan = compile_plan(load(file), kinds)
    delays = {(one.source, one.target): (one.delay_s, one.jitter_s) for one in plan.latencies}
    assert delays == {
        ("us", "eu"): (0.08, 0.005),
        ("eu", "us"): (0.09, 0),
        ("us", "asia"): (0.1, 0),
        ("asia", "us"): (0.1, 0),
    }
    assert plan.warnings == ("the region 'eu' has no nodes", "the region 'asia' has no nodes")


def test_egress_and_ttl_reach_the_plan_and_egress_warns(plan_of: Any) -> None:
    plan = plan_of("{a: {region: us}, b: {region: eu}}", "egress=true", "ttl=8h")
    assert plan.egress
    assert plan.ttl_s == 8 * 3600
    assert [warning for warning in plan.warnings if warning.startswith("egress")]


def test_equal_input_gives_equal_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from stressnet.compile import compile_plan; from stressnet.spec.load import load;"
        "print(compile_plan(load(sys.argv[1]), find=lambda name: None).to_json())"
    )
    file = str(folder("topologies") / "cometbft.yaml")
    sets = [sys.executable, "-c", code, file]
    runs = [
        subprocess.run(
            sets, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 1000


@pytest.mark.parametrize("file", sorted(folder("topologies").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_compiles_and_survives_json(file: Path) -> None:
    plan = compile_plan(load(file, environ={}))
    assert Plan.from_json(plan.to_json()) == plan


def test_the_quickstart_has_two_regions_and_two_late_nodes() -> None:
    plan = compile_plan(load(folder("topologies") / "quickstart.yaml"))
    assert len(plan.nodes) == 8
    assert {node.region for node in plan.nodes} == {"us", "eu"}
    assert sum(node.start.height > 0 for node in plan.nodes) == 2


def test_a_program_that_is_there_passes(plan_of: Any, tmp_path: Path) -> None:
    plan = plan_of("{a: {}}")
    check_programs(plan, load(tmp_path / "t.yaml"))


def test_a_missing_program_says_how_to_get_it(plan_of: Any, tmp_path: Path) -> None:
    plan = plan_of("{a: {binary: gone}, b: {binary: gone}}", find=lambda name: None)
    with pytest.raises(InputError) as refused:
        check_programs(plan, load(tmp_path / "t.yaml"), {"peer": ["go", "install", "x@v1"]})
    assert len(refused.value.problems) == 2
    assert refused.value.hints == ("get it with: go install x@v1",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("kind: generic, image: web:1, args: [--port, 80]", "program is not known"),
        ("args: ['{kind_dir}/x']", "is not in the container"),
    ],
)
def test_what_a_container_cannot_have_is_refused_on_docker_only(
    plan_of: Any, settings: str, message: str
) -> None:
    nodes = f"{{a: {{{settings}}}}}"
    plan_of(nodes)
    with pytest.raises(InputError, match=message):
        plan_of(nodes, backend="docker")


def test_an_image_alone_runs_its_own_program(plan_of: Any) -> None:
    node = plan_of("{a: {kind: generic, image: web:1}}", backend="docker").nodes[0]
    assert (node.image, node.command) == ("web:1", ())


def test_an_image_is_needed_on_docker_only(plan_of: Any) -> None:
    nodes = "{a: {kind: generic, command: [x]}}"
    assert plan_of(nodes).nodes[0].image == ""
    with pytest.raises(InputError, match="no image"):
        plan_of(nodes, backend="docker")


PREPARED_KIND = """\
name: chain
image: chain:1
binary: bin/chain
roles: [boot, node]
env: {PERIOD: "2", WHO: "{name}", CHAIN: "{net}"}
ports: {p2p: 9000/tcp}
prepare: {command: [python3, "{kind_dir}/make.py", "{env:PERIOD}", "{env:CHAIN}", "{prepare_dir}"], per_node: "n{kind_index}"}
files:
  peers.json: {patch: json, set: {mine: "{prepared:id}", peers: "{knows_prepared:keys/id}", boot: "{boot_prepared:id}"}, config: true}
  peers.txt: {template: "{knows_prepared:id} {env:WHO} {env:PERIOD}"}
  plain.txt: {template: "{name}"}
  raw.txt: {copy: raw.txt, raw: true}
"""  # noqa: E501


@pytest.fixture
def chain_of(tmp_path: Path, plan_of: Any) -> Any:
    home = tmp_path / "kinds" / "chain"
    home.mkdir()
    (home / "kind.yaml").write_text(PREPARED_KIND)
    (home / "raw.txt").write_text("{prepared:a/id}")
    return lambda nodes, *sets, **options: plan_of(nodes, "defaults.kind=chain", *sets, **options)


def test_prepared_files_have_their_places_in_the_plan(chain_of: Any) -> None:
    plan = chain_of("{boot: {}, a: {count: 2}}")
    peers, text = plan.node("a-1").files[:2]
    assert peers.set == {
        "mine": "{prepared:a-1/id}",
        "peers": ["{prepared:boot/keys/id}", "{prepared:a-2/keys/id}"],
        "boot": ["{prepared:boot/id}"],
    }
    assert text.text == "{prepared:boot/id},{prepared:a-2/id} a-1 2"
    assert plan.preparations[0].filled == ("peers.json", "peers.txt")


def test_nodes_whose_kind_prepares_nothing_have_no_prepared_files(chain_of: Any) -> None:
    plan = chain_of("{a: {count: 2}, tool: {kind: generic, command: [sleep, '9'], ports: {p2p: 7000}}}")
    assert plan.node("a-1").knows == ("a-2", "tool")
    assert plan.node("a-1").files[0].set["peers"] == ["{prepared:a-2/keys/id}"]


def test_a_preparation_uses_the_environment_that_a_topology_sets(chain_of: Any) -> None:
    assert chain_of("{a: {}, b: {}}").preparations[0].command[2:4] == ("2", "net")
    plan = chain_of("{a: {}, b: {}}", "defaults.env={PERIOD: '5'}")
    assert plan.preparations[0].command[2:4] == ("5", "net")
    assert plan.node("b").files[1].text.endswith(" b 5")


def test_a_file_has_the_environment_of_its_own_group(chain_of: Any) -> None:
    plan = chain_of("{a: {env: {WHO: me}}, b: {}}")
    assert [node.files[1].text.split(" ")[1] for node in plan.nodes] == ["me", "b"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            "{a: {}, b: {env: {PERIOD: '5'}}}",
            r"nodes.b.env.PERIOD: '5', but '2' in group 'a'; allowed: one value",
        ),
        (
            "{a: {env: {PERIOD: '{index}'}}}",
            r"nodes.a.env.PERIOD: \{index\}, but the preparation of kind chain",
        ),
        (
            "{a: {args: ['{prepared:id}']}}",
            r"nodes.a.args.0: \{prepared:id\}, but prepared files are read only",
        ),
        ("{a: {ready: {http: {port: p2p, path: '/{x}'}}}}", r"ready.http.path: unknown placeholder \{x\}"),
        (
            "{a: {kind: syncnode, config: {x: '{prepared:id}'}}}",
            r"config.x: .*the kind syncnode prepares nothing",
        ),
        ("{a: {ready: {http: {port: p2p, path: '/{label:x}'}}}}", r"no label 'x'"),
    ],
)
def test_what_a_preparation_cannot_give_is_refused(chain_of: Any, nodes: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chain_of(nodes)


def test_settings_of_a_topology_may_use_prepared_files(chain_of: Any) -> None:
    node = chain_of("{a: {config: {who: 'id={prepared:id}'}}}").nodes[0]
    assert node.files[0].set["who"] == "id={prepared:a/id}"


def test_the_folder_of_a_kind_is_in_the_container_of_its_preparation(chain_of: Any, tmp_path: Path) -> None:
    home = str(tmp_path / "kinds" / "chain")
    (local,) = chain_of("{a: {}}").preparations
    assert (local.command[1], local.kind_dir) == (f"{home}/make.py", "")
    (contained,) = chain_of("{a: {}}", backend="docker").preparations
    assert (contained.command[1], contained.kind_dir) == ("/run/stressnet/kind/make.py", home)


def test_a_preparation_survives_json(chain_of: Any) -> None:
    plan = chain_of("{a: {}}", backend="docker")
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("word", "program"),
    [("tool", "/opt/tool"), ("./run.sh", "{home}/run.sh"), ("'{kind_dir}/run.sh'", "{home}/run.sh")],
)
def test_a_kind_may_have_a_command_and_no_binary(
    plan_of: Any, tmp_path: Path, word: str, program: str
) -> None:
    home = tmp_path / "kinds" / "bare"
    home.mkdir()
    (home / "kind.yaml").write_text(f"name: bare\ncommand: [{word}, '{{name}}']\n")
    node = plan_of("{a: {kind: bare}}", find={"tool": "/opt/tool"}.get).nodes[0]
    assert node.binary == program.format(home=home)
    assert node.command == (node.binary, "a")
