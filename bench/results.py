"""Results files: ``bench/results/<date>-<commit>.json``. Questions asked within some hours share one."""

import os
import platform
import subprocess
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.figures import Cluster, Curve, Fleet, Http, Results, Scale, Scripts, Waiters
from broker.store.redis.embedded import allocator, binary

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "bench" / "results"

_TOGETHER = 3_600.0
"""Seconds after which another part begins a file of its own, on another day."""

Part = Http | Curve | Scripts | Scale | Fleet | Cluster | Waiters


def save(part: Part, seconds: float, folder: Path = FOLDER) -> Path:
    """Puts a part into the file of this commit and day, in place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    commit = _commit()
    path = folder / f"{time.strftime('%Y-%m-%d')}-{commit}.json"
    # A bench that runs over midnight goes on in the file in which it began.
    recent = [old for old in folder.glob(f"*-{commit}.json") if old.stat().st_mtime > time.time() - _TOGETHER]
    path = max(recent, key=lambda old: old.stat().st_mtime, default=path)
    made = Results(commit=commit, made="", machine={}, versions={})
    # What another version of the bench has written is not worth losing a measurement for.
    with suppress(FileNotFoundError, BenchError):
        made = load(path)
    name = type(part).__name__.lower()
    setattr(made, name, part)
    made.made, made.machine, made.versions = time.strftime("%Y-%m-%d %H:%M:%S"), machine(), versions()
    made.seconds[name] = round(seconds, 1)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
    return path


def load(path: Path) -> Results:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Results)
    except msgspec.DecodeError as error:
        raise BenchError(f"{path} is not of this version of the bench: {error}") from None


def newest(folder: Path = FOLDER) -> Path:
    """The file that was written last."""
    found = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise BenchError(f"no results in {folder}: run make bench")
    return found[-1]


def machine() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    store = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    packages = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec", "hiredis", "redis")
    chosen = {**allocator(), **os.environ}
    return {
        "python": platform.python_version(),
        "store": store.strip(),
        "its allocator": chosen.get("LD_PRELOAD") or chosen.get("GLIBC_TUNABLES", "as built"),
        **{name: version(name) for name in packages},
    }


def _commit() -> str:
    """Short, with ``-dirty`` when files differ from it; ``unknown`` outside a clone."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
