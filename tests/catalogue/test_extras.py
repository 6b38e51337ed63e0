"""Libraries that only some need."""

import json

import pytest

from p2pnet.catalogue.extras import import_extra
from p2pnet.errors import ConfigError


def test_a_library_that_is_there_is_imported() -> None:
    assert import_extra("json", "anything") is json


def test_of_one_that_is_not_it_is_said_how_to_get_it() -> None:
    with pytest.raises(ConfigError, match=r"needs no_such_library, .*pip install 'p2pnet\[nothing\]'"):
        import_extra("no_such_library.part", "nothing")
