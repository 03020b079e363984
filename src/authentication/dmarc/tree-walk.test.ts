import assert from "node:assert/strict";
import { test } from "node:test";
import { Steps } from "../step.ts";
import { tableDns, type Zone } from "../testing.ts";
import { QUERY_LIMIT, TreeWalks, walkNames } from "./tree-walk.ts";

const record = (text = "v=DMARC1; p=none"): Zone[string] => [{ TXT: text }];

async function organization(zone: Zone, domain: string): Promise<string> {
  const walk = await new TreeWalks(tableDns(zone), new Steps()).walk(domain);
  return walk.kind === "walked" ? walk.organizational : `failed: ${walk.why}`;
}

test("the names of RFC 9989 4.10", () => {
  assert.deepEqual(walkNames("a.b.c.d.e.f.g.h.i.j.mail.example.com"), [
    "a.b.c.d.e.f.g.h.i.j.mail.example.com",
    "g.h.i.j.mail.example.com",
    "h.i.j.mail.example.com",
    "i.j.mail.example.com",
    "j.mail.example.com",
    "mail.example.com",
    "example.com",
    "com",
  ]);
  assert.deepEqual(walkNames("mail.example.com"), ["mail.example.com", "example.com", "com"]);
  assert.deepEqual(walkNames("com"), ["com"]);
});

test(`no walk asks more than ${QUERY_LIMIT} questions, and the last is for the top`, async () => {
  for (let labels = 1; labels <= 120; labels++) {
    const domain = Array.from({ length: labels }, (_, i) => (i === labels - 1 ? "com" : `l${i}`)).join(".");
    const asked: string[] = [];
    await new TreeWalks(tableDns({}, asked), new Steps()).walk(domain);
    assert.equal(asked.length, Math.min(labels, QUERY_LIMIT));
    assert.equal(asked[0], `TXT _dmarc.${domain}`);
    assert.equal(asked.at(-1), "TXT _dmarc.com");
  }
});

const examples: [string, Zone, string][] = [
  ["the fewest labels win", { "_dmarc.mail.example.com": record(), "_dmarc.example.com": record() }, "example.com"],
  [
    "psd=n is the organization",
    { "_dmarc.mail.example.com": record("v=DMARC1; psd=n"), "_dmarc.example.com": record() },
    "mail.example.com",
  ],
  ["one label below psd=y", { "_dmarc.com": record("v=DMARC1; psd=y") }, "example.com"],
  ["psd=y in the middle ends the walk", { "_dmarc.example.com": record("v=DMARC1; psd=y"), "_dmarc.com": record() }, "mail.example.com"],
  ["no record at all", {}, "a.mail.example.com"],
  [
    "several records are none",
    { "_dmarc.example.com": [...(record() ?? []), ...(record() ?? [])], "_dmarc.mail.example.com": record() },
    "mail.example.com",
  ],
  ["other TXT records do not count", { "_dmarc.example.com": [{ TXT: "hello" }, ...(record() ?? [])] }, "example.com"],
  ["psd=y of the domain itself does not count for it", { "_dmarc.a.mail.example.com": record("v=DMARC1; psd=y") }, "a.mail.example.com"],
];
for (const [name, zone, expected] of examples) {
  test(`organizational domain: ${name}`, async () => assert.equal(await organization(zone, "a.mail.example.com"), expected));
}

test("a question that fails ends the walk without a conclusion", async () => {
  assert.match(
    await organization({ "_dmarc.example.com": ["TIMEOUT"], "_dmarc.mail.example.com": record() }, "mail.example.com"),
    /^failed/,
  );
  assert.equal(
    await organization({ "_dmarc.example.com": ["TIMEOUT"], "_dmarc.mail.example.com": record("v=DMARC1; psd=n") }, "mail.example.com"),
    "mail.example.com",
  );
});

test("a name is asked for once in a check", async () => {
  const asked: string[] = [];
  const walks = new TreeWalks(tableDns({}, asked), new Steps());
  await walks.walk("a.example.com");
  await walks.walk("b.example.com");
  await walks.walk("a.example.com");
  assert.deepEqual(asked, ["TXT _dmarc.a.example.com", "TXT _dmarc.example.com", "TXT _dmarc.com", "TXT _dmarc.b.example.com"]);
});
