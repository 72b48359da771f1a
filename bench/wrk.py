"""wrk instead of our own driver, for who wants a second opinion: ``bench/wrk.lua`` sends the same requests."""

import json
import resource
import secrets
import shutil
import subprocess
from pathlib import Path

from bench.errors import BenchError
from bench.histogram import Histogram
from bench.job import Job, Outcome, Worker
from bench.load import BATCH, BULK

_SCRIPT = Path(__file__).parent / "wrk.lua"
_TASKS = {"submit": 1.0, "get_release": 0.5, "bulk_submit": BULK, "batch": BATCH / 2}
"""Tasks a call."""


def usable(job: Job) -> bool:
    """wrk knows closed loops for a time, and these loads."""
    return not job.rate and not job.calls and job.load in {"noop", "poll", *_TASKS}


def run(job: Job) -> Outcome:
    """One thread. It stops after whole seconds only, and counts what was answered until then."""
    program = shutil.which("wrk")
    if program is None:
        raise BenchError("--wrk: there is no wrk on PATH")
    worker = job.workers[0] if job.workers else Worker(0, "-")
    project = str(job.projects[0]) if job.projects else "0"
    command = [program, "-t1", f"-c{job.connections}", f"-d{max(1, round(job.seconds))}", f"-s{_SCRIPT}"]
    command += [f"http://{job.host}:{job.port}/", "--", job.load, project, str(worker.id), worker.secret]
    command.append(secrets.token_hex(4))
    before = _cpu()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _outcome(job, json.loads(output.strip().splitlines()[-1]), _cpu() - before)


def _outcome(job: Job, summary: dict[str, float], cpu: float) -> Outcome:
    errors = {"not 2xx": summary["status"], "socket": summary["socket"], "no task": summary["bad"]}
    calls = int(summary["calls"])
    return Outcome(
        seconds=summary["seconds"],
        calls=calls,
        tasks=int(calls * _TASKS.get(job.load, 0)),
        errors={what: int(times) for what, times in errors.items() if times},
        latency=_buckets(summary, calls),
        late={},
        cpu=cpu,
    )


def _buckets(summary: dict[str, float], calls: int) -> dict[int, int]:
    """A histogram with the four values that wrk says, as often as they make its percentiles right."""
    made = Histogram()
    below = 0
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)):
        upto = int(calls * share)
        made.add(int(summary[name] * 1000), upto - below)
        below = upto
    return dict(made.buckets)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
