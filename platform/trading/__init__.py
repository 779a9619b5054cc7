"""The kernel: words and rules of the trade. Pure, frozen, Decimal only; knows neither Django nor any I/O."""
