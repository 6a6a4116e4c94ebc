"""How long `up` and `down` take, beside the floor of the machine, in one run.

    python -m benchmarks.up netns 100 500
    python -m benchmarks.up docker 10 50 100

The floor of netns is `ip -batch`: namespaces, veth pairs and a bridge, and nothing that runs in them. The floor
of docker is the engine's own API: the same number of plain containers on one network, at best concurrency.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.timing import Times, Way, in_turn, machine

IMAGE = "stressnet/base:1"
COMMAND = [sys.executable, "-m", "stressnet"]
_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "check": True}


def run(*words: str, **options: object) -> None:
    subprocess.run(words, **{**_QUIET, **options})  # type: ignore[call-overload]


def ours(folder: Path, backend: str, count: int) -> Way:
    """The product, by its command line, from a cold start of Python to the prompt."""
    topology = folder / f"bench-{count}.yaml"
    topology.write_text(
        f"name: bench-{count}\nlinks: ring\nnodes:\n"
        f"  n: {{kind: generic, image: '{IMAGE}', count: {count}, command: [sleep, '100000']}}\n"
    )
    return Way(
        lambda: run(*COMMAND, "up", str(topology), "--backend", backend),
        lambda: run(*COMMAND, "down", f"bench-{count}"),
    )


def ip_batch(folder: Path, count: int) -> Way:
    """Namespaces with a veth pair each on one bridge, made by one `ip -batch`."""
    lines = ["link add benchbr type bridge", "link set benchbr up"]
    for place in range(count):
        lines += [
            f"netns add bench{place}",
            f"link add bv{place} type veth peer name eth0 netns bench{place}",
            f"link set bv{place} master benchbr up",
        ]
    make, remove = folder / f"make-{count}", folder / f"remove-{count}"
    make.write_text("\n".join(lines) + "\n")
    remove.write_text(
        "\n".join(["link del benchbr", *(f"netns del bench{place}" for place in range(count))]) + "\n"
    )
    return Way(lambda: run("ip", "-batch", str(make)), lambda: run("ip", "-batch", str(remove)))


def plain_containers(count: int, threads: int) -> Way:
    """The engine's API without anything of ours."""
    import docker

    client = docker.APIClient(version="auto", max_pool_size=2 * threads)
    made: list[str] = []
    networks: list[str] = []
    rounds = itertools.count()

    def one(place: int) -> str:
        config = client.create_host_config(network_mode=networks[-1], log_config={"type": "json-file"})
        container = client.create_container(
            IMAGE, ["sleep", "100000"], host_config=config, name=f"bench-{place}"
        )
        client.start(container["Id"])
        return str(container["Id"])

    def do() -> None:
        place = next(rounds)
        pool = docker.types.IPAMPool(subnet=f"10.99.{4 * place}.0/22")
        networks.append(f"bench-{place}")
        client.create_network(networks[-1], internal=True, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        with ThreadPoolExecutor(threads) as workers:
            made.extend(workers.map(one, range(count)))

    def undo() -> None:
        with ThreadPoolExecutor(threads) as workers:
            list(workers.map(lambda container: client.remove_container(container, force=True), made))
        made.clear()
        network = networks.pop()
        try:
            client.remove_network(network)
        except docker.errors.APIError:
            # Now and then the engine miscounts who is on a network that many leave at once.
            print(f"the engine kept {network}: restart it, then docker network rm {network}", file=sys.stderr)

    return Way(do, undo)


def compose(folder: Path, count: int) -> Way:
    """`docker-compose up --scale` of the same containers."""
    file = folder / "docker-compose.yml"
    file.write_text(
        f"version: '2.4'\nservices:\n  n: {{image: '{IMAGE}', command: [sleep, '100000'], stop_grace_period: 0s}}\n"
    )
    words = ["docker-compose", "-p", "bench", "-f", str(file)]
    env = {**os.environ, "COMPOSE_PARALLEL_LIMIT": "64"}
    return Way(
        lambda: run(*words, "up", "-d", "--scale", f"n={count}", env=env),
        lambda: run(*words, "down", "-t", "0", env=env),
    )


def ways(backend: str, folder: Path, count: int) -> dict[str, Way]:
    """Return what is compared on a backend."""
    if backend == "netns":
        return {"stressnet": ours(folder, backend, count), "ip -batch": ip_batch(folder, count)}
    found = {"stressnet": ours(folder, backend, count), "engine API": plain_containers(count, 8)}
    if shutil.which("docker-compose"):
        found["docker-compose"] = compose(folder, count)
    return found


def main() -> None:
    """Print a table in Markdown: median and spread, seconds, and the ratio to the floor."""
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=("netns", "docker"))
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    print(f"{machine()}; median (min–max) of {options.repetitions}, seconds\n")
    print("| nodes | way | up | of floor | down | of floor |\n| --- | --- | --- | --- | --- | --- |")
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # few set it, and then every start compiles the sources again
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        for count in options.counts:
            times = in_turn(ways(options.backend, Path(name), count), options.repetitions)
            floor = times["ip -batch" if options.backend == "netns" else "engine API"]
            for way, (up, down) in times.items():
                print(
                    f"| {count} | {way} | {up} | {_ratio(up, floor[0])} | {down} | {_ratio(down, floor[1])} |",
                    flush=True,
                )


def _ratio(one: Times, floor: Times) -> str:
    """The median of the ratios pair by pair: both of a pair were timed within seconds of each other."""
    import statistics

    pairs = [mine / theirs for mine, theirs in zip(one.seconds, floor.seconds, strict=True)]
    return f"{statistics.median(pairs):.2f}"


if __name__ == "__main__":
    main()
