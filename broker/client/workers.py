"""The calls of a worker on itself, and on its access to projects."""

from pathlib import Path

from msgspec import Struct

from broker.client.calls import Caller, Nothing, Steps
from broker.client.credentials import Credentials
from broker.client.transport import method
from broker.client.types import ClientError, WorkerInfo

_NOTHING_TO_ASK = {"already_asked", "already_granted"}


class _Created(Struct):
    worker: Credentials


class _Worker(Struct):
    worker: WorkerInfo


class _Secret(Struct):
    secret: str


class WorkerCalls(Caller):
    @method
    def identify(self, file: str | Path = "worker.json", *, alias: str = "") -> Steps[Credentials]:
        """From now on, calls are those of the worker in this file. Without a file, a worker is made, and the file.

        An ``alias`` that is not the one in the file is told to the broker, and written to the file.
        """
        found = Credentials.load(file)
        if found is None:
            Credentials.check(file)
            found = (yield from self._create(alias)).save(file)
        self.worker = found
        if alias not in {"", found.alias}:
            yield from self._rename(alias)
            self.worker = found.rename(file, alias)
        return self.worker

    @method
    def create_worker(self, alias: str = "") -> Steps[Credentials]:
        """A new worker. The client does not become it: pass it to another client as ``worker``, or ``save`` it."""
        return (yield from self._create(alias))

    def _create(self, alias: str) -> Steps[Credentials]:
        # Twice makes a worker that nobody uses, which does no harm.
        reply = yield from self._call("POST", "/worker/create", _Created, body={"alias": alias}, safe=True)
        return reply.content.worker

    @method
    def update_worker(self, alias: str) -> Steps[None]:
        """Another alias for this worker."""
        yield from self._rename(alias)

    def _rename(self, alias: str) -> Steps[None]:
        yield from self._call("POST", "/worker/update", Nothing, body={"alias": alias}, safe=True)

    @method
    def rotate_secret(self) -> Steps[Credentials]:
        """A new secret; the old one has ended. Never repeated: when the answer is lost, so may be this worker."""
        if self.worker is None:
            raise ClientError("rotate_secret: this client has no worker")
        reply = yield from self._call("POST", "/worker/rotate_secret", _Created, safe=False)
        self.worker = reply.content.worker
        return self.worker

    @method
    def worker_info(self, worker: int) -> Steps[WorkerInfo]:
        reply = yield from self._call("GET", f"/worker/get/{worker}", _Worker, safe=True)
        return reply.content.worker

    @method
    def request_access(self, project: int, *, assign: bool = True, submit: bool = False) -> Steps[bool]:
        """Asks the project's managers to let this worker in.

        False when there is nothing to ask for: it was asked or granted before.
        """
        body = {"project": project, "assign": assign, "submit": submit}
        reply = yield from self._call(
            "POST", "/project/request_access", Nothing, body=body, safe=True, allow=_NOTHING_TO_ASK
        )
        return reply.ok

    @method
    def project_secret(self, project: int) -> Steps[str]:
        """What the project's managers tell its workers; ``{}`` at first. Needs granted access."""
        reply = yield from self._call("GET", f"/project/secret/{project}", _Secret, safe=True)
        return reply.content.secret
