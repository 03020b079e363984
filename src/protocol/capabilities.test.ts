import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { reply } from "../mail/reply.ts";
import { noCapabilities, parseCapabilities } from "./capabilities.ts";
import { runs } from "./testing.ts";

const offers = (...lines: string[]) => parseCapabilities(reply(250, ["mx.there.test hello", ...lines].join("\n")));

test("every extension that is used here", () => {
  const all = offers("PIPELINING", "SIZE 1000", "STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN");
  assert.ok(
    all.extended && all.pipelining && all.startTls && all.eightBitMime && all.smtpUtf8 && all.chunking && all.binaryMime && all.dsn,
  );
  assert.equal(all.size, 1000);
  assert.deepEqual(all.mechanisms, ["PLAIN", "LOGIN"]);
  const none = offers();
  assert.ok(none.extended && !none.pipelining && !none.startTls && !none.chunking && !none.dsn);
});

test("keywords have no case; the first line, where the server names itself, is none", () => {
  assert.equal(offers("pipelining").pipelining, true);
  assert.equal(parseCapabilities(reply(250, "STARTTLS")).startTls, false);
  assert.equal(parseCapabilities(reply(250, "STARTTLS\nSTARTTLS")).startTls, true);
});

test("SIZE with a limit, without one, and unreadable", () => {
  assert.equal(offers().size, undefined);
  assert.equal(offers("SIZE").size, 0);
  assert.equal(offers("SIZE 0").size, 0);
  assert.equal(offers("SIZE abc").size, 0);
  assert.equal(offers("SIZE 99999999999999999999").size, 0);
  assert.equal(offers("SIZE 10", "SIZE 20").size, 0);
});

test("AUTH in its standard form and in the old one, said twice", () => {
  assert.deepEqual(offers("AUTH=LOGIN PLAIN").mechanisms, ["LOGIN", "PLAIN"]);
  assert.deepEqual(offers("AUTH plain", "AUTH=PLAIN LOGIN").mechanisms, ["PLAIN", "LOGIN"]);
  assert.deepEqual(offers("AUTH").mechanisms, []);
  assert.deepEqual(offers("AUTH ").mechanisms, []);
});

test("what is no keyword is passed over", () => {
  const { keywords } = offers("", "-X", "X_Y", "é", "XOK a b");
  assert.deepEqual([...keywords], [["XOK", "a b"]]);
  assert.equal(offers("STARTTLSX").startTls, false);
});

test("after HELO there is nothing", () => {
  assert.equal(noCapabilities.extended, false);
  assert.equal(noCapabilities.keywords.size, 0);
});

test("any reply is read", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => void parseCapabilities(reply(250, text))),
    runs(200),
  );
});
