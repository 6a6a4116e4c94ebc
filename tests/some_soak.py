"""A fault plan of a few seconds, for tests of soaks."""

SOAKED = """\
topology:
  name: soaked
  seed: 5
  defaults: {kind: syncnode, config: {chain: {block_time: 300ms, payload: 64B}}}
  nodes: {validator: {count: 2}, full: {role: full}}
time_scale: 20
settle: {height: 2, baseline: 1s}
duration: 3s
observe: 2s
timeline:
  - {name: cut, at: 500ms, fault: partition, between: [validator-1, full], for: 2s}
checks:
  - recovery: {within: 2s, lag: 10}
"""
