"""`python -m deploy.kafka [PORT]`: one broker in the foreground, until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from deploy.kafka.local import LocalKafka
from rules.problems import ConfigError, GuanlanError


def main(arguments: list[str]) -> int:
    """Run a broker on the port given (default 9092) until it ends or is interrupted; return the exit code."""
    try:
        if len(arguments) > 1 or not all(a.isdigit() and int(a) < 65_536 for a in arguments):
            raise ConfigError("usage: python -m deploy.kafka [PORT]; port 0 takes a free one")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with LocalKafka(int(arguments[0]) if arguments else 9092) as broker:
            print(f"{broker.description} serves {broker.bootstrap}; Ctrl-C stops it and forgets its data", flush=True)
            return broker.wait()
    except KeyboardInterrupt:
        return 130
    except GuanlanError as err:
        print(f"kafka: {err}", file=sys.stderr)
        return err.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
