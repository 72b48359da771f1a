"""A model of a project in plain Python: the rules of the queue as simply as possible."""

from dataclasses import dataclass, field

from broker.store.task_fields import TaskFields

RECLAIM_WHEN_EMPTY = 10


@dataclass
class ModelTask:
    id: int
    new: TaskFields
    place: int
    state: str = "waiting"
    retries: int = 0
    votes: dict[int, int] = field(default_factory=dict)
    assignee: int = 0
    deadline: int = 0
    failed_at: int = 0
    failed_by: int = 0
    """The worker that failed it last."""
    drain: str = ""
    """The maintenance call that has taken it and not processed it yet."""
    lost: bool = False
    """It has no record; the next script that finds it drops it."""

    @property
    def score(self) -> int:
        return self.place - self.new.priority * 2**37

    @property
    def zset(self) -> str:
        if self.drain:
            return "a drain"
        if self.state != "waiting":
            return self.state
        return "verifying" if self.votes else "queue"

    @property
    def rank(self) -> tuple[int, str]:
        """Its place in the sorted set that it is in."""
        return {"assigned": self.deadline, "failed": self.failed_at}.get(self.state, self.score), str(self.id)


@dataclass
class Matching:
    """A maintenance call for the tasks that match."""

    operation: str
    state: str
    contains: str
    worker: int | str
    entry: int
    """The next entry to check; ``last`` is the last entry when the call began."""
    last: int
    affected: int = 0


class ModelProject:
    def __init__(self, id: int) -> None:
        self.id = id
        self.tasks: dict[int, ModelTask] = {}
        self.access: dict[int, set[str]] = {}
        self.requests: dict[int, set[str]] = {}
        self.paused = self.public = False
        self.chain = self.remember_closed = self.seq = self.place = 0
        self.remembered: dict[int | str, int] = {}
        """Hashes of closed tasks: the unix second of closing, 0 where they are remembered for ever."""
        self.closed_since = 0
        """When the project ceased to remember for ever, unix ms."""
        self.oldest = 0
        """The earliest unix second of those remembered for a time, 0 for none."""
        self.families: set[str] = set()
        """The families with hashes since they were last emptied: known, closed, recent."""
        self.outbox: list[tuple[int, TaskFields]] = []
        self.stranded: set[int | str] = set()
        """Hashes of tasks that were dropped: only their records knew them."""
        self.closed_by: dict[int, int] = {}
        """Closed tasks by worker; by its negative id, how often it failed one."""
        self.counters: dict[str, int] = {}
        self.noted = 0
        self.drains: list[tuple[str, list[int], int]] = []
        """What a maintenance call does, its tasks, and how many hashes and marks are to be freed after them."""
        self.matching: list[Matching] = []
        """Calls for tasks that match; they come after all others."""

    def count(self, name: str, by: int = 1) -> None:
        if by:
            self.counters[name] = self.counters.get(name, 0) + by

    def add(self, tasks: list[TaskFields], now: int, counter: str) -> list[int | None]:
        ids: list[int | None] = []
        live = self.hashes()
        for new in tasks:
            known = new.hash64 in self.remembered and new.hash64 not in self.forgettable(now)
            if new.hash64 != "" and (new.hash64 in live or known):
                ids.append(None)
                continue
            live.add(new.hash64)
            if new.hash64 != "":
                self.families.add("known")
            self.seq += 1
            self.place += 1
            self.remembered.pop(new.hash64, None)
            task = ModelTask(self.seq * 100_000 + self.id, new, self.place)
            self.tasks[task.id] = task
            ids.append(task.id)
        self.count("duplicates", ids.count(None))
        self.count(counter, len(ids) - ids.count(None))
        return ids

    def hashes(self) -> set[int | str]:
        live = {task.new.hash64 for task in self.tasks.values() if task.drain != "hard_reset"}
        return (live | self.stranded) - {""}

    def drop(self, task: ModelTask) -> None:
        del self.tasks[task.id]
        self.stranded.add(task.new.hash64)
        self.count("orphaned")

    def awaiting(self) -> set[int]:
        tasks = self.tasks.values()
        return {task.id for task in tasks if task.votes and task.state != "failed" and task.drain != "hard_reset"}

    def snapshot(self) -> dict[str, int]:
        tasks = self.tasks.values()
        unfinished = sum(t.state != "failed" and t.drain != "hard_reset" for t in tasks)
        return {
            "new_task_count": unfinished - len(self.awaiting()),
            "failed_task_count": sum(t.state == "failed" and t.drain != "hard_reset" for t in tasks),
            "closed_task_count": self.counters.get("closed", 0),
            "worker_access_count": len(self.access),
            "awaiting_verification_count": len(self.awaiting()),
        }

    def refuses_submit(self, worker: int) -> str | None:
        return None if "submit" in self.access.get(worker, ()) else "denied"

    def refuses_assign(self, worker: int) -> str | None:
        if self.paused:
            return "paused"
        return None if self.public or worker in self.access else "denied"

    def assign(self, worker: int, count: int, default_time: int, now: int) -> list[ModelTask]:
        chosen, back = self._best(worker, count), 0
        while not chosen and not back and self.overdue(now):
            _, back = self.reclaim(RECLAIM_WHEN_EMPTY, now)
        if back:
            chosen = self._best(worker, count)
        for task in chosen:
            task.state, task.assignee = "assigned", worker
            task.deadline = now + (task.new.max_assign_time or default_time) * 1000
        self.count("assigned", len(chosen))
        return chosen

    def _best(self, worker: int, count: int) -> list[ModelTask]:
        waiting = [task for task in self.tasks.values() if task.zset in ("queue", "verifying")]
        waiting = [task for task in waiting if worker not in task.votes]
        chosen: list[ModelTask] = []
        for task in sorted(waiting, key=lambda task: task.score):
            if len(chosen) == count:
                break
            if task.lost:
                self.drop(task)
            else:
                chosen.append(task)
        return chosen

    def held(self, worker: int) -> set[int]:
        return {task.id for task in self.tasks.values() if task.zset == "assigned" and task.assignee == worker}

    def give_back(self, task: ModelTask) -> bool:
        """Whether it waits again."""
        if task.lost:
            self.drop(task)
            return False
        self.place += 1
        task.state, task.assignee, task.place, task.drain = "waiting", 0, self.place, ""
        return True

    def release(self, worker: int, id: int, result: int, verification: int, now: int) -> str:
        task = self.tasks.get(id)
        if task is None or id not in self.held(worker):
            return "not_held"
        if task.lost:
            self.drop(task)
            return "not_held"
        if result == 0:
            return self._succeed(task, worker, verification, now)
        if result == 1:
            task.failed_by = worker
            self.closed_by[-worker] = self.closed_by.get(-worker, 0) + 1
            task.retries += 1
            if task.retries >= task.new.max_retries:
                task.state, task.assignee, task.failed_at = "failed", 0, now
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
            second = -(-now // 1000)
            self.remembered[task.new.hash64] = 0 if self.remember_closed < 0 else second
            self.families.add("closed" if self.remember_closed < 0 else "recent")
            if self.remember_closed > 0:
                self.oldest = min(self.oldest or second, second)
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
        late = [task for task in self.tasks.values() if task.zset == "assigned" and task.deadline <= now]
        return sorted(late, key=lambda task: task.rank)

    def reclaim(self, limit: int, now: int) -> tuple[int, int]:
        """How many are taken from their workers, and how many of them wait again."""
        late = self.overdue(now)[:limit]
        back = [self.give_back(task) for task in late].count(True)
        self.count("reclaimed", back)
        return len(late), back

    def forgettable(self, now: int) -> set[int | str]:
        if self.remember_closed < 0:
            return set()
        kept = self.remember_closed
        late = {hash for hash, second in self.remembered.items() if second and (second + kept) * 1000 <= now}
        for_ever = {hash for hash, second in self.remembered.items() if not second}
        if kept == 0:
            return set(self.remembered)
        return late | (for_ever if self.closed_since + kept * 1000 <= now else set())

    def may_trim(self, now: int) -> bool:
        if self.remember_closed < 0:
            return False
        kept = self.remember_closed
        late = kept > 0 and self.oldest > 0 and now >= (self.oldest + kept + kept // 8) * 1000
        return late or ("closed" in self.families and self.closed_since + kept * 1000 <= now)

    def trim(self, now: int) -> int:
        """How many hashes of ``recent`` are removed; those of ``closed`` begin a drain."""
        if not self.may_trim(now):
            return 0
        late = self.forgettable(now)
        recent = {hash for hash in late if self.remembered[hash]}
        if "closed" in self.families and self.closed_since + self.remember_closed * 1000 <= now:
            self.empty("closed")
        for hash in late:
            del self.remembered[hash]
        self.oldest = min(filter(None, self.remembered.values()), default=0)
        return len(recent)

    def configure(self, *, paused: bool, public: bool, remember_closed: int, chain: int, now: int) -> None:
        if self.remember_closed < 0 <= remember_closed:
            self.closed_since = now
        self.paused, self.public, self.remember_closed, self.chain = paused, public, remember_closed, chain
        if remember_closed == 0:
            self.empty("closed", "recent")
            self.remembered.clear()
            self.oldest = 0

    def empty(self, *names: str) -> None:
        """Their buckets, one each, are left to a drain."""
        if families := self.families.intersection(names):
            self.families -= families
            self.drains.append(("drop_hashes", [], len(families)))

    def retry(self, id: int) -> bool:
        task = self.tasks.get(id)
        if task is None or task.zset != "failed":
            return False
        task.retries = task.failed_by = 0
        return self.give_back(task)

    def remove(self, id: int) -> bool:
        task = self.tasks.get(id)
        if task is None or task.drain:
            return False
        if task.lost:
            self.drop(task)
        else:
            del self.tasks[id]
            self.count("removed")
        return True

    def cancel(self, worker: int, id: int) -> bool:
        task = self.tasks.get(id)
        may = self.refuses_submit(worker) is None
        return may and task is not None and task.zset != "assigned" and self.remove(id)

    def reclaim_worker(self, worker: int) -> int:
        held = sorted((self.tasks[id] for id in self.held(worker)), key=lambda task: task.rank)
        back = [self.give_back(task) for task in held].count(True)
        self.count("reclaimed", back)
        return back

    def forget(self, hash64: int, now: int) -> bool:
        counts = hash64 in self.remembered and hash64 not in self.forgettable(now)
        self.remembered.pop(hash64, None)
        return counts

    def begin_drain(self, operation: str) -> int:
        every = ["queue", "verifying", "assigned", "failed"]
        concerned = {"reset_failed": ["failed"], "reclaim_assigned": ["assigned"]}.get(operation, every)
        tasks = sorted(self.tasks.values(), key=lambda task: task.rank)
        taken = [task for zset in concerned for task in tasks if task.zset == zset]
        freed = len(self.awaiting()) + len(self.families) if operation == "hard_reset" else 0
        for task in taken:
            task.drain = operation
        affected = len(taken)
        if operation == "hard_reset":
            self.remembered.clear()
            self.stranded.clear()
            self.families.clear()
            self.oldest = 0
            affected += sum(len(ids) for earlier, ids, _ in self.drains if earlier != "hard_reset")
            self.drains = [("hard_reset", ids, rest) for _, ids, rest in self.drains]
            self.matching.clear()
            for task in self.tasks.values():
                task.drain = "hard_reset"
        if taken or freed:
            self.drains.append((operation, [task.id for task in taken], freed))
        return affected

    def begin_matching(self, operation: str, state: str, contains: str, worker: int | str) -> bool:
        """Whether it may begin."""
        if len(self.matching) < 16:
            self.matching.append(Matching(operation, state, contains, worker, 0, self.seq))
            return True
        return False

    def go_on_matching(self, entry: int | None) -> None:
        """The oldest of these calls goes on up to this entry, None for the last one."""
        call = self.matching[0]
        stop = call.last + 1 if entry is None else entry
        for id, task in sorted(self.tasks.items()):
            n = id // 100_000
            if (
                not call.entry <= n < stop
                or task.lost
                or task.zset != call.state
                or call.contains not in task.new.recipe
            ):
                continue
            if call.worker and call.worker != (task.assignee or task.failed_by):
                continue
            call.affected += 1
            if call.operation == "remove_tasks":
                self.remove(id)
            else:
                self.retry(id)
        call.entry = stop
        if entry is None:
            self.matching.pop(0)

    def drain(self, limit: int) -> tuple[int, bool]:
        if not self.drains:
            return 0, False
        operation, ids, freed = self.drains[0]
        back = 0
        for id in ids[:limit]:
            if operation == "hard_reset":
                del self.tasks[id]
                continue
            task = self.tasks[id]
            if operation == "reset_failed":
                task.retries = task.failed_by = 0
            back += self.give_back(task)
        done = len(ids[:limit])
        if operation == "reclaim_assigned":
            self.count("reclaimed", back)
        del ids[:limit]
        also = min(freed, limit - done)
        self.drains[0] = operation, ids, freed - also
        done += also
        if done < limit:
            self.drains.pop(0)
        return done, bool(self.drains or self.matching)
