"""Real engines and every process of the product on one machine, started and stopped with one command.

Used by `make run`, by the tests and by `manage.py rehearse`. Knows only the standard library.
"""
