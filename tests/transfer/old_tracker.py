"""The original tracker's tables in PostgreSQL, filled, and dumped with the commands of docs/migrating.md."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.postgres import Postgres

ROOT = Path(__file__).parents[2]

TABLES = """
DROP TABLE IF EXISTS worker_verifies_task, task, worker_access, worker, project;
CREATE TABLE project (
  id SERIAL PRIMARY KEY, priority INTEGER DEFAULT 0, name TEXT UNIQUE, clone_url TEXT, git_repo TEXT, version TEXT,
  motd TEXT, public BOOLEAN, hidden BOOLEAN, paused BOOLEAN, chain INTEGER REFERENCES project (id),
  secret TEXT DEFAULT '{}', webhook_secret TEXT, assign_rate DOUBLE PRECISION DEFAULT 0,
  submit_rate DOUBLE PRECISION DEFAULT 0);
CREATE TABLE worker (
  id SERIAL PRIMARY KEY, alias TEXT, created INTEGER, secret BYTEA, closed_task_count INTEGER DEFAULT 0,
  paused BOOLEAN DEFAULT false);
CREATE TABLE worker_access (
  worker INTEGER REFERENCES worker (id), project INTEGER REFERENCES project (id), role_assign BOOLEAN,
  role_submit BOOLEAN, request BOOLEAN, PRIMARY KEY (worker, project));
CREATE TABLE task (
  id SERIAL PRIMARY KEY, hash64 BIGINT, project INTEGER REFERENCES project (id),
  assignee INTEGER REFERENCES worker (id), max_assign_time INTEGER DEFAULT 0, assign_time INTEGER,
  verification_count INTEGER DEFAULT 0, priority SMALLINT DEFAULT 0, retries SMALLINT DEFAULT 0, max_retries SMALLINT,
  status SMALLINT DEFAULT 1, recipe TEXT, UNIQUE (project, hash64));
CREATE TABLE worker_verifies_task (
  verification_hash BIGINT, task BIGINT REFERENCES task (id) ON DELETE CASCADE, worker INTEGER REFERENCES worker (id));
"""

Value = str | int | float | bool | bytes | None


def insert(table: str, rows: Sequence[dict[str, Value]]) -> str:
    return "".join(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(literal, row.values()))});\n" for row in rows
    )


def literal(value: Value) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"'{value}'"


def dump(postgres: Postgres, folder: Path) -> Path:
    """Where the dumps are."""
    page = (ROOT / "docs" / "migrating.md").read_text()
    block = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    assert block
    commands = re.sub(r"tracker=\S+", f"tracker='{postgres.url}'", block[1])
    environment = {**os.environ, "PATH": f"{postgres.programs}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", commands], cwd=folder, env=environment, check=True, capture_output=True)
    return folder / "dumps"
