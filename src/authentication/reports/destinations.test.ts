import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMailbox } from "../../mail/mailbox.ts";
import { tableDns, type Zone } from "../testing.ts";
import { mailtoMailbox, reportDestinations } from "./destinations.ts";

const record = [{ TXT: "v=DMARC1; p=none" }];
const leave = "blue.example.com._report._dmarc.red.example.net";

const cases: [string, Zone, string, string][] = [
  ["the domain itself", {}, "mailto:r@blue.example.com", "allowed r@blue.example.com"],
  ["its organization", { "_dmarc.example.com": record }, "mailto:r@example.com", "allowed r@example.com"],
  ["another, with leave", { [leave]: [{ TXT: "v=DMARC1" }] }, "mailto:r@red.example.net", "allowed r@red.example.net"],
  ["another, without", {}, "mailto:r@red.example.net", "refused"],
  ["another, with something else", { [leave]: [{ TXT: "hello" }] }, "mailto:r@red.example.net", "refused"],
  [
    "another, to another address",
    { [leave]: [{ TXT: "v=DMARC1; rua=mailto:x@red.example.net" }] },
    "mailto:r@red.example.net",
    "allowed x@red.example.net",
  ],
  ["another, to another host", { [leave]: [{ TXT: "v=DMARC1; rua=mailto:x@victim.test" }] }, "mailto:r@red.example.net", "refused"],
  ["DNS that fails", { [leave]: ["TIMEOUT"] }, "mailto:r@red.example.net", "unknown"],
  ["a walk that fails", { "_dmarc.net": ["TIMEOUT"] }, "mailto:r@red.example.net", "unknown"],
  ["not mail", {}, "https://red.example.net/", "refused"],
];
for (const [name, zone, uri, expected] of cases) {
  test(`reports to ${name}`, async () => {
    const [found] = await reportDestinations("blue.example.com", [uri], tableDns(zone));
    assert.equal(found?.kind === "allowed" ? `allowed ${formatMailbox(found.mailbox)}` : found?.kind, expected);
  });
}

test("mailto", () => {
  const read = (uri: string): string | undefined => {
    const mailbox = mailtoMailbox(uri);
    return mailbox && formatMailbox(mailbox);
  };
  assert.equal(read("MAILTO:a%2Bb@x.test?subject=hi"), "a+b@x.test");
  for (const uri of [
    "mailto:",
    "mailto:a",
    "mailto:a@x.test,b@y.test",
    "mailto:%zz@x.test",
    "mailto:a@[192.0.2.1]",
    "mailto:a%0D%0Ab@x.test",
    "http://x.test",
  ]) {
    assert.equal(read(uri), undefined, uri);
  }
});
