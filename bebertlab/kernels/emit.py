"""Vector code as LLVM IR, written with Python's operators.

A `Value` is a scalar or a vector of `TOKENS` lanes, one lane a token. LLVM splits a vector into as many registers as it
takes: one of AVX-512, two of AVX2, four of NEON. Addresses are 64-bit integers, so that a kernel's parameters are plain
integers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: tokens of a block: what one vector holds
TOKENS = 16
#: weight rows of a tile: what one pass over a block of inputs is multiplied with
ROWS = 8
#: bits of a packed word
WORD = 32

Number = int | float
#: a type or value of llvmlite, which has no type hints
Raw = Any


class Value:
    """An LLVM value; operators emit instructions, and a number on the right stands for a vector or scalar of it."""

    __slots__ = ("emitter", "raw")

    def __init__(self, emitter: Emitter, raw: Raw) -> None:
        self.emitter, self.raw = emitter, raw

    @property
    def type(self) -> Raw:
        """The LLVM type."""
        return self.raw.type

    def _binary(self, integer: str, floating: str | None, other: Value | Number) -> Value:
        right = self.emitter.number(self.type, other) if isinstance(other, (int, float)) else other
        name = floating if floating is not None and self.emitter.is_float(self.type) else integer
        return Value(self.emitter, getattr(self.emitter.builder, name)(self.raw, right.raw))

    def __add__(self, other: Value | Number) -> Value:
        return self._binary("add", "fadd", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self._binary("sub", "fsub", other)

    def __mul__(self, other: Value | Number) -> Value:
        return self._binary("mul", "fmul", other)

    def __truediv__(self, other: Value) -> Value:
        return self._binary("fdiv", "fdiv", other)

    def __and__(self, other: Value | int) -> Value:
        return self._binary("and_", None, other)

    def __or__(self, other: Value | int) -> Value:
        return self._binary("or_", None, other)

    def __xor__(self, other: Value | int) -> Value:
        return self._binary("xor", None, other)

    def __lshift__(self, other: Value | int) -> Value:
        return self._binary("shl", None, other)

    def __rshift__(self, other: Value | int) -> Value:
        """Logical: zeros come in from the left."""
        return self._binary("lshr", None, other)

    def __lt__(self, other: Value | Number) -> Value:
        """Of signed integers, or floats; one bit a lane."""
        right = self.emitter.number(self.type, other) if isinstance(other, (int, float)) else other
        compare = "fcmp_ordered" if self.emitter.is_float(self.type) else "icmp_signed"
        return Value(self.emitter, getattr(self.emitter.builder, compare)("<", self.raw, right.raw))

    def differs_from(self, number: int) -> Value:
        """Where an integer is not a number; one bit a lane."""
        right = self.emitter.number(self.type, number)
        return Value(self.emitter, self.emitter.builder.icmp_signed("!=", self.raw, right.raw))

    def equals(self, number: int) -> Value:
        """Where an integer is a number; one bit a lane."""
        right = self.emitter.number(self.type, number)
        return Value(self.emitter, self.emitter.builder.icmp_signed("==", self.raw, right.raw))

    def select(self, yes: Value, no: Value) -> Value:
        """Of one bit: `yes` where it is set, else `no`."""
        return Value(self.emitter, self.emitter.builder.select(self.raw, yes.raw, no.raw))

    def minimum(self, other: Value) -> Value:
        """The smaller of two signed integers."""
        return (self < other).select(self, other)

    def maximum(self, other: Value) -> Value:
        """The larger of two signed integers, or floats; `other` where either is NaN."""
        return (other < self).select(self, other)

    def divide(self, number: int) -> Value:
        """The quotient of an unsigned integer, rounded down."""
        return Value(self.emitter, self.emitter.builder.udiv(self.raw, self.emitter.number(self.type, number).raw))

    def popcount(self) -> Value:
        """The number of set bits of each lane."""
        return self.emitter.intrinsic("llvm.ctpop", self.type, self)

    def push_sign_of(self, other: Value) -> Value:
        """Shifted left by one bit, the sign bit of `other` coming in on the right."""
        return self.emitter.intrinsic("llvm.fshl", self.type, self, other, self.emitter.number(self.type, 1))

    def plus_square_of(self, other: Value) -> Value:
        """Of doubles; the square must be exact, since it is not rounded on every CPU."""
        return self.emitter.intrinsic("llvm.fmuladd", self.type, other, other, self)

    def square_root(self) -> Value:
        """Of floats."""
        return self.emitter.intrinsic("llvm.sqrt", self.type, self)

    def cast(self, instruction: str, type_: Raw) -> Value:
        """Converted by a cast of LLVM: `bitcast`, `zext`, `trunc`, `sitofp`, `fpext`, `fptrunc`."""
        return Value(self.emitter, getattr(self.emitter.builder, instruction)(self.raw, type_))

    def lanes(self, *indices: int, second: Value | None = None) -> Value:
        """The lanes of these indices, counted on into `second`."""
        e = self.emitter
        mask = e.ir.Constant(e.vector(e.i32, len(indices)), list(indices) if any(indices) else None)
        other = self if second is None else second
        return Value(e, e.builder.shuffle_vector(self.raw, other.raw, mask))


class Variable:
    """A value that changes; LLVM keeps it in a register."""

    __slots__ = ("_emitter", "_slot")

    def __init__(self, emitter: Emitter, start: Value) -> None:
        self._emitter, self._slot = emitter, emitter.allocate(start.type)
        self.value = start

    @property
    def value(self) -> Value:
        """What it is at this point of the code."""
        return Value(self._emitter, self._emitter.builder.load(self._slot))

    @value.setter
    def value(self, value: Value) -> None:
        self._emitter.builder.store(value.raw, self._slot)


class Emitter:
    """Writes the functions of one LLVM module."""

    def __init__(self, *, native_popcount: bool, tile_rows: int, amx: bool = False) -> None:
        from llvmlite import ir

        self.ir: Raw = ir
        self.module: Raw = ir.Module("bebertlab")
        self.builder: Raw = None
        self.native_popcount = native_popcount  #: the CPU counts the bits of 32-bit lanes in one instruction
        self.tile_rows = tile_rows  #: rows of a tile whose counts fit into registers together
        self.amx = amx  #: the CPU multiplies tiles of bytes
        self.i8, self.i16, self.i32, self.i64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
        self.f32, self.f64 = ir.FloatType(), ir.DoubleType()
        self.words, self.floats, self.doubles = map(self.vector, (self.i32, self.f32, self.f64))

    def vector(self, element: Raw, count: int = TOKENS) -> Raw:
        """The type of a vector; of one lane a token by default."""
        return self.ir.VectorType(element, count)

    def is_float(self, type_: Raw) -> bool:
        """Whether a type is a float or a vector of floats."""
        return getattr(type_, "element", type_) in (self.f32, self.f64)

    def number(self, type_: Raw, number: Number) -> Value:
        """A number as a scalar, or in all lanes of a vector."""
        if not isinstance(type_, self.ir.VectorType):
            return Value(self, self.ir.Constant(type_, number))
        return Value(self, self.ir.Constant(type_, [number] * type_.count if number else None))  # None: zeros, in short

    def undefined(self, type_: Raw) -> Raw:
        """LLVM's value of no particular content."""
        return self.ir.Constant(type_, self.ir.Undefined)

    @contextmanager
    def function(self, name: str, *parameters: str) -> Iterator[list[Value]]:
        """A function of 64-bit integers without a result; yields its parameters."""
        type_ = self.ir.FunctionType(self.ir.VoidType(), [self.i64] * len(parameters))
        function = self.ir.Function(self.module, type_, name)
        for argument, parameter in zip(function.args, parameters, strict=True):
            argument.name = parameter
        for attribute in ("noinline", "nounwind"):
            function.attributes.add(attribute)
        self.builder = self.ir.IRBuilder(function.append_basic_block("entry"))
        yield [Value(self, argument) for argument in function.args]
        self.builder.ret_void()

    def call(self, name: str, *arguments: Value) -> None:
        """Call a function of this module."""
        self.builder.call(self.module.get_global(name), [argument.raw for argument in arguments])

    def intrinsic(self, name: str, type_: Raw, *arguments: Value) -> Value:
        """Call an intrinsic of LLVM whose operands and result are of one vector type."""
        width = {self.f32: "f32", self.f64: "f64"}
        name = f"{name}.v{type_.count}{width.get(type_.element) or f'i{type_.element.width}'}"
        function = self.module.globals.get(name)
        if function is None:
            signature = self.ir.FunctionType(type_, [type_] * len(arguments))
            function = self.ir.Function(self.module, signature, name)
        return Value(self, self.builder.call(function, [argument.raw for argument in arguments]))

    def call_intrinsic(self, name: str, arguments: Sequence[Raw]) -> None:
        """Call an intrinsic without a result."""
        function = self.module.globals.get(name)
        if function is None:
            signature = self.ir.FunctionType(self.ir.VoidType(), [argument.type for argument in arguments])
            function = self.ir.Function(self.module, signature, name)
        self.builder.call(function, arguments)

    @contextmanager
    def loop(self, count: Value | int) -> Iterator[Value]:
        """A loop; yields the index, from 0."""
        b, limit = self.builder, count if isinstance(count, Value) else self.number(self.i64, count)
        head, body, end = (b.append_basic_block(name) for name in ("head", "body", "end"))
        before = b.block
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(self.i64)
        index.add_incoming(self.i64(0), before)
        b.cbranch(b.icmp_signed("<", index, limit.raw), body, end)
        b.position_at_end(body)
        yield Value(self, index)
        index.add_incoming(b.add(index, self.i64(1)), b.block)
        b.branch(head)
        b.position_at_end(end)

    @contextmanager
    def countdown(self, count: Value | int) -> Iterator[Value]:
        """A loop; yields the index, from the last to 0."""
        limit = count if isinstance(count, Value) else self.number(self.i64, count)
        with self.loop(limit) as index:
            yield limit - 1 - index

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Code that runs where a scalar of one bit is set."""
        with self.builder.if_then(condition.raw):
            yield

    def allocate(self, type_: Raw, count: int = 1) -> Raw:
        """Memory on the stack."""
        with self.builder.goto_entry_block():
            slot = self.builder.alloca(type_, count)
            slot.align = 64
            return slot

    def variable(self, start: Value) -> Variable:
        """A value that changes."""
        return Variable(self, start)

    def variables(self, start: Value, count: int) -> list[Variable]:
        """Several with the same start."""
        return [Variable(self, start) for _ in range(count)]

    def load(self, type_: Raw, address: Value) -> Value:
        """A scalar or a vector, whose address need not be a multiple of its size."""
        pointer = self.builder.inttoptr(address.raw, type_.as_pointer())
        element = getattr(type_, "element", type_)
        return Value(self, self.builder.load(pointer, align=self._bytes(element)))

    def store(self, value: Value, address: Value) -> None:
        """The counterpart of `load`."""
        pointer = self.builder.inttoptr(address.raw, value.type.as_pointer())
        element = getattr(value.type, "element", value.type)
        self.builder.store(value.raw, pointer, align=self._bytes(element))

    def record(self, address: Value, fields: Sequence[str]) -> dict[str, Value]:
        """64-bit integers at an address, by name."""
        return {name: self.load(self.i64, address + 8 * index) for index, name in enumerate(fields)}

    def splat(self, scalar: Value, count: int = TOKENS) -> Value:
        """A scalar in all lanes."""
        vector = self.vector(scalar.type, count)
        first = self.builder.insert_element(self.undefined(vector), scalar.raw, self.i32(0))
        return Value(self, first).lanes(*[0] * count)

    def load_splat(self, element: Raw, address: Value) -> Value:
        """A scalar of memory in all lanes."""
        return self.splat(self.load(element, address))

    def transpose(self, rows: Sequence[Value]) -> list[Value]:
        """A square matrix whose rows are vectors: its columns."""
        size = len(rows)
        matrix, distance = list(rows), size // 2
        while distance:
            low = [lane if not lane & distance else lane - distance + size for lane in range(size)]
            high = [lane + distance if not lane & distance else lane + size for lane in range(size)]
            swapped = list(matrix)
            for row in (row for row in range(size) if not row & distance):
                upper, lower = matrix[row], matrix[row + distance]
                swapped[row] = upper.lanes(*low, second=lower)
                swapped[row + distance] = upper.lanes(*high, second=lower)
            matrix, distance = swapped, distance // 2
        return matrix

    def _bytes(self, element: Raw) -> int:
        widths = {self.i8: 1, self.i16: 2, self.i32: 4, self.f32: 4, self.i64: 8, self.f64: 8}
        return widths[element]
