"""Server processes and the store are killed or stopped while a fleet works: the ledger balances."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.fault_injection import CLIENTS, Harm, Ledger, endure
from tests.serving import Serving


def kill(ledger: Ledger, serving: Serving) -> None:
    ledger.until_submitted(60)
    os.kill(serving.servers()[0], signal.SIGKILL)
    ledger.until_submitted(150)
    os.kill(serving.store(), signal.SIGKILL)
    ledger.until_submitted(240)
    os.kill(serving.servers()[0], signal.SIGKILL)


def stop_and_go_on(ledger: Ledger, serving: Serving) -> None:
    """The store stands still for longer than anybody waits for it, three times."""
    for submitted in (60, 150, 240):
        ledger.until_submitted(submitted)
        refused = ledger.refused
        os.kill(serving.store(), signal.SIGSTOP)
        try:
            # Each client has met it at least twice: calls that were under way, and calls that came later.
            ledger.until_refused(refused + 2 * CLIENTS)
        finally:
            os.kill(serving.store(), signal.SIGCONT)


@pytest.mark.parametrize("harm", [kill, stop_and_go_on])
def test_a_fleet_loses_nothing_acknowledged_and_does_nothing_twice(tmp_path: Path, harm: Harm) -> None:
    serving = Serving.start(tmp_path, workers=2, redis_timeout="300ms")
    admin = serving.admin()

    endure(serving, admin, harm)

    assert serving.stop() == 0
