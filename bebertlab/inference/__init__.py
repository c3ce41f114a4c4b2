"""Predictions of a model without gradients."""
