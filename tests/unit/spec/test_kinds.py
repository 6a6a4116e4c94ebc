"""Kinds are found on a path, and refused with every mistake when they are read."""
# ruff: noqa: E501 - tables of cases read best in one line each

from __future__ import annotations

from pathlib import Path

import pytest

from stressnet.errors import InputError, UsageError
from stressnet.spec.kinds import Kinds, load_kind


def make(tmp_path: Path, text: str, name: str = "mine") -> Path:
    (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / name / "kind.yaml").write_text(text)
    return tmp_path / name


def test_the_built_in_kinds_are_right() -> None:
    kinds = Kinds()
    assert {"cometbft", "generic", "syncnode"} <= set(kinds.names())
    assert all(kinds.load(name).kind.name == name for name in kinds.names())


def test_a_folder_of_kinds_and_a_folder_of_one_kind_are_both_searched(tmp_path: Path) -> None:
    one = make(tmp_path, "name: mine")
    assert "mine" in Kinds([tmp_path]).names()
    assert "mine" in Kinds([one]).names()


def test_a_kind_of_the_user_hides_a_built_in_one(tmp_path: Path) -> None:
    make(tmp_path, "name: generic\ndescription: my own", "generic")
    assert Kinds([tmp_path]).load("generic").kind.description == "my own"


def test_the_environment_names_folders_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "name: mine")
    monkeypatch.setenv("STRESSNET_KINDS", f"/no/such/folder:{tmp_path}")
    assert "mine" in Kinds().names()


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="/no/such/folder"):
        Kinds(["/no/such/folder"])


def test_a_copied_file_is_read_with_the_kind(tmp_path: Path) -> None:
    folder = make(tmp_path, "name: mine\nfiles: {genesis.json: {copy: data/genesis.json}}")
    (folder / "data").mkdir()
    (folder / "data" / "genesis.json").write_text('{"chain": "{net}"}')
    assert load_kind(folder).copies == {"genesis.json": '{"chain": "{net}"}'}


BAD = {
    "name: other": "1:7: name: 'other'; allowed: the name of the folder, 'mine'",
    "name: mine\nbinry: x": "2:1: binry: unknown key; allowed: name, description, image",
    "name: mine\nroles: []": "2:8: roles: an empty list; allowed: at least one role",
    "name: mine\nroles: [a, a]": "2:8: roles: a role twice; allowed: each role once",
    "name: mine\nroles: [a, b]\ndefault_role: c": "3:15: default_role: unknown role 'c'; allowed: a, b",
    "name: mine\nargs: {boot: [x]}": "2:8: args.boot: unknown role 'boot'; allowed: node",
    "name: mine\ncommand: run": "2:10: command: 'run'; allowed: a list, as in [run]",
    "name: mine\ncommand: []": "2:10: command: an empty list; allowed: at least one word",
    "name: mine\ncommand: ['{binry}']": "2:11: command.0: unknown placeholder {binry}",
    "name: mine\nenv: {A: '{port:rpc}'}": "2:10: env.A: unknown port in {port:rpc}",
    "name: mine\nports: {a: 80, b: 80}": "2:19: ports.b: 80/tcp is the port 'a' already",
    "name: mine\nready: {http: {port: rpc}}": "2:22: ready.http.port: unknown port 'rpc'",
    "name: mine\nheight: {tcp: {port: 80}}": "2:10: height.tcp: unknown key; allowed: http, rpc",
    "name: mine\nheight: {rpc: {port: 80, method: h, params: x}}": "2:45: height.rpc.params: 'x'; allowed: a list",
    "name: mine\nheight: {http: {port: 80, json: 'a['}}": "2:33: height.http.json: 'a[' is not a JMESPath",
    "name: mine\nmetrics: {port: metrics}": "2:17: metrics.port: unknown port 'metrics'",
    "name: mine\nprepare: {command: [x]}": "2:1: prepare.per_node: is missing",
    "name: mine\nprepare: {command: ['{address}'], per_node: a}": "2:21: prepare.command.0: unknown placeholder {address}",
    "name: mine\nprepare: {command: [x], per_node: ../a}": "2:35: prepare.per_node: '../a'",
    "name: mine\nprepare: {command: ['{env:PERIOD}'], per_node: a}\nenv: {PERIODS: '2'}": "2:21: prepare.command.0: unknown environment variable in {env:PERIOD}; allowed: PERIODS (did you mean 'PERIODS'?)",
    "name: mine\nenv: {A: '1', B: '{env:A}'}": "2:18: env.B: {env:A} within the environment",
    "name: mine\ncommand: ['{env:}', '{env}']": "2:21: command.1: {env} without an argument",
    "name: mine\nfiles: {x: {template: '{knows_prepared:id}'}}": "2:23: files.x.template: {knows_prepared:id}, but the kind mine prepares nothing; allowed: a kind with `prepare`",
    "name: mine\nprepare: {command: ['{boot_prepared:id}'], per_node: a}": "2:21: prepare.command.0: {boot_prepared:id}, but prepared files are read only when the files of nodes are written; allowed: in `files` and `config`",
    "name: mine\nprepare: {command: [x], per_node: a}\ncommand: ['{prepared:id}']": "3:11: command.0: {prepared:id}, but prepared files",
    "name: mine\nprepare: {command: [x], per_node: a}\nenv: {A: '{prepared:id}'}": "3:10: env.A: {prepared:id}, but prepared files",
    "name: mine\nprepare: {command: [x], per_node: a}\nheight: {rpc: {port: 80, method: h, params: ['{prepared:id}']}}": "3:46: height.rpc.params.0: {prepared:id}, but prepared files",
    "name: mine\nprepare: {command: [x], per_node: a}\nfiles: {x: {template: '{prepared:../id}'}}": "3:23: files.x.template: {prepared:../id}: no path of a file",
    "name: mine\nprepare: {command: [x], per_node: a}\nfiles: {x: {template: '{prepared:/etc/id}'}}": "3:23: files.x.template: {prepared:/etc/id}: no path of a file",
    "name: mine\nready: {http: {port: 80, path: '/{adress}'}}": "2:32: ready.http.path: unknown placeholder {adress}",
    "name: mine\nmetrics: {port: 80, path: '/{adress}'}": "2:27: metrics.path: unknown placeholder {adress}",
    "name: mine\ncommand: ['{knowz:p2p}']": "{{knowz:p2p}} to write it as it is (did you mean 'knows'?)",
    "name: mine\nfiles: {../x: {template: a}}": "2:9: files.../x: '../x'; allowed: a path below",
    "name: mine\nfiles: {/etc/x: {template: a}}": "2:9: files./etc/x: '/etc/x'",
    "name: mine\nfiles: {x: {}}": "2:12: files.x: no content; allowed: one of template, copy, patch",
    "name: mine\nfiles: {x: {template: a, patch: toml}}": "2:12: files.x: template and patch together",
    "name: mine\nfiles: {x: {patch: ini}}": "2:20: files.x.patch: 'ini'; allowed: toml, json, yaml",
    "name: mine\nfiles: {x: {template: a, config: true}}": "2:12: files.x: config without patch",
    "name: mine\nfiles: {x: {copy: absent}}": "2:19: files.x.copy: 'absent': No such file or directory",
    "name: mine\nfiles: {x: {copy: ../../secret}}": "2:19: files.x.copy: '../../secret'; allowed: a path below",
    "name: mine\nfiles: {x: {patch: toml, set: {a: '{addres}'}}}": "2:35: files.x.set.a: unknown placeholder {addres}",
    "name: mine\nfiles: {x: {template: a, mode: 600}}": "2:32: files.x.mode: 600; allowed: an octal mode in quotes",
    "name: mine\nblock: {http: {port: 80, json: hash}}": "2:1: block: no {height}; allowed: {height} in path or params, for the block's number",
    "name: mine\nblock: {rpc: {port: rpc, method: b, params: ['{height}']}}": "2:21: block.rpc.port: unknown port 'rpc'",
    "name: mine\nblock: {rpc: {port: 80, method: b, params: ['{height}', '{hight}']}}": "2:57: block.rpc.params.1: unknown placeholder {hight}",
    "name: mine\nblock: {rpc: {port: 80, method: b, params: ['{height:1}']}}": "2:45: block.rpc.params.0: {height:1} with an argument; allowed: {height}",
    "name: mine\nblock: {http: {port: 80, path: '/{height}/{{height}}'}}": "2:32: block.http.path: {{height}}; allowed: {height}, which stands for the block's number",
    "name: mine\nheight: {http: {port: 80, path: '/{height}'}}": "2:33: height.http.path: unknown placeholder {height}",
    "name: mine\nblock: {tcp: {port: 80}}": "2:9: block.tcp: unknown key; allowed: http, rpc",
    "name: mine\nin_sync: {rpc: {port: rpc, method: m}}": "2:23: in_sync.rpc.port: unknown port 'rpc'",
    "name: mine\nin_sync: {http: {port: 80, json: '!'}}": "2:34: in_sync.http.json: '!' is not a JMESPath",
    "name: mine\nstacks: {http: {port: pprof}}": "2:23: stacks.http.port: unknown port 'pprof'",
    "name: mine\nstacks: {http: {port: 80, path: '/{nme}'}}": "2:33: stacks.http.path: unknown placeholder {nme}",
    "name: mine\nmetrics: {port: 80}\nseries: {stream: a}": "3:10: series.stream: unknown key; allowed: streams, streams_opened, discoveries, tasks, pending_requests (did you mean 'streams'?)",
    "name: mine\nmetrics: {port: 80}\nseries: {tasks: 'a{b=\"c\"}'}": "3:17: series.tasks: 'a{b=\"c\"}'; allowed: the name of a series without labels",
    "name: mine\nseries: {tasks: go_goroutines}": "2:1: series: series without metrics; allowed: metrics with it",
    "name: mine\nrecovery_timers: {ban: 60}": "2:24: recovery_timers.ban: 60 has no unit",
    "name: mine\nrecovery_timers: {ban: 0s}": "2:24: recovery_timers.ban: '0s'; allowed: more than zero",
    "name: mine\nrecovery_timers: {Ban: 60s}": "2:19: recovery_timers.Ban: 'Ban'; allowed: a name of a to z",
    "name: mine\ntime_scale: scale": "2:1: time_scale: time_scale without recovery_timers; allowed: recovery_timers with it",
    "name: mine\nrecovery_timers: {ban: 60s}\ntime_scale: scale\nconfig: {scale: 0}": "4:17: config.scale: 0; allowed: a number above 0: time_scale",
    "name: mine\nrecovery_timers: {ban: 60s}\ntime_scale: a.b\nconfig: {a: {b: fast}}": "config.a.b: 'fast'; allowed: a number above 0",
    "name: mine\nstop: {signal: TERM}": "2:16: stop.signal: 'TERM'; allowed: SIGTERM",
    "name: mine\nready_timeout: 30": "2:16: ready_timeout: 30 has no unit",
    "name: mine\nestimate: {memory: lots}": "2:20: estimate.memory: 'lots'",
    "name: mine\nfaults: {Lie: {}}": "2:10: faults.Lie: 'Lie'; allowed: a name of a to z, 0 to 9 and '_'",
    "name: mine\nfaults: {lie: {summary: s, on: {http: {port: 80}}}}": "2:10: faults.lie.off: is missing",
    "name: mine\nfaults: {drop: {summary: s, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:10: faults.drop: 'drop' is a fault of stressnet's own; allowed: another name",
    "name: mine\nfaults: {lie: {summary: s, on: {http: {port: 80}}, off: {http: {port: rpc}}}}": "2:71: faults.lie.off.http.port: unknown port 'rpc'",
    "name: mine\nfaults: {lie: {summary: s, on: {}, off: {http: {port: 80}}}}": "2:32: faults.lie.on: no request; allowed: one of http, rpc",
    "name: mine\nfaults: {lie: {summary: s, on: {http: {port: 80, path: a b}}, off: {http: {port: 80}}}}": "2:56: faults.lie.on.http.path: 'a b'; allowed: a path that begins with '/'",
    "name: mine\nfaults: {lie: {summary: s, on: {http: {port: 80, method: PSOT}}, off: {http: {port: 80}}}}": "2:58: faults.lie.on.http.method: 'PSOT'; allowed: POST, PUT, PATCH, DELETE, GET (did you mean 'POST'?)",
    "name: mine\nfaults: {lie: {summary: s, on: {http: {port: 80, body: '{often}'}}, off: {http: {port: 80}}}}": "2:39: faults.lie.on.http: unknown parameter {often}; allowed: a name under `parameters`, of which there are none",
    "name: mine\nfaults: {lie: {summary: s, parameters: {share: {unit: share, example: 10%}}, on: {rpc: {port: 80, method: m, params: [{a: '{shar}'}]}}, off: {http: {port: 80}}}}": "unknown parameter {shar}; allowed: {share} (did you mean 'share'?)",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: shares, example: 10%}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:51: faults.lie.parameters.p.unit: 'shares'; allowed: duration, rate, size, share, word (did you mean 'share'?)",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: share, example: 10}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:67: faults.lie.parameters.p.example: 10 has no unit",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: share, example: 10%, default: 110%}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:81: faults.lie.parameters.p.default: 110%; allowed: 0% to 100%",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: duration, example: 1s, most: 500ms}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:70: faults.lie.parameters.p.example: 1s is too much; allowed: at most 500ms",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: duration, example: 1s, least: 5s, most: 3s}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "faults.lie.parameters.p.most: less than `least`",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: word, example: a}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:41: faults.lie.parameters.p: words without choices; allowed: `unit: word` and `choices` together",
    "name: mine\nfaults: {lie: {summary: s, parameters: {p: {unit: word, example: c, choices: [a, b]}}, on: {http: {port: 80}}, off: {http: {port: 80}}}}": "2:66: faults.lie.parameters.p.example: 'c'; allowed: a, b",
    "": "1:1: the file is empty",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=[text.partition("\n")[2] or text for text in BAD])
def test_a_bad_kind_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as refused:
        load_kind(make(tmp_path, text))
    assert BAD[text] in str(refused.value)


def test_all_mistakes_of_a_kind_are_listed(tmp_path: Path) -> None:
    text = "name: mine\nports: {a: 80, b: 80}\nready: {tcp: {port: c}}\ncommand: ['{x}', '{port:y}']"
    with pytest.raises(InputError) as refused:
        load_kind(make(tmp_path, text))
    assert len(refused.value.problems) == 4
