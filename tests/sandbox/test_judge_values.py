"""Values, classes and objects that cross between a test and its program: right programs pass, wrong ones do not."""

from __future__ import annotations

import pytest

from sandbox.protocol import Runner, Status
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import judge
from tests.sandbox.pairs import PAIRS, Pair

ON = INTERPRETERS


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_right_program_passes_and_its_wrong_neighbour_fails(pool: Runner, pair: Pair) -> None:
    for program, passed in ((pair.right, True), (pair.wrong, False)):
        outcome = judge(
            pool, program, pair.test, kind=pair.kind, entry_point=pair.entry_point, prompt=pair.prompt
        )
        assert outcome.passed is passed, (program, outcome.error, outcome.detail)
        assert outcome.status is not Status.INFRA and not outcome.detail
