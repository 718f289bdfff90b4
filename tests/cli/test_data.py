"""`wdsr data`, where it is called wrongly."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Wdsr
from tests.cli.files import one_line


@pytest.mark.parametrize("url", ["foo", "http://[bad"])
def test_a_mirror_that_is_no_address(wdsr: Wdsr, url: str) -> None:
    ran = wdsr("data", "div2k", "--url", url)
    one_line(ran, f"{url}/DIV2K_train_HR.zip: no address", "url is to be like http://")
    assert ran.code == 2
