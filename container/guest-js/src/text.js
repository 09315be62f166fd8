// UTF-8: `TextEncoder` and `TextDecoder`, as far as the MessagePack library and services need them.
// QuickJS has neither. What is done here is done by functions of the engine, not byte by byte.

/** Units of a text that are made at once: arguments go on a stack. */
const UNITS_AT_ONCE = 4096;

/** One character of each byte. */
function bytesAsText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += UNITS_AT_ONCE) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + UNITS_AT_ONCE));
  }
  return text;
}

class Encoder {
  encoding = "utf-8";

  encode(text = "") {
    const encoded = unescape(encodeURIComponent(String(text).toWellFormed()));
    return Uint8Array.from(encoded, (unit) => unit.charCodeAt(0));
  }

  encodeInto(text, into) {
    const bytes = this.encode(text);
    into.set(bytes);
    return { read: text.length, written: bytes.length };
  }
}

class Decoder {
  encoding = "utf-8";

  decode(bytes = new Uint8Array()) {
    return textOf(bytes);
  }
}

/** The text of bytes; nearly all have one byte for each character. */
export function textOf(bytes) {
  const text = bytesAsText(bytes);
  return /[\x80-\xff]/.test(text) ? decodeURIComponent(escape(text)) : text;
}

globalThis.TextEncoder ??= Encoder;
globalThis.TextDecoder ??= Decoder;

/** The text up to a number of bytes, and whole characters only. */
export function cut(text, bytesMax) {
  // No unit of a text has more bytes.
  if (text.length * 3 <= bytesMax) {
    return text;
  }
  const bytes = new TextEncoder().encode(text);
  let end = Math.min(bytesMax, bytes.length);
  while ((bytes[end] & 0xc0) === 0x80) {
    end -= 1;
  }
  return new TextDecoder().decode(bytes.subarray(0, end));
}

/** Bytes of a text. */
export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
