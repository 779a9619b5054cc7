"""How the product writes dates: the same on every page, in the admin too. Named by FORMAT_MODULE_PATH."""
