"""The configuration: every key, its default and its unit; read from config.toml, all mistakes at once.

The types below say how a value is written: a duration is a number of seconds or text such as "500ms", a size
a number of bytes or text such as "1KiB". `time_scale` divides every `Scaled` duration, multiplies every
`ScaledRate`, and touches nothing else.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from . import values
from .errors import ConfigError
from .values import (
    Address,
    Addresses,
    Count,
    Defects,
    Flag,
    Level,
    Names,
    Port,
    Positive,
    Remedies,
    Scaled,
    ScaledRate,
    Seconds,
    Size,
)


@dataclass
class NodeKeys:
    """[node]: who this is."""

    name: str = "node"
    role: str = "full"
    network: str = "localnet"
    shard: Count = 0
    seed: Count = 0


@dataclass
class P2PKeys:
    """[p2p]: connections."""

    listen: Address = "127.0.0.1:9000"
    advertise: Address = ""
    bootnodes: Addresses = field(default_factory=list)
    peers: Addresses = field(default_factory=list)
    handshake_timeout: Scaled = 60.0
    keepalive_interval: Scaled = 30.0
    keepalive_timeout: Scaled = 10.0
    reconnect_min: Scaled = 1.0
    reconnect_max: Scaled = 30.0
    ban: Scaled = 3600.0
    max_connections: Positive = 1024
    max_streams: Positive = 256
    window: Size = 262144


@dataclass
class DiscoveryKeys:
    """[discovery]: the stream manager and what feeds it."""

    check_interval: Scaled = 30.0
    timeout: Scaled = 10.0
    connect_timeout: Scaled = 60.0
    cooldown: Scaled = 60.0
    soft_low_cap: Count = 4
    hard_low_cap: Count = 4
    high_cap: Positive = 1024
    batch: Positive = 8
    concurrency: Positive = 3
    max_queries: Positive = 8
    advertise_interval: Scaled = 60.0
    register_ttl: Scaled = 600.0


@dataclass
class SyncKeys:
    """[sync]: the downloader, the sync protocol and its server."""

    enabled: Flag = True
    """Without it there are no sync streams at all."""
    downloader: Flag = True
    """Without it this node serves over streams, and gets nothing by them."""
    concurrency: Positive = 4
    min_peers: Positive = 1
    blocks_by_number: Positive = 10
    insert_batch: Positive = 50
    hashes: Positive = 20
    last_mile: Count = 10
    soft_queue_cap: Positive = 100
    tick: Scaled = 10.0
    retry: Scaled = 5.0
    short_range_timeout: Scaled = 60.0
    number_timeout: Scaled = 10.0
    by_number_timeout: Scaled = 10.0
    hashes_timeout: Scaled = 1.0
    by_hashes_timeout: Scaled = 10.0
    no_stream_timeout: Scaled = 60.0
    max_waiting: Positive = 1024
    throttle_batch: Positive = 16
    throttle_interval: Scaled = 0.1
    max_failures: Positive = 5
    max_hashes: Positive = 50
    max_blocks_by_number: Positive = 10
    max_blocks_by_hashes: Positive = 10
    response_limit: Size = 2 * 1024 * 1024
    max_message: Size = 20 * 1024 * 1024
    rate_total: ScaledRate = 50.0
    rate_stream: ScaledRate = 10.0
    request_queue: Positive = 100


@dataclass
class DnsKeys:
    """[dns]: the legacy sync over gRPC."""

    server: Flag = False
    client: Flag = False
    port: Port = 6000
    peers: Addresses = field(default_factory=list)
    least_peers: Positive = 3
    most_peers: Positive = 5
    check_interval: Scaled = 60.0
    recheck: Scaled = 1.0
    timeout: Scaled = 10.0
    hashes: Positive = 30
    task: Positive = 5
    retries: Positive = 10
    reconnect_max: Scaled = 30.0
    ban: Scaled = 3600.0
    max_message: Size = 4 * 1024 * 1024


@dataclass
class ChainKeys:
    """[chain]: the blocks; all but `seed` must be the same on every node of a net."""

    block_time: Seconds = 1.0
    payload: Size = 1024
    validators: Names = field(default_factory=list)
    max_clock_drift: Seconds = 5.0
    max_reorg: Positive = 1000
    fsync_interval: Seconds = 10.0


@dataclass
class GossipKeys:
    """[gossip]: how new blocks spread."""

    blocks: Flag = True
    """Without it this node learns from gossip who is how high, and gets its blocks by sync alone."""
    push: Count = 4
    max_age: Positive = 20
    orphans: Positive = 50
    fetch_delay: Scaled = 1.0
    fetch_timeout: Scaled = 10.0
    max_waiting: Positive = 64
    patience: Scaled = 60.0


@dataclass
class RpcKeys:
    """[rpc]: JSON-RPC and /health."""

    listen: Address = "0.0.0.0:9500"
    in_sync_tolerance: Count = 10
    in_sync_cache: Scaled = 6.0
    in_sync_cache_others: Scaled = 12.0
    """The same for nodes that are no validators."""


@dataclass
class MetricsKeys:
    """[metrics]: Prometheus."""

    listen: Address = "0.0.0.0:9900"


@dataclass
class LogKeys:
    """[log]: what is written."""

    level: Level = "info"


@dataclass
class Config:
    """The whole file."""

    time_scale: Seconds = 1.0
    defects: Defects = field(default_factory=list)
    remedies: Remedies = field(default_factory=list)
    node: NodeKeys = field(default_factory=NodeKeys)
    p2p: P2PKeys = field(default_factory=P2PKeys)
    discovery: DiscoveryKeys = field(default_factory=DiscoveryKeys)
    sync: SyncKeys = field(default_factory=SyncKeys)
    dns: DnsKeys = field(default_factory=DnsKeys)
    chain: ChainKeys = field(default_factory=ChainKeys)
    gossip: GossipKeys = field(default_factory=GossipKeys)
    rpc: RpcKeys = field(default_factory=RpcKeys)
    metrics: MetricsKeys = field(default_factory=MetricsKeys)
    log: LogKeys = field(default_factory=LogKeys)


_SECTIONS = ("node", "p2p", "discovery", "sync", "dns", "chain", "gossip", "rpc", "metrics", "log")


def load(path: Path) -> Config:
    """Read a file; ConfigError holds every mistake in it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: {error}"]) from None
    try:
        return parse(raw)
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None


def parse(raw: dict[str, object]) -> Config:
    """Make a configuration of decoded TOML; ConfigError holds every mistake in it."""
    config, problems = Config(), []
    top = {key: value for key, value in raw.items() if key not in _SECTIONS}
    problems += values.fill(config, top, "", known=_SECTIONS)
    for name in _SECTIONS:
        section = raw.get(name, {})
        if isinstance(section, dict):
            problems += values.fill(getattr(config, name), section, f"{name}.")
        else:
            problems.append(f"{name}: a table is needed, found {section!r}")
    problems += [] if problems else _contradictions(config)
    if problems:
        raise ConfigError(problems)
    for name in _SECTIONS:
        values.scale(getattr(config, name), config.time_scale)
    return config


def _contradictions(config: Config) -> list[str]:
    discovery, sync, p2p = config.discovery, config.sync, config.p2p
    problems = [
        f"discovery.{low}: above discovery.high_cap ({discovery.high_cap})"
        for low in ("soft_low_cap", "hard_low_cap")
        if getattr(discovery, low) > discovery.high_cap
    ]
    if sync.blocks_by_number > sync.max_blocks_by_number:
        problems.append("sync.blocks_by_number: above sync.max_blocks_by_number, peers would drop this node")
    if sync.hashes > sync.max_hashes:
        problems.append("sync.hashes: above sync.max_hashes, peers would drop this node")
    if config.chain.payload > sync.max_message // 2:
        problems.append("chain.payload: a block must fit into half of sync.max_message")
    if p2p.window < 65536:
        problems.append("p2p.window: at least 64KiB, one frame must fit")
    if len(set(config.chain.validators)) != len(config.chain.validators):
        problems.append("chain.validators: a name is there twice")
    if config.node.role == "validator" and config.node.name not in config.chain.validators:
        problems.append(f"node.role: {config.node.name!r} is not among chain.validators")
    return problems + _legacy_contradictions(config)


def _legacy_contradictions(config: Config) -> list[str]:
    dns, problems = config.dns, []
    if dns.client and not dns.peers:
        problems.append("dns.client: nobody to ask, name servers under dns.peers")
    if dns.least_peers > dns.most_peers:
        problems.append(f"dns.least_peers: above dns.most_peers ({dns.most_peers})")
    if (dns.client or dns.server) and config.chain.payload > dns.max_message // 2:
        problems.append("chain.payload: a block must fit into half of dns.max_message")
    return problems
