"""What a project is, in plain Python: the rules of the queue as one would say them, and no faster."""

from dataclasses import dataclass, field
from math import inf

from broker.store.tasks import NewTask

RECLAIM_WHEN_EMPTY = 10


@dataclass
class ModelTask:
    id: int
    new: NewTask
    place: int
    state: str = "waiting"
    retries: int = 0
    votes: dict[int, int] = field(default_factory=dict)
    assignee: int = 0
    deadline: int = 0

    @property
    def score(self) -> int:
        return self.place - self.new.priority * 2**37

    @property
    def zset(self) -> str:
        if self.state != "waiting":
            return self.state
        return "verifying" if self.votes else "queue"


class ModelProject:
    def __init__(self, id: int) -> None:
        self.id = id
        self.tasks: dict[int, ModelTask] = {}
        self.access: dict[int, set[str]] = {}
        self.requests: dict[int, set[str]] = {}
        self.paused = self.public = False
        self.chain = self.remember_closed = self.seq = 0
        self.remembered: dict[int | str, float] = {}
        self.outbox: list[tuple[int, NewTask]] = []
        self.closed_by: dict[int, int] = {}
        self.counters: dict[str, int] = {}

    def count(self, name: str, by: int = 1) -> None:
        if by:
            self.counters[name] = self.counters.get(name, 0) + by

    def add(self, tasks: list[NewTask], now: int, counter: str) -> list[int | None]:
        ids: list[int | None] = []
        live = {task.new.hash64 for task in self.tasks.values()} - {""}
        for new in tasks:
            known = self.remember_closed != 0 and self.remembered.get(new.hash64, 0) > now
            if new.hash64 != "" and (new.hash64 in live or known):
                ids.append(None)
                continue
            live.add(new.hash64)
            self.seq += 1
            task = ModelTask(self.seq * 100_000 + self.id, new, self.seq)
            self.tasks[task.id] = task
            ids.append(task.id)
        self.count("duplicates", ids.count(None))
        self.count(counter, len(ids) - ids.count(None))
        return ids

    def refuses_submit(self, worker: int) -> str | None:
        return None if "submit" in self.access.get(worker, ()) else "denied"

    def refuses_assign(self, worker: int) -> str | None:
        if self.paused:
            return "paused"
        return None if self.public or worker in self.access else "denied"

    def assign(self, worker: int, count: int, default_time: int, now: int) -> list[ModelTask]:
        chosen = self._best(worker, count)
        if not chosen and self.reclaim(RECLAIM_WHEN_EMPTY, now):
            chosen = self._best(worker, count)
        for task in chosen:
            task.state, task.assignee = "assigned", worker
            task.deadline = now + (task.new.max_assign_time or default_time) * 1000
        self.count("assigned", len(chosen))
        return chosen

    def _best(self, worker: int, count: int) -> list[ModelTask]:
        waiting = [task for task in self.tasks.values() if task.state == "waiting" and worker not in task.votes]
        return sorted(waiting, key=lambda task: task.score)[:count]

    def held(self, worker: int) -> set[int]:
        return {task.id for task in self.tasks.values() if task.state == "assigned" and task.assignee == worker}

    def give_back(self, task: ModelTask) -> None:
        self.seq += 1
        task.state, task.assignee, task.place = "waiting", 0, self.seq

    def release(self, worker: int, id: int, result: int, verification: int, now: int) -> str:
        task = self.tasks.get(id)
        if task is None or id not in self.held(worker):
            return "not_held"
        if result == 0:
            return self._succeed(task, worker, verification, now)
        if result == 1:
            task.retries += 1
            if task.retries >= task.new.max_retries:
                task.state, task.assignee = "failed", 0
                self.count("failed")
                return "failed"
            self.count("retried")
        else:
            self.count("skipped")
        self.give_back(task)
        return "returned"

    def _succeed(self, task: ModelTask, worker: int, verification: int, now: int) -> str:
        if task.new.verification_count > 1:
            task.votes[worker] = verification
            self.count("voted")
            if list(task.votes.values()).count(verification) < task.new.verification_count:
                self.give_back(task)
                return "voted"
        del self.tasks[task.id]
        if task.new.hash64 != "" and self.remember_closed:
            forever = self.remember_closed < 0
            self.remembered[task.new.hash64] = inf if forever else now + self.remember_closed * 1000
        if self.chain:
            self.outbox.append((self.chain, task.new))
        self.count("closed")
        self.closed_by[worker] = self.closed_by.get(worker, 0) + 1
        return "closed"

    def extend(self, worker: int, id: int, seconds: int, now: int) -> bool:
        if id not in self.held(worker):
            return False
        self.tasks[id].deadline = now + seconds * 1000
        return True

    def overdue(self, now: int) -> list[ModelTask]:
        late = [task for task in self.tasks.values() if task.state == "assigned" and task.deadline <= now]
        return sorted(late, key=lambda task: (task.deadline, str(task.id)))

    def reclaim(self, limit: int, now: int) -> int:
        late = self.overdue(now)[:limit]
        for task in late:
            self.give_back(task)
        self.count("reclaimed", len(late))
        return len(late)

    def forgettable(self, now: int) -> set[int | str]:
        return {hash for hash, expiry in self.remembered.items() if self.remember_closed == 0 or expiry <= now}
