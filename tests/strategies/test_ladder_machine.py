"""The ladder under any order of events: never two rungs at once, never more in flight than is owed, never stuck."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from strategies.handlers.ladder import SWEEP_PATIENCE
from tests.strategies.ladders import PRIMARY, Desk, order_delta, unhedged

D = Decimal
hundredths = st.integers(100, 20_000).map(lambda n: D(n) / 100)


class LadderMachine(RuleBasedStateMachine):
    """Fills, late fills, refusals, lost words and time, as they please."""

    @initialize(ratio=st.sampled_from(["1", "0.5", "2"]))
    def begin(self, ratio):
        self.desk = Desk(ratio=ratio)
        self.swept_at = None

    @rule(outcome=st.sampled_from(["yes", "no"]), action=st.sampled_from(["buy", "sell"]), size=hundredths)
    def primary_fills(self, outcome, action, size):
        self.watched(lambda: self.desk.fill_primary(f"{action} {outcome} {size} @ 0.55"))

    @precondition(lambda self: self.desk.open)
    @rule(which=st.integers(0, 5), share=st.integers(1, 4))
    def open_order_fills(self, which, share):
        held = self.desk.open[which % len(self.desk.open)]
        size = (held.remaining * share / 4).quantize(D("0.01"))
        self.watched(lambda: self.desk.fill(held, size or held.remaining))

    @precondition(lambda self: any(not held.is_open and held.remaining for held in self.desk.orders))
    @rule(which=st.integers(0, 20))
    def ended_order_fills_late(self, which):
        ended = [held for held in self.desk.orders if not held.is_open and held.remaining]
        self.watched(lambda: self.desk.fill(ended[which % len(ended)]))

    @precondition(lambda self: self.desk.open)
    @rule(which=st.integers(0, 5))
    def venue_ends_an_order(self, which):
        self.desk.end(self.desk.open[which % len(self.desk.open)])

    @precondition(lambda self: self.desk.open)
    @rule(
        which=st.integers(0, 5),
        slug=st.sampled_from(
            ["create_order_insufficient_collateral_balance", "create_order_market_not_trading", "bad"]
        ),
    )
    def venue_refuses_an_order(self, which, slug):
        self.desk.end(self.desk.open[which % len(self.desk.open)])
        self.watched(lambda: self.desk.look(rejected=slug))

    @precondition(lambda self: self.desk.open)
    @rule(which=st.integers(0, 5), status=st.sampled_from(["unknown", "accepted"]))
    def fate_of_an_order_changes(self, which, status):
        self.desk.open[which % len(self.desk.open)].status = status

    @rule(seconds=st.integers(1, 12), swept=st.booleans())
    def time_passes(self, seconds, swept):
        self.desk.wait(seconds)
        self.watched(lambda: self.desk.look(swept=swept), swept=swept)

    @rule()
    def person_starts_it_again(self):
        self.desk.wait(1)
        self.desk.change(strategy_changed_at=self.desk.now, strategy_state="active")

    def watched(self, happen, *, swept=False):
        """Let it happen; new orders must bring the need nearer to zero, and a new rung must have been waited for."""
        desk = self.desk
        before, flying = desk.row, list(desk.open)
        done = happen()
        ratio = desk.config.ratio
        need = done.update.need + sum(
            order_delta(order) * (ratio if order.account_id == PRIMARY else 1) for order in done.orders
        )
        assert abs(done.update.need) <= abs(need)
        assert not done.update.need or (done.update.need > 0) == (need > 0)
        if desk.row.rung > before.rung and desk.kind != "pause":
            assert not [held for held in flying if held.is_open], "an order of the rung before is still out"
            waited = before.rung_since is not None and desk.now - before.rung_since >= SWEEP_PATIENCE
            assert swept or waited, "nobody looked for late fills"

    @invariant()
    def place_on_the_ladder_exists(self):
        row, last = self.desk.row, len(self.desk.config.ladder) - 1
        assert 0 <= row.rung <= last
        assert row.next_rung is None or row.rung < row.next_rung <= last
        assert row.rung_owed >= 0

    def teardown(self):
        """Once the venue fills what it is sent, everything owed is hedged, or dust, or a person was called."""
        desk = self.desk
        for held in desk.open:
            held.status = "accepted"
        for _ in range(8):
            for held in desk.open:
                desk.fill(held)
            desk.run(3)
        if desk.row.reason in ("no_price", "ladder_paused"):
            return
        assert abs(unhedged(desk)) < 40
        assert not desk.open


LadderMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLadderMachine = LadderMachine.TestCase
