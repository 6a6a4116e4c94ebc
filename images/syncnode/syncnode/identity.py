"""Who a node is: a peer id that follows from the net's seed and the node's name."""

from __future__ import annotations

from hashlib import sha256

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def peer_id(seed: int, name: str) -> str:
    """Return the base58 text of a SHA-256 multihash, as libp2p writes peer ids (`Qm...`)."""
    value = int.from_bytes(b"\x12\x20" + sha256(f"{seed}/peer/{name}".encode()).digest())
    out = ""
    while value:
        value, digit = divmod(value, 58)
        out = _ALPHABET[digit] + out
    return out
