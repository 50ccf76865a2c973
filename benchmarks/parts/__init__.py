"""The parts of the benchmark: each module has `measure(setting)`, which yields rows."""

PARTS = {
    "engine": "the engine alone: no Kafka, no JSON",
    "decode": "decoding alone, for every encoding of filings",
    "baselines": "end to end: the worker, the limit, Faust, Quix Streams, Bytewax, a plain loop",
    "encodings": "end to end: the worker in every encoding, and on the embedded broker",
    "burst": "month's end: the whole sector files at once",
    "latency": "from filing to alert at 1, 10, 50 and 90 % load",
    "exporter": "a scrape of /metrics with the whole sector",
    "recovery": "killed with 40 quarters in its state",
    "memory": "memory by institution and by rule",
    "growth": "cost as institutions, indicators and rules grow",
    "scale_out": "one, two and four workers",
    "system": "the system agent: cross-section, rules among peers",
    "network": "network measures of a whole sector",
}
EXTRA = {"worker": "end to end: the worker and the limit only"}
"""Not run by default: contained in another part."""
