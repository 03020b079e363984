import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatReply, type Reply, reply } from "../mail/reply.ts";
import { utf8 } from "../util/bytes.ts";
import { MalformedReply, REPLY_LINE_LIMIT, REPLY_LINES_LIMIT, ReplyParser } from "./reply-parser.ts";
import { allCuts, cutAt, latin1, octets, places, runs } from "./testing.ts";

function parse(pieces: readonly Uint8Array[]): { replies: Reply[]; fault: string | undefined; idle: boolean } {
  const parser = new ReplyParser();
  const replies = pieces.flatMap((piece) => parser.push(piece));
  return { replies, fault: parser.fault?.message, idle: parser.idle };
}

const good: [text: string, replies: Reply[]][] = [
  ["250 OK\r\n", [reply(250, "OK")]],
  ["250 2.1.0 OK\r\n", [reply(250, "2.1.0", "OK")]],
  ["451\r\n", [reply(451, "")]],
  ["451 \r\n", [reply(451, "")]],
  ["250-a\r\n250-b\r\n250 c\r\n", [reply(250, "a\nb\nc")]],
  ["250-\r\n250\r\n", [reply(250, "\n")]],
  ["550-5.7.1 a\r\n550 5.7.1 b\r\n", [reply(550, "5.7.1", "a\nb")]],
  // the enhanced status belongs to the class of the code (RFC 2034 4); another one is text
  ["550 2.0.0 a\r\n", [reply(550, "2.0.0 a")]],
  ["250 OK\n354 go\n", [reply(250, "OK"), reply(354, "go")]],
  ["250 OK\r\r\n", [reply(250, "OK")]],
  ["250 a\x1b[31mb\0c\rd\r\n", [reply(250, "a [31mb c d")]],
  ["250 gr\xfc\xdfe\x9b\r\n", [reply(250, "grüße ")]],
  ["599 last\r\n200 first\r\n", [reply(599, "last"), reply(200, "first")]],
];

for (const [text, replies] of good) {
  test(`${JSON.stringify(text)}, at every cut`, () => {
    for (const pieces of allCuts(latin1(text))) assert.deepEqual(parse(pieces), { replies, fault: undefined, idle: true });
  });
}

const bad = [
  "",
  " 250 OK",
  "25 OK",
  "2500 OK",
  "250OK",
  "250\tOK",
  "150 OK",
  "600 OK",
  "250-a\r\n251 b",
  "abc",
  "HTTP/1.1 400 Bad Request",
  "٢٥٠ OK",
];

for (const text of bad) {
  test(`${JSON.stringify(text)} is no reply; those before it count`, () => {
    for (const pieces of allCuts(utf8(`220 hi\r\n${text}\r\n250 never read\r\n`))) {
      const { replies, fault, idle } = parse(pieces);
      assert.deepEqual(replies, [reply(220, "hi")]);
      assert.ok(fault !== undefined && !idle);
    }
  });
}

test("the fault is a MalformedReply, and shows no more than a little of what came", () => {
  const parser = new ReplyParser();
  parser.push(latin1(`${"x".repeat(1000)}\r\n`));
  assert.ok(parser.fault instanceof MalformedReply);
  assert.ok(parser.fault.message.length < 200);
});

test("lines and their number are limited, at any cut", () => {
  const longest = `250 ${"x".repeat(REPLY_LINE_LIMIT - 5)}\r\n`;
  const most = `${"250-x\r\n".repeat(REPLY_LINES_LIMIT - 1)}250 x\r\n`;
  for (const [text, fault] of [
    [longest, undefined],
    [`250 ${"x".repeat(REPLY_LINE_LIMIT - 4)}\r\n`, /longer than/],
    [`250 ${"x".repeat(REPLY_LINE_LIMIT)}`, /longer than/],
    [most, undefined],
    [`250-x\r\n${most}`, /more than/],
  ] as const) {
    for (const pieces of [[latin1(text)], octets(latin1(text)), cutAt(latin1(text), [100, 4094])]) {
      const seen = parse(pieces).fault;
      if (fault === undefined) assert.equal(seen, undefined);
      else assert.match(seen ?? "", fault);
    }
  }
});

test("not idle while a reply is under way", () => {
  const parser = new ReplyParser();
  assert.equal(parser.idle, true);
  for (const text of ["2", "50-a\r\n", "250", " b\r"]) {
    assert.deepEqual(parser.push(latin1(text)), []);
    assert.equal(parser.idle, false);
  }
  assert.deepEqual(parser.push(latin1("\n")), [reply(250, "a\nb")]);
  assert.equal(parser.idle, true);
});

test("what formatReply writes is read back, at any cut, inside UTF-8 characters too", () => {
  const line = fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => text.replace(/[\x00-\x1f\x7f-\x9f]/g, ""));
  const text = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n"));
  const anyReply = fc.tuple(fc.integer({ min: 200, max: 599 }), fc.boolean(), text).map(([code, enhanced, words]): Reply => {
    const first = Math.floor(code / 100);
    // a text that begins with what looks like a status is read as one
    const plain = words.replace(/^\d/gm, "x");
    return enhanced && first !== 3 ? reply(code, `${first as 2 | 4 | 5}.1.${code % 10}`, plain) : reply(code, plain);
  });
  fc.assert(
    fc.property(fc.array(anyReply, { maxLength: 4 }), places(), (replies, at) => {
      const bytes = utf8(replies.map(formatReply).join(""));
      const seen = { replies, fault: undefined, idle: true };
      assert.deepEqual(parse([bytes]), seen);
      assert.deepEqual(parse(octets(bytes)), seen);
      assert.deepEqual(parse(cutAt(bytes, at)), seen);
    }),
    runs(300),
  );
});

test("any octets: the same replies and the same fault at any cut", () => {
  const unit = fc.oneof(
    fc.constantFrom("250", "-", " ", "\r\n", "\n", "a", "550 ", "250-"),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => String.fromCharCode(...bytes)),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), places(), (units, at) => {
      const bytes = latin1(units.join(""));
      const seen = parse([bytes]);
      assert.deepEqual(parse(octets(bytes)), seen);
      assert.deepEqual(parse(cutAt(bytes, at)), seen);
      for (const { code } of seen.replies) assert.ok(code >= 200 && code <= 599);
    }),
    runs(300),
  );
});
