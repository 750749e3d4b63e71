// Messages a second through npm's ocpp-rpc in its strict mode, for tools/bench/messages.py.
//
//   node strict_peer.js PACKAGE_FOLDER ROUNDS < TASKS
//
// TASKS is one JSON list of [title, "in", text of a call, answer] and [title, "out", action,
// payload, answer]; what is printed is one JSON object of messages a second by title. Nothing goes
// over a network: a client is given a WebSocket that only counts, through the package's internals.
"use strict";

const [folder, rounds] = [process.argv[2], Number(process.argv[3])];
const { RPCClient } = require(folder);
const OPEN = 1;

class Counting {
    constructor() {
        this.sent = 0;
        this.onsent = () => {};
    }
    send(text) {
        this.sent++;
        if (text.startsWith("[4")) {
            console.error("a CALLERROR: " + text);
            process.exit(1);
        }
        this.onsent(text);
    }
    close() {}
    terminate() {}
}

function client() {
    const made = new RPCClient({
        endpoint: "ws://127.0.0.1/", identity: "BOX",
        protocols: ["ocpp1.6"], strictMode: ["ocpp1.6"], maxBadMessages: Infinity,
    });
    made._protocol = "ocpp1.6";
    made._state = OPEN;
    made._ws = new Counting();
    return made;
}

async function incoming(text, answer) {
    const one = client();
    const message = Buffer.from(text);
    let done = 0;
    one.handle(() => answer);
    for (let n = 0; n < rounds; n++) {
        const sent = one._ws.sent;
        one._onMessage(message);
        while (one._ws.sent === sent) await null;
        done++;
    }
    return done;
}

async function outgoing(action, payload, answer) {
    const one = client();
    one._ws.onsent = (text) => {
        const id = JSON.parse(text)[1];
        const reply = Buffer.from(JSON.stringify([3, id, answer]));
        queueMicrotask(() => one._onMessage(reply));
    };
    for (let n = 0; n < rounds; n++) await one.call(action, payload);
    return rounds;
}

async function main() {
    let text = "";
    for await (const piece of process.stdin) text += piece;
    const rates = {};
    for (const [title, way, ...words] of JSON.parse(text)) {
        let best = 0;
        for (let n = 0; n < 3; n++) {
            const start = process.hrtime.bigint();
            const done = await (way === "in" ? incoming : outgoing)(...words);
            const seconds = Number(process.hrtime.bigint() - start) / 1e9;
            best = Math.max(best, done / seconds);
        }
        rates[title] = best;
    }
    console.log(JSON.stringify(rates));
    process.exit(0);
}

main();
