import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Mailbox } from "../mail/mailbox.ts";
import { formatMailbox, parseMailbox } from "../mail/mailbox.ts";
import { parseVerpAddress, verpAddress } from "../mail/verp.ts";
import * as text from "./verp.ts";

const list: Mailbox = { localPart: "list", domain: "lists.test" };
const mailbox = (text: string): Mailbox => parseMailbox(text) ?? assert.fail(text);

test("a recipient's name goes into the list's address and comes out again", () => {
  const made = verpAddress(list, mailbox("user@example.org"));
  assert.equal(made && formatMailbox(made), "list+user=example.org@lists.test");
  const atoms = fc.stringMatching(/^[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}$/);
  fc.assert(
    fc.property(atoms, (localPart) => {
      const recipient = { localPart, domain: "example.org" };
      assert.deepEqual(parseVerpAddress(verpAddress(list, recipient) ?? assert.fail()), { list, recipient });
    }),
  );
});

test("what cannot be written so is not, and what is no such address is none", () => {
  assert.equal(verpAddress(list, mailbox('"a b"@example.org')), undefined);
  assert.equal(verpAddress(list, mailbox("a@[192.0.2.1]")), undefined);
  for (const none of ["list@lists.test", "list+tag@lists.test", "+a=b@lists.test", "list+=b.test@lists.test", "list+a=-@lists.test"])
    assert.equal(parseVerpAddress(mailbox(none)), undefined, none);
});

test("as texts, for programs", () => {
  assert.equal(text.verpAddress("list@lists.test", "user@example.org"), "list+user=example.org@lists.test");
  assert.deepEqual(text.parseVerpAddress("list+user=example.org@lists.test"), { list: "list@lists.test", recipient: "user@example.org" });
  assert.equal(text.parseVerpAddress("nonsense"), undefined);
  assert.throws(() => text.verpAddress("list", "user@example.org"), /list is no address/);
});
