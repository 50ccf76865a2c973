"""Kafka: wire formats, topics, the Faust app and its agents, metrics, submit, the embedded broker."""
