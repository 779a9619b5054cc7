"""How exposed an exposure is, on its row and in its event, as real fills cover it."""

from datetime import timedelta

from accounts.models import Account
from strategies.announcements import exposure_changed
from strategies.dispatch import Dispatcher
from strategies.models import Exposure, Strategy
from strategies.specs import SpecBook
from tests.dispatch.conftest import NOW, KeepingSigner, connect, fill, inbox_of
from trading.enums import Outcome


async def test_exposure_tells_how_exposed_it_is(
    database_url: str, signer: KeepingSigner, strategy: Strategy, primary: Account, hedge: Account
) -> None:
    """Shares, seconds and dollars on the row and in the event, as fills cover them."""
    clock = [NOW]
    async with await connect(database_url) as conn:
        seeing = Dispatcher(conn, signer, SpecBook(), {}, lambda: clock[0])
        await seeing.dispatch(inbox_of(fill(primary, "t1")))
        (order,) = signer.sent
        clock[0] = NOW + timedelta(seconds=12)
        own = {"outcome": Outcome.NO, "price": "0.45", "order_hash": order.order_hash or "", "size": "40"}
        (partly,) = (await seeing.dispatch(inbox_of(fill(hedge, "t2", **own)))).evaluations
        told = exposure_changed(partly, clock[0]).data
        row = await Exposure.objects.aget()
        assert (row.unhedged, row.at_risk, row.unhedged_since) == (60, 33, NOW)
        assert (told.unhedged_shares, told.unhedged_seconds, told.dollars_at_risk) == (60, 12, 33)
        (whole,) = (await seeing.dispatch(inbox_of(fill(hedge, "t3", **{**own, "size": "60"})))).evaluations
        told = exposure_changed(whole, clock[0]).data
        assert (told.unhedged_shares, told.unhedged_seconds, told.dollars_at_risk) == (0, 0, 0)
