"""The mail of docs/operators.md, as written there: plain text in both languages, and no page of Alertmanager's own."""

from __future__ import annotations

import email.policy
import queue
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.alerts.samples import episode
from tests.alerts.test_alertmanager import Desk
from tests.programs import Program, start_alertmanager

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy" / "alertmanager" / "guanlan.tmpl"
EXAMPLE = re.compile(r"A mail, with the template beside it:\n\n```yaml\n(.*?)```", re.DOTALL)
OWN = {
    "smarthost: mail.example.org:587": "smarthost: ADDRESS\n        require_tls: false",
    "        auth_username: guanlan\n": "",
    "        auth_password_file: /etc/alertmanager/mail-password\n": "",
    "group_by: [group]}": "group_by: [group], group_wait: 0s, group_interval: 1s}",
}
"""What is another here: where the server is, that it asks for no password, and that nobody waits."""

Received = queue.Queue[EmailMessage]


@contextmanager
def mail_server() -> Iterator[tuple[str, Received]]:
    """An SMTP server on loopback that takes everything; yield its address and what it took."""
    received: Received = queue.Queue()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                command = line[:4].upper()
                if command == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    received.put(message_from_bytes(b"".join(lines), EmailMessage, policy=email.policy.default))
                self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 fine\r\n")
                if command == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "{}:{}".format(*server.server_address[:2]), received
        server.shutdown()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Start Alertmanager with a configuration and the shipped template."""
    running: list[Program] = []

    def begin(config: str) -> Program:
        running.append(start_alertmanager(tmp_path, config, {TEMPLATE.name: TEMPLATE.read_text(encoding="utf-8")}))
        return running[-1]

    yield begin
    for program in running:
        program.kill()


@pytest.mark.needs("alertmanager")
def test_the_mail_of_the_page_is_plain_text_in_both_languages(start: Callable[[str], Program]) -> None:
    found = EXAMPLE.search((ROOT / "docs" / "operators.md").read_text(encoding="utf-8"))
    assert found is not None
    config = found[1]
    with mail_server() as (address, received):
        for written, here in OWN.items():
            assert written in config
            config = config.replace(written, here.replace("ADDRESS", address))
        desk = Desk(start(config))
        desk.tell(episode("CN001")[0])
        desk.run(1.0)
        mail = received.get(timeout=20)
    assert mail["To"] == "supervision@example.org"
    assert "CN001" in mail["Subject"]
    assert [part.get_content_type() for part in mail.walk() if not part.is_multipart()] == ["text/plain"]
    (text,) = (part.get_content() for part in mail.walk() if not part.is_multipart())
    assert "Bank of Jiangnan: LCR 97.3%, minimum 100%" in text
    assert "江南银行流动性覆盖率97.3%,监管要求100%" in text
    assert "监管依据：《商业银行流动性风险管理办法》" in text
