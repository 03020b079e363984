import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Mailbox } from "../mail/mailbox.ts";
import { formatMailbox, parseMailbox } from "../mail/mailbox.ts";
import { Srs } from "./srs.ts";

const DAY = 86_400_000;
const now = 1_764_000_000_000;
const srs = new Srs({ secret: Buffer.from("secret"), domain: "Forwarder.test" });
const mailbox = (text: string): Mailbox => parseMailbox(text) ?? assert.fail(text);
const rewrite = (text: string, by = srs): Mailbox => by.rewrite(mailbox(text), now) ?? assert.fail(text);

test("what is rewritten comes back, for as long as it lives, in whatever case", () => {
  const made = rewrite("Alice@author.test");
  assert.match(formatMailbox(made), /^SRS0=\w{6}=[A-Z2-7]{2}=author\.test=Alice@forwarder\.test$/);
  assert.ok(srs.isRewritten(made));
  for (const [address, at] of [
    [made, now],
    [made, now + 21 * DAY],
    [{ localPart: made.localPart.toLowerCase(), domain: made.domain }, now],
  ] as const) {
    const back = srs.reverse(address, at);
    assert.equal(back.kind === "mailbox" ? formatMailbox(back.mailbox).toLowerCase() : back.why, "alice@author.test");
  }
  assert.deepEqual(srs.reverse(made, now + 22 * DAY), { kind: "refused", why: "it is older than 21 days" });
  assert.equal(srs.reverse(made, now - 2 * DAY).kind, "refused");
});

test("what others have rewritten stays short, and goes back the way it came", () => {
  const first = new Srs({ secret: Buffer.from("other"), domain: "first.test" });
  const once = rewrite("alice@author.test", first);
  const twice = rewrite(formatMailbox(once));
  assert.match(formatMailbox(twice), /^SRS1=\w{6}=first\.test==\w{6}=..=author\.test=alice@forwarder\.test$/);
  const third = new Srs({ secret: Buffer.from("third"), domain: "third.test" });
  const thrice = rewrite(formatMailbox(twice), third);
  assert.match(formatMailbox(thrice), /^SRS1=\w{6}=first\.test==/);
  for (const [by, address] of [
    [srs, twice],
    [third, thrice],
  ] as const) {
    const back = by.reverse(address, now);
    assert.ok(back.kind === "mailbox");
    const home = first.reverse(back.mailbox, now);
    assert.equal(home.kind === "mailbox" ? formatMailbox(home.mailbox) : home.why, "alice@author.test");
  }
});

test("nothing that was not made here is taken back", () => {
  const made = rewrite("alice@author.test").localPart;
  const forged = [
    made.replace("alice", "bob"),
    made.replace("author", "other"),
    "SRS0=aaaaaa=AA=author.test=alice",
    "SRS0=x",
    "SRS1=a=b==c",
    "SRS1=x",
  ];
  for (const localPart of forged) assert.equal(srs.reverse({ localPart, domain: srs.domain }, now).kind, "refused", localPart);
  const other = new Srs({ secret: Buffer.from("other"), domain: "forwarder.test" });
  assert.equal(other.reverse(rewrite("alice@author.test"), now).kind, "refused");
  fc.assert(fc.property(fc.string(), (text) => void srs.reverse({ localPart: `SRS0=${text}`, domain: srs.domain }, now)));
  assert.equal(srs.rewrite(mailbox('"a b"@author.test'), now), undefined);
});
