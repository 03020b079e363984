import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Mailbox } from "../mail/mailbox.ts";
import type { SessionLimits } from "../protocol/capabilities.ts";
import { Allowance } from "./allowance.ts";

const boxes = (...domains: string[]): Mailbox[] => domains.map((domain, i) => ({ localPart: `r${i}`, domain: `${domain}.test` }));
const recipients = (mailboxes: readonly Mailbox[]) => mailboxes.map((mailbox) => ({ mailbox }));

test("without limits all go at once", () => {
  const allowance = new Allowance(() => ({}));
  assert.deepEqual(allowance.next(boxes("a", "b", "a")), [0, 1, 2]);
  for (let i = 0; i < 1000; i++) allowance.count([]);
  assert.equal(allowance.spent, false);
});

test("RCPTMAX bounds a transaction, MAILMAX and RCPTDOMAINMAX the session", () => {
  const allowance = new Allowance(() => ({ rcptMax: 2, mailMax: 2, rcptDomainMax: 2 }));
  const to = boxes("a", "b", "c", "A");
  assert.deepEqual(allowance.next(to), [0, 1]);
  allowance.count(recipients(to.slice(0, 2)));
  assert.deepEqual(allowance.next(to.slice(2)), [1], "c would be a third domain; A is a");
  allowance.count(recipients(to.slice(3)));
  assert.equal(allowance.spent, true);
  assert.deepEqual(allowance.next(to.slice(2, 3)), []);
});

test("session by session everybody gets a turn, once, within the limits", () => {
  const limit = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined });
  const limits = fc
    .record({ rcptMax: limit, mailMax: limit, rcptDomainMax: limit })
    .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as SessionLimits);
  const places = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(limits, places, (given, domains) => {
      let left = boxes(...domains);
      for (let sessions = 0; left.length > 0; sessions++) {
        assert.ok(sessions <= domains.length);
        const allowance = new Allowance(() => given);
        const seen = new Set<string>();
        for (let mails = 1; left.length > 0; mails++) {
          const next = allowance.next(left);
          if (next.length === 0) {
            assert.ok(mails > 1, "a fresh session takes one at least");
            break;
          }
          const taken = left.filter((_, i) => next.includes(i));
          for (const { domain } of taken) seen.add(domain);
          assert.ok(taken.length <= (given.rcptMax ?? 99) && mails <= (given.mailMax ?? 99) && seen.size <= (given.rcptDomainMax ?? 99));
          allowance.count(recipients(taken));
          left = left.filter((_, i) => !next.includes(i));
        }
      }
    }),
  );
});
