"""An OpenAI-compatible endpoint on loopback that answers from a script."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = tuple[int, dict[str, str], object]


def chat(text: str = "hello", model: str = "served-model", finish: str = "stop") -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return (
        200,
        {},
        {"id": "x", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage},
    )


class Endpoint:
    """Answers from a script, its last line for ever; keeps what it was asked and when."""

    def __init__(self, *script: Reply, port: int = 0) -> None:
        self.script, self.bodies, self.times, self.headers = list(script), [], [], []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                endpoint.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                endpoint.times.append(time.monotonic())
                endpoint.headers.append(dict(self.headers))
                status, headers, body = endpoint.reply(endpoint.bodies[-1])
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {
                    **headers,
                    "content-type": "application/json",
                    "content-length": str(len(content)),
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def reply(self, body: dict[str, object]) -> Reply:
        """The next line of the script."""
        return self.script[0] if len(self.script) == 1 else self.script.pop(0)
