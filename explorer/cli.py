"""The command line: arguments only; what a command does is told elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from explorer import __version__
from explorer.errors import EXIT_NO_DEVICE, ExplorerError

app = typer.Typer(
    name="explorer",
    help="Explore the design space of deploying a neural network, measured on the device it will run on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
agent = typer.Typer(help="The far side: serve on this board, or bring the agent to one.", no_args_is_help=False)
app.add_typer(agent, name="agent")

Results = Annotated[Path, typer.Option(help="Folder that holds one folder a study.")]
StudyFolder = Annotated[Path | None, typer.Argument(help="A study's folder; the newest below ./results when left out.")]


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"explorer {__version__}")
        raise typer.Exit


@app.callback()
def _any_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which explorer this is.")
    ] = False,
) -> None: ...


@app.command(
    epilog="Example:  explorer run --space quickstart --trials 20\n\n"
    "Example:  explorer run --space jetson_orin --device ssh://nvidia@orin.local --verify trtexec\n\n"
    "Example:  explorer run --space jetson_orin --plan"
)
def run(
    space: Annotated[
        str, typer.Option(help="A space file, or the name of one in ./search_spaces or of a shipped one.")
    ],
    results: Results = Path("results"),
    trials: Annotated[
        int | None, typer.Option(help="Stop after so many candidates, in all runs of this study.")
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="Stop after so long: 2h, 90s, 1h30m.")] = None,
    sampler: Annotated[str | None, typer.Option(help="See: explorer list samplers.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampler.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Where candidates run; local: is this machine.")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="On the virtual board that the file names, in place of its devices.")
    ] = False,
    verify: Annotated[
        str | None, typer.Option(help="trtexec: have NVIDIA's own runner check each candidate in TensorRT.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew; an earlier study of that name is kept aside.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only foretell what it will take: stages, hours; nothing is started.")
    ] = False,
    format: Annotated[str, typer.Option(help="Of what is said at the end: text, or json for scripts.")] = "text",
) -> None:
    """Explore a space, or continue where an earlier run of the same study stopped."""
    from explorer.artifacts import cache_root
    from explorer.config import load, override
    from explorer.doctor import check_format
    from explorer.progress import Progress, as_json, summary

    check_format(format)
    given = load(space)
    boards = tuple(device or ())
    experiment = override(
        given,
        trials=trials,
        timeout=timeout,
        sampler=sampler,
        seed=seed,
        devices=boards,
        simulate=simulate,
        verify=verify,
    )
    if plan:
        from explorer import forecast

        found = forecast.forecast(experiment, results=results, cache=cache_root(), fresh=fresh)
        typer.echo(forecast.as_json(found) if format == "json" else forecast.page(found))
        return
    from explorer import study

    with Progress() as progress:
        ending = study.run(experiment, results=results, cache=cache_root(), watcher=progress, fresh=fresh)
    typer.echo(as_json(ending) if format == "json" else summary(ending))


@app.command(epilog="Example:  explorer report --pareto --format html --output front.html")
def report(
    results: StudyFolder = None,
    pareto: Annotated[bool, typer.Option("--pareto", help="Only the front, not every completed trial.")] = False,
    format: Annotated[str, typer.Option(help="table, csv, json, md, html or png.")] = "table",
    output: Annotated[
        Path | None, typer.Option(help="Write to this file; png and html go into the study's folder by default.")
    ] = None,
    versus: Annotated[
        Path | None, typer.Option(help="Compare with this study: the same space explored on another device.")
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Derive every figure again from raw data; exit code 1 if one differs.")
    ] = False,
) -> None:
    """Show a study as a table, a page, a picture, or data for scripts. Works while the study runs."""
    if recompute:
        _recompute(_study(results))
        return
    from explorer.report import write

    typer.echo(write(_study(results), pareto=pareto, format=format, output=output, versus=versus).rstrip("\n"))


@app.command(epilog="Example:  explorer recommend --require 'accuracy>=0.9' --prefer throughput_ips")
def recommend(
    results: StudyFolder = None,
    require: Annotated[list[str] | None, typer.Option(help="What it must keep, such as 'power_w<=10'.")] = None,
    prefer: Annotated[str | None, typer.Option(help="The metric to make best; the first objective by default.")] = None,
) -> None:
    """Name the one candidate to deploy, and why; or what it would take, when none satisfies the wishes."""
    from explorer.report.recommend import advise

    typer.echo(str(advise(_study(results), require=require or [], prefer=prefer)))


@app.command(epilog="Example:  explorer export --trial 12 --to onnx --output deploy")
def export(
    trial: Annotated[int, typer.Option(help="Number of the trial, as in the report.")],
    output: Annotated[Path, typer.Option(help="Folder to write into.")],
    to: Annotated[str, typer.Option(help="onnx: the compressed network; engine: what its device ran.")] = "onnx",
    results: StudyFolder = None,
) -> None:
    """Write a trial's network or engine as files to deploy, with a manifest."""
    from explorer.delivery import export as deliver

    typer.echo(deliver(_study(results), trial=trial, to=to, output=output))


@app.command(epilog="Example:  explorer train --model gaitset_tiny --dataset walkers --output gaitset.pt")
def train(
    model: Annotated[str, typer.Option(help="A registered model, or your own as module:callable.")],
    dataset: Annotated[str, typer.Option(help="A registered dataset, or your own as module:callable.")],
    output: Annotated[Path, typer.Option(help="The checkpoint to write; its recipe is written beside it as .json.")],
    model_option: Annotated[
        list[str] | None, typer.Option(help="An option of the network, such as loss=neighbours.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the dataset, such as subjects_train=40.")
    ] = None,
    recipe: Annotated[list[str] | None, typer.Option(help="A field of the recipe, such as iterations=500.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the order of samples.")] = 0,
    half: Annotated[bool, typer.Option("--half", help="Store the weights as fp16.")] = False,
) -> None:
    """Train a network by its recipe and write a checkpoint."""
    from explorer.zoo import train_to

    said = {"model_options": model_option or [], "options": option or [], "recipe": recipe or []}
    typer.echo(train_to(output, model=model, dataset=dataset, **said, seed=seed, half=half))


@app.command(epilog="Example:  explorer evaluate gaitset.pt --dataset casia_b --option root=data/CASIA-B")
def evaluate(
    weights: Annotated[Path, typer.Argument(help="A checkpoint.")],
    dataset: Annotated[str, typer.Option(help="A registered dataset, or your own as module:callable.")],
    option: Annotated[list[str] | None, typer.Option(help="An option of the dataset, such as views=[0,90].")] = None,
) -> None:
    """Score a checkpoint by its dataset's protocol, in fp32."""
    from explorer.zoo import evaluate_checkpoint, told

    typer.echo(told(evaluate_checkpoint(weights, dataset=dataset, options=option or [])))


@app.command("replay-search", epilog="Example:  explorer replay-search --space tx2_recorded --samplers auto,random")
def replay_search(
    space: Annotated[
        str, typer.Option(help="A space file over a recorded table, a table, or the folder of an earlier study.")
    ],
    samplers: Annotated[str, typer.Option(help="See: explorer list samplers.")] = "auto,tpe,nsga2,random",
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each sampler.")] = 20,
    trials: Annotated[
        int | None, typer.Option(min=1, help="After so many a search ends; the whole space by default.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    objective: Annotated[
        list[str] | None, typer.Option(help="Of a bare table: latency_ms=min; every other column is an axis then.")
    ] = None,
    seconds_each: Annotated[
        float | None, typer.Option(min=0.0, help="What a trial is assumed to take, where nothing tells.")
    ] = None,
    format: Annotated[str, typer.Option(help="table, csv, json, html or png.")] = "table",
    output: Annotated[
        Path | None, typer.Option(help="Write to this file; png and html go into ./replay-NAME by default.")
    ] = None,
) -> None:
    """Compare samplers on measurements there are: how soon does each have the front?"""
    from explorer.progress import Counting
    from explorer.replay.compare import compare

    with Counting() as counting:
        told = compare(
            space,
            samplers.split(","),
            seeds=seeds,
            trials=trials,
            workers=workers,
            objectives=objective or [],
            each_s=seconds_each,
            format=format,
            output=output,
            heard=counting.heard,
        )
    typer.echo(told.rstrip("\n"))


@app.command("list", epilog="Example:  explorer list runtimes")
def list_(
    kind: Annotated[
        str, typer.Argument(help="models, datasets, passes, runtimes, meters, samplers, spaces or devices.")
    ],
) -> None:
    """Name what there is: one line each, and why something is not available."""
    from explorer.listing import listing

    typer.echo(listing(kind))


@app.command(epilog="Example:  explorer schema > space.schema.json")
def schema() -> None:
    """Print the JSON Schema of a space file, for editors."""
    import json

    from explorer.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@agent.callback(invoke_without_command=True, epilog="Example:  explorer agent serve")
def agent_default(context: typer.Context) -> None:
    """Serve on this board, speaking the protocol on stdin and stdout."""
    if context.invoked_subcommand is None:
        serve()


@agent.command(epilog="Example:  explorer agent serve")
def serve() -> None:
    """Serve on this board, speaking the protocol on stdin and stdout, until stdin closes."""
    from explorer.artifacts import cache_root
    from explorer.transports.bundle import make_bundle

    bundle, _ = make_bundle(cache_root())
    os.execv(sys.executable, [sys.executable, "-I", str(bundle), "serve"])  # the very file that is sent to boards


@agent.command(epilog="Example:  explorer agent bundle -o explorer-agent.pyz --plugin my_meter.py")
def bundle(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    plugin: Annotated[
        list[str] | None, typer.Option(help="A module with runtimes or meters of your own: its name or its path.")
    ] = None,
) -> None:
    """Write the agent as one file, to be started on a board with its own python3."""
    from explorer.transports.bundle import write_bundle

    typer.echo(write_bundle(output, plugins=plugin or []))


@agent.command(epilog="Example:  explorer agent check ssh://nvidia@orin.local")
def check(
    device: Annotated[str, typer.Argument(help="local:, ssh://[user@]host[:port], or the name of a board.")],
    format: Annotated[str, typer.Option(help="text, or json for scripts.")] = "text",
    model: Annotated[
        str | None, typer.Option(help="An .onnx file, or a space: how may its network be run there by TensorRT?")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="With --model: samples in one inference.")] = 1,
) -> None:
    """Examine a device: what it is, what was found or not, and what to do for good measurements."""
    if model is not None:
        from explorer.compatibility import report_on_model

        report_on_model(device, model, batch=batch, format=format)
        return
    from explorer.doctor import report_on

    if not report_on(device, format=format):
        raise typer.Exit(EXIT_NO_DEVICE)


def _recompute(folder: Path) -> None:
    from explorer.report.recompute import recompute

    found = recompute(folder)
    typer.echo(found)
    if not found.ok:
        raise typer.Exit(1)


def _study(given: Path | None) -> Path:
    from explorer.store import newest

    return given if given is not None else newest(Path("results"))


def main() -> None:
    """Run the command line; every error of ours is one clear message and its exit code."""
    try:
        app()
    except ExplorerError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
