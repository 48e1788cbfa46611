"""PostgreSQL is killed again and again during an apply run: nothing that was acknowledged is gone, and it goes on."""

import os
import random
import signal
import threading
import time

import pytest
from living_shop import OVER, LivingShop, living_shop

from calibr.cli.failures import CliError
from calibr.db.embedded.postmaster import PidFile, is_postmaster

KILLS = int(os.environ.get("CALIBR_CHAOS_DATABASE_KILLS", "3"))
VARIANTS = max(600, KILLS * 300)


class Witness(threading.Thread):
    """Makes users over the API all the time, and remembers each that was acknowledged."""

    def __init__(self, shop: LivingShop) -> None:
        super().__init__(daemon=True)
        self.shop = shop
        self.acknowledged: list[str] = []
        self.refused = 0
        self.stop = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stop.wait(0.02):
            number += 1
            try:
                self.shop.author.post("/v1/users", {"name": f"witness {number}", "role": "viewer"})
            except CliError:
                self.refused += 1
            else:
                self.acknowledged.append(f"witness {number}")


def kill_postmaster(shop: LivingShop) -> None:
    """Kill the server's process, and wait until another one takes connections."""
    before = PidFile.read(shop.pgdata)
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)

    def is_back() -> bool:
        found = PidFile.read(shop.pgdata)
        return found is not None and found.pid != before.pid and found.ready and is_postmaster(found.pid, shop.pgdata)

    shop.until(is_back, 60)


@pytest.mark.slow
def test_postgresql_is_killed_during_an_apply_run_and_nothing_is_lost() -> None:
    chance = random.Random(3)  # noqa: S311 - repeatable
    with living_shop(VARIANTS) as shop:
        change_id = shop.approved()
        witness = Witness(shop)
        witness.start()
        shop.apply(change_id)
        for _ in range(KILLS):
            time.sleep(0.3 + chance.random())
            kill_postmaster(shop)
        shop.until(lambda: state_of(shop, change_id) in OVER, 180)
        witness.stop.set()
        witness.join()

        with shop.admin() as connection:
            rows = connection.execute("select name from calibr.app_user where name like 'witness%'").fetchall()
        names = {row[0] for row in rows}
        assert set(witness.acknowledged) <= names
        assert len(witness.acknowledged) > KILLS
        assert shop.violations() == {}
        assert shop.change(change_id)["state"] == "applied"


def state_of(shop: LivingShop, change_id: str) -> str:
    """The state of a change; nothing while the database is away."""
    try:
        return str(shop.change(change_id)["state"])
    except CliError:
        return ""
