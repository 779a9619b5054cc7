"""Fault rules as a person writes them; the command and the page that set them at a paper venue."""

from io import StringIO
from typing import Any, get_args

import pytest
from django.core.management import CommandError, call_command

from paper.faults import FaultKind
from strategies.fault_rules import KINDS, parse_rule, write_rule
from strategies.paper_venue import PaperVenue
from trading.enums import Mode
from trading.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("http_5xx", {"kind": "http_5xx"}),
        ("latency_ms=400@0.2", {"kind": "latency_ms", "ms": 400, "probability": 0.2}),
        ("clock_skew_ms=-3000", {"kind": "clock_skew_ms", "ms": -3000}),
        ("drop_events:3", {"kind": "drop_events", "count": 3}),
    ],
)
def test_rule_is_read_and_written_back(text: str, rule: dict[str, Any]) -> None:
    assert parse_rule(text) == rule
    assert write_rule(rule) == text


@pytest.mark.parametrize("text", ["", "earthquake", "latency_ms=", "http_5xx@1.5", "http_5xx@0.2x"])
def test_nonsense_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"no rule|no fault"):
        parse_rule(text)


def test_every_kind_of_the_venue_is_explained() -> None:
    assert set(KINDS) == set(get_args(FaultKind))


@pytest.fixture
def paper_venue(venue_url: str, settings: Any) -> PaperVenue:
    settings.PREDICT_API_URL = venue_url
    return PaperVenue(venue_url)


def test_command_sets_shows_and_clears(paper_venue: PaperVenue) -> None:
    out = StringIO()
    call_command("faults", "set", "latency_ms=5@0.5", "drop_events:2", stdout=out)
    call_command("faults", stdout=out)
    assert out.getvalue().count("latency_ms=5@0.5") == 2
    call_command("faults", "clear", stdout=out)
    assert "the venue behaves" in out.getvalue()
    assert paper_venue.load_faults() == []


def test_live_desk_sets_no_faults(settings: Any) -> None:
    settings.MODE, settings.LIVE = Mode.LIVE, True
    with pytest.raises(CommandError, match="live mode"):
        call_command("faults", "clear")


def test_admin_sets_faults_on_their_page(paper_venue: PaperVenue, client: Any, operator: Any) -> None:
    client.force_login(operator)
    said = client.post("/faults/", {"rules": "http_429@0.1\nws_drain=200"}, follow=True)
    assert "2 fault rules stand" in said.content.decode()
    assert "no fault; known" in client.post("/faults/", {"rules": "earthquake"}).content.decode()
    client.post("/faults/", {"rules": ""})
    assert paper_venue.load_faults() == []


def test_viewer_sees_no_faults_page(settings: Any, client: Any, viewer: Any) -> None:
    client.force_login(viewer)
    assert client.get("/faults/").status_code == 403
