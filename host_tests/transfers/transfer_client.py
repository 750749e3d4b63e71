"""What the transfers' tests run on every Python: one case after the other, a line of JSON each."""

CODE = """
import asyncio, gc, json, os
from firmware.net import dial, tls, transfer
cases = json.loads(sys.argv[1])
folder = sys.argv[2]
SLOW = "stall,silent,data stalls,no end,data resets".split(",")

class Log:
    def __init__(self):
        self.lines = []
    def info(self, text, *args):
        self.lines.append(text % args)
    debug = warning = info

class Sink:
    def __init__(self, size, have):
        self.received = have
        self.size = size
        self.good = True
    async def write(self, block):
        assert 0 < len(block) <= 1024
        for byte in block:
            self.good = self.good and byte == self.received * 7 % 251
            self.received += 1
    def restart(self):
        self.received = 0
    def finish(self):
        if self.received != self.size:
            raise OSError("%d instead of %d" % (self.received, self.size))

def files():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

async def play(case, url, have, size):
    log = Log()
    async def tls_context():
        if case == "no CA":
            raise ValueError("no CA certificate")
        with open(folder + "/ca.der", "rb") as f:
            return tls.context(f.read())
    sink = Sink(size, have)
    try:
        location = transfer.Location(url, tls_context, log, dial.Addresses())
        location.step_s = 1
        if case.startswith("implicit"):
            location.implicit_ftps_port = location.url.port
            location.explicit_ftps_port = int(sys.argv[3])
        if case.startswith("put"):
            with open(folder + "/body", "rb") as f:
                await transfer.upload(location, "report-1.txt", transfer.FileBody(f, size))
        else:
            await transfer.download(location, sink)
        outcome = "ok" if sink.good else "damaged"
    except tls.TlsFailed as error:
        outcome = "TLS: " + error.check
    except (OSError, ValueError, EOFError) as error:
        outcome = str(error)
    await asyncio.sleep(0.01)
    return [case, outcome, log.lines]

async def main():
    from firmware.base import runtime
    await play("warm", cases[0][1], 0, 1)
    before = files()
    slow = [case for case in cases if case[0] in SLOW]
    for row in await asyncio.gather(*[play(*case[:4]) for case in slow]):
        print(json.dumps(row + [0]))
    for case in cases:
        if case[0] in SLOW:
            continue
        if len(case) > 4:  # so much memory is free for TLS
            runtime.scarce_memory = lambda: case[4]
        row = await play(*case[:4])
        print(json.dumps(row + [files() - before]))
    import aiohttp
    print(json.dumps(["aiohttp", "stands in" if "standins" in aiohttp.__file__ else "real"]))

asyncio.run(main())
"""
