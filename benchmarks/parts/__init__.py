"""The parts of the benchmark: each module has `measure(setting)`, which yields rows."""

PARTS = {
    "engine": "the engine alone: no Kafka, no JSON",
    "decode": "decoding alone, for every encoding of filings",
    "worker": "the worker end to end, against the limit, on Apache Kafka and on the embedded broker",
    "burst": "month's end: the whole sector files at once",
    "latency": "from filing to alert at 1, 10, 50 and 90 % load",
    "exporter": "a scrape of /metrics with the whole sector",
    "recovery": "killed with 40 quarters of the sector in its state; memory",
    "memory": "memory by institution and by rule",
    "growth": "cost as institutions, indicators and rules grow",
    "scale_out": "one, two and four workers",
    "network": "network measures of a whole sector",
    "baselines": "the same job by Faust, Quix Streams, Bytewax, a plain loop",
}
