"""The process of ``synthgap up``: it starts the services, restarts them, updates the registered studies, ends services.

Services start at the same time, because Prefect and MLflow each take seconds. They end in an order that loses no work:
runs, worker, servers.
"""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from flows.operations import logs, services, state
from flows.operations.addresses import Address, check_port
from flows.operations.deployments import NEWCOMER, POOL
from flows.operations.environment import QUIET, service_environment
from flows.operations.login import keep_login
from flows.operations.process import ServerProcess, answers, end_processes, marked_processes
from flows.operations.state import Service, UpState
from tasks.errors import RunError
from tasks.processes import birth
from tasks.settings import Settings

if TYPE_CHECKING:  # it imports Prefect
    from flows.operations.registration import FileDeployments

CHECK_S = 2.0
"""Seconds between two checks of the services and the study files."""
END_S = 15.0
"""Seconds from SIGTERM to SIGKILL for servers."""

Report = Callable[[str], None]
"""Shows a line to the user."""


class Supervisor:
    """The services of one ``up``, from start to end.

    A server whose address is in the environment (``PREFECT_API_URL``, an http ``SYNTHGAP_TRACKING_URI``) is used, not
    started.
    """

    def __init__(self, address: Address, studies_at_once: int, settings: Settings, report: Report) -> None:
        self.address, self.studies_at_once, self.settings, self.report = address, studies_at_once, settings, report
        self.token = secrets.token_hex(8)
        self.login = keep_login(settings, os.environ)
        self.worker_name = services.worker_name(settings)
        self.processes: dict[str, ServerProcess] = {}
        """The services that were started: ``prefect``, ``mlflow``, ``worker``."""
        tracking = settings.tracking_uri or ""
        self.own_prefect = not os.environ.get("PREFECT_API_URL")
        self.own_mlflow = not tracking.startswith("http")
        self.prefect_api = os.environ.get("PREFECT_API_URL") or f"{address.prefect}/api"
        self.tracking_uri = address.mlflow if self.own_mlflow else tracking
        self.health = {"prefect": f"{self.prefect_api}/health", "mlflow": f"{self.tracking_uri}/health"}
        self.complaints: tuple[str, ...] = ()
        self.ready = False

    def run(self) -> None:
        """Start everything and check it until a signal raises an exception; in any case, end everything afterwards."""
        started = time.monotonic()
        if self.own_prefect:
            check_port(self.address.host, self.address.prefect_port, "--prefect-port")
        if self.own_mlflow:
            check_port(self.address.host, self.address.mlflow_port, "--mlflow-port")
        try:
            deployments = self._start()
            self.ready = True
            self._write_state()
            self.report(f"synthgap is up ({time.monotonic() - started:.0f} s). Ctrl-C or `synthgap down` ends it.")
            self.report(self._state().summary(self.login if sys.stdout.isatty() else None))
            if self.address.beyond_this_machine and (self.own_prefect or self.own_mlflow):
                self.report(
                    f"  Other machines can reach {self.address.host}. The password crosses the network unencrypted; "
                    "put a proxy with TLS in front of the servers."
                )
            while True:
                time.sleep(CHECK_S)
                self._check(deployments)
        finally:
            self._end()

    # ---- start -----------------------------------------------------------------------------------------------------

    def _start(self) -> "FileDeployments":
        environment = service_environment(self.token, self.settings)
        clients = {"PREFECT_API_URL": self.prefect_api, "SYNTHGAP_TRACKING_URI": self.tracking_uri}
        if self.own_prefect:
            self.processes["prefect"] = services.prefect_server(self.address, environment, self.settings, self.login)
            clients |= self.login.of_prefect
        if self.own_mlflow:
            self.processes["mlflow"] = services.mlflow_server(self.address, environment, self.settings, self.login)
            clients |= self.login.of_mlflow
        self._write_state()
        os.environ.update({**QUIET, "PREFECT_HOME": environment["PREFECT_HOME"], **clients})
        # Prefect reads its environment when it is imported. The import takes seconds, while the servers start.
        from flows.operations import automations, prefect_admin
        from flows.operations.registration import FileDeployments, register

        self._wait_for_server("prefect")
        if self.own_prefect:
            services.prepare_pages(self.settings, environment)
        with prefect_admin.clear_errors():
            prefect_admin.prepare_pool(self.studies_at_once)
            prefect_admin.requeue_orphans(self.worker_name)  # before the worker starts, when none of its runs is alive
            before = prefect_admin.last_heartbeat()
            self.processes["worker"] = services.worker(POOL, {**environment, **clients}, self.settings)
            automations.prepare_dead_runs_automation()
            deployments = FileDeployments(self.worker_name, self.settings)
            deployments.update(self.report)
            self.complaints = deployments.complaints
            register(NEWCOMER)
            automations.prepare_new_llm_automation()
            self._wait_for_server("mlflow")
            self.processes["worker"].wait(lambda: prefect_admin.last_heartbeat() != before)
        return deployments

    def _wait_for_server(self, name: str) -> None:
        address = self.health[name]
        server = self.processes.get(name)
        if server is None:
            if not answers(address):
                raise RunError(f"{address} does not answer; start that server, or unset its address")
            return
        try:
            server.wait(partial(answers, address))
        except RunError:
            if name != "mlflow" or not services.upgrade_mlflow(server, self.settings):
                raise
            server.start()
            server.wait(partial(answers, address))

    # ---- watch -----------------------------------------------------------------------------------------------------

    def _check(self, deployments: "FileDeployments") -> None:
        from flows.operations import prefect_admin

        for process in self.processes.values():
            logs.rotate(process.log)
        for name in self.processes.keys() - {"worker"}:
            if self.processes[name].needs_restart():
                self._restart(name)  # same port and database: clients repeat their calls until it answers
        without_worker = self.processes["worker"].needs_restart()
        try:
            with prefect_admin.clear_errors():
                if without_worker:
                    self._end_runs()  # without their worker they would crash at their next output
                    queued = prefect_admin.requeue_orphans(self.worker_name)
                    self._restart("worker", f" Queued again: {', '.join(queued)}." if queued else "")
                if deployments.update(self.report):
                    self.complaints = deployments.complaints
                    self._write_state()
        except RunError as error:  # the server is busy or restarts; the next check tries again
            self.report(str(error))

    def _restart(self, name: str, more: str = "") -> None:
        self.processes[name].restart()
        self._write_state()
        self.report(f"{self.processes[name].title} ended and was started again.{more}")

    # ---- state and end ---------------------------------------------------------------------------------------------

    def _state(self) -> UpState:
        pids = {name: process.process.pid for name, process in self.processes.items()}
        paths = {name: str(process.log) for name, process in self.processes.items()}
        urls = {"prefect": self.prefect_api.removesuffix("/api"), "mlflow": self.tracking_uri}
        listed = [
            Service(name=name, pid=pids.get(name), log=paths.get(name), url=url, health=self.health[name])
            for name, url in urls.items()
        ]
        if "worker" in pids:
            listed.append(Service(name="worker", pid=pids["worker"], log=paths["worker"]))
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

    def _write_state(self) -> None:
        state.write_state(self._state(), self.settings)

    def _end(self) -> None:
        """Kill runs and worker first, which loses no work; then queue these runs again; then end the servers."""
        was_ready, self.ready = self.ready, False
        with contextlib.suppress(OSError):  # a full disk must not prevent the end of the processes
            self._write_state()  # a `synthgap run` that uses these servers ends now, and no new one uses them
        self._end_runs()
        if was_ready:
            with contextlib.suppress(Exception):  # the server may have failed; the next `up` queues the runs, too
                from flows.operations import prefect_admin

                if queued := prefect_admin.requeue_orphans(self.worker_name):
                    self.report(f"The next `synthgap up` continues: {', '.join(queued)}.")
        end_processes(marked_processes(self.token), END_S)
        for process in self.processes.values():
            process.stop()
        state.path_of(self.settings).unlink(missing_ok=True)

    def _end_runs(self) -> None:
        """Kill the worker and all runs: every process of this ``up`` except the servers and their children."""
        keep = set()
        for name in self.processes.keys() - {"worker"}:
            pid = self.processes[name].process.pid
            keep.add(pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                keep |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
        end_processes([process for process in marked_processes(self.token) if process.pid not in keep], 0)
