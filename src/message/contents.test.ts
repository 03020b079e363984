/**
 * What the tests of this folder share: contents to try and ways to cut them.
 *
 * Rules
 * 1. Named like a test so that the build leaves it out: it needs fast-check.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { TestContext } from "node:test";
import fc from "fast-check";

/** One character an octet: texts made of what parsers of headers and bodies stumble over. */
export const contentText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom("\r\n", "\r\n", "\r\n\r\n", "\r", "\n", ": ", ":", " ", "\t", "\0", "\xe9", "\xff") },
      {
        weight: 3,
        arbitrary: fc.constantFrom("Subject: x\r\n", "Bcc: a@b\r\n", "A: b\r\n c\r\n", "Received: by x\r\n", "From", ".", "..\r\n"),
      },
      { weight: 2, arbitrary: fc.stringMatching(/^[ -~]{0,30}$/) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)) },
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(""));

/** The bytes in pieces of these lengths, in turn, then the rest. */
export function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    if (at >= bytes.length) break;
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at < bytes.length) chunks.push(bytes.subarray(at));
  return chunks;
}

/** Each octet by itself. */
export function octets(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
}

/** RFC 2045 6.7 read backwards. */
export function decodeQuotedPrintable(text: string): string {
  return text
    .replaceAll(/[ \t]+\r\n/g, "\r\n")
    .replaceAll("=\r\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** A content as another implementation reads it: every part of it in order, containers before what they contain. */
export interface PythonReading {
  readonly parts: readonly { readonly type: string; readonly encoding: string; readonly filename: string | null; readonly body: string }[];
  readonly header: Readonly<Record<string, string>>;
  readonly defects: number;
}

const program = `
import sys, json, email, email.policy
out = []
size = sys.stdin.buffer.read(8)
while size:
    message = email.message_from_bytes(sys.stdin.buffer.read(int(size)), policy=email.policy.default)
    parts = []
    defects = 0
    for part in message.walk():
        body = None if part.is_multipart() else part.get_payload(decode=True)
        defects += len(part.defects)
        parts.append({"type": part.get_content_type(), "encoding": str(part.get("content-transfer-encoding", "")),
                      "filename": part.get_filename(), "body": "" if body is None else body.hex()})
    out.append({"parts": parts, "header": {name.lower(): str(value) for name, value in message.items()}, "defects": defects})
    size = sys.stdin.buffer.read(8)
json.dump(out, sys.stdout)
`;

/** Has Python's email package read these contents, all in one run; where there is no python3 the test is skipped, and nothing returned. */
export function readAllWithPython(contents: readonly Uint8Array[], t: TestContext): PythonReading[] | undefined {
  const input = Buffer.concat(contents.flatMap((content) => [Buffer.from(String(content.length).padStart(8, "0")), content]));
  const run = spawnSync("python3", ["-c", program], { input, maxBuffer: 1 << 28 });
  if (run.error !== undefined) {
    t.skip("python3 is not installed");
    return undefined;
  }
  assert.equal(run.status, 0, run.stderr.toString());
  return JSON.parse(run.stdout.toString()) as PythonReading[];
}

export function readWithPython(content: Uint8Array, t: TestContext): PythonReading | undefined {
  return readAllWithPython([content], t)?.[0];
}
