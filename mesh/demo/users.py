"""The service `users` of the mesh's demo: crashes, and answers with the traceback. users.py PORT"""

import http.server
import json
import sys
import time
import traceback

USERS = {"1": {"name": "Ada", "team": {"id": 7}}}


def load(user):
    return USERS[user]


def team_of(user):
    try:
        return load(user)["team"]
    except KeyError as error:
        raise LookupError(f"no team of user {user}") from error


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.answer(200, "application/json", json.dumps(team_of(self.path.split("/")[-1])))
        except LookupError:
            self.answer(500, "text/plain", traceback.format_exc())

    do_POST = do_GET

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Seen-Traceparent", self.headers.get("traceparent", ""))
        self.end_headers()
        self.wfile.flush()
        time.sleep(0.001)  # the body comes in parts
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
