"""A small peer-to-peer node that keeps a chain of blocks in step with its peers."""

VERSION = "1.0.0"
