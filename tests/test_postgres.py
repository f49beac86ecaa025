"""Tests of the PostgreSQL that tests stand on: it is real, each test has its own, and it ends with its owner."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.postgres import missing
from trueline.store.opening import address_of

OWNER = """
import sys
from tests.postgres import cluster
with cluster() as server:
    print(server.keeper, server.folder, flush=True)
    sys.stdin.readline()
"""


def test_each_database_is_empty_and_goes_with_its_test(postgres_server):
    """What one database holds is not in the next; one that is still in use goes too."""
    with postgres_server.database() as url:
        engine = create_engine(address_of(url))
        held = engine.connect()
        held.execute(text("CREATE TABLE kites (n int)"))
        held.commit()
        with postgres_server.database() as other, create_engine(address_of(other)).connect() as connection:
            assert connection.execute(text("SELECT to_regclass('kites')")).scalar() is None
            assert "PostgreSQL" in connection.execute(text("SELECT version()")).scalar()
            assert connection.execute(text("SHOW listen_addresses")).scalar() == ""
    with pytest.raises(OperationalError, match="does not exist"):
        create_engine(address_of(url)).connect()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a process can be waited for by its id on Linux only")
@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_owner(how):
    """An owner that is killed leaves no server, no keeper and no folder."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as owner:
        keeper, folder = owner.stdout.readline().split()
        server = int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])
        handles = [os.pidfd_open(int(pid)) for pid in (keeper, server)]
        owner.send_signal(how)
    for handle in handles:
        assert select.select([handle], [], [], 60)[0]
        os.close(handle)
    assert not Path(folder).exists()
