"""Ids are pure functions of what they name."""

from uuid import UUID, uuid4

from trading.ids import deterministic_uuid, hedge_order_id, id_from, id_text

STRATEGY, PAIR = UUID(int=1), UUID(int=2)


def test_parts_do_not_run_into_each_other():
    assert deterministic_uuid("ab", "c") != deterministic_uuid("a", "bc")


def test_hedge_is_named_by_everything_it_follows_from():
    named = hedge_order_id(STRATEGY, PAIR, "123", "fill:t1:matched", 0, 2)

    assert named == deterministic_uuid("hedge", str(STRATEGY), str(PAIR), "123", "fill:t1:matched", "0", "2")
    assert named != hedge_order_id(STRATEGY, PAIR, "123", "fill:t1:matched", 1, 2)


def test_ids_stay_what_they_always_were():
    # Orders at the venue carry salts that follow from them.
    assert deterministic_uuid("a", "bc") == UUID("b534ce16-ac9c-8b36-823f-39a395ce8e0e")


def test_known_id_comes_back_from_its_text():
    account = uuid4()

    assert id_from(id_text(account)) == account
