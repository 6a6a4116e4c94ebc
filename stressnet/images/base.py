"""The base image: Python and a shell, from wherever this machine can get them.

A registry where one answers; else Debian packages; else the Python that runs this program. The label
`stressnet.base` of the image says which it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import docker
import docker.errors

from stressnet.errors import EnvironmentProblem, StageError, StressnetError
from stressnet.images import building, localpython
from stressnet.images.context import Context
from stressnet.images.engine import explained, fresh_client, inspect_image

REPOSITORY, VERSION = "stressnet/base", "2"
TAG = f"{REPOSITORY}:{VERSION}"
FROM_REGISTRY = "python:3.12-slim"
LABEL = "stressnet.base"
LABEL_PYTHON = "stressnet.python"

Method = Literal["auto", "registry", "debian", "local-python"]

_REGISTRY_S = 10
"""How long the registry that the engine uses may be silent before the base image is made without it."""
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = (
    "python3-minimal,libpython3-stdlib,dash,coreutils,grep,procps,iproute2,libc-bin,base-files,base-passwd,"
    "libstdc++6"
)
_TAIL = 5

Say = Callable[[str], None]


def ensure(engine: docker.APIClient, say: Say) -> None:
    """Make the base image where the engine does not have it."""
    if not building.has(engine, TAG):
        make(engine, "auto", say)


def make(engine: docker.APIClient, method: Method, say: Say) -> Method:
    """Make the base image anew and return how it was made; EnvironmentProblem where it cannot be."""
    chosen = _choose(engine) if method == "auto" else method
    say(f"making {TAG} from {_described(chosen)}")
    if method == "registry":
        _pull(engine)
    if chosen == "registry":
        _from_registry(engine)
    else:
        _from_files(engine, chosen)
    return chosen


def _choose(engine: docker.APIClient) -> Method:
    if building.has(engine, FROM_REGISTRY) or _registry_answers():
        return "registry"
    if os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("mmdebstrap"):
        return "debian"
    return "local-python"


def _described(method: Method) -> str:
    return {
        "registry": f"{FROM_REGISTRY} of the image registry",
        "debian": "Debian packages (mmdebstrap)",
        "local-python": f"the Python {localpython.python_version()} that runs this program",
        "auto": "",
    }[method]


def _registry_answers() -> bool:
    """Ask the engine to pull: it may be on another machine, or have a mirror, so that nobody else can tell."""
    with fresh_client(_REGISTRY_S) as impatient:
        try:
            _pull(impatient)
        except StressnetError:
            return False
    return True


def _pull(engine: docker.APIClient) -> None:
    repository, version = FROM_REGISTRY.split(":")
    with explained(f"pulling {FROM_REGISTRY}"):
        for record in engine.pull(repository, tag=version, stream=True, decode=True):
            if "error" in record:
                raise StageError(f"pulling {FROM_REGISTRY}: {record['error']}")


def _from_registry(engine: docker.APIClient) -> None:
    context = Context()
    context.text("Dockerfile", f"FROM {FROM_REGISTRY}\n")
    labels = {LABEL: "registry", LABEL_PYTHON: "3.12"}
    building.build(engine, context.finish(), TAG, labels=labels, arguments={})


def _from_files(engine: docker.APIClient, method: Method) -> None:
    with tempfile.TemporaryDirectory(prefix="stressnet-base-") as folder:
        archive = Path(folder) / "root.tar"
        if method == "debian":
            _debian(archive)
            python = _debian_python(archive)
        else:
            localpython.write(archive)
            python = localpython.python_version()
        changes = [
            f"ENV {_PATH}",
            'CMD ["python3"]',
            f"LABEL {LABEL}={method}",
            f"LABEL {LABEL_PYTHON}={python}",
        ]
        with explained(f"importing {TAG}"):
            engine.import_image_from_file(str(archive), repository=REPOSITORY, tag=VERSION, changes=changes)


def _debian(archive: Path) -> None:
    release = _release_name()
    command = [
        "mmdebstrap",
        "--variant=extract",
        f"--include={_PACKAGES}",
        "--mode=root",
        release,
        str(archive),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise EnvironmentProblem(
            "mmdebstrap is not installed", hints=("apt-get install mmdebstrap",)
        ) from None
    if done.returncode:
        raise EnvironmentProblem(
            f"mmdebstrap failed with {done.returncode}", hints=done.stderr.strip().splitlines()[-_TAIL:]
        )


def _release_name() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def _debian_python(archive: Path) -> str:
    listing = subprocess.run(["tar", "-tf", str(archive)], capture_output=True, text=True, check=True).stdout
    names = (
        Path(line).name for line in listing.splitlines() if "/usr/bin/python3." in f"/{line.lstrip('./')}"
    )
    return next((name.removeprefix("python") for name in names), "3")


def python_version(engine: docker.APIClient) -> str:
    """Return the version of the base image's Python, as in 3.12."""
    return _labels(engine).get(LABEL_PYTHON, "3")


def method(engine: docker.APIClient) -> str:
    """Return how the base image was made, empty where there is none."""
    return _labels(engine).get(LABEL, "")


def _labels(engine: docker.APIClient) -> dict[str, str]:
    with explained(f"looking at image {TAG}"):
        try:
            return dict(inspect_image(engine, TAG)["Config"]["Labels"] or {})
        except docker.errors.ImageNotFound:
            return {}
