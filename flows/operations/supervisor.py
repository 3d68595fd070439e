"""The process that watches over the services of ``synthgap up``: it starts them beside each other, keeps them and the
registered studies up to date, and ends them in the order that loses nothing.
"""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]

from flows.operations import deployments, logs, services, state
from flows.operations.login import keep_login
from flows.operations.services import Address, Process
from flows.operations.state import Service, UpState
from tasks.config import named
from tasks.errors import RunError, UserError
from tasks.processes import birth
from tasks.settings import Settings

LOOK_S = 2.0
"""Seconds between two looks at the services and the study files."""
END_S = 15.0
"""Seconds that servers get to end by themselves."""
RESTARTS = 5
"""So often within ten minutes is a service started again."""
LATELY_S = 600.0

Say = Callable[[str], None]


class Watcher:
    """The services of one ``up``, from start to end."""

    def __init__(self, address: Address, studies_at_once: int, settings: Settings, say: Say) -> None:
        self.address, self.studies_at_once, self.settings, self.say = address, studies_at_once, settings, say
        self.token = secrets.token_hex(8)
        self.processes: dict[str, Process] = {}
        self.seen: dict[str, str] = {}
        self.registered: dict[tuple[str, str], dict[str, Any]] = {}
        """Entry point and name of a deployment to what was registered."""
        self.complaints: tuple[str, ...] = ()
        self.restarts: dict[str, list[float]] = {}
        self.prefect_api = os.environ.get("PREFECT_API_URL") or f"{address.prefect}/api"
        tracking = settings.tracking_uri or ""
        self.own_prefect = not os.environ.get("PREFECT_API_URL")
        self.own_mlflow = not tracking.startswith("http")
        self.tracking_uri = address.mlflow if self.own_mlflow else tracking
        self.login = keep_login(settings, os.environ)
        self.ready = False

    def live(self) -> None:
        """Start, watch, end."""
        begun = time.monotonic()
        if self.own_prefect:
            services.check_port(self.address.host, self.address.prefect_port, "--prefect-port")
        if self.own_mlflow:
            services.check_port(self.address.host, self.address.mlflow_port, "--mlflow-port")
        try:
            self._start()
            self.ready = True
            self._write()
            self.say(f"synthgap is up ({time.monotonic() - begun:.0f} s). Ctrl-C or `synthgap down` ends it.")
            self.say(self._state().summary(self.login if sys.stdout.isatty() else None))
            if self.address.beyond_this_machine and (self.own_prefect or self.own_mlflow):
                self.say(
                    f"  On {self.address.host} the password crosses the network in clear, unless a proxy encrypts."
                )
            self._watch()
        finally:
            self._end()

    # ---- start -----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        environment = services.environment_of(self.token, self.settings)
        clients = {"PREFECT_API_URL": self.prefect_api, "SYNTHGAP_TRACKING_URI": self.tracking_uri}
        if self.own_prefect:
            self.processes["prefect"] = services.prefect_server(self.address, environment, self.settings, self.login)
            clients |= self.login.of_prefect
        if self.own_mlflow:
            self.processes["mlflow"] = services.mlflow_server(self.address, environment, self.settings, self.login)
            clients |= self.login.of_mlflow
        self._write()
        os.environ.update({**services.QUIET, "PREFECT_HOME": environment["PREFECT_HOME"], **clients})
        from flows.operations import prefect_admin  # Prefect, which reads its environment now: while the servers start
        from flows.operations.automations import prepare_reaction
        from flows.operations.registration import register

        self._wait_for("prefect", self._health("prefect"))
        if self.own_prefect:
            services.prepare_pages(self.settings, environment)
        with prefect_admin.clear_errors():
            prefect_admin.prepare_pool(self.studies_at_once)
            prefect_admin.recover(services.worker_name(self.settings))  # before there is a worker, none can be alive
            heard = prefect_admin.last_heartbeat()
            self.processes["worker"] = services.worker(deployments.POOL, {**environment, **clients}, self.settings)
            prefect_admin.prepare_automation()
            self._register()
            register(deployments.NEWCOMER)
            prepare_reaction()
            self._wait_for("mlflow", self._health("mlflow"))
            self._wait_for_worker(lambda: prefect_admin.last_heartbeat() != heard)

    def _wait_for(self, name: str, address: str) -> None:
        process = self.processes.get(name)
        if process is None:
            if not state.answers(address):
                raise RunError(f"{address} does not answer; start that server, or unset its address")
            return
        try:
            process.wait(address)
        except RunError:
            if name != "mlflow" or not services.upgrade_mlflow(process, self.settings):
                raise
            process.start()
            process.wait(address)

    def _wait_for_worker(self, online: Callable[[], bool]) -> None:
        worker = self.processes["worker"]
        end = time.monotonic() + services.START_S
        while not online():
            if worker.ended or time.monotonic() > end:
                raise RunError(f"the worker did not start: {worker.complaint()} Its log is {str(worker.log)!r}")
            time.sleep(0.3)

    def _health(self, name: str) -> str:
        return f"{self.prefect_api}/health" if name == "prefect" else f"{self.tracking_uri}/health"

    # ---- watch -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        from flows.operations.prefect_admin import clear_errors

        while True:
            time.sleep(LOOK_S)
            for process in self.processes.values():
                logs.rotate(process.log)
            self._restart_servers()
            without_worker = self._lost("worker")
            try:
                with clear_errors():
                    if without_worker:
                        self._restart_worker()
                    if self._register():
                        self._write()
            except RunError as error:  # a server that is busy for a moment answers at the next look
                self.say(str(error))

    def _lost(self, name: str) -> bool:
        """Whether a service has ended. Raises ``RunError`` where it does so again and again."""
        process = self.processes[name]
        lately = [moment for moment in self.restarts.get(name, []) if time.monotonic() - moment < LATELY_S]
        if process.ended and len(lately) >= RESTARTS:
            raise RunError(f"{name} ended: {process.complaint()} Its log is {str(process.log)!r}")
        return process.ended

    def _start_again(self, name: str) -> None:
        self.processes[name].start_again()
        self.restarts.setdefault(name, []).append(time.monotonic())
        self._write()

    def _restart_servers(self) -> None:
        """On the same port and database: whoever calls them meanwhile waits and tries again."""
        for name in self.processes.keys() - {"worker"}:
            if self._lost(name):
                self._start_again(name)
                self.say(f"{name} ended and was started again.")

    def _restart_worker(self) -> None:
        from flows.operations import prefect_admin

        self._end_runs()  # without their worker they would end as Crashed at their next line of output
        queued = prefect_admin.recover(services.worker_name(self.settings))
        self._start_again("worker")
        self.say(f"The worker ended and was started again{'; queued again: ' + ', '.join(queued) if queued else ''}.")

    def _register(self) -> bool:
        """Bring deployments into step with the files of studies and watches; whether any had changed."""
        found, watching = named.find_studies(self.settings), named.find_watches(self.settings)
        prints = {str(path): named.fingerprint(path) for path in (*found.values(), *watching.values())}
        if prints == self.seen:
            return False
        from flows.operations import registration

        entries, complaints = deployments.definitions(found)
        more, others = deployments.watch_definitions(self.settings)
        entries, complaints = entries + more, complaints + others
        owner = services.worker_name(self.settings)
        for entry in entries:
            place = entry["entrypoint"], entry["name"]
            if self.registered.get(place) != entry:
                try:
                    registration.register(entry, owner)
                except UserError as error:
                    complaints.append(str(error))
                    continue
                self.registered[place] = entry
                if self.ready:
                    self.say(f"Registered {entry['entrypoint'].rpartition('.')[2]} {entry['name']!r}.")
        for place in registration.remove_lost(owner, entries, {"study": found, "watch": watching}):
            self.registered.pop(place, None)
            self.say(f"Removed {place[0].rpartition('.')[2]} {place[1]!r}, whose file is gone.")
        if self.ready:
            for complaint in set(complaints) - set(self.complaints):
                self.say(f"Not registered: {complaint}")
        self.seen, self.complaints = prints, tuple(complaints)
        return True

    # ---- state and end ---------------------------------------------------------------------------------------------

    def _state(self) -> UpState:
        pids = {name: process.process.pid for name, process in self.processes.items()}
        logs = {name: str(process.log) for name, process in self.processes.items()}
        urls = {"prefect": self.prefect_api.removesuffix("/api"), "mlflow": self.tracking_uri}
        listed = [
            Service(name=name, pid=pids.get(name), log=logs.get(name), url=url, health=self._health(name))
            for name, url in urls.items()
        ]
        if "worker" in pids:
            listed.append(Service(name="worker", pid=pids["worker"], log=logs["worker"]))
        return UpState(
            token=self.token,
            pid=os.getpid(),
            created=birth(os.getpid()),
            prefect_api=self.prefect_api,
            tracking_uri=self.tracking_uri,
            services=tuple(listed),
            ready=self.ready,
            complaints=self.complaints,
        )

    def _write(self) -> None:
        state.write_state(self._state(), self.settings)

    def _end(self) -> None:
        """The worker and its runs first and at once, which loses nothing; then their runs are queued, then servers."""
        was_ready, self.ready = self.ready, False
        with contextlib.suppress(OSError):  # a full disk does not keep us from ending
            self._write()  # `synthgap run` on these servers ends now, and no other begins
        self._end_runs()
        if was_ready:
            self._queue_interrupted()
        state.end(state.processes(self.token), END_S)
        for process in self.processes.values():
            process.process.wait()
        state.path_of(self.settings).unlink(missing_ok=True)

    def _end_runs(self) -> None:
        servers = {process.process.pid for name, process in self.processes.items() if name != "worker"}
        family = {child.pid for pid in servers for child in _children(pid)} | servers
        state.end([process for process in state.processes(self.token) if process.pid not in family], 0)

    def _queue_interrupted(self) -> None:
        from flows.operations import prefect_admin

        with contextlib.suppress(Exception):  # the server may be what failed; the next `up` does it too
            queued = prefect_admin.recover(services.worker_name(self.settings))
            if queued:
                self.say(f"Goes on with the next `synthgap up`: {', '.join(queued)}.")


def _children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        return children
    return []
