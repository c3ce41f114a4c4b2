"""The rows by topic: each file has their specifications and the generators that measure them."""
