"""The shapes of other libraries, for those who come from them."""
