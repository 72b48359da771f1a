"""How the embedded server is started."""

from ctypes.util import find_library
from pathlib import Path

from tests.serving import Serving


def test_the_store_takes_the_systems_jemalloc_and_else_tells_glibc_to_keep_pieces_at_hand(serving: Serving) -> None:
    process = Path(f"/proc/{serving.store()}")
    if find_library("jemalloc"):
        assert "libjemalloc" in (process / "maps").read_text()
    else:
        assert b"tcache_count" in (process / "environ").read_bytes()


def test_the_operators_own_choice_of_an_allocator_counts(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, environment={"LD_PRELOAD": "", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=7"})
    process = Path(f"/proc/{serving.store()}")
    try:
        assert "libjemalloc" not in (process / "maps").read_text()
        assert b"tcache_count=7" in (process / "environ").read_bytes()
    finally:
        assert serving.stop() == 0
