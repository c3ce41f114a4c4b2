"""Training: options, loop, optimizers, schedule, selection of the best state, and the teacher."""
