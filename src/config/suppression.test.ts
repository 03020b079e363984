import assert from "node:assert/strict";
import { test } from "node:test";
import { days } from "../util/clock.ts";
import { parseConfig } from "./config.ts";

const read = (table: string) => parseConfig(`hostname = "mail.example.test"\n${table}`, { folder: "/" });
const settingOf = (table: string) => {
  const result = read(table);
  return result.kind === "ok" ? result.config.suppression : assert.fail(JSON.stringify(result.problems));
};

test("[suppression] is off unless accounts are named; names are in their one form", () => {
  assert.equal(settingOf(""), undefined);
  assert.equal(settingOf("[suppression]\naccounts = []"), undefined);
  assert.deepEqual(settingOf('[suppression]\naccounts = ["Ann@Example.test", "bob"]'), {
    ...{ accounts: new Set(["ann@example.test", "bob"]), for: days(30), answer: "refuse" },
  });
  assert.deepEqual(settingOf('[suppression]\naccounts = ["bob", "*"]\nfor = "36h"\nanswer = "drop"'), {
    ...{ accounts: "all", for: days(1.5), answer: "drop" },
  });
});

test("[suppression] with what is none", () => {
  for (const wrong of ['accounts = ["a b"]', 'accounts = [""]', 'accounts = "*"', 'for = "0s"', 'answer = "ignore"']) {
    assert.equal(read(`[suppression]\n${wrong}`).kind, "invalid", wrong);
  }
});
