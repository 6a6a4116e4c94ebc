"""Making blocks: at the start of each slot that is this node's turn, one block on top of the head."""

from __future__ import annotations

import asyncio
import time

from .chain import Chain
from .config import Config
from .downloader import Downloader
from .gossip import Gossip
from .log import Log
from .metrics import Metrics


class Validator:
    """Proposes for one name of the validator list."""

    def __init__(
        self, chain: Chain, gossip: Gossip, downloader: Downloader, config: Config, log: Log, metrics: Metrics
    ) -> None:
        self._chain = chain
        self._gossip = gossip
        self._downloader = downloader
        self._name = config.node.name
        self._payload = config.chain.payload
        # How long a node without peers waits for one before it believes that it is alone.
        self._patience = config.discovery.timeout if len(config.chain.validators) > 1 else 0.0
        self._started = time.monotonic()
        self._met = False
        self._log = log
        self._metrics = metrics

    async def run(self) -> None:
        """Propose for ever, in the slots of this validator."""
        rules = self._chain.rules
        slot = rules.slot(time.time())
        while True:
            slot = self._turn_after(max(slot, rules.slot(time.time())))
            await self._until(slot * rules.block_time)
            if rules.slot(time.time()) == slot:  # a clock that jumped, or a pause, makes us miss the slot
                self._propose(slot)

    @staticmethod
    async def _until(moment: float) -> None:
        # Not one sleep: the wall clock may be set meanwhile.
        while (wait := moment - time.time()) > 0:  # noqa: ASYNC110 (there is no event for a moment)
            await asyncio.sleep(min(wait, 10))

    def _turn_after(self, slot: int) -> int:
        validators = self._chain.rules.validators
        own = validators.index(self._name)
        return slot + 1 + (own - slot - 1) % len(validators)

    def _propose(self, slot: int) -> None:
        if not self._in_step() or self._chain.head.slot >= slot:
            self._metrics.count("syncnode_slots_skipped_total")
            return
        block = self._chain.rules.propose(self._name, self._chain.head, slot, self._payload)
        self._chain.add(block)
        self._metrics.count("syncnode_blocks_proposed_total")
        self._log.debug("proposed", height=block.height, slot=slot)
        self._gossip.publish(block)

    def _in_step(self) -> bool:
        """Tell whether a block from here is of use: not while behind, nor before the first peer is met."""
        self._met = self._met or any(n.height >= 0 for n in self._gossip.neighbours.values())
        if not self._met and time.monotonic() - self._started < self._patience:
            return False
        return not self._downloader.syncing and not self._far_behind()

    def _far_behind(self) -> bool:
        # One block behind is a race that the fork choice settles; more means that this node is out of date.
        return self._gossip.neighbours.believed_height() > self._chain.height + 1
