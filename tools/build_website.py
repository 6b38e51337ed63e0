"""Build the documentation site, which needs no network to be read.

    .venv/bin/python tools/build_website.py [OUT]        # default: build/website

Needs `scripts/install docs` (or test). A link that leads nowhere is an error.
"""

import argparse
from pathlib import Path

from website.build import build_site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=Path("build/website"))
    out = parser.parse_args().out
    build_site(out)
    print(f"open {out / 'index.html'}")


if __name__ == "__main__":
    main()
