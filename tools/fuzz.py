"""Fuzz one target, guided by coverage, from the corpus that is kept.

    .venv/bin/python tools/fuzz.py message --seconds 600       # needs: pip install atheris

Input that raises a foreign error, or takes over ten seconds, is left as `crash-…` or `timeout-…` in build/fuzzing/NAME.
Mend the cause, and keep the input in tools/fuzzing/corpus/NAME, where tests/fuzzing replays it.
"""

import argparse
import shutil
import sys
from pathlib import Path

OUT = Path("build") / "fuzzing"


def main() -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("tools/fuzz.py needs atheris: pip install atheris")
    # What is not p2pnet's own is taken as it is: to follow it as well takes minutes before the first input is tried.
    with atheris.instrument_imports(include=["p2pnet"]):
        from fuzzing.targets import TARGETS, seeds
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    work = OUT / options.target
    corpus = work / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds(options.target):
        shutil.copy(seed, corpus)
    arguments = [f"-max_total_time={options.seconds}", "-timeout=10", "-rss_limit_mb=4096", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *arguments, f"-artifact_prefix={work}/", str(corpus)], TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
