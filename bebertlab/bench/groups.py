"""The rows of `bebertlab bench train` and of `bebertlab bench inference`, in the order in which they are measured."""

from __future__ import annotations

from bebertlab.bench.rows import (
    answers,
    cascade,
    concurrency,
    files,
    instructions,
    memory,
    parallel,
    precision,
    products,
    speed,
    steps,
    throughput,
)
from bebertlab.bench.suite import RowGroup

TRAINING = (
    RowGroup(specs=steps.SHORT, measure=steps.measure_short_steps),
    RowGroup(specs=steps.LONG, measure=steps.measure_long_steps),
    RowGroup(specs=throughput.THROUGHPUT, measure=throughput.measure_throughput),
    RowGroup(specs=steps.DISTILLATION, measure=steps.measure_distillation),
    RowGroup(specs=memory.PEAKS, measure=memory.measure_peaks),
    RowGroup(specs=memory.ALLOCATIONS, measure=memory.measure_allocations),
    RowGroup(specs=steps.OPTIMIZER, measure=steps.measure_optimizer),
    RowGroup(specs=precision.PRECISION, measure=precision.measure_precision),
    RowGroup(specs=precision.SCORE, measure=precision.measure_score),
    RowGroup(specs=throughput.FEEDING, measure=throughput.measure_feeding),
    RowGroup(specs=concurrency.CONCURRENCY, measure=concurrency.measure_concurrency),
    RowGroup(specs=throughput.GPU, measure=throughput.measure_gpu),
    RowGroup(specs=steps.COMPILE, measure=steps.measure_compile),
)

INFERENCE = (
    RowGroup(specs=speed.SPEED, measure=speed.measure_speed),
    RowGroup(specs=products.PRODUCTS, measure=products.measure_products),
    RowGroup(specs=parallel.PARALLEL, measure=parallel.measure_parallel),
    RowGroup(specs=instructions.INSTRUCTIONS, measure=instructions.measure_instructions),
    RowGroup(specs=cascade.CASCADE_ROWS, measure=cascade.measure_cascade),
    RowGroup(specs=answers.ANSWERS, measure=answers.measure_answers),
    RowGroup(specs=files.FILES, measure=files.measure_files),
)
