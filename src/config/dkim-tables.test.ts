import assert from "node:assert/strict";
import { test } from "node:test";
import { dkimTables } from "./dkim-tables.ts";

test("the [[dkim]] tables alone are read, whatever else the file has", () => {
  const text = `nonsense = 1
[[dkim]]
domain = "Bücher.example"
selector = "A"
key = "keys/a.pem"
[[dkim]]
domain = "example.test"
selector = "b"
key = "/etc/b.pem"
[[dkim]]
domain = "example.test"
[[dkim]]
domain = "not a domain"
selector = "c"
key = "c"
`;
  assert.deepEqual(dkimTables(text, "/srv"), [
    { domain: "xn--bcher-kva.example", selector: "a", key: "/srv/keys/a.pem" },
    { domain: "example.test", selector: "b", key: "/etc/b.pem" },
  ]);
  for (const none of ["", 'dkim = "x"', "dkim = [1, [2]]", '[dkim]\ndomain = "a"']) assert.deepEqual(dkimTables(none, "/"), []);
  assert.throws(() => dkimTables("[[dkim", "/"));
});
