/**
 * Settlements as they cross to the database thread.
 *
 * Rules
 * 1. One flat list for all of a commit: structured clone takes several times as long for objects.
 */
import { encodeSuppression } from "./sqlite-suppressions.ts";
import type { Settlement } from "./store.ts";

/** Flat: "finished", id, index | "suppressed", id, index, SuppressionColumns | "deferred", id, index, due, attempts, last, delayTold | "released", id, index, due. */
export type SettlementList = readonly (string | number)[];

/** The reason kept with a recipient. */
const LAST_LIMIT = 1000;

export function encodeSettlements(settlements: readonly Settlement[]): SettlementList {
  const flat: (string | number)[] = [];
  for (const settlement of settlements) {
    const { id, index } = settlement;
    if (settlement.kind === "deferred") {
      const { due, attempts, last, delayTold = false } = settlement;
      flat.push("deferred", id, index, due, attempts, last.slice(0, LAST_LIMIT), Number(delayTold));
    } else if (settlement.kind === "released") flat.push("released", id, index, settlement.due);
    else if (settlement.suppress === undefined) flat.push("finished", id, index);
    else flat.push("suppressed", id, index, ...encodeSuppression(settlement.suppress));
  }
  return flat;
}
