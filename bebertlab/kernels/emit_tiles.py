"""Products of levels by AMX, which multiplies tiles of bytes: weights are read as bits and become bytes in the cache.

A tile of inputs has 16 tokens of 64 bytes, as they are in memory; a tile of weights has 16 rows of 4 columns of 16
outputs. One instruction adds the products of both to a tile of 16 tokens times 16 outputs. The bytes of 32 outputs are
made from their bit planes while the first tokens are multiplied, and read from the cache by all others.
"""

from __future__ import annotations

from bebertlab.kernels.emit import TOKENS, Emitter, Value

#: outputs whose weights are bytes at a time
GROUP_OUTPUTS = 32
#: columns that one instruction multiplies
STEP_COLUMNS = 64
#: tokens that are multiplied at a time
PAIR_TOKENS = 2 * TOKENS

_TILE_ROWS, _TILE_BYTES = 16, 1024
_STEP_BYTES = 2 * _TILE_BYTES  #: weights of a group
_MASK_BYTES = 8
_STEP_MASKS = 2 * _TILE_ROWS  #: of a plane of a group
_CONFIG_BYTES = 64
_COUNTS_BYTES = 4 * _TILE_BYTES  #: two tiles of tokens times two of outputs

TILE_PARAMETERS = (
    "levels",  # uint8 (pairs * 32, steps * 64)
    "masks",  # 64-bit words (groups, steps, planes, 2, 16): bit 4 i + j is that of output i and column j
    "planes",
    "low",  # levels of weights are low + spacing * index, in int8
    "spacing",
    "corrections",  # (groups * 32,) int32, are added to the sums
    "out",  # float32
    "stride",  # bytes from a token of `out` to the next
    "pairs",
    "steps",
    "groups",
    "workspace",
)


def workspace_bytes(columns: int) -> int:
    """Bytes of the workspace of a product over so many columns."""
    return _CONFIG_BYTES + _COUNTS_BYTES + (-(-columns // STEP_COLUMNS) + 1) * _STEP_BYTES


def emit_tiles(e: Emitter) -> None:
    """`multiply_tiles`: out = the sums over all columns of levels times weights, plus corrections."""
    if not e.amx:
        return
    with e.function("multiply_tiles", *TILE_PARAMETERS) as parameters:
        p = dict(zip(TILE_PARAMETERS, parameters, strict=True))
        p["counts"] = p["workspace"] + _CONFIG_BYTES
        p["weights"] = p["counts"] + _COUNTS_BYTES
        _configure(e, p["workspace"])
        with e.loop(p["groups"]) as group:
            masks = p["masks"] + group * p["steps"] * p["planes"] * (_STEP_MASKS * _MASK_BYTES)
            _expand(e, p, masks, e.number(e.i64, 0))
            with e.loop(p["pairs"]) as pair:
                with e.when(pair.equals(0)):
                    _multiply(e, p, pair, masks)
                with e.when(pair.differs_from(0)):
                    _multiply(e, p, pair, None)
                _store(e, p, group, pair)
        _call(e, "tilerelease")


def _expand(e: Emitter, p: dict[str, Value], masks: Value, step: Value) -> None:
    """The bytes of the weights of a group and a step; after the last step those of the last again, in spare memory."""
    bytes_, bits = e.vector(e.i8, STEP_COLUMNS), e.vector(e.ir.IntType(1), STEP_COLUMNS)
    low, spacing = (e.splat(p[name].cast("trunc", e.i8), STEP_COLUMNS) for name in ("low", "spacing"))
    high = low + spacing
    at = masks + step.minimum(p["steps"] - 1) * p["planes"] * (_STEP_MASKS * _MASK_BYTES)
    to = p["weights"] + step * _STEP_BYTES
    for row in range(_STEP_MASKS):
        mask = e.load(e.i64, at + row * _MASK_BYTES)
        e.store(mask.cast("bitcast", bits).select(high, low), to + row * STEP_COLUMNS)
    with e.loop(p["planes"] - 1) as index:
        plane = index + 1
        value = e.splat((p["spacing"] << plane).cast("trunc", e.i8), STEP_COLUMNS)
        for row in range(_STEP_MASKS):
            mask = e.load(e.i64, at + plane * (_STEP_MASKS * _MASK_BYTES) + row * _MASK_BYTES)
            address = to + row * STEP_COLUMNS
            added = mask.cast("bitcast", bits).select(value, e.number(bytes_, 0))
            e.store(e.load(bytes_, address) + added, address)


def _multiply(e: Emitter, p: dict[str, Value], pair: Value, expanded: Value | None) -> None:
    """The sums of a pair of blocks of tokens and a group of outputs; the next step is expanded before one is used."""
    for tile in range(4):
        _call(e, "tilezero", tile)
    token_bytes = p["steps"] * STEP_COLUMNS
    first = p["levels"] + pair * PAIR_TOKENS * token_bytes
    second = first + token_bytes * TOKENS
    with e.loop(p["steps"]) as step:
        if expanded is not None:
            _expand(e, p, expanded, step + 1)
        weights, offset = p["weights"] + step * _STEP_BYTES, step * STEP_COLUMNS
        _load_tile(e, 4, first + offset, token_bytes)
        _load_tile(e, 6, weights)
        _call(e, "tdpbusd", 0, 4, 6)
        _load_tile(e, 7, weights + _TILE_BYTES)
        _call(e, "tdpbusd", 1, 4, 7)
        _load_tile(e, 5, second + offset, token_bytes)
        _call(e, "tdpbusd", 2, 5, 6)
        _call(e, "tdpbusd", 3, 5, 7)
    for tile in range(4):
        _call(e, "tilestored64", tile, _pointer(e, p["counts"] + tile * _TILE_BYTES), e.i64(64))


def _store(e: Emitter, p: dict[str, Value], group: Value, pair: Value) -> None:
    corrections = [e.load(e.words, p["corrections"] + (group * GROUP_OUTPUTS + half * 16) * 4) for half in range(2)]
    out = p["out"] + pair * PAIR_TOKENS * p["stride"] + group * (GROUP_OUTPUTS * 4)
    for token in range(PAIR_TOKENS):
        block, row = divmod(token, _TILE_ROWS)
        for half in range(2):
            counts = p["counts"] + ((2 * block + half) * _TILE_BYTES + row * 64)
            sums = e.load(e.words, counts) + corrections[half]
            e.store(sums.cast("sitofp", e.floats), out + p["stride"] * token + half * 64)


def _configure(e: Emitter, workspace: Value) -> None:
    """All eight tiles with 16 rows of 64 bytes; each thread has its configuration."""
    sizes = [0] * _CONFIG_BYTES
    sizes[0] = 1  # the only palette
    sizes[16:32] = [64, 0] * 8
    sizes[48:56] = [_TILE_ROWS] * 8
    config = Value(e, e.ir.Constant(e.vector(e.i8, _CONFIG_BYTES), sizes))
    e.store(config, workspace)
    _call(e, "ldtilecfg", _pointer(e, workspace))


def _load_tile(e: Emitter, tile: int, address: Value, stride: Value | None = None) -> None:
    _call(e, "tileloadd64", tile, _pointer(e, address), e.i64(64) if stride is None else stride.raw)


def _pointer(e: Emitter, address: Value) -> object:
    return e.builder.inttoptr(address.raw, e.i8.as_pointer())


def _call(e: Emitter, instruction: str, *operands: object) -> None:
    """An instruction of AMX; numbers are those of tiles."""
    arguments = [e.i8(operand) if isinstance(operand, int) else operand for operand in operands]
    e.call_intrinsic(f"llvm.x86.{instruction}", arguments)
