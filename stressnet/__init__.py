"""Start a crowd of peer-to-peer nodes on one machine, control every link, and judge what happens."""

__version__ = "0.1.0"
