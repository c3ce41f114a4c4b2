"""Training: batches, optimizer, loop, teacher, selection and prediction, the same on every path to a model."""
