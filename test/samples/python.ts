/**
 * Messages as Python's email package reads them, all of them by one process.
 *
 * Rules
 * 1. Its modern policy is used, which decodes headers by the grammar and counts what is wrong with them.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

export interface PythonPart {
  readonly type: string;
  readonly filename: string | null;
  readonly id: string | null;
  /** Octets in hexadecimal; `null` for a container. */
  readonly body: string | null;
  readonly text: string | null;
}

export interface PythonMessage {
  readonly names: readonly string[];
  readonly header: Readonly<Record<string, string>>;
  readonly addresses: Readonly<Record<string, readonly (readonly [string, string])[]>>;
  readonly parts: readonly PythonPart[];
  readonly defects: readonly string[];
}

const program = `
import sys, json, struct, email, email.policy
source = sys.stdin.buffer
# RFC 6532 headers come with their octets as surrogates.
utf8 = lambda text: text.encode("utf-8", "surrogateescape").decode()
out = []
while True:
    size = source.read(4)
    if not size: break
    message = email.message_from_bytes(source.read(struct.unpack(">I", size)[0]), policy=email.policy.default)
    defects = []
    parts = []
    for part in message.walk():
        defects += [repr(d) for d in part.defects]
        for name, value in part.items():
            defects += [name + ": " + repr(d) for d in value.defects]
        leaf = not part.is_multipart()
        text = part.get_content() if leaf and part.get_content_maintype() == "text" else None
        parts.append({"type": part.get_content_type(), "filename": part.get_filename(),
                      "id": str(part["content-id"]) if part["content-id"] else None,
                      "body": part.get_payload(decode=True).hex() if leaf else None, "text": text})
    addresses = {}
    for name in ("from", "sender", "to", "cc", "reply-to"):
        if message[name] is not None:
            addresses[name] = [[utf8(a.display_name), utf8(a.addr_spec)] for a in message[name].addresses]
    out.append({"names": [n.lower() for n in message.keys()], "header": {n.lower(): str(v) for n, v in message.items()},
                "addresses": addresses, "parts": parts, "defects": defects})
json.dump(out, sys.stdout)
`;

/** Nothing where there is no python3. */
export function readWithPython(messages: readonly Uint8Array[]): PythonMessage[] | undefined {
  const input = Buffer.concat(
    messages.flatMap((message) => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(message.length);
      return [size, message];
    }),
  );
  const run = spawnSync("python3", ["-c", program], { input, maxBuffer: 1 << 28 });
  if (run.error !== undefined) return undefined;
  assert.equal(run.status, 0, run.stderr.toString());
  return JSON.parse(run.stdout.toString()) as PythonMessage[];
}
