"""`guanlan desk`: tells Alertmanager and people what the topic `alerts` says."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from rules.problems import ConfigError, GuanlanError

if TYPE_CHECKING:
    from alerts.delivery import Delivery
    from alerts.due_dates import Recount
    from alerts.metrics import DeskMetrics
    from alerts.sinks import Sink
    from guanlan.settings import Settings

log = logging.getLogger("guanlan.desk")

LOOK_AGAIN_SECONDS = 300.0
METRICS_PORT = 9465


class RegistryNames:
    """Names of institutions, read from the registry topic; read again when a code is not there."""

    def __init__(self, read: Callable[[], Mapping[str, Mapping[str, str]]]) -> None:
        self._read = read
        self._names: Mapping[str, Mapping[str, str]] = {}
        self._look_at = 0.0
        self._lock = threading.Lock()

    def __call__(self, subject: str) -> Mapping[str, str]:
        with self._lock:
            if subject not in self._names and time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_AGAIN_SECONDS
                try:
                    self._names = self._read()
                except GuanlanError as err:
                    log.warning("names of institutions can't be read: %s", err)
            return self._names.get(subject, {})


def command(
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
    alertmanager: Annotated[
        str | None, typer.Option(help="Alertmanager's address; several, by comma, for a cluster.")
    ] = None,
    notify: Annotated[list[str] | None, typer.Option(help="An Apprise URL; may be given several times.")] = None,
    metrics_port: Annotated[
        int, typer.Option(help="Port of /metrics; 0 for any free one.", envvar="GUANLAN_DESK_METRICS_PORT")
    ] = METRICS_PORT,
) -> None:
    """Notify Alertmanager and Apprise targets of alerts, until interrupted."""
    from alerts.metrics import DeskMetrics
    from guanlan.settings import load_settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    for chatty in ("httpx", "apprise"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    settings = load_settings(bootstrap=bootstrap, alertmanager_url=alertmanager, notify=notify or None)
    targets = sinks(settings)
    metrics = DeskMetrics()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _serve(metrics, settings.metrics_host, metrics_port)
    deliveries = [_delivery(settings, sink, metrics) for sink in targets]
    logging.getLogger("kafka").setLevel(logging.ERROR)
    failed = watch(deliveries, stop)
    if failed:
        raise GuanlanError("the desk stopped: " + "; ".join(failed))


def sinks(settings: Settings) -> list[Sink]:
    """Return the sinks that the settings ask for, checked; raise ConfigError where they ask for none."""
    from alerts.sinks.alertmanager import AlertmanagerSink
    from alerts.sinks.apprise import AppriseSink
    from streams.registry import read_institutions
    from streams.topics import INSTITUTIONS

    urls = [url.strip() for url in settings.alertmanager_url.split(",") if url.strip()]
    if not urls and not settings.notify:
        raise ConfigError("there is nobody to notify: set GUANLAN_ALERTMANAGER_URL or GUANLAN_NOTIFY")

    def read() -> Mapping[str, Mapping[str, str]]:
        found = read_institutions(settings.bootstrap, settings.topic_prefix + INSTITUTIONS)
        return {institution.code: institution.name for institution in found}

    names = RegistryNames(read)
    found: list[Sink] = [
        AlertmanagerSink(url, time.time, name="alertmanager" + (f"-{n}" if n else "")) for n, url in enumerate(urls)
    ]
    found.extend(AppriseSink(url, names, settings.language) for url in settings.notify)
    for sink in found:
        sink.setup()
    return found


def _delivery(settings: Settings, sink: Sink, metrics: DeskMetrics) -> Delivery:
    from alerts.delivery import Delivery, open_consumer
    from streams.clients import answering
    from streams.topics import ALERTS

    group = f"{settings.topic_prefix}{settings.group}.desk.{sink.name}"
    instance = f"{settings.instance}.desk" if settings.instance else ""
    with answering(settings.bootstrap):
        consumer = open_consumer(settings.bootstrap, group, instance)
    return Delivery(
        consumer,
        settings.topic_prefix + ALERTS,
        sink,
        metrics,
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


def watch(deliveries: list[Delivery], stop: threading.Event) -> list[str]:
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
