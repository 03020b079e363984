import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError, exitCodes } from "./exit-codes.ts";
import { holdMessages, suspend } from "./queue-changes.ts";
import { filterText, selectionOf } from "./queue-selection.ts";

const nowhere = { data: "/nowhere/at/all" };
const saying = (message: RegExp) => (error: unknown) =>
  error instanceof CliError && error.code === exitCodes.usage && message.test(error.message);

test("which messages: ids, a filter, or all of them said so", () => {
  assert.deepEqual(selectionOf(["1m85abcdefghjkmn", "1M85ABCDEFGHJKMN"], false), { ids: ["1M85ABCDEFGHJKMN"] });
  assert.deepEqual(selectionOf(["to:a.test", "age>1h"], false), { filter: "to:a.test age>1h" });
  assert.deepEqual(selectionOf([], true), { filter: "" });
  assert.throws(() => selectionOf([], false), saying(/which messages/));
  assert.throws(() => selectionOf(["to:a.test"], true), saying(/--all is for every message/));
});

test("quotes that a shell took off are put back where the filter needs them, and nowhere else", () => {
  assert.equal(filterText(["error~rate limit", "to:a.test"]), 'error~"rate limit" to:"a.test"');
  assert.equal(filterText(['error~"rate limit"']), 'error~"rate limit"');
  assert.equal(filterText(["not (to:a.test or from:<>)"]), "not (to:a.test or from:<>)");
  assert.throws(() => filterText(["colour:red"]), saying(/there is no field "colour"/));
});

test("what cannot be meant is said before a store is looked for", async () => {
  await assert.rejects(async () => holdMessages(["to:far.test"], { ...nowhere, for: "soon" }), saying(/--for expects a duration/));
  await assert.rejects(async () => suspend("far.test", nowhere), saying(/cannot be suspended/));
});
