"""The store: everything that the broker keeps, in Redis. Knows no HTTP."""

import asyncio
from dataclasses import dataclass, field

from broker.counters import Counters
from broker.settings import Settings
from broker.store.access import AccessLists
from broker.store.active import Active
from broker.store.attention import Attention
from broker.store.chain import Chain
from broker.store.counting import Counting
from broker.store.groups import Groups
from broker.store.joining import Joining
from broker.store.logs import Logs
from broker.store.maintenance import Maintenance
from broker.store.manager_tokens import ManagerTokens
from broker.store.managers import Managers
from broker.store.monitoring import Monitoring, OverviewRead
from broker.store.notices import Notices
from broker.store.presence import Presence
from broker.store.project_check import ProjectCheck
from broker.store.project_tasks import ProjectTasks
from broker.store.projects import Projects
from broker.store.redis import connect, scripts
from broker.store.redis.keys import LAYOUT, Keys
from broker.store.redis.scripts import Calls, Client, StoreMetrics
from broker.store.tasks import Tasks
from broker.store.transfer import Imports
from broker.store.waiting import Waiters
from broker.store.worker_deletion import WorkerDeletion
from broker.store.worker_stats import WorkerStats
from broker.store.workers import Workers


@dataclass
class Store:
    calls: Calls
    keys: Keys
    active: Active
    tasks: Tasks
    chain: Chain
    projects: Projects
    workers: Workers
    access: AccessLists
    joining: Joining
    notices: Notices
    presence: Presence
    managers: Managers
    manager_tokens: ManagerTokens
    logs: Logs
    monitoring: Monitoring
    maintenance: Maintenance
    counting: Counting
    attention: Attention
    worker_stats: WorkerStats
    worker_deletion: WorkerDeletion
    project_tasks: ProjectTasks
    groups: Groups
    overview: OverviewRead
    imports: Imports
    waiters: Waiters
    metrics: StoreMetrics
    now: str = ""
    """As in :class:`Tasks`."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the data was found to have this broker's key layout."""

    def set_clock(self, now: int | None) -> None:
        """For tests: ``now`` (unix ms) is the fixed time of all scripts; None: Redis's clock again."""
        text = "" if now is None else str(now)
        self.tasks.now = self.workers.now = self.managers.now = self.monitoring.now = self.chain.now = text
        self.imports.now = self.projects.now = self.maintenance.now = self.project_tasks.now = self.now = text
        self.groups.now = self.active.now = self.manager_tokens.now = self.joining.now = text
        self.presence.now = self.worker_deletion.now = self.notices.now = self.counting.now = text
        self.attention.now = text

    async def layout(self) -> tuple[int, bool]:
        """The key layout of the data, which is set in a new store, and whether any account exists."""
        layout, accounts = await self.calls.call("layout", self.keys.directory, [LAYOUT])
        return layout, bool(accounts)

    async def claim(self, job: str, milliseconds: int) -> bool:
        """Claims ``job`` for that long; false: another process has it. This only saves work: a job may safely run
        twice.
        """
        return bool(await self.calls.call("claim", self.keys.directory, [job, milliseconds]))

    async def note_clock(self, *, rebased: bool = False) -> bool:
        """Whether the store's clock is earlier than a sweep has seen it. ``rebased``: all times were adjusted to
        that.
        """
        return bool(await self.calls.call("clock_note", self.keys.directory, [self.now, "1" if rebased else ""]))

    def check(self, project: int, *, repair: bool) -> ProjectCheck:
        return ProjectCheck(self.calls, self.keys.project(project), self.now, repair=repair)

    async def close(self) -> None:
        await self.waiters.close()
        await self.maintenance.close()
        await self.calls.close()


def open_store(settings: Settings, client: Client | None = None, counters: Counters | None = None) -> Store:
    """The store on ``client``, by default on a new one to ``settings.redis_url``; nothing is sent yet."""
    metrics = StoreMetrics(counters or Counters())
    known = scripts.load()
    calls = Calls(client or connect(settings, metrics.writes), known, metrics)
    keys = Keys(settings.prefix)
    active = Active(calls, keys, settings.snapshot_interval)
    tasks = Tasks(calls, keys, active)
    projects = Projects(calls, keys, active, settings.max_projects, settings.project_limit)
    workers = Workers(calls, keys, settings.create_limit, metrics)
    chain = Chain(calls, keys, projects, active)
    monitoring = Monitoring(calls, keys, settings.snapshot_interval, settings.monitoring_history)
    counting = Counting(calls, keys, projects, workers, monitoring)
    return Store(
        calls=calls,
        keys=keys,
        active=active,
        tasks=tasks,
        chain=chain,
        projects=projects,
        workers=workers,
        access=AccessLists(calls, keys, workers),
        joining=Joining(calls, keys, settings.login_limit),
        presence=Presence(calls, keys),
        managers=Managers(calls, keys, int(settings.session_ttl), settings.register_limit, settings.login_limit),
        manager_tokens=ManagerTokens(calls, keys),
        logs=Logs(calls, keys),
        monitoring=monitoring,
        maintenance=Maintenance(calls, keys, projects, chain, counting),
        counting=counting,
        attention=Attention(calls, keys),
        worker_deletion=WorkerDeletion(calls, keys, workers, active),
        worker_stats=WorkerStats(calls, keys, workers, monitoring),
        notices=Notices(calls, keys, active),
        project_tasks=ProjectTasks(calls, keys, active),
        groups=Groups(calls, keys, active),
        overview=OverviewRead(calls, keys, projects, monitoring, settings.metrics_projects),
        imports=Imports(calls, keys, projects, active),
        waiters=Waiters(calls, keys, tasks, active),
        metrics=metrics,
    )
