"""The parts of the benchmark: each module has `measure(setting)`, which yields rows."""

PARTS = {
    "engine": "the engine alone: no Kafka, no JSON",
    "decode": "decoding alone, for every encoding of filings",
    "worker": "the worker end to end, against the limit, on Apache Kafka and on the embedded broker",
    "baselines": "the same job by Faust, Quix Streams, Bytewax, a plain loop",
}
