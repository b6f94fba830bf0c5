"""Fetching by name, from a hub of our own on this machine; without a network the error says what to do."""

import json
import threading
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairseq_plugin.core.gpt2 import GPT2Config
from tests.reference.gpt2_reference import hugging_face_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def entry(path):
    content = path.read_bytes()
    return {"type": "file", "path": path.name, "size": len(content), "oid": sha1(content).hexdigest()}


@pytest.fixture
def hub(tmp_path):
    """A server that speaks what a download needs of the hub's protocol; yields (folder, environment)."""
    served = tmp_path / "served"
    hugging_face_model(
        GPT2Config(vocab_size=21, n_positions=12, n_embd=8, n_layer=2, n_head=2)
    ).save_pretrained(served)
    (served / "README.md").write_text("not wanted")
    (served / "64.tflite").write_text("not wanted")

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            _, _, file = self.path.partition(f"/ada/tiny/resolve/{COMMIT}/")
            if self.path.startswith("/api/models/ada/tiny/revision/"):
                self.answer(json.dumps({"_id": "1", "id": "ada/tiny", "sha": COMMIT}).encode())
            elif self.path.startswith(f"/api/models/ada/tiny/tree/{COMMIT}"):
                self.answer(json.dumps([entry(path) for path in served.iterdir()]).encode())
            elif file and (served / file).is_file():
                self.answer((served / file).read_bytes())
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if file else "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def answer(self, content):
            self.send_response(200)
            for name, value in (("X-Repo-Commit", COMMIT), ("ETag", f'"{sha1(content).hexdigest()}"')):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield (
        served,
        {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": tmp_path / "home",
        },
    )
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_by_name_and_checked(hub, run_script, tmp_path):
    _, environment = hub
    done = run_script(
        "convert_gpt2.py", "fetch", "ada/tiny", "--to", tmp_path / "models" / "tiny", env=environment
    )
    assert "2 layers x 8, 2 heads, 12 positions, 21 tokens (end token 20)" in done.stdout
    digest = sha256((tmp_path / "models" / "tiny" / "model.safetensors").read_bytes()).hexdigest()
    assert f"model.safetensors (SHA-256 {digest}); weights of this format have no checksum" in done.stdout
    files = {path.name for path in (tmp_path / "models" / "tiny").iterdir()}
    assert files == {"config.json", "generation_config.json", "model.safetensors"}


def test_a_model_that_is_not_ours_leaves_nothing_behind(hub, run_script, one_line_error, tmp_path):
    served, environment = hub
    values = json.loads((served / "config.json").read_text())
    (served / "config.json").write_text(json.dumps({**values, "model_type": "gptj"}))
    to = tmp_path / "models" / "tiny"
    one_line_error(
        run_script("convert_gpt2.py", "fetch", "ada/tiny", "--to", to, env=environment, check=False), "gptj"
    )
    one_line_error(
        run_script("convert_gpt2.py", "fetch", "ada/nobody", "--to", to, env=environment, check=False),
        "cannot fetch 'ada/nobody'",
    )
    assert list(to.parent.iterdir()) == []


def test_without_a_network_the_error_says_what_to_do(run_script, one_line_error, tmp_path):
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HOME": tmp_path / "home"}
    to = tmp_path / "gpt2"
    done = run_script("convert_gpt2.py", "fetch", "gpt2", "--to", to, env=environment, check=False)
    one_line_error(done, "cannot fetch 'gpt2'", "on a machine that has one and copy the folder here")
    assert not to.exists()
