"""The fleet under locust: each user is a charging station, each OCPP call with its answer a
request.

    locust -f tools/fleet/locustfile.py --host ws://central.example/ocpp --users 200
    locust -f tools/fleet/locustfile.py --master ...      and on other machines
    locust -f tools/fleet/locustfile.py --worker --master-host ...

`make fleet` does this with the demo's central system. docs/fleet.md tells the rest.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import gevent  # noqa: E402
from flask import jsonify, render_template  # noqa: E402
from gevent.event import Event  # noqa: E402
from locust import User, events, task  # noqa: E402
from locust.runners import MasterRunner, WorkerRunner  # noqa: E402

from tools.fleet import scenarios  # noqa: E402

log = logging.getLogger("fleet")

LAG = "loop lag"  # the row in locust's table
LAGS_MS = 250  # a worker that is late by more can't measure a central system
_FINISH, _VERDICT, _STATE = "fleet-finish", "fleet-verdict", "fleet-state"
_OPTIONS = ("scenario", "seed", "speed", "models", "faults", "one_phase", "pausing", "id_tag",
            "interval_s", "control")  # fmt: skip


@events.init_command_line_parser.add_listener
def add_options(parser):
    """Locust's options are for stations: --users how many, --spawn-rate the ramp."""
    names = [scenario.__name__ for scenario in scenarios.SCENARIOS]
    parser.add_argument("--scenario", choices=names, default="evening_peak")
    parser.add_argument("--seed", type=int, default=1, help="chance begins with it")
    parser.add_argument("--speed", type=int, default=1, help="of the stations' clocks")
    parser.add_argument(
        "--models",
        default="Evh5A22N2S,Evh5A22N2S,Evh5A07N2C7,Evh5A11N2C5",
        help="commercial references, each with the share that it has in the list",
    )
    parser.add_argument("--faults", type=float, default=0.02, help="share of cars with a fault")
    parser.add_argument("--one-phase", type=float, default=0.3, help="share of one-phase cars")
    parser.add_argument("--pausing", type=float, default=0.2, help="share of cars that pause")
    parser.add_argument("--id-tag", default="DRIVER", help="what the drivers show")
    parser.add_argument("--interval-s", type=int, default=60, help="MeterValueSampleInterval")
    parser.add_argument(
        "--finish-s",
        type=int,
        default=60,
        help="how long the stations have at the end to tell what they owe",
    )
    parser.add_argument("--control", default="", include_in_web_ui=False,
                       help="where the demo's central system takes orders")  # fmt: skip


class Stations:
    """The process with this worker's stations (tools/fleet/stations.py), and what it reports."""

    def __init__(self, environment):
        self.environment = environment
        self.state: dict = {}
        self.verdict: dict | None = None
        self.judged = Event()
        self._process = None
        self._most_late = 0.0

    def start(self):
        """A new run: another process."""
        self.stop()
        environment = self.environment
        options = vars(environment.parsed_options)
        plan = {name: options[name] for name in _OPTIONS}
        plan["url"] = environment.host
        self.verdict = None
        self.judged.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.fleet.stations"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is for locust, which asks for the verdict then
        )
        index = getattr(environment.runner, "worker_index", 0)
        self.order(do="begin", plan=plan, name=str(index))
        gevent.spawn(self._read, self._process)

    def order(self, **order):
        if self._process:
            try:
                self._process.stdin.write(json.dumps(order) + "\n")
                self._process.stdin.flush()
            except OSError:
                log.error("the stations' process has ended")

    def finish(self, within_s) -> dict:
        """Lets all stations tell what they owe; returns the verdict."""
        self.order(do="finish", within_s=within_s)
        if not self.judged.wait(within_s + 60):
            return {"violations": [["worker", "gave no verdict"]], "failures": {}}
        return self.verdict

    def stop(self):
        process, self._process = self._process, None
        if process:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _read(self, process):
        request = self.environment.events.request
        for line in process.stdout:
            report = json.loads(line)
            if "verdict" in report:
                self.verdict = report["verdict"]
                self.judged.set()
            elif "error" in report:
                log.error("%s", report["error"])
            else:
                self.state = {**report["lag"], **report["counts"]}
                for action, ms, size, failure in report["requests"]:
                    request.fire(
                        request_type="OCPP",
                        name=action,
                        response_time=ms,
                        response_length=size,
                        exception=Exception(failure) if failure else None,
                        context={},
                    )
                late = report["lag"]["max"]
                text = f"late by more than {LAGS_MS} ms: no measure of a central system"
                request.fire(
                    request_type="WORKER",
                    name=LAG,
                    response_time=late,
                    response_length=0,
                    exception=Exception(text) if late > LAGS_MS else None,
                    context={},
                )
        self.judged.set()


class ChargingStation(User):
    """One station: it is there from its spawning to its end; what it does is its own affair."""

    def on_start(self):
        self.environment.fleet.order(do="add", count=1)

    def on_stop(self):
        self.environment.fleet.leave()

    @task
    def live(self):
        gevent.sleep(3600)


class Overseer:
    """What each locust process has: a worker its stations, the master what the workers say."""

    def __init__(self, environment):
        self.environment = environment
        self.is_master = isinstance(environment.runner, MasterRunner)
        self.is_worker = isinstance(environment.runner, WorkerRunner)
        self.stations = None if self.is_master else Stations(environment)
        self.states: dict = {}  # worker to what it said last
        self.verdicts: dict = {}
        self.running = False
        self.finishing = False
        self.all_judged = Event()

    def order(self, **order):
        self.stations.order(**order)

    def leave(self):
        """A station goes while the others stay; at the end of a run all have finished before."""
        if not self.finishing:
            self.order(do="retire", count=1)

    # the course of a run

    def started(self):
        self.running = True
        self.finishing = False
        self.verdicts = {}
        self.all_judged.clear()
        if self.stations:
            self.stations.start()

    def spawned(self):
        """All stations are there: the scenario begins."""
        if self.stations:
            self.order(do="story")

    def stopping(self):
        """Before the users are stopped: the stations tell what they owe."""
        if self.finishing:
            return
        self.finishing = True
        within_s = self.environment.parsed_options.finish_s
        if self.is_master:
            workers = len(self.environment.runner.clients)
            log.info("waiting for the verdict of %d workers", workers)
            self.environment.runner.send_message(_FINISH, {"within_s": within_s})
            if workers and not self.all_judged.wait(within_s + 60):
                missing = workers - len(self.verdicts)
                self.verdicts["?"] = {"violations": [["?", f"{missing} workers are silent"]]}
        elif not self.is_worker:
            log.info("the stations tell what they owe (at most %d s)", within_s)
            self.verdicts["0"] = self.stations.finish(within_s)
        if not self.is_worker:
            self.judge()

    def stopped(self):
        self.running = False
        if self.stations:
            self.stations.stop()

    def quitting(self):
        """Locust is about to choose its exit code: a run that goes on needs its verdict now."""
        if self.running and not self.is_worker:
            self.stopping()
        self.stopped()

    def judge(self):
        """Prints the verdict, and lets the exit code say it: 1 for violations."""
        total = {"stations": 0, "transactions": 0, "wh": 0, "given_up": 0}
        violations, stories, diaries = [], set(), {}
        for verdict in self.verdicts.values():
            for name in total:
                total[name] += verdict.get(name, 0)
            violations += verdict["violations"]
            stories.add(verdict.get("story", ""))
            diaries.update(verdict.get("diaries", {}))
        for story in stories - {""}:
            log.warning("%s", story)
        for station, text in violations[:100]:
            log.error("%s: %s", station, text)
        for station in sorted(diaries)[:5]:
            log.error("what was done to %s: %s", station, diaries[station])
        log.info(
            "%(stations)d stations, %(transactions)d transactions, %(wh)d Wh,"
            " %(given_up)d messages refused for good" % total
        )
        log.info("%d violations", len(violations))
        self.environment.process_exit_code = 1 if violations else 0

    # between master and workers

    def asked_to_finish(self, environment, msg, **_):
        """A worker: the master asks for its verdict."""
        self.finishing = True
        verdict = self.stations.finish(msg.data["within_s"])
        verdict["violations"] = verdict["violations"][:1000]
        verdict["diaries"] = dict(list(verdict["diaries"].items())[:20])
        environment.runner.send_message(_VERDICT, verdict)

    def heard_verdict(self, environment, msg, **_):
        """The master: a worker's verdict."""
        self.verdicts[msg.node_id] = msg.data
        if len(self.verdicts) >= len(environment.runner.clients):
            self.all_judged.set()

    def report(self, data):
        """A worker adds its state to what it reports to the master."""
        data[_STATE] = self.stations.state

    def heard_report(self, client_id, data):
        """The master: a worker's state."""
        if _STATE in data:
            self.states[client_id] = data[_STATE]

    def rows(self) -> list:
        """What the page's tab shows: a row for each worker."""
        states = self.states if self.is_master else {"this process": self.stations.state}
        return [
            {
                "worker": worker.split("_")[0],
                "stations": state.get("stations", 0),
                "online": state.get("online", 0),
                "charging": state.get("charging", 0),
                "queue": state.get("queue", 0),
                "p50": state.get("p50", 0),
                "p99": state.get("p99", 0),
                "max": state.get("max", 0),
                "cpu": round(100 * state.get("cpu", 0)),
                "mb": round(state.get("bytes", 0) / 1e6),
                "judgement": self._judgement(state),
            }
            for worker, state in states.items()
            if state
        ]

    @staticmethod
    def _judgement(state):
        if state.get("story"):
            return state["story"]
        if state.get("p99", 0) > LAGS_MS:
            return "late: use more workers; these times are not the central system's"
        return "in time"


_COLUMNS = (
    ("worker", "Worker"),
    ("stations", "Stations"),
    ("online", "Online"),
    ("charging", "Charging"),
    ("queue", "Messages owed"),
    ("p50", "Loop lag, median ms"),
    ("p99", "99 % ms"),
    ("max", "most ms"),
    ("cpu", "CPU %"),
    ("mb", "MB"),
    ("judgement", "Is it in time?"),
)


@events.init.add_listener
def begin(environment, web_ui=None, **_):
    """Locust is ready: hangs the fleet into it."""
    fleet = environment.fleet = Overseer(environment)
    runner = environment.runner
    environment.events.test_start.add_listener(lambda **_: fleet.started())
    environment.events.spawning_complete.add_listener(lambda **_: fleet.spawned())
    environment.events.test_stopping.add_listener(lambda **_: fleet.stopping())
    environment.events.test_stop.add_listener(lambda **_: fleet.stopped())
    environment.events.quitting.add_listener(lambda **_: fleet.quitting())
    if fleet.is_worker:
        runner.register_message(_FINISH, fleet.asked_to_finish, concurrent=True)
        environment.events.report_to_master.add_listener(
            lambda client_id, data: fleet.report(data)
        )
    if fleet.is_master:
        runner.register_message(_VERDICT, fleet.heard_verdict)
        environment.events.worker_report.add_listener(fleet.heard_report)
    if web_ui:
        add_page(environment, web_ui)


def add_page(environment, web_ui):
    """A tab of locust's page, at /fleet: the stations and the lag of each worker."""
    fleet = environment.fleet

    @web_ui.app.after_request
    def add_rows(response):
        if response.is_json and response.json and "stats" in response.json:
            found = {**response.json, "extended_stats": [{"key": "fleet", "data": fleet.rows()}]}
            response.set_data(json.dumps(found))
        return response

    @web_ui.app.route("/fleet")
    def page():
        web_ui.update_template_args()
        structure = [{"key": key, "title": title} for key, title in _COLUMNS]
        return render_template(
            "index.html",
            template_args={
                **web_ui.template_args,
                "extended_tabs": [{"title": "Fleet", "key": "fleet"}],
                "extended_tables": [{"key": "fleet", "structure": structure}],
            },
        )

    @web_ui.app.route("/fleet/state")
    def state():
        return jsonify(fleet.rows())
