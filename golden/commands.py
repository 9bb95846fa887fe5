"""The commands of golden/run.sh. Every option is checked before PyTorch is loaded and before any work.

    golden/run.sh COMMAND [OPTIONS]        golden/run.sh COMMAND --help
"""

import argparse
import functools
import os
import re
import sys
import unittest
from pathlib import Path

import environment
import outputs
from constants import ABLATION_ARMS, EMBEDDING_WIDTHS
from outputs import BadInput

GOLDEN = Path(__file__).resolve().parent
PLANTED = GOLDEN / "fixtures-planted"
ABLATION_RESULTS = GOLDEN / "ablation/results.json"
HUB_ID = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise BadInput(f"{self.prog}: {message}")


def parse(argv):
    """The options of a command, checked; `run` in them is the function that does the work."""
    about = "Runs a program that uses PyTorch. `COMMAND --help` lists the options of a command."
    parser = Parser(prog="golden/run.sh", description=about)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    def add(name, about, run, check=None):
        sentence = f"{about[0].upper()}{about[1:]}."
        command = commands.add_parser(name, help=about, description=sentence, allow_abbrev=False)
        command.set_defaults(run=run, check=check)
        return command

    def add_out(command, default):
        about = f"folder to write (default: {os.path.relpath(default)})"
        command.add_argument("--out", type=path, default=default, help=about)

    add_out(add("write", "write the fixtures", run_write, check_write), GOLDEN / "fixtures")
    full = add("full", "write PyTorch's truth for the full-size models", run_full, check_full)
    add_out(full, GOLDEN / "full")
    full.add_argument("--preset", choices=EMBEDDING_WIDTHS, action="append", help="only this model (repeatable)")
    record = add("record", "record a golden file from a Hugging Face model", run_record, check_record)
    record.add_argument("--model", type=text, required=True, metavar="ID_OR_FOLDER", help="id on the Hub, or a folder")
    record.add_argument("--prompt", type=text, required=True, metavar="TEXT", help="text to run through the model")
    record.add_argument("--out", type=path, required=True, metavar="FILE", help="golden file to write")
    check = add("check", "compute the fixtures again and compare them", run_check, check_check)
    check.add_argument("--fixtures", type=path, default=GOLDEN / "fixtures", help="folder of the fixtures")
    planted = "plant bugs in the PyTorch model and record them in golden/fixtures-planted"
    add("planted", planted, run_planted, check_planted)
    add("check-hf", "prove `record` on golden/standin", run_check_hf)
    demo = add("train-demo", "train the demo model", run_train_demo, check_train_demo)
    add_out(demo, GOLDEN.parent / "models/demo")
    demo.add_argument("--steps", type=positive_integer, default=2000, help="training steps (default: 2000)")
    demo.add_argument("--seed", type=seed, default=1, help="seed of the random numbers (default: 1)")
    about = "train a model under each combination of conventions"
    conventions = add("train-conventions", about, run_train_conventions, check_conventions)
    add_out(conventions, GOLDEN / "conventions")
    ablation = add("ablation", "train small models on each kind of input codes", run_ablation, check_ablation)
    ablation.add_argument("--arm", choices=ABLATION_ARMS, action="append", help="only this arm (repeatable)")
    about = "only this seed (repeatable; default: 1 to 5)"
    ablation.add_argument("--seed", type=seed, action="append", help=about)
    ablation.add_argument("--resume", action="store_true", help="add the runs that OUT/results.json lacks")
    add_out(ablation, GOLDEN / "ablation/out")
    report = add("ablation-report", "write docs/ablation.md from the results; needs no PyTorch", run_ablation_report)
    about = f"results to report (default: {os.path.relpath(ABLATION_RESULTS)})"
    report.add_argument("--results", type=path, default=ABLATION_RESULTS, metavar="FILE", help=about)
    add_out(report, GOLDEN.parent / "docs")
    add("fit-gelu", "fit the polynomial of the GPU kernel gelu", run_fit_gelu)
    add("test", "test the command line; needs no PyTorch", run_test)
    add("test-ablation", "test the tables, pairing and measures of the ablation", run_test_ablation)
    add("test-recorder", "test the package in golden/recorder", run_test_recorder)

    if argv and not argv[0].startswith("-") and argv[0] not in commands.choices:
        raise BadInput(f"unknown command '{argv[0]}'; choose one of: {', '.join(commands.choices)}")
    arguments = parser.parse_args(argv)
    if arguments.check:
        arguments.check(arguments)
    return arguments


def text(value):
    if not value:
        raise argparse.ArgumentTypeError("must not be empty")
    return value


def path(value):
    return Path(text(value))


def positive_integer(value):
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) == 0:
        raise argparse.ArgumentTypeError(f"'{value}' is not a positive integer")
    return int(value)


def seed(value):
    if not re.fullmatch("[0-9]{1,18}", value):
        raise argparse.ArgumentTypeError(f"'{value}' is not a non-negative integer of at most 18 digits")
    return int(value)


def check_write(arguments):
    outputs.check_folder(arguments.out, outputs.fixtures_fault)


def run_write(arguments):
    from export import export

    with outputs.replacing_folder(arguments.out) as new:
        export(new)


def full_size_files(arguments):
    return {preset: arguments.out / f"{preset}.safetensors" for preset in arguments.preset or EMBEDDING_WIDTHS}


def check_full(arguments):
    """The folder may hold other files: `full` writes only its own."""
    outputs.check_folder(arguments.out, lambda folder: None)
    for preset, file in full_size_files(arguments).items() if arguments.out.exists() else ():
        is_own = functools.partial(outputs.is_full_size_truth, preset=preset)
        outputs.check_file(file, is_own, f"the truth of {preset}")


def run_full(arguments):
    from export_full import export_preset

    arguments.out.mkdir(exist_ok=True)
    for preset, file in full_size_files(arguments).items():
        with outputs.replacing_file(file) as new:
            export_preset(preset, new)
        print(f"golden: {preset} written", file=sys.stderr)


def check_record(arguments):
    outputs.check_file(arguments.out, outputs.is_recorded, "a recorded golden file")
    folder = Path(arguments.model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(f"--model {folder} has no config.json")
        if not [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]:
            raise BadInput(f"--model {folder} has neither *.safetensors nor pytorch_model*.bin")
    elif folder.exists() or not re.fullmatch(HUB_ID, arguments.model):
        raise BadInput(f"--model {folder} is neither a local folder nor the id of a model on the Hub")


def run_record(arguments):
    from record import record

    record(arguments.model, arguments.prompt, arguments.out)


def check_check(arguments):
    fault = outputs.manifest_fault(arguments.fixtures)
    if fault:
        raise BadInput(f"--fixtures {arguments.fixtures} cannot be compared: {fault}")


def run_check(arguments):
    from check import check

    check(arguments.fixtures)


def check_planted(arguments):
    outputs.check_folder(PLANTED, outputs.planted_fault)


def run_planted(arguments):
    from planted import export_planted

    with outputs.replacing_folder(PLANTED) as new:
        export_planted(new)


def run_check_hf(arguments):
    from check_hf import check_hf

    check_hf()


def check_train_demo(arguments):
    outputs.check_folder(arguments.out, outputs.demo_fault)


def run_train_demo(arguments):
    from train_demo import make_demo

    make_demo(arguments.out, arguments.steps, arguments.seed)


def check_conventions(arguments):
    outputs.check_folder(arguments.out, outputs.conventions_fault)


def run_train_conventions(arguments):
    from train_conventions import train_all

    with outputs.replacing_folder(arguments.out) as new:
        train_all(new)


def check_ablation(arguments):
    if arguments.out.exists() and not arguments.out.is_dir():
        raise BadInput(f"--out {arguments.out} is a file")
    if not arguments.out.absolute().parent.is_dir():
        raise BadInput(f"--out {arguments.out}: {arguments.out.parent} does not exist")
    file = arguments.out / "results.json"
    if file.exists() and not arguments.resume:
        raise BadInput(f"{file} exists: give --resume to add what it lacks, or another --out")


def run_ablation(arguments):
    from ablation.run import SEEDS, run

    run(arguments.out, arguments.arm or ABLATION_ARMS, arguments.seed or SEEDS)


def run_ablation_report(arguments):
    from ablation.report import write_report

    write_report(arguments.results, arguments.out)


def run_fit_gelu(arguments):
    from fit_gelu import fit_gelu

    fit_gelu()


def run_test(arguments):
    unittest.main(module=None, argv=["golden/run.sh test", "test_commands", "ablation.test_report"])


def run_test_ablation(arguments):
    unittest.main(module="ablation.test_arms", argv=["golden/run.sh test-ablation"])


def run_test_recorder(arguments):
    tests = str(GOLDEN / "recorder/tests")
    unittest.main(module=None, argv=["golden/run.sh test-recorder", "discover", "--start-directory", tests])


def main(argv):
    try:
        arguments = parse(argv)
        if arguments.command not in ("test", "ablation-report"):
            environment.enter(__file__, argv)
        arguments.run(arguments)
    except BadInput as error:
        print(f"golden: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
