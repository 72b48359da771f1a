"""The commands that call a broker, as a person or a script runs them."""

import codecs
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from broker.cli import main
from broker.client import Client, Credentials
from tests.client import Fleet
from tests.client_library.proxy import a_proxy
from tests.client_library.running import counters, stats
from tests.serving import until

Broker = Callable[..., "Done"]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def environment(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that a user sets once."""
    account = tmp_path / "admin.json"
    account.write_text('{"username": "admin", "password": "a long password"}')
    monkeypatch.setenv("TASK_BROKER_URL", fleet.url)
    monkeypatch.setenv("TASK_BROKER_ADMIN_FILE", str(account))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def broker(environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Broker:
    def run(*arguments: object, text: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return Done(main(list(map(str, arguments))), *capsys.readouterr())

    return run


@pytest.fixture
def project(fleet: Fleet, tmp_path: Path) -> int:
    """One into which worker.json may submit."""
    made = fleet.project(name=f"pages of {tmp_path.name}")
    worker = fleet.worker(made, alias="producer")
    Credentials(worker.id, worker.alias, worker.secret).save(tmp_path / "worker.json")
    return made


def fine(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in fine(done).splitlines()]


def test_a_worker_is_created_and_requests_access(broker: Broker, fleet: Fleet, tmp_path: Path) -> None:
    project = fleet.project()

    first = fine(broker("worker", "create", "--alias", "crawler-1", "--project", project, "--submit"))
    again = rows(broker("worker", "create", "--project", project, "--json"))
    told = fine(broker("worker", "create", "--project", project))

    worker = json.loads((tmp_path / "worker.json").read_text())
    assert first == (
        f"worker {worker['id']} (crawler-1): worker.json\n"
        f"access to project {project} is requested: {fleet.url}/ui/projects/{project}/access\n"
    )
    assert stat.S_IMODE((tmp_path / "worker.json").stat().st_mode) == 0o600
    assert f"access to project {project} is pending: {fleet.url}/ui/projects/{project}/access\n" in told
    assert again == [{"id": worker["id"], "alias": "crawler-1", "file": "worker.json", "asked": [], "joined": []}]
    (access,) = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
    assert (access["assign"], access["submit"], access["request"]) == (True, True, True)
    fleet.admin.post(f"/project/accept_request/{project}/{worker['id']}").content()
    granted = fine(broker("worker", "create", "--project", project, "--submit"))
    assert f"project {project}: this worker has access already." in granted


def test_a_worker_is_created_and_joins(broker: Broker, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = fleet.project(), fleet.project()
    tokens = [
        fleet.admin.post(f"/project/join_tokens/{project}", {"assign": True, "uses": 1}).content()["token"]
        for project in (first, second)
    ]

    assert f"joined project {first}\n" in fine(broker("worker", "create", "--join", tokens[0], "--project", first))
    monkeypatch.setenv("TASK_BROKER_JOIN_TOKEN", " ".join(tokens))
    assert rows(broker("worker", "create", "--json"))[0]["joined"] == [first, second]

    other = broker("worker", "create", "--worker-file", "other.json", "--join", tokens[0])
    wrong = broker("worker", "create", "--join", "s3cret")
    assert (other.returncode, wrong.returncode) == (1, 1)
    assert "used up" in other.stderr
    assert "--join: not a join token" in wrong.stderr
    assert "s3cret" not in wrong.stderr
    for project in (first, second):
        (access,) = fleet.admin.get(f"/project/access_list/{project}").content()["accesses"]
        assert (access["assign"], access["request"]) == (True, False)


def test_a_file_of_credentials_has_the_alias_that_the_broker_has(broker: Broker, fleet: Fleet, tmp_path: Path) -> None:
    def alias() -> str:
        return str(json.loads((tmp_path / "worker.json").read_text())["alias"])

    fine(broker("worker", "create"))
    assert alias() == "default_alias"
    before = (tmp_path / "worker.json").stat().st_ino
    for name in ("crawler-1", "käfer", "a"):
        assert f"({name}): worker.json" in fine(broker("worker", "create", "--alias", name))
        assert alias() == name

    worker = Credentials.load(tmp_path / "worker.json")
    assert worker is not None
    with Client(fleet.url, worker) as elsewhere:
        elsewhere.update_worker("renamed elsewhere")
    assert "(renamed elsewhere): worker.json" in fine(broker("worker", "create"))
    assert alias() == "renamed elsewhere"
    # Programs hold their claims on this very file.
    assert (tmp_path / "worker.json").stat().st_ino == before


def test_each_line_is_a_task_and_what_is_there_already_is_no_error(
    broker: Broker, fleet: Fleet, project: int, tmp_path: Path
) -> None:
    (tmp_path / "urls").write_text("a\n\nb\r\na\n{c")

    first = broker("submit", "urls", "--project", project, "--priority", 3, "--max-retries", 2)
    second = broker("submit", "-", "--project", project, "--json", text="b\nd\n")

    assert fine(first) == "3 submitted, 1 duplicates\n"
    assert rows(second) == [{"submitted": 1, "duplicates": 1}]
    assert not (tmp_path / "urls.offset").exists()
    found = rows(broker("tasks", "list", project, "--json"))
    assert [(row["recipe"], row["priority"], row["max_retries"]) for row in found] == [
        ("a", 3, 2),
        ("b", 3, 2),
        ("{c", 3, 2),
        ("d", 0, 0),
    ]


def test_a_submit_to_a_project_with_a_rate_says_that_it_waits_and_for_how_long(
    broker: Broker, fleet: Fleet, project: int
) -> None:
    fleet.admin.post(f"/project/update/{project}", {"submit_rate": 2}).content()

    first = broker("submit", "-", "--project", project, text="a\nb\nc\nd\n")
    second = broker("submit", "-", "--project", project, text="e\n")

    assert first.stderr.startswith(f"project {project} accepts 2 tasks per second\n")
    assert "waiting" not in first.stderr
    assert re.search(f"^waiting [12] s for the rate of project {project}$", second.stderr, re.MULTILINE)
    assert fine(second) == "1 submitted, 0 duplicates\n"


def test_tasks_may_be_submitted_for_later(broker: Broker, fleet: Fleet, project: int) -> None:
    lines = '{"recipe": "a", "not_before": 1}\n{"recipe": "b", "delay": 60}\n'

    assert (
        fine(broker("submit", "-", "--project", project, "--delay", 3600, text="c\n")) == "1 submitted, 0 duplicates\n"
    )
    assert fine(broker("submit", "-", "--project", project, "--jsonl", text=lines)) == "2 submitted, 0 duplicates\n"

    assert (stats(fleet, project)["waiting"], stats(fleet, project)["delayed"]) == (1, 2)
    table = fine(broker("tasks", "list", project, "--state", "delayed")).splitlines()
    assert table[0].split() == ["id", "priority", "retries", "created", "not", "before", "recipe"]
    assert [line.split()[-1] for line in table[1:3]] == ["b", "c"]


def test_lines_may_be_json_and_recipes_may_come_twice(broker: Broker, fleet: Fleet, project: int) -> None:
    lines = [{"recipe": "x", "hash64": 5, "priority": 9}, {"recipe": "x"}, {"recipe": "y", "unique_string": "x"}]
    text = "\n".join(map(json.dumps, lines))

    assert fine(broker("submit", "-", "--project", project, "--jsonl", text=text)) == "2 submitted, 1 duplicates\n"
    assert fine(broker("submit", "-", "--project", project, "--allow-duplicates", text="x\nx\n")).startswith(
        "2 submitted"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"recipe": "a"}\n{"recipe": 5}', "line 2: Expected `str | null`, got `int` - at `$.recipe`"),
        ('{"recipe": "a"}\n\nnonsense', "line 3: JSON is malformed"),
        ('{"priority": 1}', "line 1: Object missing required field `recipe`"),
        ('{"recipe": "a", "priority": 99999}', "line 1: Expected `int` <= 32767 - at `$.priority`"),
        ('{"recipe": "a", "hash64": 5, "unique_str": "x"}', "line 1: unique_string: send this or hash64, not both"),
        ('{"recipe": "a", "project": 77}', "line 1: it names project 77, and --project names "),
        ("[" * 100_000, "line 1: "),
        ('{"recipe": "a", "x": ' + "[" * 100_000, "line 1: JSON is nested too deeply"),
        (json.dumps({"recipe": "a" * (1 << 20) + "b"}), "line 1: the broker refused POST /task/bulk_submit with 413"),
    ],
)
def test_an_invalid_line_is_named(broker: Broker, fleet: Fleet, project: int, text: str, message: str) -> None:
    done = broker("submit", "-", "--project", project, "--jsonl", text=text)

    assert done.returncode == 1
    assert done.stderr.startswith(f"broker: {message}")
    assert stats(fleet, project)["waiting"] == 0


def test_a_line_that_is_no_text_is_named(broker: Broker, project: int, tmp_path: Path) -> None:
    (tmp_path / "urls").write_bytes(b"a\n\xff\n")

    done = broker("submit", "urls", "--project", project)

    assert (done.returncode, "line 2: not UTF-8 (byte 0xff)" in done.stderr) == (1, True)


def test_an_interrupted_submit_goes_on_where_it_was(broker: Broker, fleet: Fleet, project: int, tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("".join(f"https://example.org/{n}\n" for n in range(12_000)))
    with a_proxy(fleet.url) as proxy:
        # The second call is carried out, but its answer is lost.
        proxy.hold("/task/bulk_submit", after=1)
        command = [sys.executable, "-m", "broker", "submit", "urls", "--project", str(project), "--url", proxy.url]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until(lambda: proxy.count("/task/bulk_submit") == 2, 30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert said.endswith("interrupted after line 5,000: the same command continues there\n")
    noted = json.loads((tmp_path / "urls.offset").read_text())
    assert noted["lines"] == 5_000

    # The proxy led to this very broker.
    note = tmp_path / "urls.offset"
    note.write_text(note.read_text().replace(proxy.url, fleet.url))
    done = broker("submit", "urls", "--project", project)

    assert "continuing at line 5,001" in done.stderr
    assert fine(done) == "2,000 submitted, 5,000 duplicates\n"
    assert stats(fleet, project)["waiting"] == counters(fleet, project)["submitted"] == 12_000
    assert not (tmp_path / "urls.offset").exists()


@pytest.fixture
def interrupted(fleet: Fleet, project: int, tmp_path: Path) -> Path:
    """A file of 12,000 lines whose submit was interrupted after the first 5,000."""
    (tmp_path / "urls").write_text("".join(f"https://example.org/{n}\n" for n in range(12_000)))
    with a_proxy(fleet.url) as proxy:
        proxy.hold("/task/bulk_submit", after=1)
        command = [sys.executable, "-m", "broker", "submit", "urls", "--project", str(project), "--url", proxy.url]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path)
        until(lambda: proxy.count("/task/bulk_submit") == 2, 30)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        # The broker carries out the second call, but its answer is lost.
        until(lambda: stats(fleet, project)["waiting"] == 10_000)
    note = tmp_path / "urls.offset"
    note.write_text(note.read_text().replace(proxy.url, fleet.url))
    return note


def test_an_offset_of_another_run_or_file_is_not_believed(
    broker: Broker, fleet: Fleet, project: int, interrupted: Path
) -> None:
    before, other = stats(fleet, project)["waiting"], fleet.url.replace("127.0.0.1", "localhost")
    same = ("submit", "urls", "--project", project)
    runs = [
        (("submit", "urls", "--project", project + 1), f"with --project {project}, not {project + 1}"),
        ((*same, "--url", other), f"with --url {fleet.url}, not {other}"),
        ((*same, "--priority", 3), "with --priority 0, not 3"),
        ((*same, "--jsonl"), "without --jsonl"),
    ]
    advice = "remove urls.offset to begin at the first line\n"
    for arguments, difference in runs:
        done = broker(*arguments)
        assert done.returncode == 1
        assert done.stderr == f"broker: urls.offset was kept by a run {difference}: run that again, or {advice}"
    assert stats(fleet, project)["waiting"] == before

    urls = interrupted.with_name("urls")
    for text in (urls.read_text().replace("/4999\n", "/other\n"), "short\n", ""):
        urls.write_text(text)
        done = broker(*same)
        assert done.returncode == 1
        assert done.stderr == (
            "broker: urls.offset was kept for another file, or a line up to line 5,000 has changed since: " + advice
        )
    interrupted.write_text("{}")
    assert f": {advice}" in broker(*same).stderr
    assert stats(fleet, project)["waiting"] == before
    interrupted.unlink()
    assert fine(broker(*same)) == "0 submitted, 0 duplicates\n"


def test_a_file_that_has_grown_goes_on_where_it_was(
    broker: Broker, fleet: Fleet, project: int, interrupted: Path
) -> None:
    with interrupted.with_name("urls").open("a") as urls:
        urls.write("one more\n")

    done = broker("submit", "urls", "--project", project)

    # The second call was carried out, although its answer was lost.
    assert fine(done) == "2,001 submitted, 5,000 duplicates\n"
    assert "continuing at line 5,001\n" in done.stderr
    assert counters(fleet, project)["submitted"] == 12_001
    assert not interrupted.exists()


@pytest.mark.usefixtures("environment")
def test_all_lines_of_a_pipe_are_submitted_without_an_offset(fleet: Fleet, project: int, tmp_path: Path) -> None:
    program = f"{sys.executable} -m broker submit <(seq 12000) --project {project}"

    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "12,000 submitted, 0 duplicates\n"
    why = "because it is not a regular file"
    said = rf"no offset of /dev/fd/\d+ is kept, {why}: an interrupted run begins at the first line\n"
    assert re.match(said, done.stderr)
    assert stats(fleet, project)["waiting"] == 12_000
    assert [path.name for path in tmp_path.iterdir() if "offset" in path.name] == []


def test_a_folder_that_cannot_be_written_is_reported_and_all_lines_are_submitted(
    broker: Broker, fleet: Fleet, project: int, tmp_path: Path
) -> None:
    (tmp_path / "urls").write_text("".join(f"{n}\n" for n in range(12_000)))
    (tmp_path / "urls.offset.new").mkdir()  # where the offset would be written first

    done = broker("submit", "urls", "--project", project)

    assert fine(done) == "12,000 submitted, 0 duplicates\n"
    assert done.stderr.startswith(
        "no offset of urls is kept (urls.offset.new: Is a directory): an interrupted run begins"
    )
    assert done.stderr.count("no offset") == 1
    assert stats(fleet, project)["waiting"] == 12_000


def test_a_byte_order_mark_is_no_part_of_the_first_recipe(
    broker: Broker, fleet: Fleet, project: int, tmp_path: Path
) -> None:
    (tmp_path / "urls").write_bytes(b"\xef\xbb\xbf a \r\n\t\r\n\xc2\xa0\n")
    (tmp_path / "json").write_bytes(b'\xef\xbb\xbf{"recipe": "b", "unique_str": "x", "priority": null}\n')

    assert fine(broker("submit", "urls", "--project", project)) == "2 submitted, 0 duplicates\n"
    assert fine(broker("submit", "json", "--project", project, "--jsonl")) == "1 submitted, 0 duplicates\n"
    found = rows(broker("tasks", "list", project, "--json"))
    assert [row["recipe"] for row in found] == [" a ", "\xa0", "b"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_all_bad_lines_of_a_file_are_named_before_anything_is_sent(
    broker: Broker, fleet: Fleet, project: int, tmp_path: Path, encoding: str
) -> None:
    text = "".join(f"käfer {n}\n" for n in range(25))
    (tmp_path / "urls").write_bytes(b"fine\n" * 6_000 + text.encode(encoding))

    done = broker("submit", "urls", "--project", project)

    said = done.stderr.splitlines()
    assert done.returncode == 1
    assert said[0].startswith("broker: line 6,001: ")
    assert "must be UTF-8" in said[0]
    assert [line.partition(":")[0] for line in said[1:20]] == [f"line {n:,}" for n in range(6_002, 6_021)]
    assert re.fullmatch("and [56] more", said[20])
    assert said[21:] == ["nothing was submitted"]
    assert stats(fleet, project)["waiting"] == 0


def test_a_line_may_say_when_its_task_begins(broker: Broker, fleet: Fleet, project: int) -> None:
    at = time.time() + 7200
    lines = [{"recipe": "a"}, {"recipe": "b", "not_before": at}, {"recipe": "c", "delay": 600}]
    command = ("submit", "-", "--project", project, "--jsonl", "--delay", 3600)
    text = "\n".join(map(json.dumps, lines))

    assert fine(broker(*command, text=text)) == "3 submitted, 0 duplicates\n"
    refused = broker(*command, text=json.dumps({"recipe": "d", "not_before": at, "delay": 1}))

    found = {
        row["recipe"]: row["not_before"]
        for row in rows(broker("tasks", "list", project, "--state", "delayed", "--json"))
    }
    assert list(found) == ["c", "a", "b"]
    assert found["b"] == pytest.approx(at, abs=0.01)
    assert "line 1: not_before: send this or delay, not both" in refused.stderr


def test_tasks_are_listed_for_people_and_for_programs(broker: Broker, fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project, alias="crawler")
    for number in range(3):
        worker.submit(project, f"page {number}\x1b[2J", priority=-number)
    failed_task = {"task_id": worker.take(project)["id"], "result": 1, "message": "HTTP\x1b[2J 500"}
    worker.post("/task/release", failed_task).content()
    held = worker.take(project)["id"]

    failed = fine(broker("tasks", "list", project, "--state", "failed")).splitlines()
    assigned = rows(broker("tasks", "list", project, "--state", "assigned", "--json"))
    waiting = fine(broker("tasks", "list", project)).splitlines()

    assert failed[0].split() == ["id", "priority", "retries", "created", "failed", "why", "recipe"]
    assert failed[1].endswith("HTTP\\x1b[2J 500  page 0\\x1b[2J")
    assert failed[2] == "1 of 1 tasks, failed"
    assert [(row["id"], row["assignee"]) for row in assigned] == [(held, worker.id)]
    assert assigned[0]["recipe"] == "page 1\x1b[2J"
    assert (len(waiting), waiting[-1]) == (3, "1 of 1 tasks, waiting")


def test_as_many_tasks_are_listed_as_are_asked_for(broker: Broker, fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    requests = [{"project": project, "recipe": str(n)} for n in range(1200)]
    worker.post("/task/bulk_submit", {"requests": requests}).content()

    assert len(rows(broker("tasks", "list", project, "--json", "--limit", 0))) == 1200
    assert len(rows(broker("tasks", "list", project, "--json", "--limit", 501))) == 501
    assert "50 of 1,200 tasks, waiting" in fine(broker("tasks", "list", project))


def test_a_recipe_is_whole_in_a_pipe_and_fits_a_terminal(broker: Broker, fleet: Fleet, project: int) -> None:
    url = f"https://example.org/{'x' * 8_000}"
    worker = fleet.worker(project)
    worker.submit(project, url)
    worker.release(worker.take(project)["id"], result=1)

    piped = fine(broker("tasks", "list", project, "--state", "failed"))
    terminal, its = os.openpty()
    command = [sys.executable, "-m", "broker", "tasks", "list", str(project), "--state", "failed"]
    subprocess.run(command, stdout=its, check=True, timeout=60)
    shown = os.read(terminal, 4096).decode().splitlines()
    os.close(terminal)
    os.close(its)

    assert url in piped
    assert (len(shown[1]), shown[1][-3:]) == (120, "...")


def test_a_submit_that_is_refused_says_what_to_do(broker: Broker, fleet: Fleet, project: int, tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("a\n")
    other = fleet.project()

    denied = broker("submit", "urls", "--project", other)
    Credentials(2**40, "nobody", "no secret").save(tmp_path / "nobody.json")
    nobody = broker("submit", "urls", "--project", project, "--worker-file", "nobody.json")

    assert (denied.returncode, nobody.returncode) == (1, 1)
    assert f"broker worker create --project {other} --submit --worker-file worker.json requests it" in denied.stderr
    assert "They come from nobody.json" in nobody.stderr


def test_status_shows_each_project_and_hidden_ones_to_managers(
    broker: Broker, fleet: Fleet, project: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = fleet.project(hidden=True, paused=True)
    worker = fleet.worker(project)
    for number in range(3):
        worker.submit(project, str(number))
    worker.release(worker.take(project)["id"])

    as_admin = fine(broker("status"))
    monkeypatch.setenv("TASK_BROKER_ADMIN_FILE", "")
    as_anybody = rows(broker("status", "--json"))

    (line,) = [line for line in as_admin.splitlines() if line.split()[0] == str(project)]
    assert line.split()[-6:] == ["2", "0", "0", "0", "0", "1"]
    assert any(line.split()[0] == str(hidden) and line.endswith("paused") for line in as_admin.splitlines())
    shown = {row["id"]: row for row in as_anybody}
    assert shown[project]["stats"]["counters"]["closed"] == 1
    assert hidden not in shown


def test_a_session_of_a_command_ends_with_it(broker: Broker, fleet: Fleet) -> None:
    before = len(fleet.admin.get("/account/sessions").content()["sessions"])
    fine(broker("status"))

    assert len(fleet.admin.get("/account/sessions").content()["sessions"]) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["submit", "-", "--project", "1"],
            "--worker-file: there is no worker.json: create it with broker worker create",
        ),
        (
            ["tasks", "list", "1", "--admin-file", "nowhere.json"],
            "broker: --admin-file: nowhere.json: No such file or directory",
        ),
        (["tasks", "list", "1", "--admin-file", "wrong.json"], "--admin-file: wrong.json is not"),
        (["status", "--url", "localhost:3010"], "broker: --url: 'localhost:3010' is not the address of a broker"),
        (["tasks", "list", str(2**40)], "404 not_found"),
    ],
)
def test_what_goes_wrong_is_one_line(broker: Broker, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "wrong.json").write_text('{"username": "ada"}')

    done = broker(*arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("broker: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks", "list", "x"], "argument ID: 'x' is not a whole number of at least 1"),
        (["tasks", "list", "1", "--limit", "x"], "argument --limit: 'x' is not a whole number of at least 0"),
        (["submit", "-", "--project", "0"], "argument --project: '0' is not a whole number of at least 1"),
        (
            ["submit", "-", "--project", "1", "--priority", "99999"],
            "argument --priority: '99999' is not a whole number from -32768 to 32767",
        ),
        (["export", "--project", "x"], "argument --project: 'x' is not a whole number of at least 1"),
    ],
)
def test_an_invalid_number_is_reported_with_its_flag(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    said = capsys.readouterr().err
    assert said.startswith(f"usage: broker {arguments[0]} ")
    assert said.endswith(f"error: {message}\n")


def test_no_worker_is_created_if_its_secret_cannot_be_stored(broker: Broker, fleet: Fleet) -> None:
    before = fleet.worker().id

    done = broker("worker", "create", "--worker-file", "nowhere/worker.json")

    assert done.stderr == "broker: --worker-file: nowhere/worker.json: No such file or directory\n"
    assert fleet.worker().id == before + 1


def test_files_of_accounts_may_begin_with_a_byte_order_mark(broker: Broker, project: int, tmp_path: Path) -> None:
    for file in (tmp_path / "admin.json", tmp_path / "worker.json"):
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())

    assert fine(broker("submit", "-", "--project", project, text="a\n")) == "1 submitted, 0 duplicates\n"
    assert [row["recipe"] for row in rows(broker("tasks", "list", project, "--json"))] == ["a"]


def test_https_to_a_port_without_tls_is_explained(broker: Broker, fleet: Fleet) -> None:
    url = fleet.url.replace("http://", "https://")

    done = broker("status", "--url", url)

    assert done.returncode == 1
    assert done.stderr == (
        f"broker: POST /login: no answer from {url} (there is no TLS on this port: perhaps the URL has to begin "
        "with http://): is a broker running there? --url sets the URL\n"
    )


@pytest.mark.parametrize("secret", ["", "käfer", "two\nlines"])
def test_a_secret_that_cannot_be_sent_is_reported_with_its_file(broker: Broker, tmp_path: Path, secret: str) -> None:
    (tmp_path / "worker.json").write_text(json.dumps({"id": 1, "alias": "a", "secret": secret}))

    done = broker("submit", "-", "--project", 1)

    assert done.stderr == (
        "broker: --worker-file: worker.json does not hold a worker's credentials: the secret is not printable ASCII\n"
    )


@pytest.mark.parametrize(
    ("given", "command", "message"),
    [
        ("TASK_BROKER_URL=nowhere", ["status"], "'nowhere' is not the address of a broker"),
        ("TASK_BROKER_ADMIN_FILE=nowhere.json", ["status"], "nowhere.json: No such file or directory"),
        (
            "TASK_BROKER_WORKER_FILE=no.json",
            ["submit", "-", "--project", "1"],
            "there is no no.json: create it with broker worker",
        ),
        ("TASK_BROKER_WORKER_FILE=.", ["worker", "create"], ".: Is a directory"),
    ],
)
def test_a_wrong_value_of_a_variable_is_reported_with_the_variable(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, given: str, command: list[str], message: str
) -> None:
    variable, _, value = given.partition("=")
    monkeypatch.setenv(variable, value)

    done = broker(*command)

    assert done.returncode == 1
    assert done.stderr.startswith(f"broker: {variable}: {message}")


@pytest.mark.usefixtures("environment")
def test_a_reader_that_closes_the_output_is_no_error(fleet: Fleet, project: int) -> None:
    worker = fleet.worker(project)
    requests = [{"project": project, "recipe": str(n) * 100} for n in range(1000)]
    worker.post("/task/bulk_submit", {"requests": requests}).content()
    line = f"set -o pipefail; {sys.executable} -m broker tasks list {project} --json --limit 0 | head -1"

    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
