"""Apache Kafka on this machine: one KRaft broker on loopback, from the Maven artifact, without Docker."""
