"""The documentation as a site: all pages are there, links lead somewhere, nothing is loaded from elsewhere."""

import re
from pathlib import Path

import pytest

from p2pnet.cli.commands import COMMANDS
from p2pnet.config import Settings
from website.build import CONFIG, build_site
from website.pages import commands_page, settings_page, site_pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; its builder fails where a link or an anchor leads nowhere, or a page stands in no menu."""
    pytest.importorskip("zensical", reason="zensical is not installed (scripts/install test)")
    out = tmp_path_factory.mktemp("site")
    build_site(out)
    return out


def test_every_page_is_there(site: Path) -> None:
    for place, _ in site_pages():
        name = "adr/index.html" if place.name == "README.md" else place.with_suffix(".html").as_posix()
        assert (site / name).stat().st_size > 5_000, name


def test_every_page_is_in_the_menu_or_in_the_list_of_decisions() -> None:
    menu = CONFIG.read_text(encoding="utf-8")
    pages = [place.as_posix() for place, _ in site_pages() if place.parent.name != "adr"]
    assert [page for page in pages if f": {page}\n" not in menu] == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|source)[^>]* src="([^"]+)"', page.read_text(encoding="utf-8"))
        loaded += re.findall(
            r'<link[^>]* rel="(?:stylesheet|preload)"[^>]* href="([^"]+)"', page.read_text(encoding="utf-8")
        )
        assert [url for url in loaded if "://" in url or url.startswith("//")] == [], page.name


def test_search_works_without_a_server(site: Path) -> None:
    assert (site / "search.js").is_file()


def test_every_setting_is_on_its_page() -> None:
    page = settings_page()
    for name, section in Settings.model_fields.items():
        for key in section.annotation.model_fields:  # type: ignore[union-attr]
            assert f"| `{key}` {{ #{name}-{key} }} |" in page


def test_every_command_is_on_its_page() -> None:
    page = commands_page()
    for name in COMMANDS:
        assert f"## p2pnet {name}\n" in page
        assert f"Usage: p2pnet {name} " in page
