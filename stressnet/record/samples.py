"""Figures over time, in one SQLite file: `samples.db`.

    meta     version of the format, name of the net, when the file was begun
    nodes    number and name
    node     one row a node and look: what the kernel and the node say of it then
    link     one row a directed link and slow look, of those that carried anything since the look before
    series   number, name and labels of a Prometheus series
    metric   one row a series and slow look
    host     one row a look: how the machine itself is

Times are Unix seconds (`at`); `monotonic` does not jump when a clock is set. Counters (`opens`, `rx_bytes`, ...) count
from the start of the node's process or namespace; NULL is what was not looked at, or cannot be had here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from stressnet.record.rows import HostSample, LinkSample, NodeSample

__all__ = ["HostSample", "LinkSample", "NodeSample", "Samples", "Thinned", "read", "read_metrics"]

FORMAT = 1
Row = TypeVar("Row", bound="NodeSample | LinkSample | HostSample")

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS metric (at REAL NOT NULL, node INTEGER NOT NULL, series INTEGER NOT NULL, value REAL);
CREATE INDEX IF NOT EXISTS metric_at ON metric (at);
"""
_CACHE = "PRAGMA cache_size=-512;"
"""KiB; SQLite itself takes 2000. Rows are added and read at the ends of tables, so little is asked for twice."""
_PRUNED = ("node", "link", "host", "metric")


_KINDS: Mapping[type, str] = {NodeSample: "node", LinkSample: "link", HostSample: "host"}
_NAMES = ("node", "source", "target")
"""Fields that hold the name of a node, for which the table has its number."""
_READ: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {
    kind: attrgetter(*(field.name for field in fields(kind))) for kind in _KINDS
}
_NAMED: Mapping[type, Sequence[int]] = {
    kind: [place for place, field in enumerate(fields(kind)) if field.name in _NAMES] for kind in _KINDS
}
"""Their places in a row."""


def _columns(kind: type) -> list[str]:
    affinity = {"str": "TEXT", "int": "INTEGER", "float": "REAL"}
    found = []
    for field in fields(kind):
        words = str(field.type).split(" | ")
        sort = "INTEGER" if field.name in _NAMES else affinity[words[0]]
        found.append(f"{field.name} {sort}{'' if 'None' in words else ' NOT NULL'}")
    return found


def _tables() -> Iterator[tuple[str, list[str]]]:
    for kind, table in _KINDS.items():
        yield table, [field.name for field in fields(kind)]


def _opened(path: Path) -> sqlite3.Connection:
    # A look is lost at most if the machine dies, never the file: WAL, synchronised at checkpoints.
    file = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    file.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _CACHE + _TABLES)
    for kind, name in _KINDS.items():
        file.execute(f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(_columns(kind))})")
        file.execute(f"CREATE INDEX IF NOT EXISTS {name}_at ON {name} (at)")
    return file


@dataclass(frozen=True, slots=True)
class Thinned:
    """Which rows are taken of a file: of each node, link and series one in so many seconds."""

    every_s: float
    since: float = 0.0
    """Unix time."""
    series: frozenset[str] | None = None
    """Names of the series that are taken; None: all."""
    links: bool = True
    """Whether links are taken, of which there are as many as pairs of nodes."""


class Samples:
    """A file of samples, open for writing. All methods block; one thread at a time."""

    def __init__(self, path: Path, net: str) -> None:
        """Open it, made where it is not there; sqlite3.Error or OSError where that cannot be."""
        self._file = _opened(path)
        begun = (("version", FORMAT), ("net", net), ("begun_at", time.time()))
        self._file.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", begun)
        self._nodes = dict(self._file.execute("SELECT name, id FROM nodes"))
        self._series = dict(self._file.execute("SELECT name, id FROM series"))

    def write(
        self,
        rows: Sequence[NodeSample | LinkSample | HostSample],
        metrics: Iterable[tuple[float, str, str, float]] = (),
    ) -> None:
        """Add rows, and metrics as (at, node, series, value), in one transaction: all, or with an error none."""
        self._file.execute("BEGIN")
        known = dict(self._nodes), dict(self._series)
        try:
            for kind, name in _KINDS.items():
                marks = ",".join("?" * len(fields(kind)))
                values = (self._values(kind, row) for row in rows if type(row) is kind)
                self._file.executemany(f"INSERT INTO {name} VALUES ({marks})", values)
            self._file.executemany(
                "INSERT INTO metric VALUES (?, ?, ?, ?)",
                (
                    (
                        at,
                        self._number("nodes", self._nodes, node),
                        self._number("series", self._series, name),
                        value,
                    )
                    for at, node, name, value in metrics
                ),
            )
            self._file.execute("COMMIT")
        except BaseException:
            self._nodes, self._series = known
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise

    def _values(self, kind: type, row: NodeSample | LinkSample | HostSample) -> Sequence[Any]:
        values = [*_READ[kind](row)]
        for place in _NAMED[kind]:
            values[place] = self._number("nodes", self._nodes, values[place])
        return values

    def _number(self, table: str, known: dict[str, int], name: str) -> int:
        if name not in known:
            made = self._file.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,))
            known[name] = int(made.lastrowid or 0)
        return known[name]

    def forget_before(self, at: float) -> None:
        """Drop everything older; its room in the file is used again, so a file that is pruned stops growing."""
        for table in _PRUNED:
            self._file.execute(f"DELETE FROM {table} WHERE at < ?", (at,))

    def copy_to(self, path: Path, since: float = 0.0) -> None:
        """Write what is in it from a moment on (Unix seconds) into a new file, complete in itself."""
        with closing(_opened(path)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")
        self._file.execute("ATTACH ? AS copy", (str(path),))
        try:
            self._file.execute("BEGIN")
            for table in ("meta", "nodes", "series"):
                self._file.execute(f"INSERT OR REPLACE INTO copy.{table} SELECT * FROM main.{table}")
            for table in _PRUNED:
                self._file.execute(
                    f"INSERT INTO copy.{table} SELECT * FROM main.{table} WHERE at >= ?", (since,)
                )
            self._file.execute("COMMIT")
        finally:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            self._file.execute("DETACH copy")

    def absorb(self, path: Path, thinned: Thinned | None = None) -> None:
        """Take in what another file of the same net has and this one has not, as `copy_to` wrote it."""
        self._file.execute("ATTACH ? AS other", (str(path),))
        try:
            self._file.execute("BEGIN")
            for table in ("nodes", "series"):
                self._file.execute(
                    f"INSERT OR IGNORE INTO main.{table} (name) SELECT name FROM other.{table} ORDER BY id"
                )
            for table, columns in (*_tables(), ("metric", ["at", "node", "series", "value"])):
                if table != "link" or thinned is None or thinned.links:
                    self._absorb_table(table, columns, thinned)
            self._file.execute("COMMIT")
        finally:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            self._file.execute("DETACH other")

    def _absorb_table(self, table: str, columns: Sequence[str], thinned: Thinned | None) -> None:
        """Numbers of nodes and series are a file's own, so they are looked up by name."""
        keys = [name for name in columns if name in ("at", *_NAMES, "series")]
        self._file.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {table}_once ON {table} ({', '.join(keys)})")
        chosen, joins = [], ""
        for name in columns:
            names = "series" if name == "series" else "nodes"
            if name in (*_NAMES, "series"):
                joins += f" JOIN other.{names} AS o_{name} ON o_{name}.id = row.{name}"
                joins += f" JOIN main.{names} AS m_{name} ON m_{name}.name = o_{name}.name"
                chosen.append(f"m_{name}.id")
            else:
                chosen.append(f"row.{name}")
        self._file.execute(
            f"INSERT OR IGNORE INTO main.{table} SELECT {', '.join(chosen)} FROM other.{table} AS row{joins}"
            f"{self._where(table, keys, thinned) if thinned else ''} ORDER BY row.rowid"
        )

    def _where(self, table: str, keys: Sequence[str], thinned: Thinned) -> str:
        """Choose one row of each span of time: the closest look where looks differ, else the last."""
        span = f"CAST(at / {thinned.every_s:f} AS INTEGER)"
        parts = ", ".join([*(name for name in keys if name != "at"), span])
        closest = "pss_bytes IS NULL, " if table == "node" else ""
        wanted = [f"at >= {thinned.since:f}"]
        if table == "metric" and thinned.series is not None:
            known = self._file.execute("SELECT id, name FROM other.series")
            ids = [str(number) for number, name in known if name.partition("{")[0] in thinned.series]
            wanted.append(f"series IN ({', '.join(ids)})")
        return (
            " WHERE row.rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER"
            f" (PARTITION BY {parts} ORDER BY {closest}at DESC) AS place FROM other.{table}"
            f" WHERE {' AND '.join(wanted)}) WHERE place = 1)"
        )

    def latest(self) -> float:
        """Return the time of the latest look, 0 where there was none."""
        found = self._file.execute("SELECT max(at) FROM host").fetchone()[0]
        return float(found or 0.0)

    def close(self, *, alone: bool = False) -> None:
        """Close the file; `alone`: without the files beside it in which SQLite works, so that it can be copied."""
        if alone:
            self._file.execute("PRAGMA journal_mode=DELETE")
        self._file.close()


def read(path: Path, kind: type[Row], *, since: float = 0.0) -> Iterator[Row]:
    """Yield the rows of one sort in the order of time, from a moment on (Unix seconds).

    What an earlier version has not written is None.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
        names = dict(file.execute("SELECT id, name FROM nodes"))
        table = _KINDS[kind]
        there = {row[1] for row in file.execute(f"PRAGMA table_info({table})")}
        columns = [field.name if field.name in there else "NULL" for field in fields(kind)]
        query = f"SELECT {', '.join(columns)} FROM {table} WHERE at >= ? ORDER BY at"
        for row in file.execute(query, (since,)):
            values = [*row]
            for place in _NAMED[kind]:
                values[place] = names[values[place]]
            yield kind(*values)


def read_metrics(path: Path, *, since: float = 0.0) -> Iterator[tuple[float, str, str, float]]:
    """Yield (at, node, series, value) in the order of time."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
        yield from file.execute(
            "SELECT metric.at, nodes.name, series.name, metric.value FROM metric"
            " JOIN nodes ON nodes.id = metric.node JOIN series ON series.id = metric.series"
            " WHERE metric.at >= ? ORDER BY metric.at",
            (since,),
        )
