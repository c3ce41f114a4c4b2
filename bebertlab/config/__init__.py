"""Configuration: YAML with places, strict and complete checking, overrides, options classes to plain data and back."""
