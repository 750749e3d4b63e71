"""FTP and FTPS transfers against pyftpdlib and servers that misbehave, on every Python."""

import asyncio
import json
import logging
import socket
import ssl
import struct
import threading
import time

import pytest
import trustme
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from host_tests.net.test_websocket import RUNTIMES, program
from host_tests.transfers.test_transfer_http import DATA, SIZE, der
from host_tests.transfers.transfer_client import CODE
from host_tests.virtual import free_port

logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)


class Implicit(TLS_FTPHandler):
    """TLS from the first byte."""

    def __init__(self, conn, server, ioloop=None):
        super().__init__(conn, server, ioloop)
        self.secure_connection(self.ssl_context)


class NoExtras(FTPHandler):
    """As an old server: no EPSV, no SIZE, no REST."""

    def pre_process_command(self, line, cmd, arg):
        if cmd in ("EPSV", "SIZE", "REST"):
            self.respond("502 not here")
        else:
            super().pre_process_command(line, cmd, arg)


class Servers:
    """pyftpdlib's servers on a thread, one a kind; `ports` by its name."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        (self.home / "sub dir").mkdir(parents=True)
        (self.home / "data").write_bytes(DATA)
        (folder / "body").write_bytes(DATA)
        ca, other = trustme.CA(), trustme.CA()
        self.ca = ca
        (folder / "ca.der").write_bytes(der(ca))
        self.loop = IOLoop()
        self.ports = {}
        self.add("plain", FTPHandler)
        self.add("old", NoExtras)
        self.add("TLS", TLS_FTPHandler, ca.issue_cert("localhost"))
        self.add("implicit", Implicit, ca.issue_cert("localhost"))
        self.add("unknown CA", TLS_FTPHandler, other.issue_cert("localhost"))
        self.add("wrong host", TLS_FTPHandler, ca.issue_cert("example.org"))
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            self.loop.loop(0.05, blocking=False)
        self.loop.close()

    def add(self, name, base, certificate=None):
        authorizer = DummyAuthorizer()
        authorizer.add_user("us er", "p@ss:w", str(self.home), perm="elradfmw")
        authorizer.add_anonymous(str(self.home), perm="elradfmw")
        handler = type("Handler", (base,), {"authorizer": authorizer, "use_sendfile": False})
        handler.auth_failed_timeout = 0
        if certificate:
            path = self.folder / (name + ".pem")
            path.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
            handler.certfile = str(path)
            handler.ssl_context = None
            handler.tls_control_required = handler.tls_data_required = True
            handler.ssl_context = handler.get_ssl_context()
        server = FTPServer(("127.0.0.1", 0), handler, ioloop=self.loop)
        self.ports[name] = server.address[1]


class Rough:
    """A server for each case, by a dict of answers; `None` hangs up, `...` is silent."""

    LOGIN = {"USER": "331 more", "PASS": "230 in", "TYPE": "200 ok", "SIZE": "213 %d" % SIZE,
             "REST": "350 go on", "AUTH": "500 what"}  # fmt: skip

    def __init__(self, case, answers, ca):
        self.case = case
        self.answers = self.LOGIN | answers
        self.ca = ca
        self.count = 0
        self.rest = 0

    async def open(self):
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.data = await asyncio.start_server(self.give, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def answer(self, reader, writer):
        self.control = writer
        answer = self.answers.get("hello", "220 hello")
        while answer is not None:
            if answer is ...:
                await reader.read()
                break
            answer = answer.replace("PORT", str(self.data.sockets[0].getsockname()[1]))
            writer.write(answer.encode("latin-1") + b"\r\n")
            line = await reader.readline()
            if not line:
                break
            word, _, words = line.decode().strip().partition(" ")
            if word == "REST":
                self.rest = int(words)
            answer = self.answers.get(word, "502 no")
            if word == "EPSV" and "EPSV" not in self.answers:
                answer = "229 come (|||PORT|)"
            if word in ("RETR", "STOR") and word not in self.answers:
                answer = "150 here it comes"
        writer.close()

    async def give(self, reader, writer):
        self.count += 1
        await asyncio.sleep(0.1)
        sock = writer.get_extra_info("socket")
        begin = self.rest
        end = "226 done"
        if self.case == "data resets":
            writer.write(DATA[begin : begin + 8000])
            await writer.drain()
            await asyncio.sleep(0.1)
            if begin + 8000 < SIZE:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end = "426 reset"
        elif self.case == "data short":
            writer.write(DATA[:3000])
        elif self.case == "data stalls":
            writer.write(DATA[:3000])
            await reader.read()
        elif self.case == "put that arrives in part":
            await reader.read()
        elif self.case == "no end":
            writer.write(DATA)
            end = None
        elif self.case == "data refused":
            end = "522 SSL connection failed; session reuse required: see require_ssl_reuse"
        writer.close()
        self.rest = 0
        if end:
            self.control.write(end.encode() + b"\r\n")


class Clearing:
    """An FTPS server on a thread that takes CCC and then speaks clear text, as RFC 4217 says."""

    def __init__(self, folder, certificate, allow=True):
        self.folder = folder
        self.allow = allow
        self.log = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                with self.listener.accept()[0] as sock:
                    self.serve(sock)
            except OSError as error:
                self.log.append(repr(error))
                if self.listener.fileno() < 0:
                    return

    def stored(self, sock):
        """What comes over TLS, of whose handshake the end is read late: then the session tickets
        go out when the other side may have sent all and be gone. Raises ConnectionResetError
        where it is: what was not read by then may be lost."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
        found = b""
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(4096))
                time.sleep(0.3)
        sock.sendall(outgoing.read())
        time.sleep(0.1)
        reset = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if reset:
            raise OSError(reset, "the other side is gone")
        while True:
            try:
                more = tls.read(4096)
                if not more:
                    return found
                found += more
            except ssl.SSLWantReadError:
                got = sock.recv(4096)
                if not got:
                    return found  # no close_notify
                incoming.write(got)

    def serve(self, sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls, data, text = None, None, b""

        def flush():
            sock.sendall(outgoing.read())

        def feed():
            got = sock.recv(4096)
            if not got:
                raise OSError("gone")
            incoming.write(got)

        def pump(work, *words):
            while True:
                try:
                    result = work(*words)
                    flush()
                    return result
                except ssl.SSLWantReadError:
                    flush()
                    feed()

        def say(line):
            line = line.encode() + b"\r\n"
            if tls:
                pump(tls.write, line)
            else:
                sock.sendall(line)

        say("220 hello")
        while True:
            while b"\n" not in text:
                more = pump(tls.read, 4096) if tls else sock.recv(4096)
                if not more:
                    return
                text += more
            line, _, text = text.partition(b"\n")
            line = line.decode().strip()
            self.log.append(("TLS " if tls else "clear ") + line)
            word, _, path = line.partition(" ")
            if word == "AUTH":
                say("234 go")
                tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
                pump(tls.do_handshake)
            elif word == "USER":
                say("331 more")
            elif word == "CCC" and self.allow:
                say("200 in the clear then")
                try:
                    tls.unwrap()
                except ssl.SSLWantReadError:  # our close_notify is out; theirs may never come
                    flush()
                tls = None
            elif word == "EPSV":
                data = socket.create_server(("127.0.0.1", 0))
                say("229 (|||%d|)" % data.getsockname()[1])
            elif word in ("STOR", "RETR"):
                say("150 now")
                with data, data.accept()[0] as far:
                    if word == "RETR":
                        with self.context.wrap_socket(far, server_side=True) as d:
                            d.sendall(DATA)
                    else:
                        (self.folder / path).write_bytes(self.stored(far))
                say("226 done")
            else:
                say({"PASS": "230 in", "PBSZ": "200 0", "PROT": "200 P", "TYPE": "200 I",
                     "SIZE": "213 %d" % SIZE}.get(word, "502 no"))  # fmt: skip


# case: (scheme, server, path, outcome, log)
CASES = {
    "plain": ("ftp", "plain", "data", "ok", ""),
    "credentials": ("ftp", "plain", "data", "ok", ""),
    "from the middle": ("ftp", "plain", "data", "ok", ""),
    "it was all there": ("ftp", "plain", "data", "ok", ""),
    "it was longer": ("ftp", "plain", "data", "FTP: 554", ""),
    "an old server": ("ftp", "old", "data", "ok", ""),
    "an old server, from the middle": ("ftp", "old", "data", "ok", ""),
    "missing": ("ftp", "plain", "nothing", "FTP: 550", ""),
    "wrong credentials": ("ftp", "plain", "data", "FTP: 530", ""),
    "put": ("ftp", "plain", "sub%20dir", "ok", ""),
    "put into a folder/": ("ftp", "plain", "sub%20dir/", "ok", ""),
    "put at the root": ("ftp", "plain", "", "ok", ""),
    "put nowhere": ("ftp", "plain", "nothing/", "FTP: 550", ""),
    "a command in the path": ("ftp", "plain", "x%0d%0aDELE data", "URL with", ""),
    "a command in a name": ("ftp", "plain", "x%0D%0ADELE%20data", "URL with", ""),
    "TLS": ("ftps", "TLS", "data", "ok", ""),
    "implicit TLS": ("ftps", "implicit", "data", "ok", ""),
    "implicit TLS, where nobody is": ("ftps", "nobody", "data", "ok", ""),
    "TLS put": ("ftps", "TLS", "data", "ok", ""),
    "put over TLS": ("ftps", "TLS", "sub%20dir", "ok", ""),
    "from the middle over TLS": ("ftps", "TLS", "data", "ok", ""),
    "unknown CA": ("ftps", "unknown CA", "data", "TLS: certificate authority", ""),
    "wrong host": ("ftps", "wrong host", "data", "TLS: host name", ""),
    "no CA": ("ftps", "TLS", "data", "no CA certificate", ""),
    "TLS to a plain server": ("ftps", "plain", "data", "FTP: 5", ""),
    "clear text where TLS is asked for": ("ftp", "TLS", "data", "FTP: 550 SSL/TLS required", ""),
    "nobody": ("ftp", "nobody", "data", "connecting with localhost", ""),
    "CCC": ("ftps", "CCC", "data", "ok", ""),
    "put after CCC": ("ftps", "CCC", "", "ok", ""),
    "no CCC, no room": ("ftps", "no CCC", "data", "use HTTPS", ""),
}
ROUGH = {
    "data resets": ({}, "ok", "going on at 8000"),
    "data short": ({}, "3000 of 20000", ""),
    "data stalls": ({}, "FTP: reading: no answer in 1 s", ""),
    "no end": ({}, "ok", "going on at 20000"),  # and then it is seen to be complete
    "put that arrives in part": ({"SIZE": "213 17408"}, "17408 of 20000 bytes arrived", ""),
    "data refused": ({}, "(it wants TLS sessions resumed", ""),
    "silent": ({"hello": ...}, "no answer in 1 s", ""),
    "not ready": ({"hello": "421 too busy"}, "FTP: 421 too busy", ""),
    "soon ready": ({"hello": "120 a moment\r\n220 hello", "RETR": "451 no"}, "FTP: 451", ""),
    "not FTP": ({"hello": "HTTP/1.1 400 Bad Request"}, "not a reply", ""),
    "not text": ({"hello": "220 \xff\xfe\x00", "USER": "530 \xff\x00\x1b[2J"}, "FTP: 530", ""),
    "a line without end": ({"hello": "220 " + "x" * 9000}, "a line over 512 bytes", ""),
    "lines without end": ({"hello": "220-x\r\n" * 200}, "not a reply", ""),
    "many lines": (
        {"hello": "220-x\r\n 220 y\r\n" * 9 + "220 z", "RETR": "550 no"},
        "FTP: 550",
        "",
    ),
    "hangs up": ({"USER": None}, "FTP: the server hung up", ""),
    "needs an account": ({"PASS": "332 account"}, "FTP: 332", ""),
    "repeats the password": ({"PASS": "hunter-two what"}, "not a reply: '... what'", ""),
    "a port of passwords": ({"EPSV": "502 no", "PASV": "227 hunter-two"}, "PASV: '227 ...'", ""),
    "tells the password": ({"PASS": "530 hunter-two is wrong"}, "530 ... is wrong", ""),
    "bad EPSV": ({"EPSV": "229 (no)", "PASV": "227 (1,2)"}, "FTP: PASV", ""),
    "EPSV to nowhere": ({"EPSV": "229 (|||99999|)"}, "", ""),
    "size is no number": ({"SIZE": "213 many", "RETR": "550 no"}, "FTP: 550", "no size"),
    "injected": ({"AUTH": "234 go\r\n230 in"}, "clear text before TLS", ""),
}


@pytest.mark.parametrize("name", RUNTIMES)
async def test_every_case(name, tmp_path):
    servers = Servers(tmp_path)
    ports = servers.ports
    clearing = Clearing(servers.home, servers.ca.issue_cert("localhost"))
    keeping = Clearing(servers.home, servers.ca.issue_cert("localhost"), allow=False)
    ports["CCC"], ports["no CCC"] = clearing.port, keeping.port
    ports["nobody"] = free_port()
    cases = []
    for case, (scheme, at, path, *_) in CASES.items():
        if "CCC" in case and name == "cpython":
            continue  # it has room for two
        who = "us%20er:p%40ss%3Aw@" if "TLS" in case or case == "credentials" else ""
        who = "us%20er:hunter-two@" if case == "wrong credentials" else who
        have = {
            "from the middle": 777,
            "it was all there": SIZE,
            "it was longer": SIZE + 1,
            "an old server, from the middle": 9,
            "from the middle over TLS": 5000,
        }.get(case, 0)
        case = [case, f"{scheme}://{who}localhost:{ports[at]}/{path}", have, SIZE]
        cases.append(case + [50000 if "CCC" not in case[0] else 30000])
    rough = []
    for case, (answers, *_) in ROUGH.items():
        server = Rough(case, answers, servers.ca)
        rough.append(server)
        port = await server.open()
        scheme = "ftps" if case == "injected" else "ftp"
        cases.append([case, f"{scheme}://a:hunter-two@localhost:{port}/x", 0, SIZE, 50000])
    if name == "cpython":
        cases = [case[:4] for case in cases]
    try:
        *lines, _ = await program(name, CODE, json.dumps(cases), tmp_path, ports["TLS"])
    finally:
        servers.stop.set()
        clearing.listener.close()
        keeping.listener.close()
    assert "hunter" not in json.dumps(lines) and "p@ss" not in json.dumps(lines)
    wrong = []
    expected = {case: row[3:] for case, row in CASES.items()}
    expected.update({case: row[1:] for case, row in ROUGH.items()})
    for case, outcome, log, files in lines:
        text, told = expected[case]
        if text not in outcome or told not in " ".join(log) or files:
            wrong.append((case, outcome, log, files))
    assert not wrong, (*wrong, clearing.log)
    for folder in (servers.home, servers.home / "sub dir"):
        assert (folder / "report-1.txt").read_bytes() == DATA
    assert (servers.home / "data").exists()
    if name != "cpython":
        at = clearing.log.index("TLS CCC")
        assert clearing.log[at - 2 : at] == ["TLS PBSZ 0", "TLS PROT P"]
        assert clearing.log[at + 1] == "clear TYPE I"
        assert not any("clear USER" in line or "clear PASS" in line for line in clearing.log)
        assert not any("RETR" in line for line in keeping.log)
