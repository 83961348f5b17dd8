"""What the settings ask for: nonsense in them is refused, whether or not it would be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from birdbath import trial
from birdbath.doctor import Verdict, examine
from birdbath.notify.services import add_services
from birdbath.settings import InvalidSettings, load_settings
from tests.notify.house import Open

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("broker", [{}, {"amqp_url": "amqp://127.0.0.1:9/"}])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"amqp_form": "yaml"}, "^amqp_form: No event form 'yaml'"),
        ({"amqp_topics": ("job.hold.#",)}, "^amqp_topics: .*there is no event 'hold'"),
        ({"amqp_constraint": "HoldReasonCode =="}, "^amqp_constraint: The constraint is"),
        ({"amqp_url": "http://127.0.0.1"}, "^amqp_url: The broker's address must be like"),
        ({"smtp_server": "host:port"}, "^smtp_server is host or host:port"),
        ({"amqp_constraint": "false"}, ""),
    ],
)
async def test_nonsense_is_said_at_once(
    house: Open,
    engine: Engine,
    settings: dict[str, Any],
    said: str,
    broker: dict[str, Any],
    tmp_path: Path,
) -> None:
    wanted = load_settings(None, **{**broker, **settings}, home=tmp_path)
    async with house() as opened:
        if not said:
            trial.check(wanted)
            add_services(opened.notifier, wanted, engine)
            assert ("AMQP relay" in opened.notifier.services) == bool(broker)
            return
        with pytest.raises(InvalidSettings, match=said):
            add_services(opened.notifier, wanted, engine)
        assert opened.notifier.services == {}
    with pytest.raises(InvalidSettings, match=said):
        trial.check(wanted)
    bad = {finding.part for finding in examine(wanted) if finding.verdict is Verdict.BAD}
    assert ("mail" if "smtp_server" in settings else "broker") in bad
