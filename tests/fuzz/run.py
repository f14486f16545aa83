r"""Give everything that reads files, flags or labels some thousands of seeded bad inputs.

    python tests/fuzz/run.py
    KERAS_BACKEND=jax python tests/fuzz/run.py --domains labels --cases 500 --seed 3
    python tests/fuzz/run.py --domains images --first 417 --cases 1     # one case again

Each case must end in a result that is right or in a documented error of one line. Anything else is
printed with the command that repeats it: another error, a wrong result, a case that takes more than
a minute, an interpreter that dies. Each domain runs in a process of its own.
"""

import collections
import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from absl import app, flags

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tests" / "fuzz", ROOT / "tests", ROOT):
    sys.path.insert(0, str(folder))

# name: (module, cases)
DOMAINS = {
    "images": ("fuzz_images", 2500),
    "labels": ("fuzz_labels", 1000),
    "flags": ("fuzz_flags", 1500),
    "weights": ("fuzz_weights", 1200),
    "runs": ("fuzz_runs", 1200),
}
LONGEST_CASE = 60.0  # seconds
SHOWN = 10  # findings that are printed in full

flags.DEFINE_list("domains", list(DOMAINS), f"Of {', '.join(DOMAINS)}.")
flags.DEFINE_integer("cases", None, "Cases of each domain; its usual number if not given.", 1)
flags.DEFINE_integer("first", 0, "Number of the first case.", 0)
flags.DEFINE_integer("seed", 0, "Seed of all cases.", 0)
FLAGS = flags.FLAGS


def run_cases(domain: str, seed: int, first: int, cases: int, log) -> dict:
    """Run cases of a domain in this process.

    Args:
        domain: A name of `DOMAINS`.
        seed: Seed of all cases.
        first: Number of the first case.
        cases: How many.
        log: Called with the number of each case before it runs.

    Returns:
        How often each outcome occurred, and the `(number, traceback)` of the findings.
    """
    counts, findings = collections.Counter(), []
    keras.utils.set_random_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        case = __import__(DOMAINS[domain][0]).make(Path(folder))
        for number in range(first, first + cases):
            log(number)
            rng = np.random.default_rng([seed, list(DOMAINS).index(domain), number])
            try:
                counts[case(rng)] += 1
            except Exception:
                findings.append((number, traceback.format_exc()))
    return {"counts": dict(counts), "findings": findings}


def work(domain: str, seed: int, first: int, cases: int, report: Path) -> None:
    """Body of a domain's process: keeps the number of the case that runs in a file."""
    progress = report.with_suffix(".number")

    def log(number: int) -> None:
        progress.write_text(str(number))
        faulthandler.dump_traceback_later(LONGEST_CASE, exit=True)

    found = run_cases(domain, seed, first, cases, log)
    faulthandler.cancel_dump_traceback_later()
    report.write_text(json.dumps(found))


def main(_) -> None:
    """Run the domains, print what came out and what was found."""
    found = 0
    for domain in FLAGS.domains:
        cases = FLAGS.cases or DOMAINS[domain][1]
        first, last = FLAGS.first, FLAGS.first + cases
        counts, findings = collections.Counter(), []
        began = time.perf_counter()
        while first < last:
            with tempfile.TemporaryDirectory() as folder:
                report = Path(folder, "report.json")
                arguments = (domain, FLAGS.seed, first, last - first, str(report))
                done = subprocess.run(
                    [sys.executable, __file__, "work", *map(str, arguments)],
                    capture_output=True,
                    text=True,
                )
                if report.is_file():
                    result = json.loads(report.read_text())
                    first = last
                else:
                    # The process died or hung; the cases before are run again without it.
                    number = int(report.with_suffix(".number").read_text())
                    findings.append((number, f"exit {done.returncode}\n{done.stderr[-3000:]}"))
                    result = {"counts": {"lost with a process that died": number - first}}
                    first = number + 1
            counts.update(result["counts"])
            findings += result.get("findings", [])
        seconds = time.perf_counter() - began
        print(f"{domain}: {cases} cases, {len(findings)} findings, {seconds:.0f} s")
        for kind, count in sorted(counts.items()):
            print(f"    {count:6}  {kind}")
        for number, text in findings[:SHOWN]:
            command = f"--domains {domain} --seed {FLAGS.seed} --first {number} --cases 1"
            print(f"  FOUND by {command}\n{text}")
        found += len(findings)
    sys.exit(f"Error: {found} findings" if found else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        name, *numbers, path = sys.argv[2:]
        work(name, *map(int, numbers), Path(path))
    else:
        app.run(main)
