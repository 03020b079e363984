import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromLatin1, latin1, utf8 } from "../util/bytes.ts";
import { mimeParts, NESTING_LIMIT, PART_LIMIT } from "./mime-parts.ts";

const message = (...lines: string[]): Uint8Array => latin1(lines.join("\r\n"));
const shown = (content: Uint8Array) =>
  mimeParts(content).map(({ type, fileName, content: octets }) => [type, fileName, fromLatin1(octets)]);

test("leaves come decoded, with their types and names", () => {
  const mixed = message(
    'Content-Type: Multipart/Mixed; boundary="b;1"',
    "",
    "preamble",
    "--b;1",
    "",
    "text",
    "--b;1 ",
    'Content-Type: application/gzip; name="a.gz"',
    "Content-Transfer-Encoding: BASE64",
    "",
    "aGVsbG8",
    "--b;1",
    "Content-Type: text/html",
    "Content-Disposition: attachment; filename=b.html",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "caf=E9 =",
    "ol=e9",
    "--b;1--",
    "epilogue",
  );
  assert.deepEqual(shown(mixed), [
    ["text/plain", undefined, "text"],
    ["application/gzip", "a.gz", "hello"],
    ["text/html", "b.html", "caf\xe9 ol\xe9"],
  ]);
  assert.deepEqual(shown(message("Subject: x", "", "body")), [["text/plain", undefined, "body"]]);
  assert.deepEqual(shown(message("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "no end")), [
    ["text/plain", undefined, "no end"],
  ]);
});

test("parts and nesting have their limits", () => {
  const many = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\nx\r\n".repeat(2 * PART_LIMIT)}--b--`;
  assert.equal(mimeParts(utf8(many)).length, PART_LIMIT);
  let deep = "Content-Type: text/plain\r\n\r\ndeep";
  for (let i = 0; i <= NESTING_LIMIT; i++) deep = `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n${deep}\r\n--b${i}--`;
  assert.deepEqual(mimeParts(utf8(deep)), []);
});

test("nothing makes it throw", () => {
  const piece = fc.constantFrom(
    ..."Content-Type: |multipart/mixed; boundary=b|\r\n|\r\n\r\n|--b|--b--|=|=E9|Content-Transfer-Encoding: base64|\u00e9|;filename*0*=x'|QQ".split(
      "|",
    ),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => void mimeParts(utf8(pieces.join("")))));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void mimeParts(bytes)));
});
