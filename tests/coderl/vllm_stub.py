"""What coderl asks of a vLLM server, answered by transformers: for tests that are not about vLLM."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tasks.types import CallTest, Task, Verdict


def broken_programs(count: int) -> list[Task]:
    """Tasks whose completions by a random model are programs with all kinds of errors."""
    calls = (CallTest(function="f", args=(1,), expected=1),)
    return [
        Task(
            id=f"t{i}",
            prompt=f"def f(x):\n    return {i} + x",
            tests=calls,
            style="complete",
            entry_point="f",
        )
        for i in range(count)
    ]


def reward(verdict: Verdict) -> float:
    """Differs with the error, so that there is something to learn."""
    return zlib.crc32(repr((verdict.passed, verdict.phase, verdict.error)).encode()) % 5 / 4


class Stub:
    """`publishes`: how often weights came. Sampling fails once there were as many as `fails_after`."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.publishes = 0
        self.fails_after: int | None = None
        self._lock = threading.Lock()

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        with self._lock:
            if path == "/v1/completions":
                return self._complete(body)
            if path == "/collective_rpc":
                self.model.load_state_dict(load_file(f"{body['kwargs']['weights_path']}/model.safetensors"))
                self.publishes += 1
        return {
            "/v1/models": {"data": [{"id": "stub", "max_model_len": 512}]},
            "/server_info": {"vllm_config": {"model_config": {"logprobs_mode": "processed_logprobs"}}},
            "/collective_rpc": {"results": [None]},
            "/reset_prefix_cache": {"success": True},
        }[path]

    @torch.no_grad()
    def _complete(self, body: dict[str, Any]) -> Any:
        if self.publishes == self.fails_after:
            return None
        generator = torch.Generator().manual_seed(body["seed"])
        tokens: list[int] = []
        logprobs: list[float] = []
        while len(tokens) < body["max_tokens"] and not set(tokens) & set(body["stop_token_ids"]):
            logits = self.model(input_ids=torch.tensor([body["prompt"] + tokens])).logits[0, -1]
            logp = torch.log_softmax(logits / body["temperature"], -1)
            tokens.append(int(torch.multinomial(logp.exp(), 1, generator=generator)))
            logprobs.append(float(logp[tokens[-1]]))
        reason = "stop" if set(tokens) & set(body["stop_token_ids"]) else "length"
        choice = {"token_ids": tokens, "logprobs": {"token_logprobs": logprobs}, "finish_reason": reason}
        return {"choices": [choice]}


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(text) if text else {})

        def _answer(self, body: dict[str, Any]) -> None:
            answer = stub.answer(self.path.partition("?")[0], body)
            text = json.dumps(answer).encode()
            with suppress(ConnectionError):  # whoever asked has left
                self.send_response(200 if answer else 500)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
