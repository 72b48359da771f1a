"""How long commands show where things stand."""

import io

from broker.cli.output import Progress


def test_progress_in_a_log_is_a_line_now_and_then_and_on_a_terminal_one_line_rewritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    log, terminal = io.StringIO(), Terminal()
    for stream in (log, terminal):
        progress = Progress(stream)
        progress.show("1 of 3")
        progress.show("2 of 3")
        progress.say("done")

    assert log.getvalue() == "1 of 3\ndone\n"
    assert terminal.getvalue() == "\r\x1b[K1 of 3\r\x1b[Kdone\n"
