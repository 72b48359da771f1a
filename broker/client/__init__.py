"""The Python client of the broker. docs/clients.md shows how to write a worker with it."""

from broker.client.clients import AsyncClient, Client
from broker.client.credentials import Credentials
from broker.client.types import (
    Access,
    Affected,
    ClientError,
    Fail,
    Failure,
    Group,
    Manager,
    NewTask,
    Project,
    Refused,
    RefusedPart,
    Release,
    Result,
    Skip,
    Stats,
    Task,
    TaskPage,
    TaskRow,
    Turn,
    Unreachable,
    WorkerInfo,
)
from broker.client.worker import Worker
from broker.hashes import hash64, verification

__all__ = [
    "Access",
    "Affected",
    "AsyncClient",
    "Client",
    "ClientError",
    "Credentials",
    "Fail",
    "Failure",
    "Group",
    "Manager",
    "NewTask",
    "Project",
    "Refused",
    "RefusedPart",
    "Release",
    "Result",
    "Skip",
    "Stats",
    "Task",
    "TaskPage",
    "TaskRow",
    "Turn",
    "Unreachable",
    "Worker",
    "WorkerInfo",
    "hash64",
    "verification",
]
