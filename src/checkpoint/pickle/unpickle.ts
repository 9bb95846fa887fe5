import { CheckpointError } from '../../lib/errors.js';
import { quote } from '../../lib/quote.js';
import { NAMES } from './opcodes.js';

/** What a pickle can contain here. Dicts and OrderedDicts become Maps, lists and tuples arrays. */
export type PickleValue = null | boolean | number | bigint | string | PickleValue[] | PickleDict | Global | object;
export type PickleDict = Map<PickleValue, PickleValue>;

/** A name that the caller knows, such as `torch._utils._rebuild_tensor_v2`. */
export class Global {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What the caller allows a pickle to name, and what becomes of it. */
export interface Vocabulary {
  /** Whether a name of Python, such as `collections.OrderedDict`, may occur. */
  knows(name: string): boolean;
  /** Calls a known name. Throws an Error with the fault if the arguments are wrong. */
  call(name: string, args: readonly PickleValue[]): PickleValue;
  /** Resolves a persistent id. Throws an Error with the fault. */
  persistent(id: PickleValue): PickleValue;
}

const ALLOWED = 'only tensors, dicts, lists, tuples, numbers, strings, True, False and None are read';

/** The most lists, tuples and dicts in a pickle: one takes a byte of it and up to 250 bytes of memory. */
const MAX_CONTAINERS = 1_000_000;

/** Marks the beginning of a group on the stack. */
const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;

/**
 * Reads a Python pickle of protocol 2 to 5 without running it. A pickle is a program for a small machine that can call any
 * function of Python. This machine knows the opcodes that build plain data and the names in `vocabulary`; it refuses every
 * other opcode and name. Its memory is proportional to the pickle: no opcode creates more than a few values.
 *
 * https://github.com/python/cpython/blob/main/Lib/pickletools.py
 *
 * @param source the name of the file to use in messages
 * @throws CheckpointError that names the file and the fault, or the name or opcode that is refused.
 */
export function unpickle(bytes: Uint8Array, vocabulary: Vocabulary, source: string): PickleValue {
  return new Unpickler(bytes, vocabulary, source).run();
}

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #vocabulary: Vocabulary;
  readonly #source: string;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #containers = 0;
  #at = 0;
  #opcodeAt = 0;

  constructor(bytes: Uint8Array, vocabulary: Vocabulary, source: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#vocabulary = vocabulary;
    this.#source = source;
  }

  run(): PickleValue {
    for (;;) {
      this.#opcodeAt = this.#at;
      const opcode = this.#uint8();
      if (opcode === 0x2e) break; // STOP
      this.#step(opcode);
    }
    const value = this.#pop();
    if (this.#stack.length > 0) this.#damaged('it leaves values behind');
    return value;
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x80: {
        // PROTO
        this.#protocol(this.#uint8());
        return;
      }
      case 0x95: // FRAME
        this.#skipFrame();
        return;
      case 0x28: // MARK
        stack.push(MARK);
        return;
      case 0x30: // POP
        if (stack.pop() === undefined) this.#damaged('its stack is empty');
        return;
      case 0x31: // POP_MARK
        this.#group();
        return;
      case 0x32: {
        // DUP
        this.#push(this.#top());
        return;
      }

      case 0x4e: {
        // NONE
        this.#push(null);
        return;
      }
      case 0x88: {
        // NEWTRUE
        this.#push(true);
        return;
      }
      case 0x89: {
        // NEWFALSE
        this.#push(false);
        return;
      }
      case 0x4a: {
        // BININT
        this.#push(this.#view.getInt32(this.#take(4), true));
        return;
      }
      case 0x4b: {
        // BININT1
        this.#push(this.#uint8());
        return;
      }
      case 0x4d: {
        // BININT2
        this.#push(this.#view.getUint16(this.#take(2), true));
        return;
      }
      case 0x8a: {
        // LONG1
        this.#push(this.#long(this.#uint8()));
        return;
      }
      case 0x8b: {
        // LONG4
        this.#push(this.#long(this.#uint32()));
        return;
      }
      case 0x47: {
        // BINFLOAT
        this.#push(this.#view.getFloat64(this.#take(8), false));
        return;
      }
      case 0x58: {
        // BINUNICODE
        this.#push(this.#text(this.#uint32()));
        return;
      }
      case 0x8c: {
        // SHORT_BINUNICODE
        this.#push(this.#text(this.#uint8()));
        return;
      }
      case 0x8d: {
        // BINUNICODE8
        this.#push(this.#text(this.#uint64()));
        return;
      }
      case 0x54: {
        // BINSTRING
        this.#push(this.#text(this.#uint32()));
        return;
      }
      case 0x55: {
        // SHORT_BINSTRING
        this.#push(this.#text(this.#uint8()));
        return;
      }

      case 0x5d: // EMPTY_LIST
      case 0x29: {
        // EMPTY_TUPLE
        this.#push([]);
        return;
      }
      case 0x7d: {
        // EMPTY_DICT
        this.#push(new Map());
        return;
      }
      case 0x6c: // LIST
      case 0x74: {
        // TUPLE
        this.#push(this.#group());
        return;
      }
      case 0x64: {
        // DICT
        this.#push(this.#setItems(new Map(), this.#group()));
        return;
      }
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: {
        // TUPLE3
        this.#push(this.#popSome(opcode - 0x84));
        return;
      }
      case 0x61: {
        // APPEND
        this.#append([this.#pop()]);
        return;
      }
      case 0x65: {
        // APPENDS
        this.#append(this.#group());
        return;
      }
      case 0x73: {
        // SETITEM
        this.#setOnTop(this.#popSome(2));
        return;
      }
      case 0x75: {
        // SETITEMS
        this.#setOnTop(this.#group());
        return;
      }

      case 0x71: {
        // BINPUT
        this.#put(this.#uint8());
        return;
      }
      case 0x72: {
        // LONG_BINPUT
        this.#put(this.#uint32());
        return;
      }
      case 0x94: {
        // MEMOIZE
        this.#put(this.#memo.size);
        return;
      }
      case 0x68: {
        // BINGET
        this.#push(this.#get(this.#uint8()));
        return;
      }
      case 0x6a: {
        // LONG_BINGET
        this.#push(this.#get(this.#uint32()));
        return;
      }

      case 0x63: {
        // GLOBAL
        this.#global(this.#line(), this.#line());
        return;
      }
      case 0x93: {
        // STACK_GLOBAL
        this.#stackGlobal();
        return;
      }
      case 0x52: {
        // REDUCE
        this.#reduce();
        return;
      }
      case 0x62: {
        // BUILD
        this.#build();
        return;
      }
      case 0x51: {
        // BINPERSID
        this.#push(this.#guarded(() => this.#vocabulary.persistent(this.#pop())));
        return;
      }
      default: {
        const name = NAMES[opcode];
        if (name === undefined) this.#damaged(`it has the unknown opcode 0x${opcode.toString(16).padStart(2, '0')}`);
        this.#fail(`its pickle has the opcode ${name}, which is refused: ${ALLOWED}`);
      }
    }
  }

  #fail(fault: string): never {
    throw new CheckpointError(`${this.#source}: ${fault}`);
  }

  #damaged(fault: string): never {
    this.#fail(`its pickle is damaged at byte ${this.#opcodeAt}: ${fault}`);
  }

  /** Advances over bytes; returns where they begin. */
  #take(length: number): number {
    const begin = this.#at;
    if (length > this.#bytes.length - begin) this.#damaged('it is cut off');
    this.#at += length;
    return begin;
  }

  #uint8(): number {
    return this.#bytes[this.#take(1)];
  }

  #uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** An integer in two's complement. Numbers that float64 cannot represent stay exact as a bigint. */
  #long(length: number): number | bigint {
    if (length > 8) this.#fail(`its pickle has an integer of ${length} bytes; at most 8 are read`);
    const begin = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[begin + i]);
    value = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #text(length: number): string {
    const begin = this.#take(length);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(begin, begin + length),
      );
    } catch {
      return this.#damaged('a string is not UTF-8');
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end === -1) this.#damaged('it is cut off');
    const text = this.#text(end - this.#at);
    this.#at++;
    return text;
  }

  #protocol(version: number): void {
    if (version < 2 || version > 5) this.#fail(`its pickle has protocol ${version}; 2 to 5 are read`);
  }

  /** Frames only say how much to read at once. */
  #skipFrame(): void {
    const length = this.#uint64();
    if (length > this.#bytes.length - this.#at) this.#damaged('it is cut off');
  }

  #push(value: PickleValue): void {
    if (typeof value === 'object' && value !== null && ++this.#containers > MAX_CONTAINERS) {
      this.#fail(`its pickle has more than ${MAX_CONTAINERS} lists, tuples and dicts`);
    }
    this.#stack.push(value);
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) this.#damaged('its stack has no value');
    return value;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popSome(count: number): PickleValue[] {
    const values = Array.from({ length: count }, () => this.#pop());
    return values.reverse();
  }

  /** The values above the last mark. */
  #group(): PickleValue[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark === -1) this.#damaged('a mark is missing');
    const values = this.#stack.splice(mark);
    return values.slice(1) as PickleValue[];
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) this.#damaged('it appends to what is not a list');
    for (const value of values) list.push(value);
  }

  #setOnTop(pairs: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) this.#damaged('it sets items of what is not a dict');
    this.#setItems(dict, pairs);
  }

  #setItems(dict: PickleDict, pairs: readonly PickleValue[]): PickleDict {
    if (pairs.length % 2 !== 0) this.#damaged('a key has no value');
    for (let i = 0; i < pairs.length; i += 2) dict.set(pairs[i], pairs[i + 1]);
    return dict;
  }

  #put(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #get(index: number): PickleValue {
    const value = this.#memo.get(index);
    if (value === undefined) this.#damaged(`it recalls ${index}, which it has not stored`);
    return value;
  }

  #global(module: string, name: string): void {
    const full = `${module}.${name}`;
    if (!this.#vocabulary.knows(full)) {
      const shown = /^[\w.]{1,100}$/.test(full) ? full : quote(full);
      this.#fail(`its pickle names ${shown}, which is refused: ${ALLOWED}`);
    }
    this.#push(new Global(full));
  }

  #stackGlobal(): void {
    const [module, name] = this.#popSome(2);
    if (typeof module !== 'string' || typeof name !== 'string') this.#damaged('a name is not a string');
    this.#global(module, name);
  }

  #reduce(): void {
    const [called, args] = this.#popSome(2);
    if (!(called instanceof Global) || !Array.isArray(args)) this.#damaged('it calls what is not a function');
    this.#push(this.#guarded(() => this.#vocabulary.call(called.name, args)));
  }

  /** An OrderedDict may have attributes, such as the `_metadata` of a state dict. They are dropped. */
  #build(): void {
    const [target] = this.#popSome(2);
    if (!(target instanceof Map)) {
      this.#fail(`its pickle sets attributes of what is not an OrderedDict, which is refused: ${ALLOWED}`);
    }
    this.#push(target);
  }

  /** Adds the file and the position to what the vocabulary finds wrong. */
  #guarded(make: () => PickleValue): PickleValue {
    try {
      return make();
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      return this.#damaged((error as Error).message);
    }
  }
}
