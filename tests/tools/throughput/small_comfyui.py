"""A small server with ComfyUI's interface, on a port of its own: it runs nothing, and keeps nodes as it does.

``fault`` is what it does wrong, from the next request on.
"""

import base64
import gzip
import hashlib
import http.server
import io
import json
import re
import struct
import threading
import time
from urllib.parse import parse_qs, urlsplit

from PIL import Image

TYPES = {
    "Load": {"required": {"file": [["a.safetensors", "b.safetensors"], {}]}},
    "Picture": {"required": {"image": ["COMBO", {"options": ["x.png"]}]}},
    "Text": {"required": {"model": ["MODEL"], "text": ["STRING", {}]}},
    "Sample": {
        "required": {"model": ["MODEL"], "text": ["COND"], "seed": ["INT", {}]},
        "optional": {"image": ["IMAGE"]},
    },
    "Save": {"required": {"images": ["IMAGE"]}},
}
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
SERVICE_S = 0.02


def png(seed, side=8):
    content = io.BytesIO()
    Image.new("RGB", (side, side), (seed % 256, 100, 50)).save(content, "PNG")
    return content.getvalue()


class SmallComfyUI:
    """``with SmallComfyUI() as server``: its ``url``, ``fault``, and what came: ``asked``, ``prompts``, ``uploads``."""

    def __init__(self):
        self.fault, self.argv, self.asked, self.prompts = "", ["main.py", "--cpu"], [], []
        self.sockets, self.history, self.cache, self.freed, self.uploads = {}, {}, set(), 0, []
        self.over = threading.Event()
        handler = type("Handler", (Handler,), {"small": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads, self.server.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def say(self, client, kind, **data):
        frame(self.sockets[client], 1, json.dumps({"type": kind, "data": data}).encode())

    def run(self, asked):
        id, client, nodes = asked["prompt_id"], asked["client_id"], asked["prompt"]
        signed = {node: signature(node, nodes) for node in nodes}
        cached = [node for node in nodes if signed[node] in self.cache and self.fault != "forgets"]
        start = int(time.time() * 1000)
        self.say(client, "execution_start", prompt_id=id, timestamp=start)
        self.say(client, "execution_cached", prompt_id=id, nodes=cached)
        if self.fault == "closes":
            frame(self.sockets[client], 8, struct.pack("!H", 1011) + b"out of memory")
            return
        if self.fault == "fails":
            self.say(
                client, "execution_error", prompt_id=id, node_id="4", node_type="Sample", exception_message="no\nroom"
            )
            return
        if self.fault == "previews":
            frame(self.sockets[client], 2, b"\0\0\0\1" + png(0))
        time.sleep(SERVICE_S)
        self.cache |= set(signed.values())
        seed = next(node["inputs"]["seed"] for node in nodes.values() if node["class_type"] == "Sample")
        image = {"filename": f"{seed}.png", "subfolder": "", "type": "output"}
        said = [("execution_start", start), ("execution_success", start + int(SERVICE_S * 1000))]
        messages = [[kind, {"prompt_id": id, "timestamp": at}] for kind, at in said]
        self.history[id] = {"outputs": {"5": {"images": [image]}}, "status": {"messages": messages}}
        self.say(client, "executing", node=None, prompt_id=id)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True  # websockets begin with 1.1

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.answer("GET", b"")

    def do_POST(self):
        self.answer("POST", self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def answer(self, method, body):
        small, parts = self.small, urlsplit(self.path)
        small.asked.append(f"{method} {parts.path}")
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        if small.fault == "silent":
            small.over.wait(10)
        elif small.fault == "redirect":
            self.give(b"", 302, {"Location": "http://example.org/else"})
        elif small.fault == "garbage":
            self.give(b"<html>\x1b[31mhello</html>")
        elif small.fault == "huge":
            self.flood()
        elif small.fault == "packed":
            self.give(gzip.compress(bytes(16 << 20)), headers={"Content-Encoding": "gzip"})
        elif small.fault == "cut":
            self.give(b"", headers={"Connection": "close"}, length=99)
        else:
            name = "on_" + parts.path.strip("/").partition("/")[0]
            getattr(self, name, self.on_nothing)(query, body, parts.path.rpartition("/")[2])

    def on_nothing(self, query, body, last):
        self.give(b"not here", 404)

    def on_ws(self, query, body, last):
        self.listen(query["clientId"])

    def on_system_stats(self, query, body, last):
        system = {"comfyui_version": "0.0-small", "pytorch_version": "2.10.0", "argv": self.small.argv}
        self.say({"system": system, "devices": [{"name": "cpu", "type": "cpu"}]})

    def on_object_info(self, query, body, last):
        self.say({name: {"input": inputs} for name, inputs in TYPES.items()})

    def on_queue(self, query, body, last):
        self.say({"queue_running": [], "queue_pending": []})

    def on_upload(self, query, body, last):
        name = re.search(rb'filename="([^"]+)"', body)[1].decode()
        self.small.uploads.append(name)
        self.say({"name": name, "subfolder": "mic2e-bench", "type": "input"})

    def on_free(self, query, body, last):
        self.small.cache, self.small.freed = set(), self.small.freed + 1
        self.give(b"")

    def on_prompt(self, query, body, last):
        asked = json.loads(body)
        self.small.prompts.append(asked["prompt"])
        self.say({"prompt_id": asked["prompt_id"], "number": 1, "node_errors": {}})
        if self.small.fault != "slow":
            self.small.run(asked)

    def on_history(self, query, body, last):
        self.say({last: self.small.history[last]} if self.small.fault != "no history" else {})

    def on_view(self, query, body, last):
        seed = int(query["filename"].partition(".")[0])
        self.give(b"no picture" if self.small.fault == "no picture" else png(seed))

    def on_make(self, query, body, last):
        self.endpoint(body)

    def endpoint(self, body):
        """A plain endpoint: the pixel of what was sent, in JSON."""
        picture = png(7)
        if self.headers["Content-Type"].startswith("application/json"):
            asked = json.loads(body)
            picture = png(asked["seed"]) if base64.b64decode(asked["image"]).startswith(b"\x89PNG") else b""
        text = "data:image/png;base64," + base64.b64encode(picture).decode()
        self.say({"images": [{"data": text}], "timings": {"inference": 0.0001}})

    def say(self, value):
        self.give(json.dumps(value).encode())

    def give(self, body, status=200, headers=(), length=None):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def flood(self):
        """More than anybody should take in, for as long as somebody does."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while not self.small.over.is_set():
                self.wfile.write(bytes(1 << 20))
        except OSError:
            pass

    def listen(self, client):
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + MAGIC).encode()).digest()).decode()
        self.send_response(101)
        for key, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(key, value)
        self.small.sockets[client] = self.wfile  # before the client knows that it may ask
        self.end_headers()
        self.small.say(client, "status", status={"exec_info": {"queue_remaining": 0}})
        try:
            while not self.small.over.is_set():
                head = self.rfile.read(2)
                if not head or head[0] & 15 == 8:
                    break
        except OSError:
            pass
        self.close_connection = True


def frame(file, kind, content):
    """A message of this kind (1 text, 2 binary, 8 close) to a client."""
    length = bytes([len(content)]) if len(content) < 126 else b"\x7e" + struct.pack("!H", len(content))
    file.write(bytes([0x80 | kind]) + length + content)
    file.flush()


def signature(node, nodes):
    """A node's class with its inputs, those of its sources for a link: what the cache goes by."""
    inputs = {}
    for key, value in nodes[node]["inputs"].items():
        inputs[key] = signature(value[0], nodes) if isinstance(value, list) else value
    return json.dumps([nodes[node]["class_type"], inputs], sort_keys=True)
