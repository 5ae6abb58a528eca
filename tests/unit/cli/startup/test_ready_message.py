from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from cli.startup.ready_message import announce_when_ready


@pytest.mark.parametrize("body", [b'{"data": []}', b'{"data": [{}]}', b"[1]", b"no JSON"])
async def test_no_answer_about_models_ends_what_runs_beside_the_message(body: bytes):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}" if self.path == "/ready" else body)

        def log_message(self, format: str, *args: object):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        await announce_when_ready(f"http://127.0.0.1:{server.server_port}", ["m"])
        server.shutdown()
