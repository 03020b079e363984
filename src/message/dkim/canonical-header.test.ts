import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromLatin1, latin1 } from "../../util/bytes.ts";
import { HeaderInput } from "./canonical-header.ts";

function make(form: "simple" | "relaxed", fields: readonly string[], signature?: { text: string; start: number; end: number }): string {
  const input = new HeaderInput(1);
  for (const field of fields) input.add(latin1(field), form);
  if (signature !== undefined) input.addSignature(latin1(signature.text), signature, form);
  return fromLatin1(input.bytes());
}

test("the example of RFC 6376 3.4.5", () => {
  const fields = ["A: X\r\n", "B : Y\t\r\n\tZ  \r\n"];
  assert.equal(make("relaxed", fields), "a:X\r\nb:Y Z\r\n");
  assert.equal(make("simple", fields), "A: X\r\nB : Y\t\r\n\tZ  \r\n");
});

/** RFC 6376 3.4.2, step by step. */
function naive(field: string): string {
  const colon = field.indexOf(":");
  const value = field
    .slice(colon + 1)
    .replaceAll("\r\n", "")
    .replaceAll(/[ \t]+/g, " ")
    .replace(/ $/, "")
    .replace(/^ /, "");
  return `${field.slice(0, colon).replaceAll(/[ \t]/g, "").toLowerCase()}:${value}\r\n`;
}

const value = fc
  .array(fc.constantFrom("a", "B", " ", "\t", "\r\n ", "\r\n\t", "\xe9", ":", "\r", "\n", ""))
  .map((parts) => parts.join("x".repeat(1)));

test("relaxed fields are what the naive form is; simple ones stay as they are", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z-]{1,9}[ \t]?$/), value, (name, text) => {
      const field = `${name}:${text}\r\n`;
      assert.equal(make("relaxed", [field, field]), naive(field).repeat(2));
      assert.equal(make("simple", [field, field]), field.repeat(2));
    }),
  );
});

test("a field that lacks its CRLF gets one", () => {
  assert.equal(make("relaxed", ["A: b"]), "a:b\r\n");
  assert.equal(make("simple", ["A: b"]), "A: b\r\n");
});

test("a signature's own field comes without b= and without its CRLF", () => {
  const text = "S: a=1; b= x\r\n y ; c=2 \r\n";
  const start = text.indexOf("b=") + 2;
  const hole = { text, start, end: text.indexOf("; c") };
  assert.equal(make("relaxed", ["A: b\r\n"], hole), "a:b\r\ns:a=1; b=; c=2");
  assert.equal(make("simple", ["A: b\r\n"], hole), "A: b\r\nS: a=1; b=; c=2 ");
  const last = { text: "S: b=xyz \r\n", start: 5, end: 9 };
  assert.equal(make("relaxed", [], last), "s:b=");
  assert.equal(make("simple", [], last), "S: b=");
});

test("what was written can be taken back", () => {
  const input = new HeaderInput(4);
  input.add(latin1("A: b\r\n"), "simple");
  const { size } = input;
  input.add(latin1("C: d\r\n"), "simple");
  input.truncate(size);
  input.add(latin1("E: f\r\n"), "simple");
  assert.equal(fromLatin1(input.bytes()), "A: b\r\nE: f\r\n");
});
