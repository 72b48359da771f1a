"""The calls of a worker on itself, and on its access to projects."""

from pathlib import Path

from msgspec import Struct

from broker.client.calls import Caller, Nothing, Steps
from broker.client.credentials import Credentials
from broker.client.transport import method
from broker.client.types import ClientError, Refused, WorkerInfo


class _Created(Struct):
    worker: Credentials


class _Worker(Struct):
    worker: WorkerInfo


class _Secret(Struct):
    secret: str


class WorkerCalls(Caller):
    @method
    def identify(self, file: str | Path = "worker.json", *, alias: str = "") -> Steps[Credentials]:
        """Makes this client the worker in the file. Without a file, it creates a worker and the file.

        An ``alias`` that differs from the one in the file renames the worker, in the broker and in the file.
        """
        found = Credentials.load(file)
        if found is None:
            Credentials.check(file)
            found = (yield from WorkerCalls.create_worker(self, alias)).save(file)
        self.worker = found
        if alias not in {"", found.alias}:
            yield from WorkerCalls.update_worker(self, alias)
            self.worker = found.rename(file, alias)
        return self.worker

    @method
    def create_worker(self, alias: str = "") -> Steps[Credentials]:
        """Creates a worker. This client does not become it: pass it to a client as ``worker``, or ``save`` it."""
        # A repeat may create a worker that nobody uses, which does no harm.
        return (yield from self._call("POST", "/worker/create", _Created, body={"alias": alias}, safe=True)).worker

    @method
    def update_worker(self, alias: str) -> Steps[None]:
        """Changes the alias of this worker."""
        yield from self._call("POST", "/worker/update", Nothing, body={"alias": alias}, safe=True)

    @method
    def rotate_secret(self) -> Steps[Credentials]:
        """Replaces the secret. The call is never repeated: if its answer is lost, the worker may be lost as well."""
        if self.worker is None:
            raise ClientError("rotate_secret: this client has no worker")
        self.worker = (yield from self._call("POST", "/worker/rotate_secret", _Created, safe=False)).worker
        return self.worker

    @method
    def worker_info(self, worker: int) -> Steps[WorkerInfo]:
        return (yield from self._call("GET", f"/worker/get/{worker}", _Worker, safe=True)).worker

    @method
    def request_access(self, project: int, *, assign: bool = True, submit: bool = False) -> Steps[bool]:
        """Requests access to the project. False when this worker has requested it or has it already."""
        body = {"project": project, "assign": assign, "submit": submit}
        try:
            yield from self._call("POST", "/project/request_access", Nothing, body=body, safe=True)
        except Refused as refused:
            if refused.code not in {"already_asked", "already_granted"}:
                raise
            return False
        return True

    @method
    def project_secret(self, project: int) -> Steps[str]:
        """The text that the project's managers share with its workers; ``{}`` at first. It needs granted access."""
        return (yield from self._call("GET", f"/project/secret/{project}", _Secret, safe=True)).secret
