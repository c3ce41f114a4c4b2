"""The checks of `bebertlab doctor`."""
