"""The site from its pages, by Zensical."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from website.pages import ROOT, site_pages

HERE: Final = Path(__file__).parent
CONFIG: Final = HERE / "mkdocs.yml"
WORKER: Final = "iframe-worker.js"
"""Lets pages that are opened as files search; Zensical's pages would load it from a network."""


def build_site(out: Path) -> None:
    """Write the site into a directory; CalledProcessError where a link leads nowhere."""
    with tempfile.TemporaryDirectory() as directory:
        project = Path(directory)
        for place, text in site_pages():
            page = project / "docs" / place
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        shutil.copytree(ROOT / "docs" / "figures", project / "docs" / "figures")
        shutil.copy(CONFIG, project)
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
        subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)
        _make_independent(project / "site")
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(project / "site", out)


def _make_independent(site: Path) -> None:
    """Have pages load their scripts from the site."""
    scripts = site / "assets" / "javascripts"
    shutil.copy(HERE / WORKER, scripts)
    shutil.copy(HERE / "iframe-worker.LICENSE", scripts)
    for page in site.rglob("*.html"):
        up = "../" * (len(page.relative_to(site).parts) - 1)
        text = page.read_text(encoding="utf-8")
        local = re.sub(r'src="https://[^"]*/iframe-worker/shim"', f'src="{up}assets/javascripts/{WORKER}"', text)
        page.write_text(local, encoding="utf-8")
