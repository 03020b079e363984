import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DataFramer } from "./data-framer.ts";
import { DotStuffer } from "./dot-stuffer.ts";
import { allCuts, cutAt, framingText, latin1, octets, places, runs, textOf } from "./testing.ts";

interface Read {
  readonly content: string;
  readonly done: boolean;
  /** What came behind the end. */
  readonly rest: string;
}

function read(pieces: readonly Uint8Array[]): Read {
  const framer = new DataFramer();
  const content: Uint8Array[] = [];
  let rest = "";
  for (const piece of pieces) {
    const used = framer.done ? 0 : framer.push(piece, content);
    rest += textOf([piece.subarray(used)]);
  }
  return { content: textOf(content), done: framer.done, rest };
}

/** The same over the whole text at once; what is not complete is only as much as no later octet could change. */
function expected(text: string): Read {
  const whole = `\r\n${text}`;
  const end = whole.indexOf("\r\n.\r\n");
  const content = (end < 0 ? whole : whole.slice(0, end + 2)).replaceAll("\r\n.", "\r\n").slice(2);
  return { content, done: end >= 0, rest: end < 0 ? "" : whole.slice(end + 5) };
}

function stuffed(text: string): Uint8Array {
  const stuffer = new DotStuffer();
  const out: Uint8Array[] = [];
  stuffer.push(latin1(text), out);
  stuffer.end(out);
  return latin1(textOf(out));
}

test("the smuggling table of CVE-2023-51764 and kin: none of it ends content, at any cut", () => {
  const table = ["\n.\n", "\n.\r", "\r.\n", "\r.\r", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r\n\0.\r\n", "\r\n.\0\r\n", "\n\n.\r\n"];
  for (const end of [...table, "\r\n.\r\r\n", "\r\n..\r\n", "\r\n. \r\n", "\r\n.\n\r\n"]) {
    const text = `a${end}MAIL FROM:<>\r\nRCPT TO:<b@c>\r\nDATA\r\nb\r\n.\r\nQUIT\r\n`;
    const seen = expected(text);
    assert.equal(seen.rest, "QUIT\r\n", JSON.stringify(end));
    for (const pieces of allCuts(latin1(text))) assert.deepEqual(read(pieces), seen, JSON.stringify(end));
  }
});

test("any text gives the same at every cut, and what RFC 5321 4.5.2 says", () => {
  fc.assert(
    fc.property(framingText(), places(), (text, at) => {
      const ended = `${text}\r\n.\r\n`;
      const bytes = latin1(ended);
      const seen = expected(ended);
      assert.deepEqual(read([bytes]), seen);
      assert.deepEqual(read(octets(bytes)), seen);
      assert.deepEqual(read(cutAt(bytes, at)), seen);
      assert.equal(read(cutAt(latin1(text), at)).done, expected(text).done);
    }),
    runs(500),
  );
});

test("what was stuffed is unstuffed, at every cut", () => {
  fc.assert(
    fc.property(framingText(), places(), (text, at) => {
      const normal = text.replace(/\r\n|\r|\n/g, "\r\n");
      const content = normal === "" || normal.endsWith("\r\n") ? normal : `${normal}\r\n`;
      const wire = stuffed(text);
      const seen = { content, done: true, rest: "" };
      assert.deepEqual(read([wire]), seen);
      assert.deepEqual(read(octets(wire)), seen);
      assert.deepEqual(read(cutAt(wire, at)), seen);
    }),
    runs(500),
  );
});

test("content goes on as slices of what came in; nothing is copied", () => {
  const bytes = latin1("Subject: x\r\n\r\n..dots\r\n.more\r\n.\r\n");
  const out: Uint8Array[] = [];
  assert.equal(new DataFramer().push(bytes, out), bytes.length);
  assert.equal(textOf(out), "Subject: x\r\n\r\n.dots\r\nmore\r\n");
  assert.equal(out.length, 3);
  for (const piece of out) assert.equal(piece.buffer, bytes.buffer);
});

test("a chunk without dots at line starts is one slice", () => {
  const bytes = latin1("a.b\r\nc.\r\n\n.\r.".repeat(1000));
  const out: Uint8Array[] = [];
  new DataFramer().push(bytes, out);
  assert.equal(out.length, 1);
  assert.equal(out[0]?.length, bytes.length);
});
