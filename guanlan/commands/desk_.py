"""`guanlan desk`: tells Alertmanager and people what the topic `alerts` says."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules.problems import ConfigError, GuanlanError

if TYPE_CHECKING:
    from alerts.delivery import Delivery
    from alerts.due_dates import Recount
    from alerts.lag import LagWatch
    from alerts.metrics import DeskMetrics
    from alerts.policy import Policy
    from alerts.sinks import DeadLetter, Sink
    from guanlan.settings import Settings
    from streams.dead_letters import Cemetery

log = logging.getLogger("guanlan.desk")

METRICS_PORT = 9465


app = typer.Typer(invoke_without_command=True, help="Notify Alertmanager and people of alerts, until interrupted.")
letters_app = typer.Typer(help="Messages that a target refused for good.", no_args_is_help=True)
app.add_typer(letters_app, name="dead-letters")

Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="The desk's policy, by default guanlan-desk.yaml.")]


@app.callback()
def command(
    context: typer.Context,
    bootstrap: Bootstrap = None,
    alertmanager: Annotated[
        str | None, typer.Option(help="Alertmanager's address; several, by comma, for a cluster.")
    ] = None,
    notify: Annotated[list[str] | None, typer.Option(help="An Apprise URL; may be given several times.")] = None,
    policy: PolicyFile = None,
    metrics_port: Annotated[
        int, typer.Option(help="Port of /metrics; 0 for any free one.", envvar="GUANLAN_DESK_METRICS_PORT")
    ] = METRICS_PORT,
) -> None:
    """Notify Alertmanager and people of alerts, until interrupted."""
    if context.invoked_subcommand is not None:
        return
    from alerts.metrics import DeskMetrics
    from guanlan.desk_targets import load_policy, sinks
    from guanlan.settings import load_settings
    from streams.dead_letters import Cemetery
    from streams.topics import DEAD_LETTERS, require_topic

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    for chatty in ("httpx", "apprise"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    settings = load_settings(
        bootstrap=bootstrap,
        alertmanager_url=alertmanager,
        notify=notify or None,
        desk_policy=str(policy) if policy else None,
    )
    how = load_policy(settings)
    found = sinks(settings, how, _names(settings))
    metrics = DeskMetrics()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _serve(metrics, settings.metrics_host, metrics_port)
    require_topic(settings.bootstrap, settings.topic_prefix + DEAD_LETTERS)
    cemetery = Cemetery(settings.bootstrap, settings.topic_prefix + DEAD_LETTERS)
    deliveries = [_delivery(settings, sink, metrics, how, cemetery) for sink in found]
    logging.getLogger("kafka").setLevel(logging.ERROR)
    failed = watch(deliveries, stop, _lag_watch(settings, deliveries, metrics))
    cemetery.close()
    if failed:
        raise GuanlanError("the desk stopped: " + "; ".join(failed))


@letters_app.command("list")
def list_letters(bootstrap: Bootstrap = None) -> None:
    """Show the messages that a target refused and that were not sent again; exit 1 where there are any."""
    letters = _letters(bootstrap)[1]
    for letter in letters:
        typer.echo(f"{letter.id}  {letter.refused_at}  {letter.target}: {letter.title}")
        typer.echo(f"    {letter.reason}; {letter.tries} tries; events {', '.join(letter.events)}")
    typer.echo(f"{len(letters)} dead letters")
    if letters:
        raise typer.Exit(1)


@letters_app.command("resend")
def resend_letters(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids as `list` shows them; none for all.")] = None,
    bootstrap: Bootstrap = None,
    policy: PolicyFile = None,
) -> None:
    """Send dead letters again, each to its target; exit 1 where one is refused once more."""
    from alerts.sinks import Refused, SinkDown
    from alerts.sinks.people import resend
    from guanlan.desk_targets import load_policy, people_sink, targets
    from streams.dead_letters import Cemetery
    from streams.topics import DEAD_LETTERS

    settings, letters = _letters(bootstrap, policy)
    how = load_policy(settings)
    known = {target.name: target for target in targets(settings, how)}
    missing = set(ids or ()) - {letter.id for letter in letters}
    if missing:
        raise ConfigError(f"no dead letter {', '.join(sorted(missing))}; `guanlan desk dead-letters list` shows them")
    cemetery = Cemetery(settings.bootstrap, settings.topic_prefix + DEAD_LETTERS)
    refused = 0
    for letter in letters:
        if ids and letter.id not in ids:
            continue
        try:
            if letter.target not in known:
                raise Refused("no such target among the settings; Alertmanager is told of what is open anyway")
            resend(people_sink(known[letter.target], _names(settings), how, settings.desk_url), letter)
        except (Refused, SinkDown) as err:
            refused += 1
            typer.echo(f"{letter.id}  not sent: {err}")
            continue
        cemetery.sent([letter.id])
        typer.echo(f"{letter.id}  sent to {letter.target}")
    cemetery.close()
    if refused:
        raise typer.Exit(1)


def _letters(bootstrap: str | None, policy: Path | None = None) -> tuple[Settings, list[DeadLetter]]:
    from guanlan.settings import load_settings
    from streams.dead_letters import read_dead_letters
    from streams.topics import DEAD_LETTERS

    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    settings = load_settings(bootstrap=bootstrap, desk_policy=str(policy) if policy else None)
    return settings, read_dead_letters(settings.bootstrap, settings.topic_prefix + DEAD_LETTERS)


def _names(settings: Settings) -> Callable[[str], Mapping[str, str]]:
    from guanlan.desk_targets import RegistryNames
    from streams.registry import read_institutions
    from streams.topics import INSTITUTIONS

    def read() -> Mapping[str, Mapping[str, str]]:
        found = read_institutions(settings.bootstrap, settings.topic_prefix + INSTITUTIONS)
        return {institution.code: institution.name for institution in found}

    return RegistryNames(read)


def _delivery(settings: Settings, sink: Sink, metrics: DeskMetrics, policy: Policy, cemetery: Cemetery) -> Delivery:
    from alerts.delivery import Delivery, open_consumer
    from streams.clients import answering
    from streams.topics import ALERTS

    group = f"{settings.topic_prefix}{settings.group}.desk.{sink.name}"
    instance = f"{settings.instance}.desk" if settings.instance else ""
    with answering(settings.bootstrap):
        consumer = open_consumer(settings.bootstrap, group, instance)
    topic = settings.topic_prefix + ALERTS
    return Delivery(
        consumer,
        topic,
        sink,
        metrics,
        again=policy.again,
        bury=cemetery.bury,
        recount=_recount(settings, metrics.due_moved.labels(sink.name).inc),
    )


def _recount(settings: Settings, on_moved: Callable[[], None]) -> Recount:
    """Return what counts due dates again; where the catalogue can't be read they stay as they were told."""
    from alerts.due_dates import DueDates, as_told
    from rules.catalogue import load_catalogue

    try:
        catalogue = load_catalogue(settings.catalogue)
    except GuanlanError as err:
        log.warning("provisional due dates stay as they were told: %s", err)
        return as_told
    return DueDates(catalogue.country, catalogue.timezone, on_moved)


def _lag_watch(settings: Settings, deliveries: list[Delivery], metrics: DeskMetrics) -> LagWatch:
    from alerts.delivery import open_consumer
    from alerts.lag import LagWatch

    return LagWatch(lambda: open_consumer(settings.bootstrap, None), deliveries, metrics)


def watch(deliveries: list[Delivery], stop: threading.Event, lag: LagWatch) -> list[str]:
    """Run each delivery in a thread until `stop`; when one fails all stop. Returns what failed."""
    failed: list[str] = []

    def drive(delivery: Delivery) -> None:
        try:
            delivery.run(stop)
        except Exception as err:
            log.exception("%s failed", delivery.sink.name)
            failed.append(f"{delivery.sink.name}: {err}")
        finally:
            stop.set()

    threads = [threading.Thread(target=drive, args=(d,), name=d.sink.name) for d in deliveries]
    threads.append(threading.Thread(target=lag.run, args=(stop,), name="lag"))
    for thread in threads:
        thread.start()
    log.info("the desk is open: %s", ", ".join(d.sink.name for d in deliveries))
    while not stop.wait(0.5):
        pass
    for thread in threads:
        thread.join()
    log.info("the desk is closed")
    return failed


def _serve(metrics: DeskMetrics, host: str, port: int) -> None:
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, host, metrics.registry)
    except OSError as err:
        raise ConfigError(
            f"can't serve metrics on {host}:{port}: {err.strerror}; set GUANLAN_DESK_METRICS_PORT to a free port"
        ) from None
    log.info("metrics on port %d", server.server_address[1])
