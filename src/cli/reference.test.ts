import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cliReference, cliReferencePath } from "../../scripts/cli-reference.ts";

test("docs/cli.md is what the commands define (node scripts/cli-reference.ts writes it)", () => {
  assert.equal(readFileSync(cliReferencePath, "utf8"), cliReference());
});
