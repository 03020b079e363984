import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { utf8 } from "../util/bytes.ts";
import { parseCommand } from "./command.ts";
import { grammar, notImplemented, otherProtocols, ruleOf } from "./grammar.ts";
import { latin1, runs } from "./testing.ts";

const cases: [line: string, verb: string, argument: string][] = [
  ["NOOP", "NOOP", ""],
  ["nOoP", "NOOP", ""],
  ["NOOP  ", "NOOP", ""],
  ["NOOP \t ", "NOOP", ""],
  ["MAIL FROM:<a@b>  ", "MAIL", "FROM:<a@b>"],
  ["MAIL\tFROM:<a@b>", "MAIL", "FROM:<a@b>"],
  ["EHLO  a", "EHLO", " a"],
  [" NOOP", "", "NOOP"],
  ["", "", ""],
  [" ", "", ""],
  ["NOOP é", "NOOP", "é"],
  // white space of Unicode is text: it is not taken off an address
  ["RCPT TO:<a@b>\u00a0", "RCPT", "TO:<a@b>\u00a0"],
  ["RCPT TO:<a@b>\u2003", "RCPT", "TO:<a@b>\u2003"],
];

for (const [line, verb, argument] of cases) {
  test(`command ${JSON.stringify(line)}`, () => assert.deepEqual(parseCommand(utf8(line)), { verb, argument }));
}

for (const line of ["NO\0OP", "NOOP \x1b", "NOOP \x7f", "NOOP \xff", "NOOP \xc3", "NOOP\r", "A\nB"]) {
  test(`no command: ${JSON.stringify(line)}`, () => assert.equal(parseCommand(latin1(line)), undefined));
}

test("any line: a verb without white space, an argument without any at its end, or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (line) => {
      const command = parseCommand(line);
      if (command === undefined) return;
      assert.ok(!/[ \t]/.test(command.verb));
      assert.ok(!/[ \t]$/.test(command.argument));
    }),
    runs(300),
  );
});

test("the grammar's tables name each verb once, in upper case, and nothing of Object", () => {
  const names = [...Object.keys(grammar), ...notImplemented, ...otherProtocols];
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.equal(name, name.toUpperCase());
  for (const name of ["constructor", "__proto__", "toString", ""]) assert.equal(ruleOf(name), undefined);
});
