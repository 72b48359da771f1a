"""A server process as ``broker serve`` starts it, or one that takes hot calls the usual way, through ASGI.

``python -m tests.server.process FD direct`` or ``usual``
"""

import logging
import os
import sys
from functools import partial

from broker.app import create_app
from broker.server import logs
from broker.server.process import config, run
from broker.settings import Settings


def main() -> None:
    settings = Settings.read(os.environ)
    logs.configure(settings, thread=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    app = partial(create_app, settings, direct=sys.argv[2] == "direct")
    run(config(app, settings), int(sys.argv[1]), settings.drain)


if __name__ == "__main__":
    main()
