"""Everything that can go wrong in a node, as one tree.

NodeError
  ConfigError       the configuration is wrong; carries all its problems
  StartError        the node cannot start: port taken, data of another net
  ProtocolError     a peer broke the rules: it is dropped and kept away for a while
    InvalidBlock    a block that no honest peer would send
  StreamClosed      the other end finished
  StreamReset       the other end, or the connection, ended the stream; carries the code
  DialError         no connection came of a dial
  RequestFailed     a peer gave no usable answer: time-out, error response, too few blocks
  NoStreams         nobody is there to ask
"""

from __future__ import annotations

from collections.abc import Sequence


class NodeError(Exception):
    """Something went wrong that the node can name."""


class ConfigError(NodeError):
    """The configuration is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class StartError(NodeError):
    """The node cannot start."""


class ProtocolError(NodeError):
    """A peer broke the rules."""


class InvalidBlock(ProtocolError):
    """A peer sent a block that breaks the rules of the chain."""


class StreamClosed(NodeError):
    """The other end has finished writing."""


class StreamReset(NodeError):
    """The stream is over, at once and in both directions."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class DialError(NodeError):
    """No connection came of a dial."""


class RequestFailed(NodeError):
    """A peer gave no usable answer."""


class NoStreams(NodeError):
    """There is no stream that could take the request."""
