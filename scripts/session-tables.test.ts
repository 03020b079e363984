import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sessionTables, sessionTablesPath } from "./session-tables.ts";

test("docs/sessions.md is up to date (node scripts/session-tables.ts)", () => {
  assert.equal(readFileSync(sessionTablesPath, "utf8"), sessionTables());
});
