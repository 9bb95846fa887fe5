"""Reads files with Python's safetensors and tokenizers, to compare with: one request and one answer a line, as JSON."""

import base64
import json
import sys

import safetensors
import tokenizers


def read_safetensors(data):
    tensors = safetensors.deserialize(base64.b64decode(data))
    return {name: {"dtype": x["dtype"], "shape": x["shape"], "data": base64.b64encode(bytes(x["data"])).decode()} for name, x in tensors}


def encode(data):
    return tokenizers.Tokenizer.from_str(data["tokenizer"]).encode(data["text"]).ids


COMMANDS = {"safetensors": read_safetensors, "encode": encode}

for line in sys.stdin:
    command, data = json.loads(line)
    try:
        answer = {"value": COMMANDS[command](data)}
    except Exception as error:
        answer = {"error": str(error)[:200]}
    print(json.dumps(answer), flush=True)
