"""How long the flash lasts: a day of ten sessions with values every 30 s, again and again.

    python -m tools.bench.wear [--days N]

On littlefs-python's LittleFS with the device's geometry, 2 MB of which the two firmware slots
take a part that never moves. Erases are counted block by block; the block that was erased most
says how long 100,000 erases a block last.
"""

from __future__ import annotations

import argparse

from firmware.base.journal import Journal
from firmware.base.store import Store
from firmware.charging import measurands
from firmware.charging.transactions import Transactions
from host_tests.flash import BLOCK, Flash

BLOCKS = 512
CYCLES = 100_000
SLOTS_KB = 2 * 250
SESSIONS = 10
SESSION_S = 2 * 3600
EVERY_S = 30
MASK = measurands.parse(
    "Voltage,Power.Active.Import,Energy.Active.Import.Register,Current.Import,Current.Offered,"
    "Frequency"
)


class _Clock:
    def __init__(self):
        self.now = 0

    def ms(self):
        return self.now

    def epoch_at(self, ms):
        return 1800000000 + ms // 1000


class _Log:
    def warning(self, text, *args):
        raise AssertionError(text % args)

    error = info = debug = warning


def _deliver(transactions):
    while transactions.head():
        transactions.delivered({"transactionId": 123456})


def _day(transactions, clock, energy):
    for _ in range(SESSIONS):
        transactions.start(1, "04A1B2C3D4E5F6", energy, None, clock.now)
        _deliver(transactions)
        for n in range(SESSION_S // EVERY_S):
            clock.now += EVERY_S * 1000
            energy += 61
            power = 73450 + n % 50
            reading = {"energy": energy, "power": power, "frequency": 49980}
            for phase in "123":
                reading |= {"i" + phase: 10650, "v" + phase: 230100, "p" + phase: power // 3}
            transactions.values("Sample.Periodic", reading, MASK, clock.now, 16000)
            _deliver(transactions)
        transactions.stop("EVDisconnected", energy, clock.now)
        _deliver(transactions)
        clock.now += (86400 // SESSIONS - SESSION_S) * 1000
    return energy


def measure(days: int) -> dict[str, float]:
    """Erases a day in all, those of the worst block, programs a day, years until it is worn."""
    flash = Flash(BLOCKS)
    files = flash.mount()
    for number in range(SLOTS_KB // 25):
        with files.open(f"module{number}", "wb") as f:
            f.write(bytes(25 * 1024))
    clock = _Clock()
    store = Store(files)
    transactions = Transactions(Journal(files, _Log()), store, clock, _Log())
    transactions.endpoint = 1
    before = list(flash.erases)
    programs = flash.programs
    energy = 21_000_000
    for day in range(days):
        energy = _day(transactions, clock, energy)
        store.write("keys", b"HeartbeatInterval=%d" % day)
    erases = [now - then for now, then in zip(flash.erases, before)]
    return {
        "erases": sum(erases) / days,
        "worst": max(erases) / days,
        "programs": (flash.programs - programs) / days,
        "years": CYCLES / (max(erases) / days) / 365.25,
    }


def main() -> None:
    """Prints one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=20)
    days = parser.parse_args().days
    row = measure(days)
    print(
        f"wear: {row['erases']:.0f} erases a day, {row['worst']:.1f} of the worst block, "
        f"{row['programs']:.0f} programs; {row['years']:.0f} years at {CYCLES} erases a block, "
        f"{BLOCKS * BLOCK >> 20} MB ({days} days simulated)"
    )


if __name__ == "__main__":
    main()
