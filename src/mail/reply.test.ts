import assert from "node:assert/strict";
import { test } from "node:test";
import { describeReply, formatReply, isPermanent, isPositive, isTemporary, reply, replyFromLines } from "./reply.ts";
import { inClass, isEnhancedStatus, statusClass } from "./status.ts";

test("on the wire: code and enhanced status on every line (RFC 2034 4)", () => {
  assert.equal(formatReply(reply(250, "OK")), "250 OK\r\n");
  assert.equal(formatReply(reply(250, "2.1.0", "OK")), "250 2.1.0 OK\r\n");
  assert.equal(formatReply(reply(550, "5.7.1", "a\nb\nc")), "550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c\r\n");
  assert.equal(formatReply(reply(250, "")), "250 \r\n");
});

test("no text can end a line or a reply", () => {
  assert.equal(formatReply(reply(550, "5.7.1", "a\r\n250 OK\0\x1b")), "550-5.7.1 a \r\n550 5.7.1 250 OK  \r\n");
});

test("as one line for logs", () => {
  assert.equal(describeReply(reply(550, "5.1.1", "No such\nuser")), "550 5.1.1 No such user");
  assert.equal(describeReply(reply(451, "")), "451");
});

test("from lines: an enhanced status is taken off where it fits the class of the code", () => {
  assert.deepEqual(replyFromLines(550, ["5.7.1 a", "5.7.1 b"]), reply(550, "5.7.1", "a\nb"));
  assert.deepEqual(replyFromLines(550, ["5.7.1"]), reply(550, "5.7.1", ""));
  assert.deepEqual(replyFromLines(550, ["a", "5.7.1 b"]), reply(550, "5.7.1", "a\nb"));
  assert.deepEqual(replyFromLines(550, ["4.7.1 a"]), reply(550, "4.7.1 a"));
  assert.deepEqual(replyFromLines(354, ["3.0.0 go"]), reply(354, "3.0.0 go"));
  assert.deepEqual(replyFromLines(550, ["5.7.1111 a"]), reply(550, "5.7.1111 a"));
  assert.deepEqual(replyFromLines(220, ["2.example.test hi"]), reply(220, "2.example.test hi"));
});

test("kinds of replies", () => {
  const kinds = (code: number) => [isPositive, isTemporary, isPermanent].map((is) => is(reply(code, "")));
  assert.deepEqual(kinds(250), [true, false, false]);
  assert.deepEqual(kinds(354), [false, false, false]);
  assert.deepEqual(kinds(421), [false, true, false]);
  assert.deepEqual(kinds(550), [false, false, true]);
});

test("enhanced status codes, RFC 3463", () => {
  for (const text of ["2.0.0", "4.4.1", "5.7.999"]) assert.equal(isEnhancedStatus(text), true);
  for (const text of ["3.0.0", "2.0", "2.0.0.0", "5.1.1000", "5.1.x", " 5.1.1"]) assert.equal(isEnhancedStatus(text), false);
  assert.equal(statusClass("4.4.1"), 4);
  assert.equal(inClass(5, "4.4.1"), "5.4.1");
});
