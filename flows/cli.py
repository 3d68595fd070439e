"""The command line. A command parses its options, calls one function and prints the result.

Heavy libraries are imported inside the commands that need them, so that ``synthgap --help`` is fast.
"""

import json
import os
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.operations.environment import past_proxies
from tasks.errors import RunError, UserError


class _OneLineErrors(TyperGroup):
    """Prints ``UserError`` and ``RunError`` as one line, with exit code 2 or 1."""

    def invoke(self, ctx: Any) -> Any:
        os.environ.update(past_proxies(os.environ))  # no proxy for servers of this machine
        try:
            return super().invoke(ctx)
        except (UserError, RunError) as error:
            print(f"synthgap: {error}", file=sys.stderr)
            raise typer.Exit(2 if isinstance(error, UserError) else 1) from None


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Can I train my text classifier on LLM-written data? What do I lose, why, and what would it cost?",
)

StudyArgument = Annotated[str, typer.Argument(help="Path of a study YAML, or the name of a shipped study.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]


@app.command()
def run(
    study: StudyArgument,
    as_json: JsonOption = False,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json and report.html.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Run it even if nothing has changed.")] = False,
) -> None:
    """Run a study: generate, train, test, compare, report. Finished work is reused, never repeated.

    If nothing has changed since the last run, its results are shown again.
    """
    from flows.run import run_study

    results = run_study(_load(study), out=out, quiet=as_json, again=again)
    if as_json:
        print(results.model_dump_json(by_alias=True, ensure_ascii=True))
    raise typer.Exit(0 if results.status == "ok" else 1)


@app.command()
def plan(
    study: StudyArgument,
    as_json: JsonOption = False,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download real rows that are not here yet.")] = False,
) -> None:
    """Show a study's grid, LLM calls, cost, time, and which real texts would leave this machine. It calls no LLM."""
    from tasks.data.sources.reading import UnavailableError
    from tasks.planning.make import plan_study
    from tasks.settings import Settings

    if not fetch:
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        found = plan_study(_load(study), Settings() if fetch else Settings(fetch=False))
    except UnavailableError as error:
        raise RunError(f"{error}" + ("" if fetch else ". `synthgap plan --fetch` downloads what a run would")) from None
    if as_json:
        print(json.dumps(found.as_dict()))
    else:
        from tasks.reporting.terminal import plan_table, show

        show(plan_table(found))


@app.command()
def report(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show the last results of a study again and rewrite its report.html from them."""
    from tasks.reporting import publish
    from tasks.settings import Settings

    settings = Settings()
    settings.check_home()
    results = publish.last_results(_load(study).config.name, settings)
    if as_json:
        print(results.model_dump_json(by_alias=True, ensure_ascii=True))
    else:
        html = publish.report_html(results, settings)
        publish.show(results, publish.write(results, html, publish.folder_of(results.study, settings)))


@app.command()
def export(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(help="Folder in which each generated data set gets a folder.")] = Path("export"),
) -> None:
    """Write a study's generated rows as Parquet. Each data set gets a card with its measured gap."""
    from tasks.reporting import export as exporting
    from tasks.reporting import publish
    from tasks.settings import Settings

    settings = Settings()
    results = publish.last_results(_load(study).config.name, settings)
    for folder in exporting.export(results, settings, out):
        print(f"Wrote {folder}")


@app.command()
def tasks() -> None:
    """List the tasks that come with synthgap."""
    from tasks.data import catalog
    from tasks.reporting.terminal import show, tasks_table

    show(tasks_table([catalog.find_task(name, Path.cwd()) for name in catalog.names()]))


@app.command("new-task")
def new_task(
    name: Annotated[str, typer.Argument(help="Name of the task; NAME.yaml is written.")],
    train: Annotated[Path, typer.Option(help="CSV, JSONL or Parquet file with training rows.")],
    test: Annotated[
        Path | None,
        typer.Option(help="The same with test rows; by default, a part of train."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write NAME.yaml to.")] = Path(),
) -> None:
    """Write the YAML of your own task from your files."""
    from tasks.data.new_task import new_task as write_task

    path = write_task(name, train, test, text, label, out)
    print(f"Wrote {path}. Describe the labels in it, then list it under `tasks:` in a study.")


@app.command()
def up(
    prefect_port: Annotated[int, typer.Option(help="Port of Prefect's server.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's server.")] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on; others can then log in with the password.")] = (
        "127.0.0.1"
    ),
    studies: Annotated[int, typer.Option(min=1, help="Studies that run at once; others wait.")] = 1,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is ready.")] = False,
) -> None:
    """Start Prefect, MLflow and a worker, with a form for every study; Ctrl-C ends them."""
    from flows.operations import up as operations
    from flows.operations.addresses import Address
    from tasks.settings import Settings

    if detach:
        options = {"prefect-port": prefect_port, "mlflow-port": mlflow_port, "host": host, "studies": studies}
        print(operations.detach([f"--{name}={value}" for name, value in options.items()], Settings()))
        return
    operations.up(Address(host, prefect_port, mlflow_port), studies, Settings(), partial(print, flush=True))


@app.command()
def down() -> None:
    """End what `synthgap up` started. The next `synthgap up` continues interrupted studies."""
    from flows.operations import up as operations
    from tasks.settings import Settings

    print("synthgap is down." if operations.down(Settings()) else "Nothing was running.")


@app.command()
def login() -> None:
    """Show the link that logs a browser in to Prefect, and the user name and password for MLflow."""
    from flows.operations import up as operations
    from tasks.settings import Settings

    print(operations.how_to_log_in(Settings()))


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show what runs: addresses, processes, health, studies, last runs. The exit code is 1 if something is wrong."""
    from flows.operations.status import shown, status_of
    from tasks.settings import Settings

    found = status_of(Settings())
    print(json.dumps(found) if as_json else shown(found))
    raise typer.Exit(0 if found["healthy"] else 1)


store_app = typer.Typer(help="Show the content of the home folder and the store, or remove what nothing needs.")
app.add_typer(store_app, name="store")
DaysOption = Annotated[float, typer.Option(min=0, help="Days without use after which an artifact counts as unused.")]


@store_app.callback(invoke_without_command=True)
def store(context: typer.Context, as_json: JsonOption = False, days: DaysOption = 30) -> None:
    """Show the content of the home folder and the store: sizes by kind, study and age."""
    if context.invoked_subcommand is not None:
        return
    from tasks.inventory import take_inventory
    from tasks.settings import Settings

    usage = take_inventory(Settings()).usage(time.time(), days)
    if as_json:
        print(json.dumps(asdict(usage)))
    else:
        from tasks.reporting.terminal import show, usage_tables

        show(usage_tables(usage))


@store_app.command()
def prune(
    days: DaysOption = 30,
    journals: Annotated[
        bool, typer.Option("--journals", help="Also remove paid LLM calls, if no data set was made from them.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Remove it. Without this option it is only shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show, or with --apply remove, what no study's last results refer to and what can be made again without paying."""
    from tasks import inventory
    from tasks.settings import Settings

    settings = Settings()
    settings.check_home()
    pruning = (inventory.prune if apply else inventory.plan_pruning)(settings, days, journals)
    if as_json:
        print(json.dumps(pruning.as_dict()))
    else:
        from tasks.reporting.terminal import pruning_table, show

        show(pruning_table(pruning))


@app.command()
def doctor() -> None:
    """Show what is installed, reachable and configured."""
    from tasks.doctor import checks
    from tasks.reporting.terminal import checks_table, show
    from tasks.settings import Settings

    found = list(checks(Settings()))
    show(checks_table(found))
    raise typer.Exit(1 if any(check.ok is False for check in found) else 0)


def _load(reference: str) -> Any:
    from tasks.config.named import read_study
    from tasks.settings import Settings

    return read_study(reference, Settings())


def main() -> None:
    """Entry point of the ``synthgap`` command."""
    if sys.platform == "win32":  # it lacks the signals, locks and file modes that synthgap needs
        sys.exit("synthgap does not run on Windows itself; use Linux, macOS or the Windows Subsystem for Linux")
    app()


if __name__ == "__main__":
    main()
