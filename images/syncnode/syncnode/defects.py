"""The defects that this node can be given, each by its name, and how each shows.

They are those of the real network that it is modelled on, or follow from how that network's code works. All are off by
default; the node without them is what fixes them. `python -m syncnode.defects` writes docs/defects.md.
"""

from __future__ import annotations

import sys
from enum import StrEnum


class Defect(StrEnum):
    """A name that `defects` of the configuration may hold."""

    RETRY_AMPLIFICATION = "retry_amplification"
    DUPLICATE_DIAL_LEAK = "duplicate_dial_leak"
    CONTEXT_LEAK = "context_leak"
    LABEL_EXPLOSION = "label_explosion"
    BLOCKING_TICK_SEND = "blocking_tick_send"
    EOF_SPIN = "eof_spin"
    REDIRECT_IN_SYNC = "redirect_in_sync"
    INVERTED_IN_SYNC = "inverted_in_sync"
    DEAD_WHITELIST_LOOP = "dead_whitelist_loop"
    UNREAD_EVENT_CHANNEL = "unread_event_channel"
    HELPER_NEVER_SIGNALS = "helper_never_signals"
    ISLAND_IS_IN_SYNC = "island_is_in_sync"
    NO_RETURN_TO_LONG_RANGE = "no_return_to_long_range"
    REENTRANT_LOCK = "reentrant_lock"
    COOLDOWN_NEVER_EXPIRES = "cooldown_never_expires"
    REFUSED_STREAM_LEFT_OPEN = "refused_stream_left_open"
    INIT_COLLISION_RESET = "init_collision_reset"
    INIT_COLLISION_SILENT = "init_collision_silent"
    IMMEDIATE_REDISCOVERY = "immediate_rediscovery"
    OVER_COOLDOWN = "over_cooldown"


class Remedy(StrEnum):
    """A name that `remedies` may hold: what helps against collisions although the defects are there."""

    COOLDOWN_PER_PEER = "cooldown_per_peer"
    COOLDOWN_GLOBAL = "cooldown_global"
    TIE_BREAK = "tie_break"


CAUSES: dict[Defect, tuple[str, str, str, str]] = {
    Defect.RETRY_AMPLIFICATION: (
        "Each tick begins a chain of attempts, and each failure asks for another after `sync.retry`: no chain ends "
        "while errors last.",
        "errors that last: fewer peers than `sync.min_peers`, or errors in replies",
        "after T seconds T/tick chains, so T/(tick · retry) attempts a second: `hmy_downloader_failed_download` and "
        "CPU grow as a parabola, `syncnode_tasks` as a line",
        "one attempt at a time, and a pause after a failure",
    ),
    Defect.DUPLICATE_DIAL_LEAK: (
        "Peers that have a stream are looked up again at each check; what they open is refused as there already, and "
        "left open at both ends.",
        "fewer reachable peers than `discovery.soft_low_cap`",
        "`syncnode_open_streams` grows by up to `discovery.batch` at each check, at both ends",
        "peers that have a stream are skipped, and what is refused is reset",
    ),
    Defect.CONTEXT_LEAK: (
        "What a pass of short range holds is let go when its time-out has passed, not when the pass is over.",
        "many passes, as retries make them",
        "`syncnode_tasks` is higher by the passes of the last `sync.short_range_timeout`, and memory with it",
        "a pass lets go of all it holds when it ends",
    ),
    Defect.LABEL_EXPLOSION: (
        "Counters of failures carry the text of the error as a label, with numbers in it that never come twice.",
        "requests or passes that fail",
        "the metrics page grows by a line at each failure, and so do memory and the time to make it",
        "labels come from a small fixed set",
    ),
    Defect.BLOCKING_TICK_SEND: (
        "The loop of the stream manager puts its tick into the channel of one place that it alone empties.",
        "a stream is removed at the moment of a tick",
        "`hmy_stream_discover` stands still, streams are neither added nor removed any more",
        "a loop that never waits for itself",
    ),
    Defect.EOF_SPIN: (
        "The end of a stream is read as no data and no error, and so again at once.",
        "a peer that closes a stream instead of resetting it (the fault `clean_close`)",
        "a whole core in use, by one stream",
        "the end of a stream ends its reader",
    ),
    Defect.REDIRECT_IN_SYNC: (
        "Each question whether a node is in sync asks all its gRPC peers for their height, where streams do not sync.",
        "`inSync` called often on a node with `sync.downloader = false` and `dns.client = true`",
        '`hmy_dns_server_request_count{method="block_height"}` of the peers grows with the calls',
        "what was found counts for `rpc.in_sync_cache`",
    ),
    Defect.INVERTED_IN_SYNC: (
        "What says whether a node syncs is taken for whether it is in sync.",
        "`inSync` asked of a node that syncs by streams",
        "`inSync` is true while the node lags behind",
        "true only within `rpc.in_sync_tolerance` blocks of the highest peer",
    ),
    Defect.DEAD_WHITELIST_LOOP: (
        "Who asks for blocks by hash does not test the time-out of its pass, and a request that no stream takes leaves "
        "the list of allowed streams as it is.",
        "all streams that agreed on the hashes end before the blocks are there, as by the fault `reset_mid_frame`",
        "a whole core in use, in a pass of short range that never ends; the height stands still",
        "streams that ended leave the list, others are asked, and the time-out holds",
    ),
    Defect.UNREAD_EVENT_CHANNEL: (
        "Short range says that it begins in a channel of one place that only validators read.",
        "the second pass of short range of a node that is no validator",
        "the height stands still, at no cost",
        "nothing waits for a reader that may not be there",
    ),
    Defect.HELPER_NEVER_SIGNALS: (
        "Whoever takes in the last blocks tells the downloader when it has done so, and not when it failed.",
        "blocks of short range that do not continue the chain: a fork",
        "the height stands still, at no cost",
        "a failure is told like a success",
    ),
    Defect.ISLAND_IS_IN_SYNC: (
        "The height that most peers name is the target; if this node has it, that is all.",
        "most of the peers that are asked are as far behind as this node",
        "the height stands still while peers are ahead; no error, no log",
        "then the highest counts",
    ),
    Defect.NO_RETURN_TO_LONG_RANGE: (
        "After the first pass of long range, short range is all that is used, whatever the gap or the branch.",
        "a node that was away for long, or on a branch of its own",
        "a large gap is closed by `sync.hashes` blocks at a time; on a branch the height stands still",
        "long range whenever the gap is large, or short range brings nothing",
    ),
    Defect.REENTRANT_LOCK: (
        "Who notes that a request by hash failed takes a lock, and then calls what takes it again.",
        "one request for blocks by hash that fails (the fault `stream_error`)",
        "the height stands still for good, at no cost",
        "no lock is needed",
    ),
    Defect.COOLDOWN_NEVER_EXPIRES: (
        "A peer counts as held back while it is in the table, and the table is swept only when one is added.",
        "each peer fails once, as by the fault `reset_mid_frame`; then nothing fails any more",
        "this node opens no stream again: `hmy_stream_num_streams` stays 0 and `hmy_stream_discover` grows, unless "
        "peers open one, which those do that look for streams themselves",
        "an entry counts until its time",
    ),
    Defect.REFUSED_STREAM_LEFT_OPEN: (
        "An inbound stream that is refused is neither reset nor closed.",
        "a peer that opens a stream to this node when it is at `discovery.high_cap`, or has one with that peer already",
        "the peer has a stream that nobody serves, whose requests time out; `syncnode_open_streams` grows here",
        "a refusal is a reset",
    ),
    Defect.INIT_COLLISION_RESET: (
        "Two nodes open a stream to each other at once, each takes itself for the one that begins, and both fail.",
        "two nodes that look for streams in the same moment, with some latency between them",
        "with `immediate_rediscovery`: `hmy_stream_discover` and CPU shoot up for as long as they are in step",
        "the stream that the lower id opened stays (`tie_break`), or a cooldown gets them out of step",
    ),
    Defect.INIT_COLLISION_SILENT: (
        "Two nodes open a stream to each other at once; each keeps its own, and lets the other's be without a word.",
        "two nodes that look for streams in the same moment, with some latency between them",
        "both have a stream, and no request on it is ever answered, until it is removed and all begins again",
        "the stream that the lower id opened stays (`tie_break`), or a cooldown gets them out of step",
    ),
    Defect.IMMEDIATE_REDISCOVERY: (
        "With fewer streams than `discovery.hard_low_cap`, peers are looked for again at once, and none is held back.",
        "streams that end or cannot be set up",
        "`hmy_stream_discover` grows as fast as the links allow",
        "pauses that grow (`cooldown_global`), and peers that failed are held back (`cooldown_per_peer`)",
    ),
    Defect.OVER_COOLDOWN: (
        "A peer whose stream ended, for whatever reason, is held back for five cooldowns, at each further time five "
        "more, up to sixty.",
        "many streams that end at once, as when a link goes down",
        "no stream comes back for minutes after the cut is over",
        "only who fails is held back, for one cooldown",
    ),
}
"""Cause, trigger, signature, and the fix, which is what the node does without the defect."""


def page() -> str:
    """Return the table of defects."""
    lines = ["| defect | cause | trigger | signature | without it |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| `{name.value}` | " + " | ".join(texts) + " |" for name, texts in CAUSES.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
