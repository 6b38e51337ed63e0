"""Write the files in tests/golden anew, from what the present code computes, sends and shows.

Only where that has been changed on purpose: what `git diff tests/golden` then shows is what others will notice.
"""

import argparse

from golden import frames, outcomes, store, surfaces

RECORDERS = {
    "frames": lambda: frames.record(store.load("frames")),
    "outcomes": outcomes.record,
    "surfaces": surfaces.record,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=RECORDERS, help="the one file to write; default: all")
    only = parser.parse_args().only
    for name in [only] if only else RECORDERS:
        store.save(name, RECORDERS[name]())
        print(f"{name}.json written")


if __name__ == "__main__":
    main()
