"""What the broker says of itself."""

from broker import __version__
from broker.api.envelope import Call, Reply, route


async def root(call: Call) -> Reply:
    if "text/html" in (call.header(b"accept") or ""):
        return Reply(status=303, headers={"Location": f"{call.scope.get('app_root_path', '')}/ui/"})
    return Reply({"name": "task-broker", "version": __version__})


async def healthz(call: Call) -> Reply:
    """The process is alive; whether its store is, is another question."""
    return Reply()


ROUTES = [route("GET HEAD", "/", root), route("GET HEAD", "/healthz", healthz)]
