"""Records a golden file from any model that transformers can load, with the author's own code:

    golden/run.sh record --model ID_OR_FOLDER --prompt TEXT --out FILE.safetensors

Downloads the model. The package in recorder/ does the rest.
"""

import sys
from pathlib import Path

from huggingface_hub import snapshot_download

from outputs import BadInput, replacing_file

sys.path.insert(0, str(Path(__file__).parent / "recorder"))

import emergent_recorder
from emergent_recorder.hugging_face import record_hf
from emergent_recorder.recorder import blaming


def record(source, prompt, out):
    name = f"--model {source}"
    try:
        with blaming(f"{name} cannot be downloaded"):
            folder = Path(source if Path(source).is_dir() else snapshot_download(source))
        with replacing_file(out) as new:
            report = record_hf(folder, prompt, new, name)
    except emergent_recorder.BadInput as error:
        raise BadInput(str(error)) from error
    report.out = out
    print(report)
