/**
 * What a DMARC report is packed in: gzip (RFC 9990), or zip, which many senders use.
 *
 * Rules
 * 1. The unpacked size has a limit: a small file must not become a large one.
 */
import { gunzipSync, inflateRawSync } from "node:zlib";

/** Octets of a report, unpacked. */
export const UNPACKED_LIMIT = 32 * 1024 * 1024;

/** The document, unpacked where it is packed. Throws what unpacking throws. */
export function unpacked(content: Uint8Array): Buffer {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gunzipSync(bytes, { maxOutputLength: UNPACKED_LIMIT });
  if (bytes.length > 30 && bytes.readUInt32LE(0) === 0x04034b50) return unzipped(bytes);
  return bytes;
}

/** The first file of a zip (PKWARE APPNOTE 4.3), by its central directory: a local header need not know its own length. */
function unzipped(bytes: Buffer): Buffer {
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || end + 22 > bytes.length) throw new Error("the zip file has no end");
  const entry = bytes.readUInt32LE(end + 16);
  if (entry + 46 > bytes.length || bytes.readUInt32LE(entry) !== 0x02014b50) throw new Error("the zip file has no entry");
  const method = bytes.readUInt16LE(entry + 10);
  const size = bytes.readUInt32LE(entry + 20);
  const local = bytes.readUInt32LE(entry + 42);
  if (local + 30 > bytes.length) throw new Error("the zip file is cut off");
  const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
  const packed = bytes.subarray(start, start + size);
  if (packed.length < size) throw new Error("the zip file is cut off");
  if (method === 0) return packed;
  if (method !== 8) throw new Error(`the zip file is packed in a way that is not known (${method})`);
  return inflateRawSync(packed, { maxOutputLength: UNPACKED_LIMIT });
}
