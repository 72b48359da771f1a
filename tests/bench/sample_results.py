"""Made-up results."""

import msgspec

from bench.groups import TASKS_A_GROUP
from bench.http import HOT
from bench.report import GROUPED
from bench.results import (
    Crowd,
    Curve,
    Fleet,
    Groups,
    Growth,
    Http,
    Measured,
    Page,
    Pairs,
    Results,
    Scale,
    Scrapy,
    ScrapyRun,
    Script,
    Scripts,
    Taken,
    Turns,
)
from bench.scrapy import KINDS as QUEUES
from bench.scripts import RECIPES, REMEMBERED
from bench.targets import BATCHES, FEW, MANY, SINGLE
from bench.turns import KINDS


def measured(calls: float, tasks: float = 0) -> Measured:
    latency = {"p50": 1.0, "p99": 4.0, "p99.9": 5.0, "max": 6.0}
    return Measured(
        load="a load",
        connections=32,
        seconds=1,
        calls=calls,
        tasks=tasks or calls,
        errors={},
        latency=latency,
        late=latency,
        server_us=20,
        store_us=10,
        server_share=0.9,
        store_share=0.3,
        driver_share=0.2,
        other_share=0,
        rewrites=0,
        rate=calls,
    )


def made_up() -> Results:
    """Every question was asked; a call takes 2.5 times as long as the no-op's."""
    http = Http(
        hot={load: _pairs(10_000, 4_000) for load in HOT},
        depth={load: _pairs(4_000, 4_000) for load in ("submit", "get_release")},
        queued=1_000_000,
        fill=80_000,
        saturated=measured(4_000),
        half=measured(2_000),
        processes=_pairs(4_000, 6_000),
    )
    single = Script(calls=10, tasks=10, script_us=100, cpu_us=110, p99_us=50, worst_us=9_000, own_worst_us=2_000)
    twice = msgspec.structs.replace(single, cpu_us=220)
    batch = Script(
        calls=10, tasks=5_000, script_us=25_000, cpu_us=30_000, p99_us=3_000, worst_us=4_000, own_worst_us=4_000
    )
    scripts = dict.fromkeys(SINGLE, single) | dict.fromkeys(BATCHES, batch)
    loads = {"submit": measured(4_000)}
    return Results(
        commit="abc",
        made="2026-01-01 00:00:00",
        machine={"cpu": "a processor", "cores": "2"},
        versions={"python": "3.11"},
        http=http,
        curve=Curve([measured(1_000), measured(2_000)]),
        scripts=Scripts(
            sizes={FEW: scripts, MANY: scripts},
            memory={str(recipe): 300.0 for recipe in RECIPES},
            remembered=dict.fromkeys(REMEMBERED, 10.0),
        ),
        growth=Growth(queued={"1000": loads}, connections={"1": measured(4_000)}, processes={}),
        scale=Scale(
            projects=10_000, workers=100_000, active=100, limited=60, processes={"1": _crowd(200), "2": _crowd(150)}
        ),
        fleet=Fleet(workers=1, tasks=1, seconds=1, calls=1, counters={}, wrong=[]),
        groups=Groups(
            sizes={FEW: dict.fromkeys(GROUPED, single), MANY: dict.fromkeys(GROUPED, twice)},
            plain={FEW: dict.fromkeys(GROUPED, single), MANY: dict.fromkeys(GROUPED, single)},
            memory=dict.fromkeys(map(str, TASKS_A_GROUP), 200.0),
            entries={"ticket": 120.0},
        ),
        turns=Turns(dict.fromkeys(KINDS, _pairs(4_000, 6_000))),
        scrapy=Scrapy({kind: [ScrapyRun(pages=3000, seconds=6, cpu=5)] for kind in QUEUES}),
    )


def _crowd(tasks: int) -> Crowd:
    return Crowd(
        idle=0.2,
        taken=Taken(tasks=tasks, of=200, seconds=12, calls=300),
        overdue=[0.5, 1.25],
        any=measured(1_000),
        loads={"submit": measured(4_000)},
        beside={"a load": _pairs(200, 200)},
        pages={"overview": Page(100, 50, 20, 2048), "workers": Page(None, None, 0, 0)},
    )


def _pairs(base: float, run: float) -> Pairs:
    return Pairs([measured(base), measured(base)], [measured(run)])
