"""What the console's `help` says."""

HELP = (
    "help: the commands",
    "selftest: looks at each part of the wall box, with advice for what fails",
    "login PASSWORD: where a ConsolePassword is set; for ten minutes from the last command",
    "status: one line of JSON",
    "config [KEY [VALUE]]: the keys; sets one as ChangeConfiguration would",
    "authorize TAG: presents an id: starts or stops",
    "stop: stops the transaction",
    "unlock: unlocks the socket",
    "faults: the active vendor error codes",
    "queue: the transaction messages still to deliver",
    "queue clear: forgets those that were given up",
    "profiles: the installed charging profiles",
    "meter: the newest meter values",
    "tic: the newest good TIC frame",
    "transfers: files on their way",
    "log [debug|info|warning|error]: sets the level, or shows the last lines",
    "reset soft|hard: starts again",
    "maintenance: ends the station for Python's own console (device only)",
    "quit: ends the process (PC only)",
    "sim plug|unplug|ready|pause|ventilate|sleep: the simulated car",
    "sim phases 1|3: of the car",
    "sim draw MA|house MA|volt V|temp C: the simulated world",
    "sim fault CODE on|off: a fault's physical cause",
    "sim link down|up: the network",
    "sim tic historique|standard|off: the simulated TIC line",
    "sim power off: the power fails",
)


def lines() -> list:
    """The reply's lines."""
    return list(HELP)
