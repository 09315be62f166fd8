// The container's codec: MessagePack maps with field names.
//
// Whole numbers of 64 bits are numbers as long as JavaScript has them exactly, else BigInts: an
// activity's name has them. The library gives all of them as BigInts, and writes numbers beyond 32
// bits as floating point, which no Rust service reads; and it reads texts byte by byte, which took a
// fifth of a delivery. So four of its methods are replaced. Its version is fixed in package.json.

import { textOf } from "./text.js";
import { Decoder, Encoder } from "@msgpack/msgpack";

class Writer extends Encoder {
  encodeNumberAsFloat(number) {
    if (Number.isSafeInteger(number)) {
      this.encodeBigInt64(BigInt(number));
    } else {
      super.encodeNumberAsFloat(number);
    }
  }
}

class Reader extends Decoder {
  decodeUtf8String(byteLength, headerOffset) {
    const start = this.pos + headerOffset;
    const end = start + byteLength;
    if (this.bytes.byteLength < end) {
      throw new RangeError(`a text of ${byteLength} bytes is cut short`);
    }
    this.pos = end;
    return textOf(this.bytes.subarray(start, end));
  }

  readU64AsBigInt() {
    return exact(super.readU64AsBigInt());
  }

  readI64AsBigInt() {
    return exact(super.readI64AsBigInt());
  }
}

function exact(whole) {
  const number = Number(whole);
  return Number.isSafeInteger(number) ? number : whole;
}

const writer = new Writer({ useBigInt64: true, ignoreUndefined: true });
const reader = new Reader({ useBigInt64: true });

/** The bytes of a value. */
export function encode(value) {
  return writer.encode(value);
}

/** The value of bytes. */
export function decode(bytes) {
  return reader.decode(bytes);
}
