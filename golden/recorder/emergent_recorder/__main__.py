"""The command:  python -m emergent_recorder --hf DIR --prompt TEXT --out FILE"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from .errors import BadInput
from .golden_file import check_out
from .hugging_face import record_hf


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(message)


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="emergent_recorder",
        allow_abbrev=False,
        description="Records a golden file from a Hugging Face checkpoint, with the code that comes with it.",
    )
    parser.add_argument(
        "--hf", type=Path, required=True, metavar="DIR", help="folder of the checkpoint; its code is run"
    )
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="text to run through the model")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="golden file to write")
    try:
        options = parser.parse_args(argv)
        check_out(options.out)
        print(record_hf(options.hf, options.prompt, options.out))
    except BadInput as error:
        print(f"emergent_recorder: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
